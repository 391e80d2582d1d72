import asyncio
from collections.abc import AsyncIterator

import pytest

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
    OriginReset,
    OriginTimeout,
)
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.proxy.upstream.h2_client import H2Exchange, H2Origin
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import H2Event, StreamData, StreamEnd, StreamReset
from int3rceptor.wire.h2.faults import H2Code
from tests.support import frames
from tests.support.fake_stream import FakeStream
from tests.support.patience import PATIENT_S
from tests.support.pool import Deadlines
from tests.support.streams import turns
from tests.support.upstream import ORIGIN, Feed, Home, Informed, request

SOON = Deadlines(first_byte_timeout_s=0.05, idle_timeout_s=0.05)
MUCH = 4 * 1024 * 1024


class Bench:
    """A connection over a fake stream, and the origin's codec driven by hand."""

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self.stream = FakeStream()
        self.home = Home()
        self.informed = Informed()
        self.origin = H2Codec("server")
        self.heard: list[H2Event] = []
        self.origin.start()
        self.connection = H2Origin(
            ORIGIN, self.stream, None, self.home, deadlines or Deadlines()
        )

    async def carry(self) -> None:
        """Bytes in both directions until nothing moves."""
        for _ in range(10):
            await turns()
            sent = bytes(self.stream.sent)
            self.stream.sent.clear()
            if sent:
                self.heard += self.origin.receive(sent)
            if back := self.origin.take_output():
                self.stream.arrive(back)
        await turns()

    async def ask(self, what: Request | None = None) -> asyncio.Task[H2Exchange]:
        assert self.connection.reserve()
        asking = asyncio.create_task(
            self.connection.exchange(what or request(), self.informed)
        )
        await self.carry()
        return asking

    async def answer(
        self, stream_id: int = 1, body: bytes = b"", *, end: bool = True
    ) -> None:
        whole = end and not body
        self.origin.send_response_head(
            stream_id,
            self.origin.response_head(stream_id, Response(status=200)),
            end=whole,
        )
        if body:
            self.origin.send_data(stream_id, body, end=end)
        await self.carry()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.carry()
    made.home.told.clear()
    yield made
    made.connection.close()
    await made.connection.ended_tasks()


async def test_a_request_and_its_answer(bench: Bench) -> None:
    asking = await bench.ask()
    await bench.answer(body=b"ok")
    answer = await asking
    await answer.settle()

    assert answer.response.status == 200
    assert answer.response.version == "HTTP/2"
    assert answer.info.version == "HTTP/2"
    assert await answer.response.body.read(100) == b"ok"
    assert bench.connection.is_idle
    assert "has_room" in bench.home.told
    assert "discard" not in bench.home.told


async def test_many_at_once(bench: Bench) -> None:
    tasks = [await bench.ask() for _ in range(5)]
    for number in (9, 1, 5, 3, 7):
        await bench.answer(number, b"%d" % number)

    bodies = [await (await one).response.body.read(10) for one in tasks]
    assert bodies == [b"1", b"3", b"5", b"7", b"9"]


async def test_trailers_come_with_the_end(bench: Bench) -> None:
    asking = await bench.ask()
    await bench.answer(body=b"abc", end=False)
    body = (await asking).response.body
    assert await body.chunk() == b"abc"
    bench.origin.send_trailers(1, Headers([(b"check", b"1")]))
    await bench.carry()

    assert await body.chunk() == b""
    assert body.trailers == Headers([(b"check", b"1")])
    assert bench.connection.is_idle


async def test_informational_responses_are_passed_on(bench: Bench) -> None:
    asking = await bench.ask()
    bench.origin.send_informational(1, Informational(status=103))
    await bench.answer()
    await asking

    assert [head.status for head in bench.informed.heads] == [103]


async def test_a_reset_is_the_exchanges_alone(bench: Bench) -> None:
    first, second = await bench.ask(), await bench.ask()
    bench.origin.reset(1, H2Code.REFUSED_STREAM)
    await bench.answer(3, b"ok")

    with pytest.raises(OriginReset) as raised:
        await first
    assert raised.value.is_unprocessed
    assert raised.value.code == H2Code.REFUSED_STREAM
    assert (await second).response.status == 200
    assert bench.connection.is_usable


async def test_a_malformed_answer_is_no_cancelling_of_the_origins(
    bench: Bench,
) -> None:
    first, second = await bench.ask(), await bench.ask()
    bench.stream.arrive(frames.header_block(1, b"\x08\x03600"))
    await bench.answer(3, b"ok")

    with pytest.raises(OriginProtocolError, match="the status b'600' is not one of"):
        await first
    assert (await second).response.status == 200


async def test_a_reset_in_the_middle_of_a_body(bench: Bench) -> None:
    asking = await bench.ask()
    await bench.answer(body=b"half", end=False)
    body = (await asking).response.body
    bench.origin.reset(1, H2Code.INTERNAL_ERROR)
    await bench.carry()

    assert await body.chunk() == b"half"
    with pytest.raises(OriginReset, match="INTERNAL_ERROR"):
        await body.chunk()
    assert bench.connection.is_idle


async def test_a_connection_that_ends_fails_what_is_on_it(bench: Bench) -> None:
    tasks = [await bench.ask() for _ in range(3)]
    bench.stream.finish()
    await turns(10)

    for one in tasks:
        with pytest.raises(OriginClosed):
            await one
    assert bench.home.told.count("discard") == 1
    assert not bench.connection.reserve()


async def test_nonsense_fails_what_is_on_it(bench: Bench) -> None:
    asking = await bench.ask()
    bench.stream.arrive(b"\0\0\1\7\0\0\0\0\0!" + b"x" * 100)

    with pytest.raises(OriginProtocolError):
        await asking
    assert bench.home.told.count("discard") == 1


async def test_goaway_lets_what_is_on_it_go_on(bench: Bench) -> None:
    asking = await bench.ask()
    bench.origin.shutdown()
    await bench.carry()
    assert "retire" in bench.home.told
    assert not bench.connection.reserve()
    assert not asking.done()
    await bench.answer(body=b"ok")

    assert await (await asking).response.body.read(10) == b"ok"
    await turns()
    assert "discard" in bench.home.told


async def test_an_idle_connection_that_is_told_goaway_closes(bench: Bench) -> None:
    bench.origin.shutdown()
    await bench.carry()

    assert "discard" in bench.home.told
    assert bench.stream.is_aborted


async def test_giving_up_resets_the_stream_alone(bench: Bench) -> None:
    first, second = await bench.ask(), await bench.ask()
    first.cancel()
    await asyncio.wait([first])
    await bench.carry()
    await bench.answer(3)

    resets = [one for one in bench.heard if isinstance(one, StreamReset)]
    assert [(one.stream_id, one.code) for one in resets] == [(1, H2Code.CANCEL)]
    assert (await second).response.status == 200


async def test_no_more_places_than_the_origin_allows(bench: Bench) -> None:
    count = 0
    while bench.connection.reserve():
        count += 1
        assert count < 10_000

    assert count == bench.connection.codec.peer_max_streams
    bench.connection.unreserve()
    assert bench.connection.reserve()


async def test_an_upload_and_its_answer(bench: Bench) -> None:
    feed = Feed()
    asking = await bench.ask(request("POST", body=Body(source=feed)))
    feed.put(b"abc")
    await bench.carry()
    feed.put(b"def")
    feed.end()
    await bench.answer(body=b"ok")
    await (await asking).settle()
    await bench.carry()

    data = [one.data for one in bench.heard if isinstance(one, StreamData)]
    assert b"".join(data) == b"abcdef"
    assert StreamEnd(1, None) in bench.heard


async def test_who_has_settled_reads_the_requests_body_no_more(bench: Bench) -> None:
    class Watched(Feed):
        is_read = False

        async def next_chunk(self) -> bytes:
            self.is_read = True
            try:
                return await super().next_chunk()
            finally:
                self.is_read = False

    feed = Watched()

    async def ask() -> bool:
        exchange = await bench.connection.exchange(
            request("POST", body=Body(source=feed)), bench.informed
        )
        await exchange.settle()
        return feed.is_read

    assert bench.connection.reserve()
    asking = asyncio.create_task(ask())
    await bench.carry()
    assert feed.is_read
    head = bench.origin.response_head(1, Response(status=413))
    bench.origin.send_response_head(1, head, end=True)
    bench.origin.reset(1, H2Code.NO_ERROR)  # RFC 9113, 8.1: it wants no more of it
    await bench.carry()

    assert await asking is False


async def test_the_clients_failure_is_the_clients(bench: Bench) -> None:
    feed = Feed()
    asking = await bench.ask(request("POST", body=Body(source=feed)))
    feed.fail(ClientProtocolError("bad chunk"))
    await bench.carry()

    with pytest.raises(ClientProtocolError, match="bad chunk"):
        await asking
    await bench.carry()
    assert any(isinstance(one, StreamReset) for one in bench.heard)
    assert bench.connection.is_usable


async def hurried(what: Request) -> asyncio.Task[H2Exchange]:
    """The exchange of a connection with short deadlines, when it is over."""
    bench = Bench(SOON)
    await bench.carry()
    asking = await bench.ask(what)
    await asyncio.wait([asking], timeout=PATIENT_S)
    bench.connection.close()
    await bench.connection.ended_tasks()
    return asking


async def test_an_origin_that_says_nothing() -> None:
    asking = await hurried(request())

    with pytest.raises(OriginTimeout):
        await asking


async def test_an_origin_that_takes_no_request_is_the_origins_failure() -> None:
    asking = await hurried(request("POST", body=Body(bytes(MUCH))))

    with pytest.raises(OriginTimeout):
        await asking
