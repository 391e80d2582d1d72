"""Draws a report as SVG: bars of CPU per unit, one panel per scenario.

A few rectangles and texts need no plotting library, whose hundred megabytes every
machine that runs the benchmark would have to install. The same report gives the same
bytes, so that a change in the picture is a change in the figures.
"""

from collections.abc import Mapping
from html import escape

from benchmarks.proxies import OURS
from benchmarks.report import Row
from benchmarks.scenarios import SCENARIOS, Scenario

WIDTH, LABEL, VALUE = 760, 130, 130  # of the picture, of its left and right texts
BAR, GAP, TITLE, MARGIN = 16, 6, 34, 16
PEER_COLOUR, TREE_COLOUR, OWN_COLOUR = "#9aa5b1", "#8fc7f0", "#1668b0"
UNITS = {"requests": "request", "new": "connection", "first": "connection"}


def svg(tables: Mapping[str, list[Row]]) -> str:
    """The picture; scenarios that have no CPU per request are left out."""
    body: list[str] = []
    top = MARGIN
    for scenario in SCENARIOS:
        measured = [row for row in tables.get(scenario.name, []) if row.is_proxy]
        if scenario.kind not in UNITS or not measured:
            continue
        body += _panel(scenario, measured, top)
        top += TITLE + len(measured) * (BAR + GAP) + MARGIN
    caption = (
        "Shorter is better. CPU of every process of the proxy; "
        "the dark part is INT3RCEPTOR's proxy process, the light part its hub."
    )
    body.append(_text(MARGIN, top + 12, caption, "start"))
    height = top + 12 + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" '
        'font-size="12" fill="#1f2933">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join(
        [head, "<title>CPU per request</title>", ground, *body, "</svg>", ""]
    )


def _panel(scenario: Scenario, measured: list[Row], top: int) -> list[str]:
    widest = max(row.cpu_per_unit_s for row in measured) or 1.0
    title = f"{scenario.title}: CPU µs per {UNITS[scenario.kind]}"
    shown = [_text(MARGIN, top + 16, title, "start", weight="bold")]
    for index, row in enumerate(measured):
        y = top + TITLE - 8 + index * (BAR + GAP)
        scale = (WIDTH - LABEL - VALUE) / widest
        shown.append(_text(LABEL - 8, y + BAR - 4, row.system, "end"))
        is_ours = row.system in OURS
        tree = row.cpu_per_unit_s * scale
        shown.append(_bar(y, tree, TREE_COLOUR if is_ours else PEER_COLOUR))
        if is_ours:
            shown.append(_bar(y, row.own_cpu_per_unit_s * scale, OWN_COLOUR))
        value = f"{row.cpu_per_unit_s * 1e6:,.0f}"
        if row.cpu_share and row.cpu_share < 1:
            value += f"  (1/{1 / row.cpu_share:.1f})"
        shown.append(_text(LABEL + tree + 6, y + BAR - 4, value, "start"))
    return shown


def _bar(y: float, width: float, colour: str) -> str:
    return (
        f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" '
        f'fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
