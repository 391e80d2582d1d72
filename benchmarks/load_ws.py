"""WebSocket load: N connections through CONNECT and TLS, M messages on the way in each.

Runs as its own process, as `load_h1` does: reads a number of messages a line, sends so
many, and answers with one line of JSON. Each message is counted when its echo has come
back: the same bytes, in the order they were sent.
"""

import asyncio
import json
import ssl
import sys
from collections import deque
from collections.abc import Iterable
from typing import cast

import uvloop

from benchmarks.batches import Batch, PacedBatch
from benchmarks.load_h1 import (
    CONNECT_TIMEOUT_S,
    MAX_HEAD_BYTES,
    http1_context,
    parsed_route,
    parser_of_route,
    run_batch,
)
from benchmarks.measure import BenchmarkError
from benchmarks.tunnel import Route, open_route
from benchmarks.ws_frames import Messages, accept_of, frame, new_key

# Numbers differ in all bytes of a key, which need not be a secret here.
KEY_STEP = 0x9E3779B1
TEXT = '{"event":"tick","number":"%016d","price":"1234.50"}'
MESSAGE_BYTES = 64


def text(number: int) -> bytes:
    """A message of 64 bytes that no other one of the connection is equal to."""
    return (TEXT % number).ljust(MESSAGE_BYTES).encode()


class Conversation(asyncio.Protocol):
    """One WebSocket; never more than `window` messages whose echo is missing."""

    def __init__(self, route: Route, window: int) -> None:
        self._window = window
        self._key = new_key()
        self._request = _handshake(route, self._key)
        self._head = b""
        self._messages: Messages | None = None
        self._transport: asyncio.Transport | None = None
        self._batch: Batch | PacedBatch | None = None
        self._missing: deque[tuple[bytes, float]] = deque()
        self._number = 0
        self.is_lost = False
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transport inside TLS is no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def start(self, batch: Batch | PacedBatch) -> None:
        """Take part in `batch` until no message is left in it."""
        self._batch = batch
        self._send(batch)

    def _send(self, batch: Batch | PacedBatch) -> None:
        """Fill the window; with nothing left to send or to miss, the part is over."""
        transport = self._transport
        if transport is None:
            return
        while len(self._missing) < self._window:
            counts_from = batch.take()
            if counts_from is None:
                break
            self._number += 1
            payload = text(self._number)
            key = (self._number * KEY_STEP & 0xFFFFFFFF).to_bytes(4, "big")
            self._missing.append((payload, counts_from))
            transport.write(frame(payload, key))
        if not self._missing:
            self._batch = None
            batch.idle(self)

    def data_received(self, data: bytes) -> None:
        try:
            if self._messages is None:
                data = self._opened(data)
            if self._messages is not None and data:
                self._echoed(self._messages.feed(data))
        except BenchmarkError as error:
            self._fail(str(error))

    def _opened(self, data: bytes) -> bytes:
        """What follows the head of the answer, once that is here and right."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_HEAD_BYTES:
                raise BenchmarkError("no end of the answer's head")
            return b""
        fields = head.lower() + b"\r\n"
        accept = f"sec-websocket-accept: {accept_of(self._key)}\r\n".lower().encode()
        if not head.startswith(b"HTTP/1.1 101 ") or accept not in fields:
            raise BenchmarkError(f"no WebSocket was opened: {head[:300]!r}")
        if b"\r\nsec-websocket-extensions:" in fields:
            raise BenchmarkError(f"extensions that nobody offered: {head[:300]!r}")
        self._messages = Messages(are_masked=False)
        self.open.set_result(None)
        return rest

    def _echoed(self, messages: Iterable[bytes]) -> None:
        batch, missing = self._batch, self._missing
        for message in messages:
            if batch is None or not missing:
                raise BenchmarkError(f"a message that nobody sent: {message[:80]!r}")
            payload, counts_from = missing.popleft()
            if message != payload:
                raise BenchmarkError(f"not the echo of {payload!r}: {message[:80]!r}")
            batch.answered(counts_from)
        if batch is not None:
            self._send(batch)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc!r}")

    def _fail(self, reason: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._transport is not None:
            self._transport.abort()
        if not self.open.done():
            self.open.set_exception(BenchmarkError(reason))
        if self._batch is not None:
            self._batch.lost(reason)
            self._batch = None


def _handshake(route: Route, key: str) -> bytes:
    return (
        f"GET /echo HTTP/1.1\r\nHost: {route.host}:{route.port}\r\n"
        "User-Agent: load\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def converse(route: Route, context: ssl.SSLContext, window: int) -> Conversation:
    """A WebSocket that is open; its certificate was verified."""
    sock = await open_route(route)
    try:
        _, conversation = await asyncio.get_running_loop().create_connection(
            lambda: Conversation(route, window),
            sock=sock,
            ssl=context,
            server_hostname=route.host,
        )
    except BaseException:
        sock.close()  # a handshake that fails leaves it to us
        raise
    await conversation.open
    return conversation


async def serve(
    route: Route, context: ssl.SSLContext, connections: int, window: int
) -> None:
    """Connect, say so, then one batch per line of stdin until it ends."""
    conversations: list[Conversation] = []
    for _ in range(connections):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            conversations.append(await converse(route, context, window))
    print(json.dumps({"connections": len(conversations)}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await run_batch(conversations, int(line))), flush=True)


def main() -> None:
    """The command line that `benchmarks.clients` writes."""
    parser = parser_of_route(__doc__)
    parser.add_argument("--window", type=int, default=1, help="messages on the way")
    options = parser.parse_args()
    route, context = parsed_route(options), http1_context(options.ca)
    try:
        uvloop.run(serve(route, context, options.connections, options.window))
    except (OSError, TimeoutError, BenchmarkError) as error:
        sys.exit(f"no WebSocket: {error}")


if __name__ == "__main__":
    main()
