import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from int3rceptor.errors import OriginProtocolError, StreamError, StreamLost
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.proxy.h2_mux import H2Mux
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import H2Event, StreamData, StreamEnd, StreamHead
from int3rceptor.wire.h2.limits import MAX_FRAMES_AT_ONCE
from tests.support.fake_stream import FakeStream
from tests.support.streams import stuck, turns
from tests.support.upstream import request

MUCH = 4 * 1024 * 1024


@dataclass(slots=True)
class Wire:
    """A client's mux over a fake stream; its origin is a codec driven by hand."""

    stream: FakeStream
    codec: H2Codec
    mux: H2Mux
    origin: H2Codec
    events: list[H2Event] = field(default_factory=list)
    heard: list[H2Event] = field(default_factory=list)

    async def carry(self) -> list[H2Event]:
        """Bytes in both directions until nothing moves; what the origin heard now."""
        before = len(self.heard)
        for _ in range(10):
            await turns()
            sent = bytes(self.stream.sent)
            self.stream.sent.clear()
            if sent:
                self.heard += self.origin.receive(sent)
            if back := self.origin.take_output():
                self.stream.arrive(back)
        await turns()
        return self.heard[before:]

    def open(self, body: Body | None = None) -> int:
        what = request("POST", body=body)
        number = self.codec.open_stream(what, end=False)
        self.mux.flush_soon()
        return number


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    stream, codec, origin = FakeStream(), H2Codec("client"), H2Codec("server")
    events: list[H2Event] = []
    made = Wire(stream, codec, H2Mux(stream, codec, events.append, 5.0), origin, events)
    origin.start()
    running = asyncio.create_task(made.mux.run())
    await made.carry()
    yield made
    stream.finish()
    await asyncio.wait([running])
    if not running.cancelled():
        running.exception()


def received(events: list[H2Event]) -> bytes:
    return b"".join(one.data for one in events if isinstance(one, StreamData))


async def test_a_flood_of_tiny_frames_lets_others_run_and_is_joined(wire: Wire) -> None:
    number, many = wire.open(), 20 * MAX_FRAMES_AT_ONCE
    await wire.carry()
    head = wire.origin.response_head(number, Response(status=200))
    wire.origin.send_response_head(number, head, end=False)
    await wire.carry()
    inbox = wire.mux.open_inbox(
        next(one for one in wire.events if isinstance(one, StreamHead)), 5.0
    )
    for _ in range(many):
        wire.origin.send_data(number, b"a")

    wire.stream.arrive(wire.origin.take_output())
    had_turns = 0
    for _ in range(40):
        await turns(1)
        had_turns += wire.codec.is_behind
    wire.origin.end(number)
    await wire.carry()

    pieces = []
    while data := await inbox.next_chunk():
        pieces.append(len(data))
    assert had_turns >= 19
    assert (sum(pieces), len(pieces)) == (many, 2)


async def test_the_preface_is_sent_first(wire: Wire) -> None:
    number = wire.open()
    heard = await wire.carry()

    assert any(isinstance(one, StreamHead) for one in heard)
    assert wire.codec.is_open(number)


async def test_a_body_waits_for_its_window(wire: Wire) -> None:
    number = wire.open()
    await wire.carry()
    window = wire.codec.window(number)
    data = random.Random(1).randbytes(2 * window + 1)
    sending = asyncio.create_task(wire.mux.send_body(number, Body(data)))
    first = received(await wire.carry())
    assert first == data[:window]
    assert not sending.done()

    got = first
    while not sending.done():
        wire.origin.consumed(number, len(first))
        first = received(await wire.carry())
        got += first
        assert first or sending.done()
    await sending
    assert got == data


async def test_an_empty_body_ends_the_stream(wire: Wire) -> None:
    number = wire.open()
    await wire.mux.send_body(number, Body())

    assert StreamEnd(number, None) in await wire.carry()


async def test_trailers_end_the_stream(wire: Wire) -> None:
    number = wire.open()
    trailers = Headers([(b"check", b"1")])
    await wire.mux.send_body(number, Body(b"abc", trailers=trailers))
    heard = await wire.carry()

    assert received(heard) == b"abc"
    assert StreamEnd(number, trailers) in heard


async def test_a_stream_that_is_reset_wakes_its_sender(wire: Wire) -> None:
    number = wire.open()
    sending = asyncio.create_task(wire.mux.send_body(number, Body(bytes(MUCH))))
    await wire.carry()
    wire.origin.reset(number)
    await wire.carry()

    with pytest.raises(StreamLost):
        await sending


async def test_the_end_of_the_connection_wakes_its_senders(wire: Wire) -> None:
    number = wire.open()
    sending = asyncio.create_task(wire.mux.send_body(number, Body(bytes(MUCH))))
    await wire.carry()
    wire.stream.finish()

    with pytest.raises(StreamError):
        await sending


async def answered(wire: Wire) -> StreamHead:
    """The head of a response whose body follows."""
    number = wire.open()
    await wire.carry()
    wire.origin.send_response_head(
        number, wire.origin.response_head(number, Response(status=200)), end=False
    )
    await wire.carry()
    head = next(one for one in wire.events if isinstance(one, StreamHead))
    return head


async def test_an_inbox_gives_what_came(wire: Wire) -> None:
    head = await answered(wire)
    inbox = wire.mux.open_inbox(head, 5.0)
    wire.origin.send_data(head.stream_id, b"abc")
    await wire.carry()
    assert await inbox.next_chunk() == b"abc"
    wire.origin.send_trailers(head.stream_id, Headers([(b"check", b"1")]))
    await wire.carry()

    assert inbox.has_ended
    assert await inbox.next_chunk() == b""
    assert inbox.trailers() == Headers([(b"check", b"1")])


async def test_an_inbox_that_is_not_read_is_bounded(wire: Wire) -> None:
    head = await answered(wire)
    wire.mux.open_inbox(head, 5.0)
    sent = 0
    while (window := wire.origin.window(head.stream_id)) > 0:
        wire.origin.send_data(head.stream_id, bytes(min(window, 16_384)))
        sent += min(window, 16_384)
        await wire.carry()
        assert sent < 10_000_000

    # The connection's own window stays open: other streams go on.
    other = wire.open()
    await wire.carry()
    wire.origin.send_response_head(
        other, wire.origin.response_head(other, Response(status=200)), end=False
    )
    assert wire.origin.window(other) > 0


async def test_reading_an_inbox_opens_the_window(wire: Wire) -> None:
    head = await answered(wire)
    inbox = wire.mux.open_inbox(head, 5.0)
    while (window := wire.origin.window(head.stream_id)) > 0:
        wire.origin.send_data(head.stream_id, bytes(min(window, 16_384)))
        await wire.carry()
    reading = asyncio.create_task(drain(inbox.next_chunk))
    await wire.carry()
    reading.cancel()
    await asyncio.wait([reading])

    assert wire.origin.window(head.stream_id) > 0


async def drain(next_chunk: object) -> None:
    assert callable(next_chunk)
    while True:
        await next_chunk()


async def test_an_inbox_that_failed_gives_first_what_came(wire: Wire) -> None:
    head = await answered(wire)
    inbox = wire.mux.open_inbox(head, 5.0)
    inbox.put(b"half")
    inbox.fail(StreamLost("gone"))

    assert await inbox.next_chunk() == b"half"
    for _ in range(2):
        with pytest.raises(StreamLost, match="gone"):
            await inbox.next_chunk()


async def test_a_failure_after_the_end_changes_nothing(wire: Wire) -> None:
    head = await answered(wire)
    inbox = wire.mux.open_inbox(head, 5.0)
    inbox.put(b"all")
    inbox.end(None)
    inbox.fail(StreamLost("gone"))

    assert inbox.take_whole() == b"all"
    assert await inbox.next_chunk() == b""


async def test_a_whole_content_is_taken_only_when_it_is_whole(wire: Wire) -> None:
    head = await answered(wire)
    inbox = wire.mux.open_inbox(head, 5.0)
    inbox.put(b"a")
    assert inbox.take_whole() is None
    inbox.put(b"b")
    inbox.end(None)

    assert inbox.take_whole() == b"ab"


async def test_a_peer_that_breaks_the_protocol_is_told(wire: Wire) -> None:
    stream, codec = FakeStream(), H2Codec("client")
    mux = H2Mux(stream, codec, lambda _: None, 5.0)
    stream.arrive(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(OriginProtocolError):
        await mux.run()
    assert b"\x07" in stream.sent  # GOAWAY


async def test_an_idle_connection_ends_itself(wire: Wire) -> None:
    stream, codec = FakeStream(), H2Codec("client")
    mux = H2Mux(stream, codec, lambda _: None, 0.02)

    assert not await stuck(mux.run(), 5.0)
    assert codec.is_closing


async def test_many_streams_are_written_at_once(wire: Wire) -> None:
    for _ in range(10):
        wire.open()
    await turns(3)
    sent = bytes(wire.stream.sent)
    heads = [one for one in wire.origin.receive(sent) if isinstance(one, StreamHead)]

    assert len(heads) == 10
