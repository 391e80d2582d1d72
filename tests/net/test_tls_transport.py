"""What TlsTransportStream does beyond the common contract: ends and alerts."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from int3rceptor.errors import StreamLost
from int3rceptor.net import tls_session
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tls_session import TlsSession
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.net.transport import TransportStream
from tests.support.bio_tls import BioTls
from tests.support.h1_peer import H1Peer
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import ScriptedOrigin
from tests.support.patience import PATIENT_S
from tests.support.streams import accepted, eventually, read_exactly, turns


@contextlib.asynccontextmanager
async def ends(tls: OriginTls) -> AsyncIterator[tuple[ByteStream, BioTls, H1Peer]]:
    """A stream of ours, and a client whose TLS and TCP a test can end by themselves."""
    inbound, peer = await accepted()
    theirs = BioTls(peer, tls.ca, "localhost")
    async with asyncio.TaskGroup() as group:
        ours = group.create_task(inbound.to_tls(tls.server(), PATIENT_S))
        group.create_task(theirs.handshake())
    try:
        yield ours.result(), theirs, peer
    finally:
        ours.result().abort()
        await peer.aclose()


async def test_a_peer_is_told_by_an_alert_why_its_handshake_failed(
    origin_tls: OriginTls,
) -> None:
    inbound, peer = await accepted()
    hello = BioTls(peer, origin_tls.ca, "localhost").hello()
    await peer.send(hello[:9] + b"\x00" + hello[10:])  # TLS 0.3

    with pytest.raises(ssl.SSLError):
        await inbound.to_tls(origin_tls.server(), PATIENT_S)

    alert = await peer.read_to_end()
    assert alert[:1] == b"\x15"
    await peer.aclose()


async def test_bytes_that_come_with_the_end_of_the_handshake_are_read(
    origin_tls: OriginTls,
) -> None:
    inbound, peer = await accepted()
    theirs = TlsSession(
        client_context(origin_tls.ca), server_side=False, server_hostname="localhost"
    )
    shaking = asyncio.create_task(inbound.to_tls(origin_tls.server(), PATIENT_S))
    theirs.shake_hands(b"")
    await peer.send(theirs.owed.read())
    while not theirs.shake_hands(await peer.read()):
        pass
    early = theirs.seal(b"early")  # and our last of the handshake before it
    assert isinstance(early, bytes)
    await peer.send(early)

    ours = await shaking
    assert await ours.read(PATIENT_S) == b"early"
    ours.abort()
    await peer.aclose()


async def test_damaged_records_are_a_lost_stream_with_openssls_reason(
    origin_tls: OriginTls,
) -> None:
    async with ends(origin_tls) as (ours, theirs, peer):
        told: list[str] = []
        ours.when_lost(lambda: told.append("lost"))
        await peer.send(b"\x17\x03\x03\x00\x20" + b"!" * 32)

        with pytest.raises(StreamLost) as lost:
            await ours.read(PATIENT_S)
        assert isinstance(lost.value.__cause__, ssl.SSLError)
        ours.write(b"must not raise")
        ours.write([b"nor", b"this"])
        assert told == ["lost"]
        assert not ours.is_usable
        with pytest.raises(ssl.SSLError, match="alert"):
            await theirs.read()
        await ours.aclose()


async def test_a_write_after_an_alert_that_nobody_read_is_harmless(
    origin_tls: OriginTls,
) -> None:
    async with ends(origin_tls) as (ours, _, peer):
        await peer.send(b"\x17\x03\x03\x00\x20" + b"!" * 32)
        for _ in range(20):
            ours.write(b"x" * 1000)
            await turns(1)
        await eventually(lambda: not ours.is_usable)


async def test_all_of_many_tiny_records_comes_and_then_the_end(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_session, "MAX_RECORDS_AT_ONCE", 10)
    data = bytes(range(250)) * 4
    async with ends(origin_tls) as (ours, theirs, _):
        await theirs.send_each(bytes((one,)) for one in data)
        await theirs.finish()

        assert await read_exactly(ours, len(data)) == data
        assert await ours.read(PATIENT_S) == b""


async def test_the_peers_end_is_answered_by_ours(origin_tls: OriginTls) -> None:
    async with ends(origin_tls) as (ours, theirs, _):
        await theirs.send(b"last words")
        await theirs.finish()

        assert await read_exactly(ours, 10) == b"last words"
        assert await ours.read(PATIENT_S) == b""
        assert not ours.is_usable
        ours.write(b"too late")
        assert await theirs.read() == b""


async def test_what_is_held_comes_before_our_answer_to_the_peers_end(
    origin_tls: OriginTls,
) -> None:
    async with ends(origin_tls) as (ours, theirs, _):
        ours.cork(ours.uncork)
        ours.write(b"held")
        await theirs.finish()

        assert await theirs.read() == b"held"
        assert await theirs.read() == b""


async def test_a_peer_that_ends_tcp_alone_has_ended(origin_tls: OriginTls) -> None:
    async with ends(origin_tls) as (ours, theirs, peer):
        await theirs.send(b"last words")
        peer.send_eof()

        assert await read_exactly(ours, 10) == b"last words"
        assert await ours.read(PATIENT_S) == b""


async def test_our_end_can_be_read_by_a_peer_that_still_sends(
    origin_tls: OriginTls,
) -> None:
    """To close with its bytes unread would reset the connection, and take ours away."""
    async with ends(origin_tls) as (ours, theirs, peer):
        await theirs.send(b"?" * 500_000)
        await ours.read(PATIENT_S)
        ours.write(b"an answer")
        closing = asyncio.create_task(ours.aclose())
        await theirs.send(b"?" * 500_000)

        assert await theirs.read() == b"an answer"
        assert await theirs.read() == b""
        peer.send_eof()
        await closing
        assert await peer.read_to_end() == b""


async def test_who_is_cancelled_when_it_has_just_shaken_hands_leaves_nothing_open(
    origin_tls: OriginTls,
) -> None:
    async def serve(peer: H1Peer) -> None:
        await peer.read_to_end()

    async with ScriptedOrigin(serve, tls=origin_tls.server()) as origin:
        loop = asyncio.get_running_loop()
        below = TransportStream(loop)
        await loop.create_connection(lambda: below, "127.0.0.1", origin.port)
        context = client_context(origin_tls.ca)
        ours = TlsTransportStream(below, context, server_hostname="localhost")
        shaking = asyncio.create_task(ours.shake_hands(PATIENT_S))
        arrived = ours.data_received

        def cancel_once_done(data: bytes) -> None:
            arrived(data)
            if ours.ssl_object.version() is not None and not shaking.cancelling():
                shaking.cancel()

        ours.data_received = cancel_once_done  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await shaking

        assert not ours.is_usable
