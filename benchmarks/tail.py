"""`python -m benchmarks.tail`: what the slowest requests at half the peak waited for.

The load of the scenario `latency`, one run of some seconds, with the kernel's record of
who had each core from when to when beside it (`perf record --switch-events`, as root).
Each request is a span from when it was due to its answer: what ran meanwhile on the
proxy's core and on the load's is told for those in the middle and for the slowest.
"""

import argparse
import bisect
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import Load, require_tools
from benchmarks.load_h1 import percentile_ms
from benchmarks.measure import PROC, TICKS_PER_S, BenchmarkError, settle, spawn, stop
from benchmarks.origin import wait_for_file
from benchmarks.proxies import INT3RCEPTOR, OURS, SYSTEMS, Setup, System, running
from benchmarks.scenarios import SCENARIOS, WARM_UP_REQUESTS
from benchmarks.stage import client_of, stage

LATENCY = next(each for each in SCENARIOS if each.kind == "latency")
PEAK_REQUESTS = 3_000
SLOW_SHARE = 0.01
SHOWN = 8  # names for each core
SPARE_S = 30.0  # for perf to begin and to write
SWITCH = re.compile(
    r"^\s*(?P<comm>.*?)\s+(?P<pid>\d+)/(?P<tid>\d+)\s+\[(?P<core>\d+)\]"
    r"\s+(?P<at>\d+\.\d+): PERF_RECORD_SWITCH_CPU_WIDE (?P<way>IN|OUT)"
)


FIELDS = ("-F", "comm,pid,tid,cpu,time")
OTHERS, IDLE = "others", "nobody"


@dataclass(frozen=True, slots=True)
class Turn:
    """One thread had a core from then to then."""

    begin: float
    end: float
    who: str


Span = tuple[float, float]
"""When a request was due, and when it was answered."""


def turns_of(text: str, names: dict[int, str]) -> dict[int, list[Turn]]:
    """By core, who had it; `names` of the threads that are ours."""
    found: dict[int, list[Turn]] = {}
    since: dict[int, tuple[float, str]] = {}
    for line in text.splitlines():
        switch = SWITCH.match(line)
        if switch is None:
            continue
        core, at, thread = int(switch["core"]), float(switch["at"]), int(switch["tid"])
        if switch["way"] == "IN":
            since[core] = (at, IDLE if thread == 0 else names.get(thread, OTHERS))
        elif core in since:
            begin, who = since.pop(core)
            found.setdefault(core, []).append(Turn(begin, at, who))
    return found


def shares(spans: Iterable[Span], turns: list[Turn]) -> dict[str, float]:
    """Seconds that each had the core while those requests were on their way."""
    begins = [turn.begin for turn in turns]
    had_s: dict[str, float] = {}
    for due, answered in spans:
        first = max(bisect.bisect_right(begins, due) - 1, 0)
        for turn in turns[first : bisect.bisect_left(begins, answered)]:
            both_s = min(turn.end, answered) - max(turn.begin, due)
            had_s[turn.who] = had_s.get(turn.who, 0.0) + max(both_s, 0.0)
    return had_s


def chosen(spans: list[Span]) -> dict[str, list[Span]]:
    """The requests in the middle, and the slowest."""
    ordered = sorted(spans, key=lambda span: span[1] - span[0])
    few = max(int(len(ordered) * SLOW_SHARE), 1)
    middle = len(ordered) // 2
    return {
        "in the middle": ordered[max(middle - few, 0) : middle + few],
        "the slowest": ordered[-few:],
    }


def threads(root: int, name: str) -> dict[int, str]:
    """The threads of a process and of all below it, by what they are called."""
    names: dict[int, str] = {}
    for task in Path(f"/proc/{root}/task").iterdir():
        called = (task / "comm").read_text().strip()
        kind = "" if int(task.name) == root else f" ({called})"
        names[int(task.name)] = f"{name}{kind}"
        for child in (task / "children").read_text().split():
            names |= threads(int(child), f"{name}'s child")
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A run at half the peak: the requests, and who had the cores.

    `stolen_s` is what a host kept of the proxy's core: nobody inside sees it passing.
    """

    rate: float
    stolen_s: float
    spans: list[Span]
    turns: dict[int, list[Turn]]


def traced(setup: Setup, system: System, load: Load, seconds: float) -> Traced:
    """Find the peak, then the same load at half of it with a record of the cores."""
    load.run(WARM_UP_REQUESTS)
    peak = load.run(PEAK_REQUESTS)
    rate = peak.requests / peak.elapsed_s / 2
    if system.name in OURS and system.pid and OURS[system.name].has_store:
        settle(system.pid)  # what the peak left to the hub is not this load's
    names = threads(system.pid, system.name) if system.pid else {}
    names |= threads(load.process.pid, "load") | threads(setup.origin.pid, "origin")
    spans, record = system.folder / "spans.json", system.folder / "perf.data"
    with recorded(record, setup.load_core, seconds + 1):
        before_s = stolen_s(setup.proxy_core)
        result = load.run_paced(int(rate * seconds), rate, str(spans))
        taken_s = stolen_s(setup.proxy_core) - before_s
    if peak.errors or result.errors:
        raise BenchmarkError(f"failed: {peak.error_texts + result.error_texts}")
    shown = subprocess.run(
        ["perf", "script", "-i", str(record), "--show-switch-events", *FIELDS],
        capture_output=True,
        text=True,
        check=True,
    )
    return Traced(
        rate=rate,
        stolen_s=taken_s,
        spans=[(due, answered) for due, answered in json.loads(spans.read_text())],
        turns=turns_of(shown.stdout, names),
    )


def stolen_s(core: int) -> float:
    """Seconds that a virtual machine's host did not let this core run (proc(5))."""
    lines = (PROC / "stat").read_text().splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    return int(fields[8]) / TICKS_PER_S


@contextmanager
def recorded(record: Path, core: int, seconds: float) -> Iterator[None]:
    """Who has the cores goes into `record`, from now on for so long."""
    command = ["perf", "record", "-q", "-a", "-k", "CLOCK_MONOTONIC", "-e", "dummy:u"]
    begun, log = record.with_suffix(".begun"), record.with_suffix(".log")
    script = f"touch {shlex.quote(str(begun))} && exec sleep {seconds}"
    command += ["--switch-events", "-o", str(record), "--", "sh", "-c", script]
    with log.open("wb") as output:
        recording = spawn(command, core, output=output)
    try:
        wait_for_file(begun, recording, log)
        yield
        recording.wait(seconds + SPARE_S)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"perf did not end: {log.read_text()[-500:]}") from error
    finally:
        code = stop(recording)
    if code != 0:
        said = log.read_text(errors="replace").strip()[-500:]
        raise BenchmarkError(f"perf ended with {code}; it needs to be root: {said}")


def table(found: Traced, cores: dict[str, int]) -> str:
    """Milliseconds of a request for which each had a core."""
    times_s = sorted(answered - due for due, answered in found.spans)
    p50_ms, p99_ms = (percentile_ms(times_s, part) for part in (0.5, 0.99))
    lines = [f"{len(times_s)} requests at {found.rate:.0f}/s"]
    lines[0] += f", p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    if found.stolen_s:
        lines.append(
            f"the host kept the proxy's core for {found.stolen_s * 1e3:.0f} ms"
        )
    for kind, spans in chosen(found.spans).items():
        mean_ms = sum(answered - due for due, answered in spans) / len(spans) * 1e3
        lines.append(f"{len(spans)} requests {kind}, {mean_ms:.2f} ms each:")
        for place, core in cores.items():
            had_s = shares(spans, found.turns.get(core, []))
            most = sorted(had_s.items(), key=lambda had: -had[1])[:SHOWN]
            told = (f"{who} {had / len(spans) * 1e3:.2f}" for who, had in most)
            lines.append(f"  {place}: {', '.join(told) or 'no record'}")
    return "\n".join(lines)


def main() -> int:
    """The command line; exit code 1 when nothing could be recorded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tail")
    parser.add_argument("--system", choices=SYSTEMS, default=INT3RCEPTOR)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    try:
        require_tools()
        if shutil.which("perf") is None:
            raise BenchmarkError("perf is not installed (Debian: linux-perf)")
        with stage() as setup, running(options.system, setup) as system:
            client = client_of(system, setup, LATENCY.towards)
            with client.h1_load(LATENCY.connections) as load:
                found = traced(setup, system, load, options.seconds)
        cores = {"proxy's core": setup.proxy_core, "load's core": setup.load_core}
        print(table(found, cores))
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
