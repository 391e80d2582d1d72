"""Samples of a benchmark as a run would have taken them, with round figures."""

from benchmarks.clients import Result
from benchmarks.sampling import Sample

MIB = 1024**2


def sample(
    system: str,
    cpu_s: float = 1.0,
    *,
    own_cpu_s: float | None = None,
    own_rss_mib: tuple[int, ...] = (50, 50),
    growth_mib: int = 0,
    hub_mib: int = 10,
    elapsed_s: float = 2.0,
    p99_ms: float = 3.0,
) -> Sample:
    rss = tuple(each * MIB for each in own_rss_mib)
    return Sample(
        system=system,
        scenario="any",
        result=Result(
            requests=100,
            errors=0,
            elapsed_s=elapsed_s,
            load_cpu_s=0.5,
            p50_ms=1.0,
            p99_ms=p99_ms,
        ),
        units=100,
        cpu_s=cpu_s,
        own_cpu_s=cpu_s if own_cpu_s is None else own_cpu_s,
        busy_cpu_s=1.0,
        origin_cpu_s=0.25,
        rss_bytes=tuple(each + hub_mib * MIB if each else 0 for each in rss),
        own_rss_bytes=rss,
        peak_growth_bytes=2 * growth_mib * MIB,
        own_peak_growth_bytes=growth_mib * MIB,
        sent=132,
        fresh_rss_bytes=rss[0],
    )
