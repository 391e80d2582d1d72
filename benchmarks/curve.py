"""Draws lines over one axis as SVG; the same points give the same bytes."""

from dataclasses import dataclass

from benchmarks.drawing import framed, text

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 40, 40
COLOURS = ("#1668b0", "#8fc7f0", "#9aa5b1")
STEPS = 4  # between the lines of the grid


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: what it is called, and its points from left to right."""

    name: str
    xs: list[float]
    ys: list[float]


def svg(title: str, lines: list[Line]) -> str:
    """The picture; the vertical axis begins at nought, so that flat looks flat."""
    most_x = max((x for line in lines for x in line.xs), default=0.0) or 1.0
    most_y = max((y for line in lines for y in line.ys), default=0.0) * 1.1 or 1.0
    body = [text(LEFT, 22, title, "start", weight="bold"), *_grid(most_x, most_y)]
    for line, colour in zip(lines, COLOURS, strict=False):
        points = [
            (_across(x, most_x), _up(y, most_y))
            for x, y in zip(line.xs, line.ys, strict=True)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        if points:
            body.append(text(points[-1][0] + 8, points[-1][1] + 4, line.name, "start"))
    return framed(title, WIDTH, HEIGHT, body)


def _across(x: float, most: float) -> float:
    return LEFT + x / most * (WIDTH - LEFT - RIGHT)


def _up(y: float, most: float) -> float:
    return HEIGHT - BOTTOM - y / most * (HEIGHT - TOP - BOTTOM)


def _grid(most_x: float, most_y: float) -> list[str]:
    shown = []
    for step in range(STEPS + 1):
        x, y = most_x * step / STEPS, most_y * step / STEPS
        height = _up(y, most_y)
        shown.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" '
            f'y2="{height:.1f}" stroke="#dde3e9"/>'
        )
        shown.append(text(LEFT - 8, height + 4, f"{y:,.0f}", "end"))
        foot = HEIGHT - BOTTOM + 20
        shown.append(text(_across(x, most_x), foot, f"{x:,.0f}", "middle"))
    return shown
