"""Draws a report as SVG: bars of CPU per unit, or of a latency, a panel per scenario.

A few rectangles and texts need no plotting library, whose hundred megabytes every
machine that runs the benchmark would have to install. The same report gives the same
bytes, so that a change in the picture is a change in the figures.
"""

from collections.abc import Mapping

from benchmarks.drawing import framed, text
from benchmarks.proxies import OURS
from benchmarks.report import Row
from benchmarks.scenarios import SCENARIOS, Scenario

WIDTH, LABEL, VALUE = 760, 130, 130  # of the picture, of its left and right texts
BAR, GAP, TITLE, MARGIN = 16, 6, 34, 16
PEER_COLOUR, TREE_COLOUR, OWN_COLOUR = "#9aa5b1", "#8fc7f0", "#1668b0"
UNITS = {
    "requests": "CPU µs per request",
    "new": "CPU µs per connection",
    "first": "CPU µs per connection",
    "websocket": "CPU µs per message echoed",
    "latency": "p99 in ms",
}


def svg(tables: Mapping[str, list[Row]]) -> str:
    """The picture; scenarios of which a bar would say little are left out."""
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
    body.append(text(MARGIN, top + 12, caption, "start"))
    height = top + 12 + MARGIN
    return framed("CPU per request", WIDTH, height, body)


def _panel(scenario: Scenario, measured: list[Row], top: int) -> list[str]:
    bars = [
        _of_latency(row) if scenario.kind == "latency" else _of_cpu(row)
        for row in measured
    ]
    widest = max(length for length, _, _ in bars) or 1.0
    title = f"{scenario.title}: {UNITS[scenario.kind]}"
    shown = [text(MARGIN, top + 16, title, "start", weight="bold")]
    scale = (WIDTH - LABEL - VALUE) / widest
    for index, (row, (length, own, value)) in enumerate(
        zip(measured, bars, strict=True)
    ):
        y = top + TITLE - 8 + index * (BAR + GAP)
        shown.append(text(LABEL - 8, y + BAR - 4, row.system, "end"))
        is_ours = row.system in OURS
        shown.append(_bar(y, length * scale, TREE_COLOUR if is_ours else PEER_COLOUR))
        if is_ours:
            shown.append(_bar(y, own * scale, OWN_COLOUR))
        shown.append(text(LABEL + length * scale + 6, y + BAR - 4, value, "start"))
    return shown


def _of_cpu(row: Row) -> tuple[float, float, str]:
    """Length, its dark part, and what stands beside the bar."""
    value = f"{row.cpu_per_unit_s * 1e6:,.0f}{_part(row.cpu_share)}"
    return row.cpu_per_unit_s, row.own_cpu_per_unit_s, value


def _of_latency(row: Row) -> tuple[float, float, str]:
    p99_ms = row.p99_ms or 0.0
    return p99_ms, p99_ms, f"{p99_ms:,.1f}{_part(row.p99_ratio)}"


def _part(share: float | None) -> str:
    return f"  (1/{1 / share:.1f})" if share and share < 1 else ""


def _bar(y: float, width: float, colour: str) -> str:
    return (
        f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" '
        f'fill="{colour}"/>'
    )
