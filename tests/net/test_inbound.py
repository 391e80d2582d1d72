"""Peeking, taking and answering, and what a connection goes on as."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net.inbound import Inbound
from tests.support.bio_tls import BioTls
from tests.support.h1_peer import H1Peer
from tests.support.origin_tls import OriginTls
from tests.support.patience import PATIENT_S
from tests.support.streams import (
    eventually,
    inbound_pair,
    read_exactly,
    stop_reading,
    stream_pair,
    stuck,
    turns,
)

SOON_S = 0.05


@dataclass(slots=True, kw_only=True)
class Ends:
    inbound: Inbound
    theirs: H1Peer


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with inbound_pair() as (inbound, theirs):
        yield Ends(inbound=inbound, theirs=theirs)


async def test_peeking_takes_nothing(ends: Ends) -> None:
    await ends.theirs.send(b"hello")

    assert await ends.inbound.peek(5, PATIENT_S) == b"hello"
    assert await ends.inbound.peek(1, PATIENT_S) == b"hello"
    stream = ends.inbound.stream
    assert await read_exactly(stream, 5) == b"hello"


async def test_peek_waits_until_enough_is_there(ends: Ends) -> None:
    peeking = asyncio.create_task(ends.inbound.peek(6, PATIENT_S))
    for piece in (b"ab", b"cd", b"ef"):
        await turns()
        assert not peeking.done()
        await ends.theirs.send(piece)

    assert await peeking == b"abcdef"


async def test_peek_gives_less_only_at_the_end(ends: Ends) -> None:
    await ends.theirs.send(b"abc")
    ends.theirs.send_eof()

    assert await ends.inbound.peek(10, PATIENT_S) == b"abc"
    await ends.inbound.consume(3)
    assert await ends.inbound.peek(1, PATIENT_S) == b""


async def test_peek_gives_up_at_its_deadline_and_keeps_what_came(ends: Ends) -> None:
    await ends.theirs.send(b"abc")
    with pytest.raises(StreamTimeout):
        await ends.inbound.peek(4, SOON_S)

    assert await ends.inbound.peek(3, PATIENT_S) == b"abc"
    await ends.theirs.send(b"d")
    assert await ends.inbound.peek(4, PATIENT_S) == b"abcd"


async def test_the_deadline_of_a_peek_is_for_all_its_bytes(ends: Ends) -> None:
    async def drip() -> None:
        while True:
            await ends.theirs.send(b"x")
            await asyncio.sleep(SOON_S / 5)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(StreamTimeout):
            await ends.inbound.peek(1000, 2 * SOON_S)
    dripping.cancel()
    await asyncio.wait([dripping])


async def test_a_cancelled_peek_loses_nothing(ends: Ends) -> None:
    await ends.theirs.send(b"abc")
    assert await stuck(ends.inbound.peek(4, PATIENT_S), SOON_S)

    assert await ends.inbound.peek(3, PATIENT_S) == b"abc"


async def test_after_a_peek_for_many_one_byte_is_enough(ends: Ends) -> None:
    with pytest.raises(StreamTimeout):
        await ends.inbound.peek(1000, SOON_S)
    stream = ends.inbound.stream
    await ends.theirs.send(b"x")

    assert await stream.read(PATIENT_S) == b"x"


async def test_a_reset_is_a_lost_stream(ends: Ends) -> None:
    peeking = asyncio.create_task(ends.inbound.peek(1, PATIENT_S))
    await turns()
    ends.theirs.reset()

    with pytest.raises(StreamLost):
        await peeking


async def test_consume_takes_exactly_so_many(ends: Ends) -> None:
    await ends.theirs.send(b"CONNECT\r\n\r\nrest")
    await ends.inbound.peek(15, PATIENT_S)
    await ends.inbound.consume(11)

    assert await ends.inbound.peek(4, PATIENT_S) == b"rest"
    stream = ends.inbound.stream
    assert await read_exactly(stream, 4) == b"rest"


async def test_consume_ends_when_there_is_less(ends: Ends) -> None:
    await ends.theirs.send(b"abc")
    ends.theirs.send_eof()
    await ends.inbound.peek(4, PATIENT_S)

    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(StreamLost):
            await ends.inbound.consume(4)


async def test_an_answer_in_the_clear_comes_first(ends: Ends) -> None:
    await ends.inbound.send(b"200 ", PATIENT_S)
    stream = ends.inbound.stream
    stream.write(b"then more")

    assert await ends.theirs.read_exactly(13) == b"200 then more"


async def test_abort_ends_the_connection(ends: Ends) -> None:
    ends.inbound.abort()

    assert await ends.theirs.read_to_end() == b""


async def test_it_knows_the_client(ends: Ends) -> None:
    assert ends.inbound.peer == ends.theirs.writer.get_extra_info("sockname")


async def test_tls_begins_with_the_hello_that_was_peeked(
    ends: Ends, origin_tls: OriginTls
) -> None:
    theirs = BioTls(ends.theirs, origin_tls.ca, "localhost")
    hello = theirs.hello()
    await ends.theirs.send(b"CONNECT\r\n" + hello)
    await ends.inbound.peek(9, PATIENT_S)
    await ends.inbound.consume(9)
    assert await ends.inbound.peek(len(hello), PATIENT_S) == hello

    async with asyncio.TaskGroup() as group:
        secured = group.create_task(ends.inbound.to_tls(origin_tls.server(), PATIENT_S))
        group.create_task(theirs.handshake())

    await theirs.send(b"secret")
    assert await secured.result().read(PATIENT_S) == b"secret"
    secured.result().abort()


async def test_a_client_that_speaks_no_tls_fails_the_handshake(
    ends: Ends, origin_tls: OriginTls
) -> None:
    await ends.theirs.send(b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises(ssl.SSLError):
        await ends.inbound.to_tls(origin_tls.server(), PATIENT_S)


async def test_a_client_that_leaves_in_the_handshake_is_lost(
    ends: Ends, origin_tls: OriginTls
) -> None:
    hello = BioTls(ends.theirs, origin_tls.ca, "localhost").hello()
    await ends.theirs.send(hello[:50])
    ends.theirs.reset()

    with pytest.raises(StreamLost):
        await ends.inbound.to_tls(origin_tls.server(), PATIENT_S)


@pytest.mark.parametrize("below", ["tcp", "tls"])
async def test_a_client_that_is_silent_in_the_handshake_is_given_up(
    below: str, origin_tls: OriginTls
) -> None:
    async with stream_pair(below, origin_tls) as pair:
        hello = BioTls(pair.theirs, origin_tls.ca, "localhost").hello()
        await pair.theirs.send(hello[:50])

        told = "^the client did not finish the TLS handshake within 0.05 s$"
        with pytest.raises(StreamLost, match=told):
            await Inbound(pair.ours).to_tls(origin_tls.server(), SOON_S)


async def test_a_large_hello_is_peeked_whole(ends: Ends) -> None:
    data = bytes(60_000)
    sending = asyncio.create_task(ends.theirs.send(data))

    assert await ends.inbound.peek(len(data), PATIENT_S) == data
    await sending


async def test_a_client_that_takes_no_answer_is_not_waited_for(ends: Ends) -> None:
    stop_reading(ends.theirs)
    while ends.inbound.stream.has_room:
        ends.inbound.stream.write(bytes(65536))
        await turns(1)

    with pytest.raises(StreamTimeout):
        await ends.inbound.send(b"more", SOON_S)


async def test_what_is_aborted_is_what_the_connection_became(
    ends: Ends, origin_tls: OriginTls
) -> None:
    theirs = BioTls(ends.theirs, origin_tls.ca, "localhost")
    async with asyncio.TaskGroup() as group:
        group.create_task(ends.inbound.to_tls(origin_tls.server(), PATIENT_S))
        group.create_task(theirs.handshake())
    ends.inbound.abort()

    assert not ends.inbound.stream.is_usable
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        await theirs.read()


async def test_who_left_before_the_handshake_is_lost(
    ends: Ends, origin_tls: OriginTls
) -> None:
    hello = BioTls(ends.theirs, origin_tls.ca, "localhost").hello()
    await ends.theirs.send(hello)
    ends.theirs.send_eof()
    assert len(await ends.inbound.peek(len(hello) + 1, PATIENT_S)) == len(hello)

    with pytest.raises(StreamLost):
        await ends.inbound.to_tls(origin_tls.server(), PATIENT_S)


async def test_who_was_reset_before_the_handshake_is_lost(
    ends: Ends, origin_tls: OriginTls
) -> None:
    ends.theirs.reset()
    await eventually(lambda: not ends.inbound.stream.is_usable)

    with pytest.raises(StreamLost):
        await ends.inbound.to_tls(origin_tls.server(), PATIENT_S)
