"""An HTTP/2 origin for tests: a handler for each stream, run in the test's own loop."""

import asyncio
import contextlib
import ssl
from typing import Self

from h2.settings import SettingCodes

from tests.support.accepting import Acceptor
from tests.support.h2_peer import H2Peer, H2Stream, Handler


class H2Origin:
    """An HTTP/2 origin: a handler per stream; an async context manager."""

    def __init__(
        self,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None,
        settings: dict[SettingCodes, int] | None = None,
        opens_windows: bool = True,
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._settings = settings
        self._opens_windows = opens_windows
        self.peers: list[H2Peer] = []
        self.streams: list[H2Stream] = []
        self.port = 0

    @property
    def netloc(self) -> str:
        return f"localhost:{self.port}"

    async def __aenter__(self) -> Self:
        self._acceptor = Acceptor(self._serve, tls=self._tls)
        self.port = self._acceptor.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._acceptor.aclose()
        failures: list[Exception] = []
        for peer in self.peers:
            await peer.aclose()
            failures += peer.failures
        if failures:
            raise ExceptionGroup("the origin's handler failed", failures)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def handle(stream: H2Stream) -> None:
            self.streams.append(stream)
            await self._handler(stream)

        peer = H2Peer(
            reader,
            writer,
            is_client=False,
            handler=handle,
            opens_windows=self._opens_windows,
            settings=self._settings,
        )
        self.peers.append(peer)
        with contextlib.suppress(OSError):
            await peer.__aenter__()


async def answer(stream: H2Stream) -> None:
    """The plainest handler: read the whole request, say what came."""
    await stream.wait_over()
    if stream.reset_code is not None:
        return
    names = b",".join(name for name, _ in stream.headers)
    await stream.respond(
        200, b"%s %d bytes" % (stream.path, len(stream.body)), [(b"x-saw", names)]
    )
