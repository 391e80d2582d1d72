"""`python -m benchmarks.soak`: a million requests through one proxy, and its memory.

After each part the hub is waited for, the sizes are read, and a line goes into a CSV
file, so that a soak that is stopped has said what it knew; at the end the curve is
drawn. It fails when a request failed, a flow was not kept, or the proxy process strayed
more than 5 % from its size after the first tenth.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.clients import Result, require_tools
from benchmarks.curve import Line, svg
from benchmarks.measure import BenchmarkError, Usage, settle, usage
from benchmarks.proxies import EXAMPLE_LOGGER, INT3RCEPTOR, REPOSITORY, System, running
from benchmarks.scenarios import SCENARIOS
from benchmarks.sizes import MIB
from benchmarks.stage import RESULTS, client_of, stage
from benchmarks.validate import prove_kept, prove_plugin_ran

REQUESTS = 1_000_000
PARTS = 40
WARM_UP = 320
MAX_DRIFT = 0.05
LOADS = {each.name: each for each in SCENARIOS if each.kind == "memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The proxy after so many requests. CPU is per request of the part before it."""

    requests: int
    errors: int
    elapsed_s: float
    rss_mib: float
    tree_rss_mib: float
    cpu_us: float
    tree_cpu_us: float


def drift(points: list[Point]) -> float:
    """The furthest that the proxy process strayed from its size after a tenth."""
    last = points[-1].requests
    settled = [point for point in points if point.requests >= last / 10]
    first = settled[0].rss_mib
    return max((point.rss_mib / first - 1 for point in settled), key=abs)


def soak(
    system: System, load: Callable[[int], Result], requests: int, path: Path
) -> list[Point]:
    """Send `requests` in parts; each part is a line of the file at `path`."""
    pid = system.pid or 0
    _require_good(load(WARM_UP))
    settle(pid)
    before, elapsed_s, done, errors = usage(pid), 0.0, 0, 0
    points = [_point(0, 0, 0.0, before, before, 1)]
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, fieldnames=list(asdict(points[0])))
        lines.writeheader()
        lines.writerow(asdict(points[0]))
        for part in range(1, PARTS + 1):
            count = requests * part // PARTS - done
            result = load(count)
            settle(pid)
            after = usage(pid)
            done, errors = done + count, errors + result.errors
            elapsed_s += result.elapsed_s
            point = _point(done, errors, elapsed_s, before, after, count)
            before = after
            points.append(point)
            lines.writerow(asdict(point))
            file.flush()
            print(_line(point), flush=True)
    return points


def _point(
    requests: int, errors: int, elapsed_s: float, before: Usage, after: Usage, part: int
) -> Point:
    return Point(
        requests=requests,
        errors=errors,
        elapsed_s=round(elapsed_s, 2),
        rss_mib=round(after.own_rss_bytes / MIB, 2),
        tree_rss_mib=round(after.rss_bytes / MIB, 2),
        cpu_us=round((after.own_cpu_s - before.own_cpu_s) / part * 1e6, 1),
        tree_cpu_us=round((after.cpu_s - before.cpu_s) / part * 1e6, 1),
    )


def _line(point: Point) -> str:
    return (
        f"{point.requests:>9,} requests  {point.errors} errors  proxy process"
        f" {point.rss_mib:.1f} MiB, with its hub {point.tree_rss_mib:.1f}"
        f"  CPU {point.cpu_us:.0f} and {point.tree_cpu_us:.0f} us"
    )


def _require_good(warm_up: Result) -> None:
    if warm_up.errors:
        raise BenchmarkError(f"warming up failed: {warm_up.error_texts}")


def curve(points: list[Point]) -> str:
    """The memory of both over the requests, as SVG."""
    requests = [float(point.requests) for point in points]
    return svg(
        "Resident memory in MiB over requests",
        [
            Line("proxy process", requests, [point.rss_mib for point in points]),
            Line("with its hub", requests, [point.tree_rss_mib for point in points]),
        ],
    )


def run(options: argparse.Namespace) -> bool:
    """The whole soak; whether it was good."""
    scenario = LOADS[f"memory-{options.version}"]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("soak-%Y%m%d-%H%M%S.csv")
    sent = options.requests + WARM_UP
    with stage(options.plugin) as setup:
        with running(INT3RCEPTOR, setup, scenario.fit) as system:
            client = client_of(system, setup, scenario.towards)
            with scenario.load(client) as load:
                points = soak(system, load, options.requests, path)
        path.with_suffix(".svg").write_text(curve(points))
        # A stopped proxy has written every line that it owed.
        prove_plugin_ran(system, sent - points[-1].errors)
        prove_kept(system, sent)
    last, strayed = points[-1], drift(points)
    print(
        f"{last.requests:,} requests, {last.errors} errors, all kept; the proxy process"
        f" strayed {strayed:+.1%}, {MAX_DRIFT:.0%} are allowed\n"
        f"saved as {path.relative_to(REPOSITORY)}, its picture beside it"
    )
    return not last.errors and abs(strayed) <= MAX_DRIFT


def _count(text: str) -> int:
    number = int(text)
    if number < PARTS:
        raise argparse.ArgumentTypeError(f"at least {PARTS}, one for each part")
    return number


def main() -> int:
    """The command line; exit code 1 when the soak was not good."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--requests", type=_count, default=REQUESTS)
    parser.add_argument("--version", choices=("h1", "h2"), default="h1")
    parser.add_argument("--plugin", type=Path, default=EXAMPLE_LOGGER)
    options = parser.parse_args()
    try:
        require_tools()
        return 0 if run(options) else 1
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
