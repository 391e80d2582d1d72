"""Shows rows: which columns a kind of scenario has, as aligned text or as Markdown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.proxies import OURS
from benchmarks.report import Row
from benchmarks.scenarios import Kind
from benchmarks.sizes import KIB, MIB

Cell = Callable[[Row], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, and of whom it says something.

    The first process alone is a fair figure of INT3RCEPTOR, which leaves all work but
    traffic to its hub. Of a peer it says nothing: one of them only supervises there.
    """

    title: str
    cell: Cell
    of: Literal["all", "proxies", "ours"] = "proxies"

    def shown(self, row: Row) -> str:
        """The cell, or a dash where the column does not say anything of the row."""
        is_told = {
            "all": True,
            "proxies": row.is_proxy,
            "ours": row.system in OURS,
        }
        return self.cell(row) if is_told[self.of] else "-"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _share(value: float | None) -> str:
    return _number(1 / value if value else None, "1/{:.1f}")


def _cpu(row: Row, scale: float, form: str) -> str:
    middle, lowest, highest = (
        form.format(value * scale)
        for value in (row.cpu_per_unit_s, row.cpu_lowest_s, row.cpu_highest_s)
    )
    return middle if row.repetitions == 1 else f"{middle} ({lowest}-{highest})"


def _rss(row: Row) -> str:
    if row.system not in OURS:
        return f"{row.rss_start_bytes / MIB:.0f}>{row.rss_end_bytes / MIB:.0f}"
    return (
        f"{row.own_rss_start_bytes / MIB:.0f}>{row.own_rss_end_bytes / MIB:.0f}"
        f" ({row.rss_end_bytes / MIB:.0f})"
    )


def _costs(unit: str, scale: float, form: str) -> list[Column]:
    return [
        Column(title=f"CPU {unit}", cell=lambda row: _cpu(row, scale, form)),
        Column(title="of mitmdump's", cell=lambda row: _share(row.cpu_share)),
        Column(
            title="proxy process",
            cell=lambda row: form.format(row.own_cpu_per_unit_s * scale),
            of="ours",
        ),
        Column(
            title="of mitmdump's",
            cell=lambda row: _share(row.own_cpu_share),
            of="ours",
        ),
    ]


FIRST = [
    Column(title="system", cell=lambda row: row.system, of="all"),
    Column(title="requests", cell=lambda row: str(row.requests), of="all"),
    Column(title="errors", cell=lambda row: str(row.errors), of="all"),
]
RATE_RATIO = Column(
    title="x mitmdump",
    cell=lambda row: _number(row.rate_ratio, "{:.1f}"),
    of="all",
)
LATENCY = [
    Column(title="p50 ms", cell=lambda row: _number(row.p50_ms, "{:.2f}"), of="all"),
    Column(title="p99 ms", cell=lambda row: _number(row.p99_ms, "{:.2f}"), of="all"),
]
BUSY = [
    Column(title="proxy busy", cell=lambda row: f"{row.busy:.0%}"),
    Column(title="load", cell=lambda row: f"{row.load_busy:.0%}", of="all"),
    Column(title="origin", cell=lambda row: f"{row.origin_busy:.0%}", of="all"),
]
RSS = Column(title="RSS MiB (tree)", cell=_rss)


def _rated(unit: str, rate: str) -> list[Column]:
    per_s = Column(title=rate, cell=lambda row: f"{row.units_per_s:.0f}", of="all")
    costs = _costs(f"us/{unit}", 1e6, "{:.0f}")
    return [*FIRST, *costs, per_s, RATE_RATIO, *LATENCY, *BUSY, RSS]


REQUESTS = [
    *_rated("request", "requests/s"),
    Column(title="to the origin", cell=lambda row: row.spoken or "-", of="all"),
]
PACED = [
    *FIRST,
    Column(title="requests/s", cell=lambda row: f"{row.units_per_s:.0f}", of="all"),
    *LATENCY,
    Column(title="of mitmdump's", cell=lambda row: _share(row.p99_ratio), of="all"),
    *_costs("us/request", 1e6, "{:.0f}"),
    *BUSY,
]

BULK = [
    *FIRST,
    Column(title="MiB/s", cell=lambda row: f"{row.units_per_s * KIB:.0f}", of="all"),
    RATE_RATIO,
    *_costs("s/GiB", 1.0, "{:.2f}"),
    Column(
        title="peak growth MiB", cell=lambda row: f"{row.peak_growth_bytes / MIB:.1f}"
    ),
    Column(
        title="proxy process",
        cell=lambda row: f"{row.own_peak_growth_bytes / MIB:.1f}",
        of="ours",
    ),
    *BUSY,
]
IDLE = [
    *FIRST,
    Column(title="KiB each", cell=lambda row: f"{row.growth_per_unit_bytes / KIB:.0f}"),
    Column(
        title="proxy process",
        cell=lambda row: f"{row.own_growth_per_unit_bytes / KIB:.0f}",
        of="ours",
    ),
    RSS,
]
MEMORY = [
    *FIRST,
    RSS,
    Column(title="drift", cell=lambda row: f"{row.own_drift:+.1%}"),
    Column(title="hub MiB", cell=lambda row: f"{row.children_rss_bytes / MIB:.0f}"),
    *_costs("us/request", 1e6, "{:.0f}"),
]
COLUMNS: dict[Kind, list[Column]] = {
    "requests": REQUESTS,
    "new": _rated("connection", "connections/s"),
    "first": _rated("connection", "connections/s"),
    "latency": PACED,
    "download": BULK,
    "upload": BULK,
    "idle": IDLE,
    "memory": MEMORY,
    "websocket": _rated("message", "messages/s"),
}


def _lines(kind: Kind, measured: list[Row]) -> list[list[str]]:
    columns = COLUMNS[kind]
    return [
        [column.title for column in columns],
        *([column.shown(row) for column in columns] for row in measured),
    ]


def text_table(kind: Kind, measured: list[Row]) -> str:
    """The rows of one scenario as aligned text."""
    lines = _lines(kind, measured)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def markdown_table(kind: Kind, measured: list[Row]) -> str:
    """The same for the documentation."""
    head, *body = _lines(kind, measured)
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ruler, *body))
