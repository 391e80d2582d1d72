"""WebSocket clients and servers of the `websockets` library, with TLS or without."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.origin_tls import OriginTls, client_context

MAX_BYTES = 64 * 1024 * 1024


@dataclass(kw_only=True)
class EchoOrigin:
    """Sends back what it gets, a part at a time where it came so; keeps it too."""

    url: str
    received: list[str | bytes] = field(default_factory=list)
    closes: list[tuple[int | None, str]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def echo_origin(
    tls: OriginTls | None = None, *, compression: str | None = "deflate"
) -> AsyncIterator[EchoOrigin]:
    """A server on a port of its own."""
    context = None if tls is None else tls.server()

    async def echo(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                origin.received.append(message)
                await connection.send(message)
        origin.closes.append((connection.close_code, connection.close_reason or ""))

    async with serve(
        echo, "127.0.0.1", 0, ssl=context, compression=compression, max_size=MAX_BYTES
    ) as server:
        (port,) = {one.getsockname()[1] for one in server.sockets}
        scheme = "ws" if tls is None else "wss"
        origin = EchoOrigin(url=f"{scheme}://127.0.0.1:{port}/")
        yield origin


@contextlib.asynccontextmanager
async def client_of(
    url: str, proxy: str, ca: Path, *, compression: str | None = "deflate"
) -> AsyncIterator[ClientConnection]:
    """A client that goes through the proxy and trusts its CA."""
    context = client_context(ca) if url.startswith("wss") else None
    async with connect(
        url, proxy=proxy, ssl=context, compression=compression, max_size=MAX_BYTES
    ) as client:
        yield client
