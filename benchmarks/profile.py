"""`python -m benchmarks.profile`: where the time of the proxy process goes.

Sampled by py-spy from outside, so that no hook slows the proxy. It must be allowed to
read another process's memory: as root it is, in a container that takes the capability
SYS_PTRACE. The stacks are kept beside the picture, in the folded form that other
viewers read.
"""

import argparse
import sys
import sysconfig
import time
from pathlib import Path

from benchmarks.clients import require_tools
from benchmarks.flame import folded, svg
from benchmarks.measure import BenchmarkError, spawn, stop
from benchmarks.proxies import (
    EXAMPLE_LOGGER,
    INT3RCEPTOR,
    OURS,
    REPOSITORY,
    Setup,
    System,
    running,
)
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.stage import RESULTS, client_of, stage

SECONDS = 20
SAMPLES_PER_S = 200
BATCH = 1_000
SPARE_S = 60.0  # for py-spy to begin and to draw
LOADS = {each.name: each for each in SCENARIOS if each.kind == "requests"}


def profile(
    scenario: Scenario, system: System, setup: Setup, seconds: int, path: Path
) -> int:
    """Sample `system` under load into `path`; how many requests were sent meanwhile."""
    client = client_of(system, setup, scenario.towards)
    log = system.folder / "profiler.log"
    with scenario.load(client) as load:
        load(BATCH)
        with log.open("wb") as output:
            process = spawn(
                _command(system, seconds, path), setup.load_core, output=output
            )
        requests = 0
        deadline = time.monotonic() + seconds + SPARE_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                result = load(BATCH)
                requests += result.requests
                if result.errors:
                    raise BenchmarkError(f"requests failed: {result.error_texts}")
            code = process.poll()
        finally:
            stop(process)
    if code != 0 or not path.exists():
        said = log.read_text(errors="replace").strip()[-1000:]
        raise BenchmarkError(
            f"py-spy could not sample the proxy (exit code {code}): {said}\n"
            "It needs to be root, or in a container the capability SYS_PTRACE"
        )
    return requests


def _command(system: System, seconds: int, path: Path) -> list[str]:
    program = Path(sysconfig.get_path("scripts")) / "py-spy"
    if not program.exists():
        raise BenchmarkError("py-spy is not installed: it is in the dev group")
    command = [str(program), "record", "--pid", str(system.pid)]
    command += ["--duration", str(seconds), "--rate", str(SAMPLES_PER_S)]
    return [*command, "--format", "raw", "--output", str(path)]


def main() -> int:
    """The command line; exit code 1 when nothing could be sampled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile")
    parser.add_argument("--scenario", choices=LOADS, default="h1")
    parser.add_argument("--system", choices=OURS, default=INT3RCEPTOR)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--plugin", type=Path, default=EXAMPLE_LOGGER)
    options = parser.parse_args()
    scenario = LOADS[options.scenario]
    RESULTS.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = RESULTS / f"profile-{options.scenario}-{stamp}.folded"
    try:
        require_tools()
        with (
            stage(options.plugin) as setup,
            running(options.system, setup, scenario.fit) as system,
        ):
            requests = profile(scenario, system, setup, options.seconds, path)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    picture = path.with_suffix(".svg")
    title = f"{options.system}: {scenario.title}"
    picture.write_text(svg(title, folded(path.read_text())))
    print(f"{requests} requests sampled: {picture.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
