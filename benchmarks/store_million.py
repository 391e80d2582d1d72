"""How quickly kept flows are listed, shown and filtered when there are a million.

    python -m benchmarks.store_million [--flows 1000000] [--keep DIR] [--settle]

Fills a store the way the product does (journal, ingestion, with `--settle` also
compression and full text), then times the questions of `int3rceptor flows`, first as
queries in this process, then as whole commands. `--keep DIR` keeps the data directory,
and uses it again if it is there. Ends with 1, and a line that names them, when some
took too long.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import BenchmarkError
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.queries import StoreReader, open_store
from int3rceptor.store.database.index import Index
from int3rceptor.store.journal.framing import FLOW, MAGIC, sealed
from int3rceptor.store.records import BodyRecord, FlowRecord, OriginFacts, encode

LIMIT_MS = 200.0
"""What each question may take."""

PER_SEGMENT = 20_000
ROUNDS = 5
HOSTS = 3_000
DAY_S = 86_400.0


def main() -> int:
    """Fill, measure, print; 1 when a query or a command was too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--settle", action="store_true")
    given = parser.parse_args()
    try:
        if given.keep is not None:
            return measure(given.keep, given.flows, is_settled=given.settle)
        with tempfile.TemporaryDirectory(prefix="int3rceptor-million-") as name:
            return measure(Path(name), given.flows, is_settled=given.settle)
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1


def measure(data_dir: Path, flows: int, *, is_settled: bool) -> int:
    """Fill `data_dir` unless it is, and time the questions."""
    flows_dir = data_dir / "flows"
    if not (flows_dir / "store.sqlite").exists():
        fill(flows_dir, flows, is_settled=is_settled)
    size = sum(one.stat().st_size for one in flows_dir.glob("store.sqlite*"))
    print(f"{flows:,} flows, {size / 1e6:,.0f} MB")
    taken_ms: dict[str, float] = {}
    with open_store(flows_dir) as reader:
        for name, ask in questions(reader, flows).items():
            taken_ms[name] = fastest(f"query    {name}", ask)
    for arguments in commands(flows):
        ask = partial(command, data_dir, arguments)
        taken_ms[arguments] = fastest(f"command  int3rceptor flows {arguments}", ask)
    return verdict(taken_ms)


def fastest(name: str, ask: Callable[[], object]) -> float:
    """Milliseconds of the fastest round: what else runs only makes one slower."""
    taken_ms = min(timed(ask) for _ in range(ROUNDS))
    print(f"{taken_ms:8.1f} ms  {name}", flush=True)
    return taken_ms


def verdict(taken_ms: dict[str, float]) -> int:
    """The exit code, and a line that says what was too slow."""
    slow = [f"{name} ({ms:.0f} ms)" for name, ms in taken_ms.items() if ms > LIMIT_MS]
    if slow:
        print(f"benchmark: over {LIMIT_MS:.0f} ms: {', '.join(slow)}", file=sys.stderr)
    return int(bool(slow))


def commands(flows: int) -> tuple[str, ...]:
    """What is asked of `int3rceptor flows`."""
    show = f"show {flows // 2}"
    return "count", "list --limit 50", show, "list --host *.example7.com"


def questions(reader: StoreReader, flows: int) -> dict[str, Callable[[], object]]:
    """What is asked, by what it is called."""
    now = time.time()
    filters = {
        "host, one": FlowFilter(host="api3.example7.com"),
        "host, glob of some": FlowFilter(host="*.example7.com"),
        "host, glob of most": FlowFilter(host="*.com"),
        "host, glob of none": FlowFilter(host="*.nowhere.test"),
        "host, seen long ago only": FlowFilter(host="old.example.org"),
        "host and port": FlowFilter(host="*.example7.com:444"),
        "status 404": FlowFilter(status="404"),
        "status 4xx": FlowFilter(status="4xx"),
        "status nobody sent": FlowFilter(status="599"),
        "method POST": FlowFilter(method="POST"),
        "method GET": FlowFilter(method="get"),
        "method nobody used": FlowFilter(method="PURGE"),
        "since 5 minutes": FlowFilter(since=now - 300),
        "since 1 hour, 5xx": FlowFilter(since=now - 3600, status="5xx"),
        "since 30 days": FlowFilter(since=now - 30 * DAY_S),
        "since tomorrow": FlowFilter(since=now + DAY_S),
        "tag": FlowFilter(tag="slow"),
        "tag nobody gave": FlowFilter(tag="none"),
        "glob of most, POST, 5xx": FlowFilter(
            host="*.com", method="POST", status="5xx"
        ),
        "one host, POST, 599": FlowFilter(
            host="api0.example0.com", method="POST", status="599"
        ),
    }
    asked: dict[str, Callable[[], object]] = {
        "list, newest 100": reader.rows,
        "list, in the middle": lambda: reader.rows(before=flows // 2),
        "show": lambda: reader.get(flows // 2),
        "count": reader.count,
    }
    for name, wanted in filters.items():
        asked[f"list {name}"] = partial(reader.rows, wanted)
        asked[f"count {name}"] = partial(reader.count, wanted)
    return asked


def timed(ask: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def command(data_dir: Path, arguments: str) -> None:
    """Run the command line in a process of its own."""
    given = [*arguments.split(), "--data-dir", str(data_dir)]
    ran = subprocess.run(
        [sys.executable, "-m", "int3rceptor", "flows", *given],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if ran.returncode != 0:
        raise BenchmarkError(f"int3rceptor flows {arguments}: {ran.stderr.strip()}")


def fill(flows_dir: Path, flows: int, *, is_settled: bool) -> None:
    """Journal and take in `flows` flows of the last 60 days."""
    chance = random.Random(7)
    began = time.perf_counter()
    (flows_dir / "journal").mkdir(parents=True, mode=0o700)
    index = Index(flows_dir, on_problem=print)
    for first in range(1, flows + 1, PER_SEGMENT):
        last = min(first + PER_SEGMENT, flows + 1)
        path = flows_dir / "journal" / f"{first:020d}-0.journal"
        with path.open("wb") as file:
            file.write(MAGIC)
            for number in range(first, last):
                file.write(sealed(FLOW, encode(a_record(number, flows, chance))))
        while index.ingest(1.0):
            pass
    while is_settled and index.idle(1.0):
        pass
    index.close()
    print(f"filled in {time.perf_counter() - began:.0f} s")


def a_record(number: int, flows: int, chance: random.Random) -> FlowRecord:
    """A flow of some 700 bytes; few hosts have most of the flows, as in real use."""
    which = min(int(chance.expovariate(1 / 200)), HOSTS - 1)
    host = f"api{which % 10}.example{which // 10}.com"
    if number <= 50:
        host = "old.example.org"
    method = "GET" if chance.random() < 0.85 else "POST"
    status = chance.choice((200, 200, 200, 200, 200, 200, 304, 302, 404, 500))
    target = b"/v1/items/%d?page=%d" % (number, chance.randrange(100))
    request = b"%s %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n" % (
        method.encode(),
        target,
        host.encode(),
    )
    content = b'{"id":%d,"name":"item %d"}' % (number, number % 1000)
    response = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status
    return FlowRecord(
        id=number,
        kind="http",
        created=time.time() - (flows - number) / flows * 60 * DAY_S,
        head_s=0.02,
        total_s=0.03,
        client=("127.0.0.1", 50_000),
        connect=(host, 443),
        client_tls=None,
        origin=OriginFacts(
            host="192.0.2.7", port=443, tls=None, version="HTTP/1.1", is_reused=True
        ),
        method=method,
        scheme="https",
        host=host,
        port=443,
        target=target,
        authority=host,
        version="HTTP/1.1",
        status=status,
        request_received=request,
        request_sent=request,
        response_received=response,
        response_sent=response,
        informational=[],
        request_body=BodyRecord(),
        response_body=BodyRecord(size=len(content), content=content),
        request_trailers=b"",
        response_trailers=b"",
        error="",
        changes=[],
        tags=["slow"] if number % 1000 == 0 else [],
        rule="",
        bytes_up=0,
        bytes_down=len(content),
        is_redacted=False,
    )


if __name__ == "__main__":
    sys.exit(main())
