"""One sample: what a load cost a system, read before, within and after it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.clients import Result
from benchmarks.measure import Usage, reset_peak, settle, usage
from benchmarks.proxies import OURS, System

NOTHING = Usage(
    cpu_s=0.0,
    own_cpu_s=0.0,
    rss_bytes=0,
    own_rss_bytes=0,
    peak_rss_bytes=0,
    own_peak_rss_bytes=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one scenario on one system.

    CPU and memory are of the whole process tree; `own_*` of its first process alone,
    which for INT3RCEPTOR is the one that carries the traffic. Each `*_rss_bytes` begins
    with the size before the load; `fresh_rss_bytes` is that of our first process
    before any request. `units` is what costs are divided by: requests, GiB
    of bodies, connections held open. `sent` counts every request, the warm-up's too.
    `spoken` is the HTTP version that the origin saw, where it was asked.
    """

    system: str
    scenario: str
    result: Result
    units: float
    cpu_s: float
    own_cpu_s: float
    busy_cpu_s: float
    origin_cpu_s: float
    rss_bytes: tuple[int, ...]
    own_rss_bytes: tuple[int, ...]
    peak_growth_bytes: int
    own_peak_growth_bytes: int
    sent: int
    spoken: str = ""
    fresh_rss_bytes: int = 0

    def per_unit(self, cost: float) -> float:
        """`cost` of the sample, for one unit."""
        return cost / self.units if self.units else 0.0

    def share(self, cpu_s: float) -> float:
        """`cpu_s` as a share of a core while the load ran."""
        return cpu_s / self.result.elapsed_s if self.result.elapsed_s else 0.0

    @property
    def own_drift(self) -> float:
        """Change of the first process's size from after the first part to the end."""
        first, last = self.own_rss_bytes[1], self.own_rss_bytes[-1]
        return last / first - 1 if first else 0.0


class Meter:
    """Reads a system before, within and after its load."""

    def __init__(self, system: System, scenario: str, origin_pid: int) -> None:
        self._system = system
        self._scenario = scenario
        self._origin_pid = origin_pid
        self._before: Usage | None = None

    def start(self) -> None:
        """Read the size before the load; earlier where connecting is part of it."""
        self._settle()  # neither a start nor a warm-up is part of the load
        if self._system.pid is not None:
            reset_peak(self._system.pid)
        self._before = self._read()

    def sample(
        self,
        load: Callable[[], Result],
        *,
        parts: int = 1,
        before: int,
        units: float | None = None,
    ) -> Sample:
        """What `load`, done `parts` times, cost; by default per request.

        `before` is how many requests the warm-up sent.
        """
        if self._before is None:
            self.start()
        start = self._before or NOTHING
        origin_start = usage(self._origin_pid).cpu_s
        results, usages = [], [start]
        for _ in range(parts):
            results.append(load())
            usages.append(self._read())
        busy_cpu_s = usages[-1].cpu_s - start.cpu_s
        origin_cpu_s = usage(self._origin_pid).cpu_s - origin_start
        self._settle()
        end, total = self._read(), _sum(results)
        return Sample(
            system=self._system.name,
            scenario=self._scenario,
            result=total,
            units=total.requests if units is None else units,
            cpu_s=end.cpu_s - start.cpu_s,
            own_cpu_s=end.own_cpu_s - start.own_cpu_s,
            busy_cpu_s=busy_cpu_s,
            origin_cpu_s=origin_cpu_s,
            rss_bytes=tuple(each.rss_bytes for each in usages),
            own_rss_bytes=tuple(each.own_rss_bytes for each in usages),
            peak_growth_bytes=end.peak_rss_bytes - start.rss_bytes,
            own_peak_growth_bytes=end.own_peak_rss_bytes - start.own_rss_bytes,
            sent=before + total.requests + total.errors,
            fresh_rss_bytes=self._system.fresh_rss_bytes,
        )

    def _settle(self) -> None:
        variant = OURS.get(self._system.name)
        if self._system.pid is not None and variant and variant.has_store:
            settle(self._system.pid)

    def _read(self) -> Usage:
        return NOTHING if self._system.pid is None else usage(self._system.pid)


def _sum(results: list[Result]) -> Result:
    if len(results) == 1:
        return results[0]
    return Result(  # percentiles of parts do not add up to percentiles
        requests=sum(result.requests for result in results),
        errors=sum(result.errors for result in results),
        elapsed_s=sum(result.elapsed_s for result in results),
        load_cpu_s=sum(result.load_cpu_s for result in results),
        error_texts=tuple(text for each in results for text in each.error_texts),
    )
