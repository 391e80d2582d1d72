"""Both ends of a connection: a ByteStream of ours, and a plain peer at the other one.

Knows net's streams and sockets on 127.0.0.1, nothing of the proxy.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from int3rceptor.net.inbound import Inbound
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tls_stream import TlsStream
from int3rceptor.net.transport import TransportStream
from tests.support.bio_tls import BioTls
from tests.support.h1_peer import H1Peer
from tests.support.origin_tls import OriginTls, client_context
from tests.support.patience import PATIENT_S

KINDS = ("tcp", "tls", "tls-in-memory")


@dataclass(slots=True, kw_only=True)
class Pair:
    """`ours` is under test; `theirs` is what stands at the other end."""

    kind: str
    ours: ByteStream
    theirs: H1Peer


async def accepted() -> tuple[Inbound, H1Peer]:
    """A connection that was just accepted, and the client that opened it."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        sock, _ = await loop.sock_accept(listening)
    stream = TransportStream(loop)
    await loop.connect_accepted_socket(lambda: stream, sock)
    return Inbound(stream), H1Peer(reader, writer)


@contextlib.asynccontextmanager
async def inbound_pair() -> AsyncIterator[tuple[Inbound, H1Peer]]:
    """`accepted`, closed on exit."""
    inbound, theirs = await accepted()
    try:
        yield inbound, theirs
    finally:
        inbound.abort()
        await theirs.aclose()


async def _with_tls(
    securing: Coroutine[object, object, ByteStream], theirs: H1Peer, tls: OriginTls
) -> ByteStream:
    async with asyncio.TaskGroup() as group:
        ours = group.create_task(securing)
        group.create_task(theirs.start_tls(client_context(tls.ca), "localhost"))
    return ours.result()


async def _make(kind: str, tls: OriginTls) -> Pair:
    inbound, theirs = await accepted()
    match kind:
        case "tcp":
            ours = inbound.stream
        case "tls":
            securing = inbound.to_tls(tls.server(), PATIENT_S)
            ours = await _with_tls(securing, theirs, tls)
        case "tls-in-memory":
            above = TlsStream.accept(inbound.stream, tls.server(), PATIENT_S)
            ours = await _with_tls(above, theirs, tls)
        case _:
            raise ValueError(kind)
    return Pair(kind=kind, ours=ours, theirs=theirs)


@contextlib.asynccontextmanager
async def stream_pair(kind: str, tls: OriginTls) -> AsyncIterator[Pair]:
    """A connection of one of KINDS, both ends closed on exit."""
    pair = await _make(kind, tls)
    try:
        yield pair
    finally:
        pair.ours.abort()
        pair.theirs.writer.transport.abort()
        await turns()


@contextlib.asynccontextmanager
async def half_closing_tls(
    context: ssl.SSLContext, ca: Path
) -> AsyncIterator[tuple[ByteStream, BioTls, H1Peer]]:
    """A TlsStream, and a client whose TLS can half-close (asyncio's own cannot)."""
    inbound, peer = await accepted()
    below = inbound.stream
    theirs = BioTls(peer, ca, "localhost")
    async with asyncio.TaskGroup() as group:
        ours = group.create_task(TlsStream.accept(below, context, PATIENT_S))
        group.create_task(theirs.handshake())
    try:
        yield ours.result(), theirs, peer
    finally:
        below.abort()
        await peer.aclose()


def stop_reading(peer: H1Peer) -> None:
    """Let the peer take nothing more from the network."""
    cast("asyncio.Transport", peer.writer.transport).pause_reading()


def go_on_reading(peer: H1Peer) -> None:
    """After `stop_reading`."""
    cast("asyncio.Transport", peer.writer.transport).resume_reading()


async def read_exactly(stream: ByteStream, size: int, timeout_s: float = 10.0) -> bytes:
    """`size` bytes, what is beyond them put back; fewer at the end of the stream."""
    data = b""
    while len(data) < size:
        more = await stream.read(timeout_s)
        if not more:
            return data
        data += more
    stream.unread(data[size:])
    return data[:size]


async def eventually(
    condition: Callable[[], bool], timeout_s: float = PATIENT_S
) -> None:
    """Let the loop turn until `condition` holds; AssertionError when it never does."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - nothing tells of these
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError("what was waited for did not come") from None


async def turns(count: int = 5) -> None:
    """Let everything that is ready run, `count` times over."""
    for _ in range(count):
        await asyncio.sleep(0)


async def stuck(work: Awaitable[object], timeout_s: float = 0.2) -> bool:
    """Whether `work` is still waiting after `timeout_s`; it is cancelled then."""
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except TimeoutError:
        return True
    return False
