"""What the project promises of a scenario, and whether a run kept it.

Floors are the figures of the first release with a store: below them something broke.
Goals are what is worked towards; missed ones too are said plainly. Where a goal names
no process it is of the one that carries the traffic: with a core to spare for the hub,
that one bounds the rate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.peers import GOPROXY, RELAY, SQUID, SSLSPLIT
from benchmarks.proxies import INT3RCEPTOR, NO_PLUGIN, STAMP, WORKERS
from benchmarks.report import Row, Target
from benchmarks.sizes import KIB, MIB

MB = 1000**2
Rows = Mapping[str, Row]
Read = Callable[[Rows], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise; `read` gives None where a run cannot tell."""

    scenarios: tuple[str, ...]
    level: Literal["floor", "goal"]
    wanted: str
    read: Read
    limit: float
    shown: str
    is_minimum: bool = False

    def judge(self, scenario: str, rows: Rows) -> Target | None:
        """What came of it, if the run can tell."""
        value = self.read(rows)
        if value is None:
            return None
        return Target(
            scenario=scenario,
            level=self.level,
            wanted=self.wanted,
            measured=self.shown.format(value),
            is_met=value >= self.limit if self.is_minimum else value <= self.limit,
        )


def _ours(read: Callable[[Row], float | None]) -> Read:
    def of_ours(rows: Rows) -> float | None:
        return read(rows[INT3RCEPTOR]) if INT3RCEPTOR in rows else None

    return of_ours


def _beside(peer: str, read: Callable[[Row, Row], float]) -> Read:
    def of_both(rows: Rows) -> float | None:
        if INT3RCEPTOR not in rows or peer not in rows:
            return None
        return read(rows[INT3RCEPTOR], rows[peer])

    return of_both


def _part(share: float | None) -> float | None:
    return 1 / share if share else None


def _rate_beside(ours: Row, peer: Row) -> float:
    return ours.units_per_s / peer.units_per_s if peer.units_per_s else 0.0


def _cpu_beside(ours: Row, peer: Row) -> float:
    return ours.own_cpu_per_unit_s / peer.cpu_per_unit_s if peer.cpu_per_unit_s else 0.0


def _plugin_s(rows: Rows) -> float | None:
    """The lowest of each: a difference of medians would be mostly their noise."""
    if NO_PLUGIN not in rows or STAMP not in rows:
        return None
    return rows[STAMP].own_cpu_lowest_s - rows[NO_PLUGIN].own_cpu_lowest_s


def _two_workers(rows: Rows) -> float | None:
    """How many times one worker's rate two would have, each with a core to itself.

    Told by the CPU of a request, of all processes: on the cores of this run there is
    no room for both beside the load and the origin.
    """
    if INT3RCEPTOR not in rows or WORKERS not in rows:
        return None
    both = rows[WORKERS].cpu_per_unit_s
    return 2 * rows[INT3RCEPTOR].cpu_per_unit_s / both if both else None


def _cpu(
    scenarios: tuple[str, ...],
    level: Literal["floor", "goal"],
    *,
    own: int | None = None,
    tree: int | None = None,
) -> list[Promise]:
    """CPU as a part of what mitmdump needs, of the proxy process and of all."""
    wanted: list[tuple[str, int | None, Read]] = [
        ("the proxy process", own, _ours(lambda row: _part(row.own_cpu_share))),
        ("the whole tree", tree, _ours(lambda row: _part(row.cpu_share))),
    ]
    return [
        Promise(
            scenarios=scenarios,
            level=level,
            wanted=f"CPU of {whose} <= 1/{part} of mitmdump's",
            read=read,
            limit=part,
            shown="1/{:.1f}",
            is_minimum=True,
        )
        for whose, part, read in wanted
        if part is not None
    ]


def _below(peer: str) -> Promise:
    return Promise(
        scenarios=("h1", "h1-256"),
        level="goal",
        wanted=f"CPU of the proxy process below {peer}'s",
        read=_beside(peer, _cpu_beside),
        limit=1.0,
        shown="{:.1f} x",
    )


def _rate(
    scenarios: tuple[str, ...], level: Literal["floor", "goal"], least: float
) -> Promise:
    return Promise(
        scenarios=scenarios,
        level=level,
        wanted=f"throughput >= {least:g} x mitmdump's",
        read=_ours(lambda row: row.rate_ratio),
        limit=least,
        shown="{:.1f} x",
        is_minimum=True,
    )


def _growth(level: Literal["floor", "goal"], most: int) -> Promise:
    return Promise(
        scenarios=BULK,
        level=level,
        wanted=f"peak growth of the proxy process <= {most} MiB",
        read=_ours(lambda row: row.own_peak_growth_bytes / MIB),
        limit=most,
        shown="{:.1f} MiB",
    )


H1, H2 = ("h1", "h1-256"), ("h2-1x100", "h2-10x10")
BULK, MEMORY = ("download", "upload"), ("memory-h1", "memory-h2")
FLOORS = (
    *_cpu(("h1",), "floor", own=6, tree=4),
    *_cpu(H2, "floor", own=4, tree=3),
    *_cpu(("new",), "floor", tree=3),
    _rate(("download",), "floor", 2.5),
    _growth("floor", 32),
    Promise(
        scenarios=MEMORY,
        level="floor",
        wanted="proxy process within ±5 % after the first tenth",
        read=_ours(lambda row: abs(row.own_drift) * 100),
        limit=5,
        shown="{:.1f} %",
    ),
    Promise(
        scenarios=MEMORY,
        level="floor",
        wanted="proxy process <= 60 MB at start, before any request",
        read=_ours(lambda row: row.fresh_rss_bytes / MB),
        limit=60,
        shown="{:.1f} MB",
    ),
    Promise(
        scenarios=MEMORY,
        level="floor",
        wanted="hub <= 120 MB",
        read=_ours(lambda row: row.children_rss_bytes / MB),
        limit=120,
        shown="{:.1f} MB",
    ),
)
GOALS = (
    *_cpu(H1, "goal", own=20, tree=12),
    _below(SQUID),
    _below(GOPROXY),
    *_cpu(("plain", "plain-256"), "goal", own=20),
    *_cpu(H2, "goal", own=12),
    *_cpu(("h2-h1", "h1-h2"), "goal", own=10),
    *_cpu(("new",), "goal", own=8),
    Promise(
        scenarios=("new",),
        level="goal",
        wanted="rate >= sslsplit's",
        read=_beside(SSLSPLIT, _rate_beside),
        limit=1.0,
        shown="{:.2f} x",
        is_minimum=True,
    ),
    *_cpu(("first",), "goal", own=4),
    Promise(
        scenarios=("websocket",),
        level="goal",
        wanted="messages echoed per CPU second >= 10 x mitmdump's",
        read=_ours(lambda row: _part(row.own_cpu_share)),
        limit=10,
        shown="{:.1f} x",
        is_minimum=True,
    ),
    _rate(BULK, "goal", 4),
    Promise(
        scenarios=BULK,
        level="goal",
        wanted="throughput >= 80 % of a blind relay's",
        read=_beside(RELAY, _rate_beside),
        limit=0.8,
        shown="{:.0%}",
        is_minimum=True,
    ),
    _growth("goal", 16),
    Promise(
        scenarios=("idle", "idle-many"),
        level="goal",
        wanted="<= 40 KiB per tunnel in the proxy process",
        read=_ours(lambda row: row.own_growth_per_unit_bytes / KIB),
        limit=40,
        shown="{:.0f} KiB",
    ),
    Promise(
        scenarios=("latency",),
        level="goal",
        wanted="p99 <= 1/10 of mitmdump's",
        read=_ours(lambda row: _part(row.p99_ratio)),
        limit=10,
        shown="1/{:.1f}",
        is_minimum=True,
    ),
    Promise(
        scenarios=("plugin",),
        level="goal",
        wanted="two reads and one write of headers <= 12 µs in the proxy process",
        read=lambda rows: None if (took := _plugin_s(rows)) is None else took * 1e6,
        limit=12,
        shown="{:.1f} µs",
    ),
    Promise(
        scenarios=("workers",),
        level="goal",
        wanted="two workers >= 1.7 x one, by the CPU of a request",
        read=_two_workers,
        limit=1.7,
        shown="{:.2f} x",
        is_minimum=True,
    ),
)


def targets(scenario: str, measured: list[Row]) -> list[Target]:
    """The promises that this scenario can judge."""
    rows = {row.system: row for row in measured}
    judged = (
        promise.judge(scenario, rows)
        for promise in (*FLOORS, *GOALS)
        if scenario in promise.scenarios
    )
    return [target for target in judged if target is not None]
