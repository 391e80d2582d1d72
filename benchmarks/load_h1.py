"""HTTP/1.1 load: N keep-alive connections, one request at a time each.

Runs as its own process. Reads one number of requests a line from stdin, does them over
the same connections, and answers each with one line of JSON. A line with a rate beside
the number is paced by it instead of by the answers; "each" stands for one request on
every connection. Knows no proxy by name.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.batches import Batch, PacedBatch, Sender
from benchmarks.pace import Schedule, ticking, wait_again
from benchmarks.tunnel import Route, client_context, open_route

CONNECT_TIMEOUT_S = 30.0  # for one connection
ANSWER_TIMEOUT_S = 60.0  # nothing at all finished for this long: the batch is given up
MAX_HEAD_BYTES = 64 * 1024
MAX_ERRORS_SHOWN = 5
EACH_AT_ONCE = 32
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One client connection; a request only after the answer before it."""

    def __init__(self, request: bytes, body: bytes) -> None:
        self._request = request
        self._body = body
        self._received = bytearray()
        self._sent_at = 0.0
        self._batch: Batch | PacedBatch | None = None
        self._transport: asyncio.Transport | None = None
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transport inside TLS is no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def start(self, batch: Batch | PacedBatch) -> None:
        """Take part in `batch` until no request is left in it."""
        self._batch = batch
        self._next()

    @property
    def certificate(self) -> Mapping[str, object]:
        """The peer's, as ssl describes it."""
        if self._transport is None:
            return {}
        found: Mapping[str, object] = self._transport.get_extra_info("peercert", {})
        return found

    def close(self) -> None:
        """Leave; nothing is waited for."""
        self.is_lost = True
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        batch, transport = self._batch, self._transport
        if batch is None or transport is None:
            return
        counts_from = batch.take()
        if counts_from is None:
            self._batch = None
            batch.idle(self)
            return
        self._sent_at = counts_from
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._batch is None:
            self._fail(f"bytes that nobody asked for: {data[:80]!r}")
            return
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._received) > MAX_HEAD_BYTES:
                self._fail("no end of the response head")
            return
        length = CONTENT_LENGTH.search(self._received, 0, head_end + 2)
        if length is None or not self._received.startswith(b"HTTP/1.1 200"):
            self._fail(f"not the answer: {bytes(self._received[:500])!r}")
            return
        missing = head_end + 4 + int(length[1]) - len(self._received)
        if missing > 0:
            return
        if missing < 0 or self._received[head_end + 4 :] != self._body:
            self._fail("the body is not the origin's")
            return
        self._batch.answered(self._sent_at)
        self._received.clear()
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc!r}")

    def _fail(self, reason: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()
        if self._batch is not None:
            self._batch.lost(reason)
            self._batch = None


async def connect(route: Route, context: ssl.SSLContext, body: bytes) -> Connection:
    """A connection inside TLS to the origin of `route`, its certificate verified."""
    sock = await open_route(route)
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(_request(route, "/small"), body),
            sock=sock,
            ssl=context,
            server_hostname=route.host,
        )
    except BaseException:
        sock.close()  # a handshake that fails leaves it to us
        raise
    return connection


async def connect_plain(route: Route, body: bytes) -> Connection:
    """A connection without TLS; a proxy is asked in absolute form."""
    prefix = f"http://{route.host}:{route.port}" if route.is_proxy else ""
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(_request(route, f"{prefix}/small"), body), *route.via
    )
    return connection


def _request(route: Route, target: str) -> bytes:
    head = (
        f"GET {target} HTTP/1.1\r\nHost: {route.host}:{route.port}\r\n"
        "User-Agent: load\r\nAccept: */*\r\n\r\n"
    )
    return head.encode()


def percentile_ms(sorted_s: list[float], fraction: float) -> float:
    """The value below which `fraction` of the sorted seconds lie, in milliseconds."""
    if not sorted_s:
        return 0.0
    return sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * fraction))] * 1000


def counted(
    requests: int, latencies_s: list[float], errors: list[str], elapsed_s: float
) -> dict[str, object]:
    """What a generator answers for one batch: the fields of `clients.Result`."""
    latencies_s.sort()
    return {
        "requests": len(latencies_s),
        "errors": requests - len(latencies_s),
        "error_texts": errors[:MAX_ERRORS_SHOWN],
        "elapsed_s": elapsed_s,
        "p50_ms": percentile_ms(latencies_s, 0.50),
        "p99_ms": percentile_ms(latencies_s, 0.99),
    }


async def run_batch(connections: Sequence[Sender], requests: int) -> dict[str, object]:
    """Send `requests` over the connections that are left; count what came."""
    before = time.perf_counter()
    batch = await _batch(connections, requests)
    elapsed_s = time.perf_counter() - before
    # A copy: an answer that comes after a batch was given up belongs to nobody.
    return counted(requests, list(batch.latencies_s), batch.errors, elapsed_s)


async def run_each(connections: list[Connection]) -> dict[str, object]:
    """One request on every connection, a few at a time: to be there is their load."""
    before = time.perf_counter()
    latencies_s: list[float] = []
    errors: list[str] = []
    for first in range(0, len(connections), EACH_AT_ONCE):
        some = connections[first : first + EACH_AT_ONCE]
        alive = sum(not connection.is_lost for connection in some)
        batch = await _batch(some, alive)
        latencies_s += batch.latencies_s
        errors += batch.errors
    elapsed_s = time.perf_counter() - before
    return counted(len(connections), latencies_s, errors, elapsed_s)


async def _batch(connections: Sequence[Sender], requests: int) -> Batch:
    """`requests`, all done, or as many as came while something did."""
    alive = [connection for connection in connections if not connection.is_lost]
    batch = Batch(
        unsent=requests,
        done=asyncio.get_running_loop().create_future(),
        open_connections=len(alive),
    )
    for connection in alive:
        connection.start(batch)
    finished = -1
    while alive and not batch.done.done() and finished < len(batch.latencies_s):
        finished = len(batch.latencies_s)
        await asyncio.wait([batch.done], timeout=ANSWER_TIMEOUT_S)
    return batch


async def run_paced(
    connections: list[Connection], requests: int, rate: float, spans: Path | None
) -> dict[str, object]:
    """Send `requests` at `rate` a second; latency counts from when each was due.

    When each was due and answered goes into the file `spans`, if one is named.
    """
    loop = asyncio.get_running_loop()
    alive = [connection for connection in connections if not connection.is_lost]
    with ticking(1 / rate) as alarm:
        before = time.perf_counter()
        batch = PacedBatch(
            schedule=Schedule(start=before, interval_s=1 / rate, total=requests),
            done=loop.create_future(),
            open_connections=len(alive),
            parked=list(alive),
        )
        loop.add_reader(alarm, lambda: batch.tick(wait_again(alarm)))
        try:
            finished = -1
            while alive and not batch.done.done() and finished < len(batch.latencies_s):
                finished = len(batch.latencies_s)
                await asyncio.wait([batch.done], timeout=ANSWER_TIMEOUT_S)
        finally:
            loop.remove_reader(alarm)
    elapsed_s = time.perf_counter() - before
    if spans is not None:
        await asyncio.to_thread(spans.write_text, json.dumps(batch.spans))
    return counted(requests, list(batch.latencies_s), batch.errors, elapsed_s)


async def serve(
    route: Route, context: ssl.SSLContext | None, body: bytes, count: int
) -> None:
    """Connect, say so, then one batch per line of stdin until it ends."""
    connections: list[Connection] = []
    for _ in range(count):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if context is None:
                connections.append(await connect_plain(route, body))
            else:
                connections.append(await connect(route, context, body))
    print(json.dumps({"connections": len(connections)}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.split():
            case ["each"]:
                answer = await run_each(connections)
            case [requests, rate, *path]:
                spans = Path(path[0]) if path else None
                answer = await run_paced(connections, int(requests), float(rate), spans)
            case _:
                answer = await run_batch(connections, int(line))
        print(json.dumps(answer), flush=True)


def parser_of_route(description: str | None) -> argparse.ArgumentParser:
    """The options that every generator has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--via", required=True, help="HOST:PORT to connect to")
    parser.add_argument("--direct", action="store_true", help="no CONNECT: an origin")
    parser.add_argument("--origin", required=True, help="HOST:PORT in the CONNECT")
    parser.add_argument("--ca", required=True, type=Path, help="the only trusted CA")
    parser.add_argument("--body", required=True, type=Path, help="the expected body")
    parser.add_argument("--connections", type=int, default=32)
    return parser


def parsed_route(options: argparse.Namespace) -> Route:
    """The way that those options describe."""
    via_host, via_port = options.via.rsplit(":", 1)
    host, port = options.origin.rsplit(":", 1)
    return Route(
        via=(via_host, int(via_port)),
        is_proxy=not options.direct,
        host=host,
        port=int(port),
    )


def http1_context(ca_pem: Path, *, names_checked: bool = True) -> ssl.SSLContext:
    """Trusts `ca_pem` alone, asks for HTTP/1.1, resumes nothing."""
    context = client_context(ca_pem, names_checked=names_checked)
    context.set_alpn_protocols(["http/1.1"])
    return context


def main() -> None:
    """The command line that `benchmarks.clients` writes."""
    parser = parser_of_route(__doc__)
    parser.add_argument("--plain", action="store_true", help="no TLS at all")
    options = parser.parse_args()
    context = None if options.plain else http1_context(options.ca)
    body = options.body.read_bytes()
    uvloop.run(serve(parsed_route(options), context, body, options.connections))


if __name__ == "__main__":
    main()
