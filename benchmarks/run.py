"""`python -m benchmarks.run`: every scenario, interleaved system by system.

Ends with 1 when anything went wrong (a request failed, a proxy did not intercept, the
plugin did not run) and, in a full run, when a target is missed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks.clients import Client, require_tools
from benchmarks.measure import BenchmarkError, two_cores
from benchmarks.origin import running_origin
from benchmarks.proxies import (
    EXAMPLE_LOGGER,
    INT3RCEPTOR,
    MITMDUMP,
    REPOSITORY,
    SYSTEMS,
    Setup,
    System,
    installed_mitmdump,
    mitmproxy_versions,
    running,
)
from benchmarks.report import Row, Target, document, machine, rows, table, targets
from benchmarks.scenarios import FULL, QUICK, SCENARIOS, Sample, Scenario, Sizes
from benchmarks.validate import prove_intercepts, prove_plugin_ran, prove_plugin_runs
from int3rceptor import __version__

RESULTS = REPOSITORY / "benchmarks" / "results"
# In RAM: neither the origin's bulk file nor what clients save should wait for a disk.
RAM_DISK = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)


@contextmanager
def workspace() -> Iterator[Path]:
    """A private folder, gone afterwards with everything in it."""
    ram_disk = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="int3rceptor-bench-", dir=ram_disk) as name:
        yield Path(name)


def measure_scenario(
    scenario: Scenario, names: tuple[str, ...], setup: Setup, core: int, sizes: Sizes
) -> list[Sample]:
    """All systems up at once and fresh; each repetition visits every one of them."""
    samples: list[Sample] = []
    systems: list[System] = []
    with ExitStack() as stack:
        for name in names:
            start = running(name, setup, is_bulk=scenario.is_bulk)
            systems.append(stack.enter_context(start))
            prove_intercepts(systems[-1], setup.origin)
        for _ in range(sizes.repetitions if scenario.kind != "memory" else 1):
            for system in systems:
                client = Client(
                    route=system.route(setup.origin, scenario.version),
                    ca_pem=system.ca_pem,
                    origin=setup.origin,
                    core=core,
                    folder=system.log.parent,
                )
                sample = scenario.run(system, client, sizes)
                samples.append(sample)
                for text in sample.result.error_texts:
                    print(f"  ERROR {system.name}: {text}", file=sys.stderr)
    for system in systems:
        if system.name == INT3RCEPTOR:
            mine = [each for each in samples if each.system == INT3RCEPTOR]
            prove_plugin_ran(system, sum(each.result.requests for each in mine))
    return samples


def describe(everyone: set[str], mitmdump: Path) -> dict[str, str]:
    """Machine and versions, for the head of the report."""
    facts = machine()
    if MITMDUMP in everyone:
        installed, newest = mitmproxy_versions(mitmdump)
        facts["mitmproxy"] = f"{installed} (newest in the registry: {newest})"
    if INT3RCEPTOR in everyone:
        names = ("uvloop", "h11", "h2", "wasmtime", "cryptography")
        libraries = ", ".join(f"{name} {version(name)}" for name in names)
        facts["int3rceptor"] = f"{__version__} ({libraries})"
    return facts


def measure(
    who: dict[Scenario, tuple[str, ...]], mitmdump: Path, plugin: Path, sizes: Sizes
) -> tuple[list[Sample], dict[str, list[Row]], list[Target]]:
    """Prove the plugin, then every scenario; prints each table as it is there."""
    samples: list[Sample] = []
    tables: dict[str, list[Row]] = {}
    judged: list[Target] = []
    load_core, proxy_core = two_cores()
    with workspace() as root, ExitStack() as stack:
        (root / "origin").mkdir()
        origin = stack.enter_context(
            running_origin(root / "origin", load_core, sizes.bulk_bytes)
        )
        setup = Setup(
            origin=origin,
            workspace=root,
            proxy_core=proxy_core,
            plugin=plugin,
            mitmdump=mitmdump,
        )
        if any(INT3RCEPTOR in names for names in who.values()):
            lines = prove_plugin_runs(setup, load_core)
            print(f"plugin proven to run: {dict(lines)}")
        for scenario, names in who.items():
            before = time.monotonic()
            measured = measure_scenario(scenario, names, setup, load_core, sizes)
            samples += measured
            tables[scenario.name] = rows(measured)
            judged += targets(scenario, tables[scenario.name])
            print(f"\n{scenario.name} ({time.monotonic() - before:.0f} s)")
            print(table(scenario, tables[scenario.name]), flush=True)
    return samples, tables, judged


def save(text: str) -> None:
    """Keep the JSON under a name that sorts by time, and say where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(text)
    print(f"\nsaved as {path.relative_to(REPOSITORY)}")


def run(options: argparse.Namespace) -> bool:
    """The whole run; whether it was good."""
    sizes = QUICK if options.quick else FULL
    require_tools()
    wanted = options.scenario or [scenario.name for scenario in SCENARIOS]
    who = {
        scenario: tuple(options.system or scenario.systems)
        for scenario in SCENARIOS
        if scenario.name in wanted
    }
    everyone = {name for names in who.values() for name in names}
    mitmdump: Path = options.mitmdump or Path()
    if MITMDUMP in everyone and options.mitmdump is None:
        mitmdump = installed_mitmdump()
    facts = describe(everyone, mitmdump)
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    samples, tables, judged = measure(who, mitmdump, options.plugin, sizes)
    for target in judged:
        verdict = "met" if target.is_met else "MISSED"
        print(f"{target.scenario}: {target.wanted}: {target.measured}: {verdict}")
    if not sizes.is_full:
        print("a quick run shows that everything works; it is too short to judge by")
    save(document(facts, sizes, samples, tables, judged))
    errors = sum(sample.result.errors for sample in samples)
    if errors:
        print(f"{errors} requests failed: these figures do not count", file=sys.stderr)
    is_missed = sizes.is_full and not all(target.is_met for target in judged)
    return not errors and not is_missed


def main() -> int:
    """Parse the command line; exit code 1 when the run was not good."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("--quick", action="store_true", help="short, nothing is judged")
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[scenario.name for scenario in SCENARIOS],
        help="only this one (repeatable)",
    )
    parser.add_argument(
        "--system",
        action="append",
        choices=SYSTEMS,
        help="only this one, in this order (repeatable)",
    )
    parser.add_argument("--mitmdump", type=Path, help="measure this mitmdump")
    parser.add_argument("--plugin", type=Path, default=EXAMPLE_LOGGER)
    options = parser.parse_args()
    try:
        return 0 if run(options) else 1
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
