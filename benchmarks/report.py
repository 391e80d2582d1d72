"""From samples to what is read: one row per system and scenario, ratios, targets.

Pure: knows neither how a figure was taken nor how it is shown.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.peers import MITMDUMP
from benchmarks.proxies import INT3RCEPTOR
from benchmarks.scenarios import MIB, Sample, Sizes

MB = 1000**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system in one scenario: medians of its repetitions, worst case for memory.

    `own_*` is the first process alone, the rest its whole tree. Shares are of the CPU
    that mitmdump's tree needed in the same run, `rate_ratio` of its rate. The `*_busy`
    are shares of a core while the load ran.
    """

    system: str
    repetitions: int
    requests: int
    errors: int
    cpu_per_unit_s: float
    own_cpu_per_unit_s: float
    cpu_lowest_s: float
    cpu_highest_s: float
    cpu_share: float | None
    own_cpu_share: float | None
    units_per_s: float
    rate_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None
    busy: float
    load_busy: float
    origin_busy: float
    rss_start_bytes: int
    own_rss_start_bytes: int
    own_rss_end_bytes: int
    rss_end_bytes: int
    own_drift: float
    peak_growth_bytes: int
    own_peak_growth_bytes: int
    growth_per_unit_bytes: float
    own_growth_per_unit_bytes: float

    @property
    def is_proxy(self) -> bool:
        return self.rss_start_bytes > 0

    @property
    def children_rss_bytes(self) -> int:
        return self.rss_end_bytes - self.own_rss_end_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A system that a scenario could not measure, and why."""

    system: str
    scenario: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured; both in words."""

    scenario: str
    wanted: str
    measured: str
    is_met: bool


def _known(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _ratio(mine: float, theirs: float | None) -> float | None:
    return mine / theirs if mine and theirs else None


def _middle(samples: list[Sample], read: Callable[[Sample], float]) -> float:
    return median(map(read, samples)) if samples else 0.0


def _cpu(sample: Sample) -> float:
    return sample.per_unit(sample.cpu_s)


def _own_cpu(sample: Sample) -> float:
    return sample.per_unit(sample.own_cpu_s)


def _rate(sample: Sample) -> float:
    elapsed_s = sample.result.elapsed_s
    return sample.units / elapsed_s if elapsed_s else 0.0


def _row(samples: list[Sample], peer: list[Sample]) -> Row:
    first, last = samples[0], samples[-1]
    cpu, own_cpu = _middle(samples, _cpu), _middle(samples, _own_cpu)
    rate, peer_cpu = _middle(samples, _rate), _middle(peer, _cpu)
    growth = last.rss_bytes[-1] - first.rss_bytes[0]
    own_growth = last.own_rss_bytes[-1] - first.own_rss_bytes[0]
    return Row(
        system=first.system,
        repetitions=len(samples),
        requests=sum(sample.result.requests for sample in samples),
        errors=sum(sample.result.errors for sample in samples),
        cpu_per_unit_s=cpu,
        own_cpu_per_unit_s=own_cpu,
        cpu_lowest_s=min(map(_cpu, samples)),
        cpu_highest_s=max(map(_cpu, samples)),
        cpu_share=_ratio(cpu, peer_cpu),
        own_cpu_share=_ratio(own_cpu, peer_cpu),
        units_per_s=rate,
        rate_ratio=_ratio(rate, _middle(peer, _rate)),
        p50_ms=_known([sample.result.p50_ms for sample in samples]),
        p99_ms=_known([sample.result.p99_ms for sample in samples]),
        busy=_middle(samples, lambda each: each.share(each.busy_cpu_s)),
        load_busy=_middle(samples, lambda each: each.share(each.result.load_cpu_s)),
        origin_busy=_middle(samples, lambda each: each.share(each.origin_cpu_s)),
        rss_start_bytes=first.rss_bytes[0],
        own_rss_start_bytes=first.own_rss_bytes[0],
        own_rss_end_bytes=last.own_rss_bytes[-1],
        rss_end_bytes=last.rss_bytes[-1],
        own_drift=max((sample.own_drift for sample in samples), key=abs),
        peak_growth_bytes=max(sample.peak_growth_bytes for sample in samples),
        own_peak_growth_bytes=max(each.own_peak_growth_bytes for each in samples),
        growth_per_unit_bytes=first.per_unit(growth),
        own_growth_per_unit_bytes=first.per_unit(own_growth),
    )


def rows(samples: list[Sample]) -> list[Row]:
    """One row per system of one scenario, in the order they ran."""
    by_system: dict[str, list[Sample]] = {}
    for sample in samples:
        by_system.setdefault(sample.system, []).append(sample)
    peer = by_system.get(MITMDUMP, [])
    return [_row(each, peer) for each in by_system.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Promise:
    """What the project promises of a scenario; None where a run cannot tell."""

    scenarios: tuple[str, ...]
    wanted: str
    read: Callable[[Row], float | None]
    limit: float
    shown: str
    is_minimum: bool = False

    def judge(self, scenario: str, ours: Row) -> Target | None:
        value = self.read(ours)
        if value is None:
            return None
        is_met = value >= self.limit if self.is_minimum else value <= self.limit
        measured = self.shown.format(value)
        return Target(
            scenario=scenario, wanted=self.wanted, measured=measured, is_met=is_met
        )


def _part(share: float | None) -> float | None:
    return 1 / share if share else None


def _cpu_promises(
    scenarios: tuple[str, ...], own: int | None, tree: int
) -> list[_Promise]:
    promises = []
    if own is not None:
        promises.append(
            _Promise(
                scenarios=scenarios,
                wanted=f"CPU of the proxy process <= 1/{own} of mitmdump's",
                read=lambda row: _part(row.own_cpu_share),
                limit=own,
                shown="1/{:.1f}",
                is_minimum=True,
            )
        )
    promises.append(
        _Promise(
            scenarios=scenarios,
            wanted=f"CPU of the whole tree <= 1/{tree} of mitmdump's",
            read=lambda row: _part(row.cpu_share),
            limit=tree,
            shown="1/{:.1f}",
            is_minimum=True,
        )
    )
    return promises


MEMORY = ("memory-h1", "memory-h2")
PROMISES = (
    *_cpu_promises(("h1",), own=6, tree=4),
    *_cpu_promises(("h2-1x100", "h2-10x10"), own=4, tree=3),
    *_cpu_promises(("new",), own=None, tree=3),
    _Promise(
        scenarios=("download",),
        wanted="throughput >= 2.5 x mitmdump's",
        read=lambda row: row.rate_ratio,
        limit=2.5,
        shown="{:.1f} x",
        is_minimum=True,
    ),
    _Promise(
        scenarios=("download", "upload"),
        wanted="peak growth of the proxy process <= 32 MiB",
        read=lambda row: row.own_peak_growth_bytes / MIB,
        limit=32,
        shown="{:.1f} MiB",
    ),
    _Promise(
        scenarios=MEMORY,
        wanted="proxy process within ±5 % after the first tenth",
        read=lambda row: abs(row.own_drift) * 100,
        limit=5,
        shown="{:.1f} %",
    ),
    _Promise(
        scenarios=MEMORY,
        wanted="proxy process <= 60 MB at start",
        read=lambda row: row.own_rss_start_bytes / MB,
        limit=60,
        shown="{:.1f} MB",
    ),
    _Promise(
        scenarios=MEMORY,
        wanted="hub <= 120 MB",
        read=lambda row: row.children_rss_bytes / MB,
        limit=120,
        shown="{:.1f} MB",
    ),
)


def targets(scenario: str, measured: list[Row]) -> list[Target]:
    """The promises that this scenario can judge."""
    ours = next((row for row in measured if row.system == INT3RCEPTOR), None)
    if ours is None:
        return []
    judged = (
        promise.judge(scenario, ours)
        for promise in PROMISES
        if scenario in promise.scenarios
    )
    return [target for target in judged if target is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run."""

    facts: Mapping[str, str]
    commands: Mapping[str, str]
    tables: Mapping[str, list[Row]]
    absences: list[Absence]
    targets: list[Target]

    def to_json(self, sizes: Sizes, samples: list[Sample]) -> str:
        """Everything measured; `samples` are the raw runs in their order."""
        document = dataclasses.asdict(self)
        document["sizes"] = dataclasses.asdict(sizes)
        document["samples"] = [dataclasses.asdict(sample) for sample in samples]
        return json.dumps(document, indent=1)


def from_json(text: str) -> Report:
    """The report that `to_json` wrote."""
    document = json.loads(text)
    return Report(
        facts=document["facts"],
        commands=document["commands"],
        tables={
            name: [Row(**row) for row in measured]
            for name, measured in document["tables"].items()
        },
        absences=[Absence(**each) for each in document["absences"]],
        targets=[Target(**each) for each in document["targets"]],
    )
