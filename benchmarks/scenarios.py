"""What is measured: each scenario puts one load on one system and gives one sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.clients import Client, Result
from benchmarks.measure import BenchmarkError, Usage, reset_peak, usage
from benchmarks.proxies import DIRECT, INT3RCEPTOR, MITMDUMP, System

H1_CONNECTIONS = 32
H2_CONNECTIONS, H2_STREAMS = 10, 10
WARM_UP_REQUESTS = 320
MEMORY_PARTS = 10  # how often memory is looked at; the first part is warm-up
NOTHING = Usage(cpu_s=0.0, rss_bytes=0, peak_rss_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much load; `is_full` false only shows that everything works."""

    is_full: bool
    repetitions: int
    requests: int
    memory_requests: int
    bulk_bytes: int


FULL = Sizes(
    is_full=True,
    repetitions=3,
    requests=10_000,
    memory_requests=100_000,
    bulk_bytes=1024**3,
)
QUICK = Sizes(
    is_full=False,
    repetitions=2,
    requests=1_500,
    memory_requests=5_000,
    bulk_bytes=64 * 1024**2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one scenario on one system. CPU and memory are the proxy's whole tree.

    `rss_bytes` begins with the size before the load; `units` counts what `cpu_s` is
    divided by (requests, or GiB of bodies).
    """

    system: str
    scenario: str
    result: Result
    units: float
    cpu_s: float
    rss_bytes: tuple[int, ...]
    peak_growth_bytes: int

    @property
    def cpu_per_unit_s(self) -> float:
        return self.cpu_s / self.units if self.units else 0.0

    @property
    def busy(self) -> float:
        """Share of its core that the proxy used: near 1, the load is no bottleneck."""
        return self.cpu_s / self.result.elapsed_s if self.result.elapsed_s else 0.0

    @property
    def rss_drift(self) -> float:
        """Change of RSS from after the first part of the load to its end."""
        first, last = self.rss_bytes[1], self.rss_bytes[-1]
        return last / first - 1 if first else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of load in one HTTP version, and who is measured by default."""

    name: str
    kind: Literal["speed", "memory", "download", "upload"]
    version: Literal["h1", "h2"]
    systems: tuple[str, ...]

    @property
    def is_bulk(self) -> bool:
        return self.kind in ("download", "upload")

    def run(self, system: System, client: Client, sizes: Sizes) -> Sample:
        """Warm up, then one sample."""
        if self.is_bulk:
            client.warm_up(self.version)
            transfer = client.download if self.kind == "download" else client.upload
            gib = sizes.bulk_bytes / 1024**3
            return self._sample(system, 1, lambda: transfer(self.version), gib)
        total, parts = sizes.requests, 1
        if self.kind == "memory":
            total, parts = sizes.memory_requests, MEMORY_PARTS
        each = total // parts
        if self.version == "h1":
            with client.h1_load(H1_CONNECTIONS) as load:
                _require_good(load.run(WARM_UP_REQUESTS), system)
                return self._sample(system, parts, lambda: load.run(each))
        warm_up = client.h2_load(WARM_UP_REQUESTS, H2_CONNECTIONS, H2_STREAMS)
        _require_good(warm_up, system)
        return self._sample(
            system,
            parts,
            lambda: client.h2_load(each, H2_CONNECTIONS, H2_STREAMS),
        )

    def _sample(
        self, system: System, parts: int, load: Callable[[], Result], gib: float = 0
    ) -> Sample:
        """What `load`, done `parts` times, cost per GiB, or per request without one."""
        if system.pid is not None:
            reset_peak(system.pid)
        before = _usage(system)
        results: list[Result] = []
        usages: list[Usage] = []
        for _ in range(parts):
            results.append(load())
            usages.append(_usage(system))
        total = _sum(results)
        return Sample(
            system=system.name,
            scenario=self.name,
            result=total,
            units=gib or total.requests,
            cpu_s=usages[-1].cpu_s - before.cpu_s,
            rss_bytes=(before.rss_bytes, *(each.rss_bytes for each in usages)),
            peak_growth_bytes=usages[-1].peak_rss_bytes - before.rss_bytes,
        )


def _usage(system: System) -> Usage:
    return NOTHING if system.pid is None else usage(system.pid)


def _require_good(warm_up: Result, system: System) -> None:
    """A connection lost while warming up would not be missed by the count after it."""
    if warm_up.errors:
        raise BenchmarkError(f"{system.name} failed warming up: {warm_up.error_texts}")


def _sum(results: list[Result]) -> Result:
    if len(results) == 1:
        return results[0]
    return Result(  # percentiles of parts do not add up to percentiles
        requests=sum(result.requests for result in results),
        errors=sum(result.errors for result in results),
        elapsed_s=sum(result.elapsed_s for result in results),
        error_texts=tuple(text for each in results for text in each.error_texts),
    )


RACE = (DIRECT, MITMDUMP, INT3RCEPTOR)
# Whether memory stays flat is a question about ourselves: nobody is raced.
ALONE = (INT3RCEPTOR,)
SCENARIOS = (
    Scenario(name="h1", kind="speed", version="h1", systems=RACE),
    Scenario(name="h2", kind="speed", version="h2", systems=RACE),
    Scenario(name="memory-h1", kind="memory", version="h1", systems=ALONE),
    Scenario(name="memory-h2", kind="memory", version="h2", systems=ALONE),
    Scenario(name="download-h1", kind="download", version="h1", systems=RACE),
    Scenario(name="download-h2", kind="download", version="h2", systems=RACE),
    Scenario(name="upload-h1", kind="upload", version="h1", systems=RACE),
    Scenario(name="upload-h2", kind="upload", version="h2", systems=RACE),
)
