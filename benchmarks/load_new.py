"""New connections: CONNECT, a full TLS handshake, one request, close; N at a time.

Runs as its own process, as `load_h1` does. A handshake is never resumed: a client in
Python resumes a session only where it is handed one. With --first-host every connection
goes to a host of its own, one that no proxy has seen before.
"""

import asyncio
import dataclasses
import json
import ssl
import sys
import time
from dataclasses import dataclass, field

import uvloop

from benchmarks.batches import Batch
from benchmarks.load_h1 import (
    ANSWER_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    connect,
    counted,
    http1_context,
    parsed_route,
    parser_of_route,
)
from benchmarks.measure import BenchmarkError
from benchmarks.origin import numbered_host
from benchmarks.tunnel import Route, require_name


@dataclass(slots=True, kw_only=True)
class Visits:
    """Where to go, and how it went. `next_host` is None where all go to one host."""

    route: Route
    context: ssl.SSLContext
    body: bytes
    next_host: int | None
    left: int = 0
    latencies_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def next_route(self) -> Route:
        """The way to the host whose turn it is."""
        if self.next_host is None:
            return self.route
        host = numbered_host(self.next_host)
        self.next_host += 1
        via = self.route.via if self.route.is_proxy else (host, self.route.port)
        return dataclasses.replace(self.route, via=via, host=host)


async def visit(visits: Visits) -> None:
    """One connection, from nothing to the answer's last byte."""
    route = visits.next_route()
    before = time.perf_counter()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await connect(route, visits.context, visits.body)
        if not visits.context.check_hostname:
            require_name(connection.certificate, route.host)
        done = asyncio.get_running_loop().create_future()
        batch = Batch(unsent=1, done=done, open_connections=1)
        try:
            connection.start(batch)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await done
        finally:
            connection.close()
    except (OSError, TimeoutError, BenchmarkError) as error:
        visits.errors.append(f"{route.host}: {error!r}")
        return
    visits.errors += batch.errors
    if batch.latencies_s:
        visits.latencies_s.append(time.perf_counter() - before)


async def keep_visiting(visits: Visits) -> None:
    """One after the other, until none is left."""
    while visits.left > 0:
        visits.left -= 1
        await visit(visits)


async def run_batch(visits: Visits, requests: int, at_once: int) -> dict[str, object]:
    """`requests` connections, `at_once` of them at any time."""
    visits.left = requests
    visits.latencies_s.clear()
    visits.errors.clear()
    before = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(keep_visiting(visits))
    elapsed_s = time.perf_counter() - before
    return counted(requests, visits.latencies_s, visits.errors, elapsed_s)


async def serve(visits: Visits, at_once: int) -> None:
    """Say that we are there, then one batch per line of stdin until it ends."""
    print(json.dumps({"connections": at_once}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await run_batch(visits, int(line), at_once)), flush=True)


def main() -> None:
    """The command line that `benchmarks.clients` writes."""
    parser = parser_of_route(__doc__)
    parser.add_argument("--first-host", type=int, help="number of the first new host")
    options = parser.parse_args()
    visits = Visits(
        route=parsed_route(options),
        context=http1_context(options.ca, names_checked=options.first_host is None),
        body=options.body.read_bytes(),
        next_host=options.first_host,
    )
    uvloop.run(serve(visits, options.connections))


if __name__ == "__main__":
    main()
