"""The yardstick: a relay that ends TLS on both sides and looks at nothing between.

On the event loop of INT3RCEPTOR and with its memory settings, so that what a proxy
costs beyond this is what it does: parse, judge, ask plugins, keep. It reads the CONNECT
and not one byte more; what comes out of one side's TLS goes into the other's. One leaf,
for the origin's name, serves all clients, and every client has a connection of its own
to the origin.
"""

import argparse
import asyncio
import ssl
from pathlib import Path
from typing import cast

import trustme
import uvloop

from benchmarks.origin import ADDRESS, HOST
from benchmarks.tunnel import MAX_HEAD_BYTES, client_context
from int3rceptor.net.allocator import keep_freed_memory

ALPN = ("h2", "http/1.1")
BACKLOG = 4096


class Side(asyncio.Protocol):
    """One side of a relayed connection: what it gets, the other side sends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        # What a client sends while its origin is dialled: one request, here.
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transport inside TLS is no subclass of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        if self.other is not None:
            self.transport.writelines(self.other.early)
            self.other.early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self.early.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Accepted(asyncio.Protocol):
    """A client until its CONNECT is read; after that its `Side` has the connection."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        transport = self._transport
        if transport is None:
            return
        if self._head.endswith(b"\r\n\r\n") and self._head.startswith(b"CONNECT "):
            # Nothing more may be read here: what follows is TLS.
            transport.pause_reading()
            target = self._head.split(b" ", 2)[1].decode()
            self._relay.open(transport, target)
        elif len(self._head) > MAX_HEAD_BYTES or b"\r\n\r\n" in self._head:
            transport.abort()  # no CONNECT: not something that a blind relay can do


class Relay:
    """Opens the two sides of each connection."""

    def __init__(self, folder: Path, origin_ca: Path) -> None:
        self._loop = asyncio.get_running_loop()
        authority = trustme.CA(
            organization_name="Benchmark relay CA", key_type=trustme.KeyType.ECDSA
        )
        authority.cert_pem.write_to_path(folder / "ca.pem")
        leaf = authority.issue_cert(HOST, key_type=trustme.KeyType.ECDSA)
        self._server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(self._server_context)
        self._server_context.set_alpn_protocols(list(ALPN))
        self._origin_contexts = {alpn: client_context(origin_ca) for alpn in ALPN}
        for alpn, context in self._origin_contexts.items():
            context.set_alpn_protocols([alpn])
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, transport: asyncio.Transport, target: str) -> None:
        """Answer the CONNECT of `transport` and relay."""
        task = self._loop.create_task(self._open(transport, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, transport: asyncio.Transport, target: str) -> None:
        client, origin = Side(), Side()
        try:
            transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
            client.other, origin.other = origin, client
            client_transport = await self._loop.start_tls(
                transport, client, self._server_context, server_side=True
            )
            if client_transport is None:
                return  # it left during the handshake
            # start_tls tells the new protocol nothing.
            client.connection_made(client_transport)
            agreed = client_transport.get_extra_info("ssl_object")
            alpn = agreed.selected_alpn_protocol() or "http/1.1"
            host, port = target.rsplit(":", 1)
            await self._loop.create_connection(
                lambda: origin,
                ADDRESS if host == HOST else host,
                int(port),
                ssl=self._origin_contexts[alpn],
                server_hostname=host,
            )
        except (OSError, ValueError):
            transport.abort()


async def serve(port: int, folder: Path, origin_ca: Path) -> None:
    """Relay until the process is ended."""
    relay = Relay(folder, origin_ca)
    server = await asyncio.get_running_loop().create_server(
        lambda: Accepted(relay), ADDRESS, port, backlog=BACKLOG
    )
    await server.serve_forever()


def main() -> None:
    """The command line that `benchmarks.peers` writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for its CA")
    parser.add_argument("--origin-ca", type=Path, required=True)
    options = parser.parse_args()
    keep_freed_memory()
    uvloop.run(serve(options.port, options.folder, options.origin_ca))


if __name__ == "__main__":
    main()
