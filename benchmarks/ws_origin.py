"""The origin of WebSocket scenarios: sends each message back, inside TLS.

nginx speaks no WebSocket of its own. Runs as a process of its own beside it, prints its
port, ends when stdin does.
"""

import argparse
import asyncio
import re
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.measure import BenchmarkError
from benchmarks.origin import ADDRESS
from benchmarks.ws_frames import Messages, accept_of, frame

MAX_HEAD_BYTES = 16 * 1024
BACKLOG = 4096
KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([\w+/=]+)[ \t]*\r\n", re.IGNORECASE)
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Echo(asyncio.Protocol):
    """One connection: a handshake, then whatever is said."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._messages: Messages | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transport inside TLS is no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._messages is None:
            data = self._shaken_hands(transport, data)
        if self._messages is None or not data:
            return
        try:
            for message in self._messages.feed(data):
                transport.write(frame(message))  # in a record of its own, as it came
        except BenchmarkError:
            transport.abort()  # whoever sent that misses its answer, and says so

    def _shaken_hands(self, transport: asyncio.Transport, data: bytes) -> bytes:
        """What follows the request's head, if it has ended and was a handshake."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(head) <= MAX_HEAD_BYTES:
            return b""
        key = KEY.search(head + b"\r\n")
        if not end or key is None or not head.startswith(b"GET /echo HTTP/1.1\r\n"):
            transport.write(REFUSED)
            transport.close()
            return b""
        self._messages = Messages(are_masked=True)
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept_of(key[1].decode()).encode()
            + b"\r\n\r\n"
        )
        return rest


async def serve(context: ssl.SSLContext) -> None:
    """Echo until stdin ends."""
    server = await asyncio.get_running_loop().create_server(
        Echo, ADDRESS, 0, ssl=context, backlog=BACKLOG
    )
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """The command line that `benchmarks.clients` writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaf", required=True, type=Path, help="key and certificate")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.leaf)
    context.set_alpn_protocols(["http/1.1"])
    uvloop.run(serve(context))


if __name__ == "__main__":
    main()
