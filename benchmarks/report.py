"""From samples to what is read: medians, ratios, targets, a table and JSON."""

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.proxies import INT3RCEPTOR, MITMDUMP
from benchmarks.scenarios import Sample, Scenario, Sizes

MIB = 1024**2
# What the project promises. CPU as a share of mitmdump's in the same run.
MAX_CPU_SHARE = {"h1": 1 / 6, "h2": 1 / 4}
MAX_RSS_DRIFT = 0.05  # of the size after the first tenth of the requests
MAX_BULK_GROWTH_BYTES = 32 * MIB  # peak over the size before, 1 GiB passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system in one scenario: medians of its repetitions, worst case for memory."""

    system: str
    repetitions: int
    requests: int
    errors: int
    cpu_per_unit_s: float
    cpu_lowest_s: float
    cpu_highest_s: float
    cpu_share_of_mitmdump: float | None
    units_per_s: float
    busy: float
    p50_ms: float | None
    p99_ms: float | None
    rss_start_bytes: int
    rss_end_bytes: int
    rss_drift: float
    peak_growth_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured; both in words."""

    scenario: str
    wanted: str
    measured: str
    is_met: bool


def _row(samples: list[Sample], mitmdump_cpu_s: float | None) -> Row:
    def middle(read: Callable[[Sample], float]) -> float:
        return median(read(sample) for sample in samples)

    def percentile(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    cpu = [sample.cpu_per_unit_s for sample in samples]
    share = median(cpu) / mitmdump_cpu_s if mitmdump_cpu_s and median(cpu) else None
    return Row(
        system=samples[0].system,
        repetitions=len(samples),
        requests=sum(sample.result.requests for sample in samples),
        errors=sum(sample.result.errors for sample in samples),
        cpu_per_unit_s=median(cpu),
        cpu_lowest_s=min(cpu),
        cpu_highest_s=max(cpu),
        cpu_share_of_mitmdump=share,
        units_per_s=middle(lambda sample: sample.units / sample.result.elapsed_s),
        busy=middle(lambda sample: sample.busy),
        p50_ms=percentile([sample.result.p50_ms for sample in samples]),
        p99_ms=percentile([sample.result.p99_ms for sample in samples]),
        rss_start_bytes=samples[0].rss_bytes[0],
        rss_end_bytes=samples[-1].rss_bytes[-1],
        rss_drift=max((sample.rss_drift for sample in samples), key=abs),
        peak_growth_bytes=max(sample.peak_growth_bytes for sample in samples),
    )


def rows(samples: list[Sample]) -> list[Row]:
    """One row per system of one scenario, in the order they ran."""
    by_system: dict[str, list[Sample]] = {}
    for sample in samples:
        by_system.setdefault(sample.system, []).append(sample)
    peer = by_system.get(MITMDUMP)
    peer_cpu = median(sample.cpu_per_unit_s for sample in peer) if peer else None
    return [_row(each, peer_cpu) for each in by_system.values()]


def targets(scenario: Scenario, measured: list[Row]) -> list[Target]:
    """The promises that this scenario can judge."""
    ours = next((row for row in measured if row.system == INT3RCEPTOR), None)
    if ours is None:
        return []
    if scenario.kind == "memory":
        wanted, shown = f"RSS within ±{MAX_RSS_DRIFT:.0%}", f"{ours.rss_drift:+.1%}"
        is_met = abs(ours.rss_drift) <= MAX_RSS_DRIFT
    elif scenario.kind == "speed":
        share, limit = ours.cpu_share_of_mitmdump, MAX_CPU_SHARE[scenario.version]
        if share is None:
            return []
        wanted, shown = f"CPU <= 1/{1 / limit:.0f} of mitmdump's", f"1/{1 / share:.1f}"
        is_met = share <= limit
    else:
        growth = ours.peak_growth_bytes
        wanted = f"peak RSS growth < {MAX_BULK_GROWTH_BYTES / MIB:.0f} MiB"
        shown, is_met = f"{growth / MIB:.1f} MiB", growth < MAX_BULK_GROWTH_BYTES
    return [
        Target(scenario=scenario.name, wanted=wanted, measured=shown, is_met=is_met)
    ]


def _cells(row: Row, scenario: Scenario) -> list[str]:
    if scenario.is_bulk:
        costs = [f"{each:.2f}" for each in (row.cpu_lowest_s, row.cpu_highest_s)]
        cpu, rate = f"{row.cpu_per_unit_s:.2f}", row.units_per_s * 1024
    else:
        costs = [f"{each * 1e6:.0f}" for each in (row.cpu_lowest_s, row.cpu_highest_s)]
        cpu, rate = f"{row.cpu_per_unit_s * 1e6:.0f}", row.units_per_s
    share = row.cpu_share_of_mitmdump
    is_proxy = row.rss_start_bytes > 0
    return [
        row.system,
        str(row.requests),
        str(row.errors),
        f"{cpu} ({'-'.join(costs)})" if is_proxy else "-",
        f"1/{1 / share:.1f}" if share else "-",
        f"{rate:.0f}",
        f"{row.busy:.0%}" if is_proxy else "-",
        "-" if row.p50_ms is None else f"{row.p50_ms:.2f}",
        "-" if row.p99_ms is None else f"{row.p99_ms:.2f}",
        f"{row.rss_start_bytes / MIB:.0f}>{row.rss_end_bytes / MIB:.0f}"
        if is_proxy
        else "-",
        f"{row.peak_growth_bytes / MIB:.1f}" if is_proxy else "-",
    ]


def table(scenario: Scenario, measured: list[Row]) -> str:
    """The rows of one scenario as aligned text."""
    unit, rate = ("s/GiB", "MiB/s") if scenario.is_bulk else ("us/req", "req/s")
    head = ["system", "requests", "errors", f"CPU {unit} (range)", "of mitmdump", rate]
    head += ["proxy busy", "p50 ms", "p99 ms", "RSS MiB", "peak growth MiB"]
    lines = [head, *(_cells(row, scenario) for row in measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _first_line(*command: str) -> str:
    """What a program says of its version (nginx: on stderr, and it lives in sbin)."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    shown = subprocess.run(
        [program or command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    return (shown.stdout + shown.stderr).splitlines()[0]


def machine() -> dict[str, str]:
    """Where and with what this ran."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cpu = models[0] if models else platform.machine()
    return {
        "cpu": f"{cpu} x {os.cpu_count()}",
        "system": platform.platform(),
        "python": platform.python_version(),
        "nginx": _first_line("nginx", "-v"),
        "h2load": _first_line("h2load", "--version"),
        "curl": " ".join(_first_line("curl", "--version").split()[:2]),
        "load average at start": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
    }


def document(
    facts: dict[str, str],
    sizes: Sizes,
    samples: list[Sample],
    tables: dict[str, list[Row]],
    judged: list[Target],
) -> str:
    """Everything measured, for programs; `samples` are the raw runs in their order."""
    return json.dumps(
        {
            "machine": facts,
            "sizes": dataclasses.asdict(sizes),
            "targets": [dataclasses.asdict(target) for target in judged],
            "scenarios": {
                name: [dataclasses.asdict(row) for row in measured]
                for name, measured in tables.items()
            },
            "samples": [dataclasses.asdict(sample) for sample in samples],
        },
        indent=1,
    )
