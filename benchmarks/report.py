"""From samples to what is read: one row per system and scenario, with its ratios.

Pure: knows neither how a figure was taken nor how it is shown, nor what was promised.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.peers import MITMDUMP
from benchmarks.sampling import Sample
from benchmarks.sizes import Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system in one scenario: medians of its repetitions, worst case for memory.

    `own_*` is the first process alone, the rest its whole tree. Shares are of the CPU
    that mitmdump's tree needed in the same run, `rate_ratio` and `p99_ratio` of its
    rate and latency. The `*_busy` are shares of a core while the load ran. `spoken` is
    the HTTP version towards the origin.
    """

    system: str
    repetitions: int
    requests: int
    errors: int
    cpu_per_unit_s: float
    own_cpu_per_unit_s: float
    own_cpu_lowest_s: float
    cpu_lowest_s: float
    cpu_highest_s: float
    cpu_share: float | None
    own_cpu_share: float | None
    units_per_s: float
    rate_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None
    p99_ratio: float | None
    busy: float
    load_busy: float
    origin_busy: float
    rss_start_bytes: int
    own_rss_start_bytes: int
    fresh_rss_bytes: int
    own_rss_end_bytes: int
    rss_end_bytes: int
    own_drift: float
    peak_growth_bytes: int
    own_peak_growth_bytes: int
    growth_per_unit_bytes: float
    own_growth_per_unit_bytes: float
    spoken: str

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
    p99_ms = _known([sample.result.p99_ms for sample in samples])
    peer_p99_ms = _known([sample.result.p99_ms for sample in peer])
    growth = last.rss_bytes[-1] - first.rss_bytes[0]
    own_growth = last.own_rss_bytes[-1] - first.own_rss_bytes[0]
    return Row(
        system=first.system,
        repetitions=len(samples),
        requests=sum(sample.result.requests for sample in samples),
        errors=sum(sample.result.errors for sample in samples),
        cpu_per_unit_s=cpu,
        own_cpu_per_unit_s=own_cpu,
        own_cpu_lowest_s=min(map(_own_cpu, samples)),
        cpu_lowest_s=min(map(_cpu, samples)),
        cpu_highest_s=max(map(_cpu, samples)),
        cpu_share=_ratio(cpu, peer_cpu),
        own_cpu_share=_ratio(own_cpu, peer_cpu),
        units_per_s=rate,
        rate_ratio=_ratio(rate, _middle(peer, _rate)),
        p50_ms=_known([sample.result.p50_ms for sample in samples]),
        p99_ms=p99_ms,
        p99_ratio=_ratio(p99_ms or 0.0, peer_p99_ms),
        busy=_middle(samples, lambda each: each.share(each.busy_cpu_s)),
        load_busy=_middle(samples, lambda each: each.share(each.result.load_cpu_s)),
        origin_busy=_middle(samples, lambda each: each.share(each.origin_cpu_s)),
        rss_start_bytes=first.rss_bytes[0],
        own_rss_start_bytes=first.own_rss_bytes[0],
        fresh_rss_bytes=first.fresh_rss_bytes,
        own_rss_end_bytes=last.own_rss_bytes[-1],
        rss_end_bytes=last.rss_bytes[-1],
        own_drift=max((sample.own_drift for sample in samples), key=abs),
        peak_growth_bytes=max(sample.peak_growth_bytes for sample in samples),
        own_peak_growth_bytes=max(each.own_peak_growth_bytes for each in samples),
        growth_per_unit_bytes=first.per_unit(growth),
        own_growth_per_unit_bytes=first.per_unit(own_growth),
        spoken=last.spoken,
    )


def rows(samples: list[Sample]) -> list[Row]:
    """One row per system of one scenario, in the order they ran."""
    by_system: dict[str, list[Sample]] = {}
    for sample in samples:
        by_system.setdefault(sample.system, []).append(sample)
    peer = by_system.get(MITMDUMP, [])
    return [_row(each, peer) for each in by_system.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured; both in words.

    A floor was reached once and must stay so; a goal is what is worked towards.
    """

    scenario: str
    level: Literal["floor", "goal"]
    wanted: str
    measured: str
    is_met: bool


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
