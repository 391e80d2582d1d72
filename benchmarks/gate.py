"""`python -m benchmarks.gate`: whether a request has become dearer; a minute, for CI.

What counts is CPU per request in units of the relay's, which does TLS and the event
loop's work and nothing else, beside INT3RCEPTOR in the same run. Both take turns in
short batches and of each the cheapest batch counts: what else the machine does can only
make a batch dearer. The ratios are compared with those in recorded.json, generously; no
time is. A ratio that is too high is measured once more before it is believed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import Client, Result, require_tools
from benchmarks.machine import machine
from benchmarks.measure import BenchmarkError, settle, usage
from benchmarks.peers import RELAY
from benchmarks.proxies import INT3RCEPTOR, Setup, System, running
from benchmarks.stage import client_of, stage
from benchmarks.validate import prove_intercepts, prove_kept, prove_plugin_ran

RECORDED = Path(__file__).parent / "recorded.json"
HUB = "hub"
# A batch is long enough that its CPU time is many times what a context switch costs.
MIN_ROUNDS, MAX_ROUNDS = 4, 10
PROBE_S = 6.0  # a busy machine gets fewer rounds, not more time
MARGIN = 1.6  # more than a machine that is far too busy adds (README.md)
BETTER = 0.8  # so much below what was recorded, a new record is worth making

Load = Callable[[int], Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One kind of load; `ours` and `theirs` are requests in a batch.

    Without a batch of `theirs` the relay's cost of the first probe is the unit: what it
    has to do for an HTTP/2 batch is too little to be told.
    """

    name: str
    version: str
    ours: int
    theirs: int = 0

    @contextmanager
    def load(self, client: Client) -> Iterator[Load]:
        """Sends so many requests each time."""
        match self.name:
            case "h2":
                yield lambda requests: client.h2_load(requests, 10, 10)
            case "new":
                with client.new_load(16) as new:
                    yield new.run
            case _:
                with client.h1_load(32) as h1:
                    yield h1.run


PROBES = (
    Probe(name="h1", version="h1", ours=600, theirs=3_000),
    Probe(name="h2", version="h2", ours=600),
    Probe(name="new", version="h1", ours=48, theirs=48),
)
NAMES = (*(probe.name for probe in PROBES), HUB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The ratios that a request may cost, times `margin`."""

    machine: str
    margin: float
    ratios: dict[str, float]

    def problems(self, measured: dict[str, float]) -> list[str]:
        """What has become too dear, in words; empty if nothing has."""
        return [
            f"{name}: {measured[name]:.2f} times the relay's CPU for a request;"
            f" {ratio:.2f} were recorded, {ratio * self.margin:.2f} pass"
            for name, ratio in self.ratios.items()
            if measured[name] > ratio * self.margin
        ]

    def improvements(self, measured: dict[str, float]) -> list[str]:
        """What is so much cheaper that the record no longer guards it."""
        return [
            name
            for name, ratio in self.ratios.items()
            if measured[name] < ratio * BETTER
        ]

    def to_json(self) -> str:
        """The file's text."""
        ratios = {name: round(ratio, 2) for name, ratio in self.ratios.items()}
        document = {"machine": self.machine, "margin": self.margin, "ratios": ratios}
        return json.dumps(document, indent=2) + "\n"


def read_recorded(path: Path) -> Recorded:
    """The record, which must know every ratio that is measured and no other."""
    try:
        document = json.loads(path.read_text())
        recorded = Recorded(
            machine=str(document["machine"]),
            margin=float(document["margin"]),
            ratios={name: float(document["ratios"][name]) for name in NAMES},
        )
        known = set(document["ratios"]) == set(NAMES)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path}: {error!r}: `--record` writes it anew") from error
    if not known or recorded.margin <= 1 or min(recorded.ratios.values()) <= 0:
        raise BenchmarkError(
            f"{path}: it wants a margin above 1 and a ratio above 0 for each of"
            f" {', '.join(NAMES)}: `--record` writes it anew"
        )
    return recorded


@dataclass(slots=True, kw_only=True)
class Measurement:
    """Both systems up, and what has been sent through ours so far."""

    setup: Setup
    ours: System
    relay: System
    sent: int = 0

    def cost_s(self, probe: Probe) -> tuple[float, float | None]:
        """CPU seconds of a request: of our proxy process, and of the relay."""
        with ExitStack() as stack:
            mine = self._batches(self.ours, probe, probe.ours, stack)
            theirs = None
            if probe.theirs:
                theirs = self._batches(self.relay, probe, probe.theirs, stack)
            costs_s: list[tuple[float, float]] = []
            end = time.monotonic() + PROBE_S
            while len(costs_s) < MAX_ROUNDS and (
                len(costs_s) < MIN_ROUNDS or time.monotonic() < end
            ):
                costs_s.append((mine(), theirs() if theirs else 0.0))
        mine_s, theirs_s = (min(each) for each in zip(*costs_s, strict=True))
        return mine_s, theirs_s or None

    def _batches(
        self, system: System, probe: Probe, requests: int, stack: ExitStack
    ) -> Callable[[], float]:
        """What one more batch cost, by request; the first, for warmth, is done."""
        client = client_of(system, self.setup, probe.version)
        load = stack.enter_context(probe.load(client))
        self._batch(system, load, probe.ours)
        return lambda: self._batch(system, load, requests)

    def _batch(self, system: System, load: Load, requests: int) -> float:
        pid = system.pid or 0
        before = usage(pid).own_cpu_s
        result = load(requests)
        if result.errors:
            raise BenchmarkError(f"requests failed: {result.error_texts}")
        if system is self.ours:
            self.sent += requests
        return (usage(pid).own_cpu_s - before) / requests


def measure(setup: Setup) -> dict[str, float]:
    """CPU per request in units of the relay's, by probe; fresh processes each time."""
    with running(RELAY, setup) as relay, running(INT3RCEPTOR, setup) as ours:
        for system in (relay, ours):
            route = system.route(setup.origin, "h1")
            prove_intercepts(system, setup.origin, route, "h1")
        settle(ours.pid or 0)
        start = usage(ours.pid or 0)
        run = Measurement(setup=setup, ours=ours, relay=relay)
        ratios = {}
        unit_s = 0.0
        for probe in PROBES:
            mine_s, theirs_s = run.cost_s(probe)
            unit_s = unit_s or theirs_s or 0.0
            ratios[probe.name] = mine_s / (theirs_s or unit_s)
        settle(ours.pid or 0)
        end = usage(ours.pid or 0)
        hub_s = (end.cpu_s - end.own_cpu_s) - (start.cpu_s - start.own_cpu_s)
        ratios[HUB] = hub_s / run.sent / unit_s
    prove_plugin_ran(ours, run.sent)
    prove_kept(ours, run.sent)
    return ratios


def _shown(ratios: dict[str, float]) -> str:
    return ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())


def judge(recorded: Recorded, again: Callable[[], dict[str, float]]) -> bool:
    """Measure, and once more if that was too much; says what came of it."""
    measured = again()
    print(f"CPU per request in units of the relay's: {_shown(measured)}")
    if recorded.problems(measured):
        second = again()
        print(f"too much, so measured once more: {_shown(second)}")
        measured = {name: min(ratio, second[name]) for name, ratio in measured.items()}
    problems = recorded.problems(measured)
    if problems:
        print(
            "benchmark: dearer than recorded:\n  " + "\n  ".join(problems) + "\n"
            "`make profile` shows where the time goes. If it is meant to cost this:"
            " make bench-gate GATE_ARGS=--record",
            file=sys.stderr,
        )
    elif cheaper := recorded.improvements(measured):
        print(f"cheaper than recorded: {', '.join(cheaper)}; --record keeps it so")
    return not problems


def _margin(text: str) -> float:
    margin = float(text)
    if not margin > 1:
        raise argparse.ArgumentTypeError("above 1: what is recorded must pass")
    return margin


def main() -> int:
    """The command line; exit code 1 when something has become too dear."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate")
    parser.add_argument("--record", action="store_true", help="write what is measured")
    parser.add_argument("--margin", type=_margin, help="with --record; else as it was")
    options = parser.parse_args()
    try:
        require_tools()
        if options.record:
            return record(options.margin)
        recorded = read_recorded(RECORDED)
        with stage() as setup:
            return 0 if judge(recorded, lambda: measure(setup)) else 1
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1


def margin_so_far(path: Path) -> float:
    """The record's margin; the usual one if there is no record that can be read."""
    try:
        return read_recorded(path).margin
    except BenchmarkError:
        return MARGIN


def record(margin: float | None) -> int:
    """Write what is measured now; the margin stays unless one is given."""
    with stage() as setup:
        ratios = measure(setup)
    recorded = Recorded(
        machine=machine()["cpu"],
        margin=margin or margin_so_far(RECORDED),
        ratios=ratios,
    )
    RECORDED.write_text(recorded.to_json())
    print(f"recorded: {_shown(ratios)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
