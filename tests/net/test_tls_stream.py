"""What TlsStream does beyond the common contract: half-close, and bad peers."""

import asyncio
import ssl

import pytest

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net import tls_session
from int3rceptor.net.inbound import Inbound
from int3rceptor.net.tls_stream import TlsStream
from tests.support.bio_tls import BioTls
from tests.support.origin_tls import OriginTls
from tests.support.patience import PATIENT_S
from tests.support.streams import (
    accepted,
    half_closing_tls,
    read_exactly,
    stream_pair,
    turns,
)


async def test_our_end_leaves_the_other_direction_open(origin_tls: OriginTls) -> None:
    async with half_closing_tls(origin_tls.server(), origin_tls.ca) as ends:
        ours, theirs, _ = ends
        ours.write(b"last")
        assert ours.send_eof()
        assert ours.send_eof()
        assert await theirs.read() == b"last"
        assert await theirs.read() == b""
        await theirs.send(b"an answer")

        assert await ours.read(PATIENT_S) == b"an answer"
        assert ours.is_usable


async def test_our_end_loses_nothing_that_is_here_already(
    origin_tls: OriginTls,
) -> None:
    async with half_closing_tls(origin_tls.server(), origin_tls.ca) as ends:
        ours, theirs, _ = ends
        await theirs.send(b"one ")
        assert await ours.read(PATIENT_S) == b"one "
        for piece in (b"two ", b"three ", b"." * 30_000):
            await theirs.send(piece)
        await turns()
        ours.send_eof()

        rest = await read_exactly(ours, 10 + 30_000)
        assert rest == b"two three " + b"." * 30_000


async def test_the_peers_end_leaves_our_direction_open(origin_tls: OriginTls) -> None:
    async with half_closing_tls(origin_tls.server(), origin_tls.ca) as ends:
        ours, theirs, peer = ends
        await theirs.send(b"question")
        peer.send_eof()

        assert await ours.read(PATIENT_S) == b"question"
        assert await ours.read(PATIENT_S) == b""
        assert not ours.is_usable
        ours.write(b"answer")
        assert await theirs.read() == b"answer"


async def test_all_of_many_tiny_records_comes_and_then_the_end(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_session, "MAX_RECORDS_AT_ONCE", 10)
    data = bytes(range(250)) * 4
    async with half_closing_tls(origin_tls.server(), origin_tls.ca) as ends:
        ours, theirs, peer = ends
        await theirs.send_each(bytes((one,)) for one in data)
        peer.send_eof()

        pieces = []
        while piece := await ours.read(PATIENT_S):
            pieces.append(piece)
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 10


async def test_damaged_records_are_a_lost_stream(origin_tls: OriginTls) -> None:
    async with half_closing_tls(origin_tls.server(), origin_tls.ca) as ends:
        ours, _, peer = ends
        await peer.send(b"\x17\x03\x03\x00\x20" + b"!" * 32)

        with pytest.raises(StreamLost, match="TLS failed"):
            await ours.read(PATIENT_S)
        ours.write(b"must not raise")
        ours.write([b"nor", b"this"])
        await ours.aclose()


async def test_a_peer_is_told_by_an_alert_why_its_handshake_failed(
    origin_tls: OriginTls,
) -> None:
    inbound, peer = await accepted()
    below = inbound.stream
    hello = BioTls(peer, origin_tls.ca, "localhost").hello()
    await peer.send(hello[:9] + b"\x00" + hello[10:])  # TLS 0.3

    with pytest.raises(ssl.SSLError):
        await TlsStream.accept(below, origin_tls.server(), PATIENT_S)

    await below.aclose()
    alert = await peer.read_to_end()
    assert alert[:1] == b"\x15"
    await peer.aclose()


async def test_a_peer_that_leaves_in_the_handshake_is_lost(
    origin_tls: OriginTls,
) -> None:
    inbound, peer = await accepted()
    below = inbound.stream
    hello = BioTls(peer, origin_tls.ca, "localhost").hello()
    await peer.send(hello[: len(hello) // 2])
    peer.send_eof()

    with pytest.raises(StreamLost, match="handshake"):
        await TlsStream.accept(below, origin_tls.server(), PATIENT_S)
    below.abort()
    await peer.aclose()


async def test_the_handshake_has_one_deadline_for_all_its_bytes(
    origin_tls: OriginTls,
) -> None:
    inbound, peer = await accepted()
    below = inbound.stream
    hello = BioTls(peer, origin_tls.ca, "localhost").hello()

    async def drip() -> None:
        for at in range(len(hello)):
            await peer.send(hello[at : at + 1])
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(StreamTimeout):
            await TlsStream.accept(below, origin_tls.server(), 0.2)
    dripping.cancel()
    await asyncio.wait([dripping])
    below.abort()
    await peer.aclose()


@pytest.mark.parametrize("outer", ["tcp", "tls", "tls-in-memory"])
async def test_tls_runs_inside_of_any_stream(origin_tls: OriginTls, outer: str) -> None:
    async with stream_pair(outer, origin_tls) as pair:
        theirs = BioTls(pair.theirs, origin_tls.ca, "localhost")
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(
                Inbound(pair.ours).to_tls(origin_tls.server(), PATIENT_S)
            )
            group.create_task(theirs.handshake())
        inner = accepting.result()

        await theirs.send(b"x" * 100_000)
        assert await read_exactly(inner, 100_000) == b"x" * 100_000
        inner.write(b"and back")
        assert await theirs.read() == b"and back"
        assert inner.ssl_object is not pair.ours.ssl_object
        assert inner.peer == pair.ours.peer
