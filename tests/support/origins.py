"""Origins in Python for byte-exact tests: scripted HTTP/1 and plain TCP, WebSocket.

They run in the test's own event loop and keep what they received.
"""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Self

from websockets.asyncio.server import ServerConnection, serve

from tests.support.accepting import HOST, Acceptor
from tests.support.h1_peer import H1Peer, Message, response
from tests.support.patience import PATIENT_S

Script = Callable[[H1Peer], Awaitable[None]]
Answer = Callable[[Message], bytes]


class ScriptedOrigin:
    """Runs a script on each connection; an async context manager.

    What a script raises fails the test on exit, unless it only says that the peer went
    away.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._failures: list[Exception] = []
        self._changed = asyncio.Condition()
        self.peers: list[H1Peer] = []
        self.ended: list[H1Peer] = []
        self.port = 0

    @property
    def netloc(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.netloc}"

    async def __aenter__(self) -> Self:
        self._acceptor = Acceptor(self._serve, tls=self._tls, limit=2**20)
        self.port = self._acceptor.port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._acceptor.aclose()
        if self._failures:
            raise ExceptionGroup("the origin's script failed", self._failures)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = H1Peer(reader, writer)
        self.peers.append(peer)
        try:
            await self._script(peer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the peer went away, or the test is over
        except Exception as error:  # noqa: BLE001 - raised on exit
            self._failures.append(error)
        finally:
            await peer.aclose()
            self.ended.append(peer)
            async with self._changed:
                self._changed.notify_all()

    async def wait_ended(self, count: int = 1) -> None:
        """Until this many connections are over."""
        async with asyncio.timeout(PATIENT_S), self._changed:
            await self._changed.wait_for(lambda: len(self.ended) >= count)


class AnsweringOrigin(ScriptedOrigin):
    """Keeps its connections open and answers every request; keeps the requests."""

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer_all, tls=tls)
        self._answer = answer
        self.requests: list[Message] = []

    async def _answer_all(self, peer: H1Peer) -> None:
        while True:
            request = await peer.read_head()
            if request.value("expect") == b"100-continue":
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await peer.read_body(request)
            self.requests.append(request)
            await peer.send(self._answer(request))
            if (request.value("connection") or b"").lower() == b"close":
                return


def echo(request: Message) -> bytes:
    """An answer that shows what the origin received, as JSON."""
    shown = {
        "line": request.start_line.decode("latin-1"),
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")]
            for name, value in request.headers
        ],
        "body_bytes": len(request.body),
        "body_sha256": sha256(request.body).hexdigest(),
        "trailers": [
            [name.decode("latin-1"), value.decode("latin-1")]
            for name, value in request.trailers
        ],
    }
    body = b"" if request.method == b"HEAD" else json.dumps(shown).encode()
    return response(body, headers={"Content-Type": "application/json"})


def fixed(answer: bytes) -> Answer:
    """The same bytes for every request."""
    return lambda _: answer


@contextlib.asynccontextmanager
async def websocket_origin(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A WebSocket echo; its port."""

    async def echo_messages(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with serve(echo_messages, HOST, 0, ssl=tls, max_size=2**24) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
