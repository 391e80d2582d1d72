"""`python -m benchmarks.run`: every scenario, interleaved system by system.

Ends with 1 when anything of ours went wrong (a request failed, the proxy did not
intercept, the plugin did not run, a flow was not kept) and, in a full run, when a
figure is below its floor. A peer that fails is named in the report with the reason.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clients import require_tools
from benchmarks.machine import machine, versions
from benchmarks.measure import BenchmarkError
from benchmarks.peers import PEERS
from benchmarks.plot import svg
from benchmarks.promises import targets
from benchmarks.proxies import (
    EXAMPLE_LOGGER,
    INT3RCEPTOR,
    OURS,
    REPOSITORY,
    SYSTEMS,
    Setup,
    System,
    running,
)
from benchmarks.report import Absence, Report, Row, Target, rows
from benchmarks.sampling import Sample
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.sizes import SIZES, Sizes
from benchmarks.stage import RESULTS, client_of, stage
from benchmarks.tables import text_table
from benchmarks.validate import (
    prove_intercepts,
    prove_kept,
    prove_new_host,
    prove_plugin_ran,
    prove_plugin_runs,
)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run has found so far."""

    samples: list[Sample] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    absences: list[Absence] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One scenario on all its systems: up at once and fresh, taking turns."""

    scenario: Scenario
    setup: Setup
    sizes: Sizes
    samples: list[Sample] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)

    def run(self, names: tuple[str, ...]) -> None:
        """Each repetition visits every system, so a busy moment meets all of them."""
        with ExitStack() as stack:
            systems = [
                system
                for name in names
                if (system := self._started(name, stack)) is not None
            ]
            turns = self.sizes.repetitions if self.scenario.is_repeated else 1
            for turn in range(turns):
                for system in list(systems):
                    if not self._sampled(system, turn):
                        systems.remove(system)
        for system in systems:
            self._prove(system)

    def _started(self, name: str, stack: ExitStack) -> System | None:
        """`name` up and proven to intercept; None, and the reason noted, if a peer."""
        scenario, origin = self.scenario, self.setup.origin
        try:
            if name in PEERS:
                if reason := scenario.why_not(name):
                    raise BenchmarkError(reason)
                PEERS[name].find()
            system = stack.enter_context(running(name, self.setup, scenario.fit))
            route = system.route(origin, scenario.towards)
            prove_intercepts(system, origin, route, scenario.version)
            if scenario.kind == "first":
                prove_new_host(system, origin, self.sizes.hosts)
        except BenchmarkError as error:
            self._missing(name, error)
            return None
        return system

    def _sampled(self, system: System, turn: int) -> bool:
        client = client_of(system, self.setup, self.scenario.towards)
        try:
            sample = self.scenario.run(system, client, self.sizes, turn)
        except BenchmarkError as error:
            self._missing(system.name, error)
            return False
        self.samples.append(sample)
        for text in sample.result.error_texts:
            print(f"  ERROR {system.name}: {text}", file=sys.stderr)
        return True

    def _missing(self, name: str, error: BenchmarkError) -> None:
        """A peer's failure is its own; ours, or the origin's, ends the run."""
        if name not in PEERS:
            raise error
        reason = " ".join(str(error).split())[:300]
        print(f"  {self.scenario.name}: without {name}: {reason}", file=sys.stderr)
        self.absences.append(
            Absence(system=name, scenario=self.scenario.name, reason=reason)
        )

    def _prove(self, system: System) -> None:
        """That ours did all that its figures are for."""
        variant = OURS.get(system.name)
        if variant is None:
            return
        mine = [each for each in self.samples if each.system == system.name]
        if variant.plugin == "logger":
            asked = sum(each.sent - each.result.errors for each in mine)
            prove_plugin_ran(system, asked)
        if variant.has_store:
            prove_kept(system, sum(each.sent for each in mine))


def measure(
    who: dict[Scenario, tuple[str, ...]],
    options: argparse.Namespace,
    sizes: Sizes,
    outcome: Outcome,
) -> None:
    """Prove the plugin, then every scenario; each table is printed when it is there."""
    end = time.monotonic() + options.minutes * 60
    hosts = sizes.hosts + 1 if any(each.kind == "first" for each in who) else 0
    with stage(options.plugin, bulk_bytes=sizes.bulk_bytes, hosts=hosts) as setup:
        outcome.commands = setup.commands
        if any(INT3RCEPTOR in names for names in who.values()):
            print(f"plugin proven to run: {dict(prove_plugin_runs(setup))}")
        for scenario, names in who.items():
            before = time.monotonic()
            if before > end:
                print(f"\n{scenario.name}: left out, the time is over")
                continue
            of_scenario = Round(scenario=scenario, setup=setup, sizes=sizes)
            of_scenario.run(names)
            _note(scenario, of_scenario, outcome, time.monotonic() - before)


def _note(scenario: Scenario, found: Round, outcome: Outcome, took_s: float) -> None:
    table = rows(found.samples)
    outcome.samples += found.samples
    outcome.absences += found.absences
    outcome.tables[scenario.name] = table
    outcome.targets += targets(scenario.name, table)
    print(f"\n{scenario.name}: {scenario.title} ({took_s:.0f} s)")
    print(text_table(scenario.kind, table), flush=True)


def save(outcome: Outcome, sizes: Sizes, facts: dict[str, str]) -> None:
    """Keep JSON and picture under a name that sorts by time, and say where."""
    report = Report(
        facts=facts | {"run": f"{sizes.name}, {time.strftime('%Y-%m-%d')}"},
        commands=outcome.commands,
        tables=outcome.tables,
        absences=outcome.absences,
        targets=outcome.targets,
    )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(report.to_json(sizes, outcome.samples))
    path.with_suffix(".svg").write_text(svg(report.tables))
    print(f"\nsaved as {path.relative_to(REPOSITORY)}, its picture beside it")


def chosen(
    scenarios: list[str], systems: list[str], without: list[str]
) -> dict[Scenario, tuple[str, ...]]:
    """Which scenarios with which systems; empty lists stand for all."""
    who = {}
    for scenario in SCENARIOS:
        if (scenarios and scenario.name not in scenarios) or scenario.name in without:
            continue
        names = tuple(systems) or scenario.systems
        who[scenario] = tuple(name for name in names if name not in without)
    return who


def run(options: argparse.Namespace) -> bool:
    """The whole run; whether it was good. What was measured is kept however it ends."""
    sizes: Sizes = SIZES[options.size]
    require_tools()
    who = chosen(options.scenario, options.system, options.without)
    facts = machine() | versions({name for names in who.values() for name in names})
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    outcome = Outcome()
    try:
        measure(who, options, sizes, outcome)
    finally:
        if outcome.tables:
            save(outcome, sizes, facts)
    for target in outcome.targets:
        verdict = "met" if target.is_met else "MISSED"
        shown = f"{target.wanted}: {target.measured}: {verdict}"
        print(f"{target.scenario}: {target.level}: {shown}")
    if not sizes.is_judged:
        print("this run shows that everything works; it is too short to judge by")
    return _is_good(outcome, sizes)


def _is_good(outcome: Outcome, sizes: Sizes) -> bool:
    ours = [each for each in outcome.samples if each.system not in PEERS]
    errors = sum(sample.result.errors for sample in ours)
    if errors:
        print(f"{errors} requests failed: these figures do not count", file=sys.stderr)
    missed = [each for each in outcome.targets if not each.is_met]
    is_below = sizes.is_judged and any(each.level == "floor" for each in missed)
    return not errors and not is_below


def main() -> int:
    """Parse the command line; exit code 1 when the run was not good."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--size", choices=SIZES, default="full", help="how much load")
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        choices=names,
        help="only this one (repeatable)",
    )
    parser.add_argument(
        "--system",
        action="append",
        default=[],
        choices=SYSTEMS,
        help="only this one, in this order (repeatable)",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[*names, *SYSTEMS],
        help="leave out this scenario or system (repeatable)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="begin no scenario after so many",
    )
    parser.add_argument("--plugin", type=Path, default=EXAMPLE_LOGGER)
    options = parser.parse_args()
    try:
        return 0 if run(options) else 1
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: stopped; what was finished is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
