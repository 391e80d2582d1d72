"""One exchange in either HTTP version, on either side: for tests of all four pairs.

A request or an answer here is plain data; the version only decides how it is sent.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.support.clients import Proxy, h2_client, secure
from tests.support.h1_peer import Fields, H1Peer, Message, fields
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream, request_head
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin

Version = Literal["h1", "h2"]


@dataclass(slots=True, kw_only=True)
class Ask:
    """A request: as it is sent, or as an origin received it."""

    method: str = "GET"
    path: str = "/"
    headers: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer: as it is sent, or as a client received it."""

    status: int = 200
    headers: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    hints: Fields = field(default_factory=list)
    is_early: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(slots=True, kw_only=True)
class PairOrigin:
    """A running origin of one version, what it received, and its connections."""

    netloc: str
    asked: list[Ask]
    server: ScriptedOrigin | H2Origin


Replier = Callable[[Ask], Reply]
Exchange = Callable[[Ask], Awaitable[Reply]]


def h1_answer(reply: Reply, method: str) -> bytes:
    """The answer's bytes: chunked when it has trailers, else with a length."""
    head = b""
    if reply.hints:
        head += b"HTTP/1.1 103 Early Hints\r\n" + fields(reply.hints) + b"\r\n"
    head += b"HTTP/1.1 %d X\r\n" % reply.status + fields(reply.headers)
    bodiless = method == "HEAD" or reply.status in (204, 304)
    if reply.trailers:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (len(reply.body), reply.body) if reply.body else b""
        return head + chunk + b"0\r\n" + fields(reply.trailers) + b"\r\n"
    if reply.status != 204 and not reply.values(b"content-length"):
        head += b"Content-Length: %d\r\n" % len(reply.body)
    return head + b"\r\n" + (b"" if bodiless else reply.body)


def _asked(message: Message) -> Ask:
    return Ask(
        method=message.method.decode(),
        path=message.target.decode("latin-1"),
        headers=message.headers,
        body=message.body,
        trailers=message.trailers,
    )


@contextlib.asynccontextmanager
async def _h1_origin(replier: Replier, tls: OriginTls) -> AsyncIterator[PairOrigin]:
    asked: list[Ask] = []

    async def serve(peer: H1Peer) -> None:
        while True:
            request = await peer.read_head()
            ask = _asked(request)
            reply = replier(ask)
            if reply.is_early:
                asked.append(ask)
                await peer.send(h1_answer(reply, ask.method))
                await peer.read_to_end()
                return
            if request.value("expect"):
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await peer.read_body(request)
            ask = _asked(request)
            asked.append(ask)
            await peer.send(h1_answer(replier(ask), ask.method))

    async with ScriptedOrigin(serve, tls=tls.server(["http/1.1"])) as server:
        yield PairOrigin(netloc=server.netloc, asked=asked, server=server)


async def h2_reply(stream: H2Stream, reply: Reply, method: str) -> None:
    if reply.hints:
        await stream.send_headers([(b":status", b"103"), *reply.hints])
    names = [(name.lower(), value) for name, value in reply.headers]
    head = [(b":status", b"%d" % reply.status), *names]
    bodiless = method == "HEAD" or reply.status in (204, 304)
    body = b"" if bodiless else reply.body
    await stream.send_headers(head, end=not body and not reply.trailers)
    if body:
        await stream.send_data(body, end=not reply.trailers)
    if reply.trailers:
        lower = [(name.lower(), value) for name, value in reply.trailers]
        await stream.send_headers(lower, end=True)


@contextlib.asynccontextmanager
async def _h2_origin(replier: Replier, tls: OriginTls) -> AsyncIterator[PairOrigin]:
    asked: list[Ask] = []

    async def serve(stream: H2Stream) -> None:
        ask = Ask(
            method=(stream.value(":method") or b"").decode(),
            path=stream.path.decode("latin-1"),
            headers=stream.headers,
        )
        if not replier(ask).is_early:
            await stream.wait_over()
        ask.body = bytes(stream.body)
        ask.trailers = stream.trailers
        asked.append(ask)
        await h2_reply(stream, replier(ask), ask.method)

    async with H2Origin(serve, tls=tls.server(["h2"])) as server:
        yield PairOrigin(netloc=server.netloc, asked=asked, server=server)


def pair_origin(
    version: Version, replier: Replier, tls: OriginTls
) -> contextlib.AbstractAsyncContextManager[PairOrigin]:
    """An origin that speaks this version only."""
    opener = _h1_origin if version == "h1" else _h2_origin
    return opener(replier, tls)


def h1_request(ask: Ask, netloc: str) -> bytes:
    head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: {netloc}\r\n".encode("latin-1")
    head += fields(ask.headers)
    if ask.trailers:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (len(ask.body), ask.body) if ask.body else b""
        return head + chunk + b"0\r\n" + fields(ask.trailers) + b"\r\n"
    if ask.body:
        head += b"Content-Length: %d\r\n" % len(ask.body)
    return head + b"\r\n" + ask.body


@contextlib.asynccontextmanager
async def _h1_client(proxy: Proxy, netloc: str) -> AsyncIterator[Exchange]:
    async with secure(proxy, netloc) as client:

        async def exchange(ask: Ask) -> Reply:
            await client.send(h1_request(ask, netloc))
            hints: Fields = []
            while (head := await client.read_head()).status < 200:
                hints += head.headers
            if head.status not in (204, 304) and ask.method != "HEAD":
                await client.read_body(head, until_end=True)
            return Reply(
                status=head.status,
                headers=head.headers,
                body=head.body,
                trailers=head.trailers,
                hints=hints,
            )

        yield exchange


@contextlib.asynccontextmanager
async def _h2_client(proxy: Proxy, netloc: str) -> AsyncIterator[Exchange]:
    async with h2_client(proxy, netloc) as client:

        async def exchange(ask: Ask) -> Reply:
            head = request_head(ask.method, netloc, ask.path)
            names = [(name.lower(), value) for name, value in ask.headers]
            stream = await client.open(
                [*head, *names], end=not ask.body and not ask.trailers
            )
            if ask.body:
                await stream.send_data(ask.body, end=not ask.trailers)
            if ask.trailers:
                await stream.send_headers(ask.trailers, end=True)
            await stream.wait_over()
            assert stream.is_ended, f"reset with {stream.reset_code}"
            hints = [item for head in stream.informational for item in head]
            return Reply(
                status=stream.status,
                headers=stream.headers,
                body=bytes(stream.body),
                trailers=stream.trailers,
                hints=[item for item in hints if item[0] != b":status"],
            )

        yield exchange


def pair_client(
    version: Version, proxy: Proxy, netloc: str
) -> contextlib.AbstractAsyncContextManager[Exchange]:
    """A client that speaks this version, past CONNECT and TLS."""
    opener = _h1_client if version == "h1" else _h2_client
    return opener(proxy, netloc)


async def exchange(
    proxy: Proxy,
    tls: OriginTls,
    versions: tuple[Version, Version],
    ask: Ask,
    reply: Reply,
) -> tuple[Ask, Reply]:
    """One exchange: what the origin received, what the client received."""
    near, far = versions
    async with (
        pair_origin(far, lambda _: reply, tls) as origin,
        pair_client(near, proxy, origin.netloc) as client,
    ):
        received = await client(ask)
        (asked,) = origin.asked
    return asked, received
