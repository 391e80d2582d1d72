"""Broken responses, and what is ignored or answered."""

import pytest
from hyperframe.frame import (
    PingFrame,
    SettingsFrame,
)

from int3rceptor.errors import OriginProtocolError
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.h2.events import (
    StreamEnd,
    StreamHead,
    StreamReset,
)
from tests.support import frames
from tests.support.frames import GET, OK, POST, Crafted, of_kind

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 1, 3, 5
FRAME_SIZE_ERROR, REFUSED_STREAM, COMPRESSION_ERROR, CALM = 6, 7, 9, 11

LENGTH_5 = (*POST, (b"content-length", b"5"))


def request(method: str = "GET") -> Request:
    return Request(
        method=method,
        scheme="https",
        host="a.test",
        port=443,
        target=b"/",
        authority="a.test",
        version="HTTP/2",
        headers=Headers(),
    )


def answer(peer: Crafted, stream_id: int) -> None:
    peer.codec.send_response_head(
        stream_id, peer.codec.response_head(stream_id, Response(status=204)), end=True
    )


def assert_usable(peer: Crafted, stream_id: int = 99) -> None:
    """The connection still carries an exchange."""
    if peer.codec.error_code is not None:
        raise AssertionError("the connection is over")
    events = peer.receive(peer.head(stream_id, GET))
    assert isinstance(events[0], StreamHead)
    answer(peer, stream_id)
    assert peer.codec.take_output()


BAD_RESPONSES = {
    "no status": ((b"a", b"b"),),
    "two digits": ((b":status", b"20"),),
    "text": ((b":status", b"+20"),),
    "method": ((b":status", b"200"), (b":method", b"GET")),
    "length and no body": (*OK, (b"content-length", b"5")),
    "1xx at the end": ((b":status", b"100"),),
}


@pytest.mark.parametrize("fields", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_a_malformed_response_costs_its_stream_only(fields: frames.Fields) -> None:
    peer = Crafted("client")
    bad = peer.codec.open_stream(request(), end=True)
    good = peer.codec.open_stream(request(), end=True)
    peer.codec.take_output()
    events = peer.receive(peer.head(bad, fields), peer.head(good, OK))
    assert isinstance(events[0], StreamReset)
    assert (events[0].stream_id, events[0].by_peer) == (bad, False)
    assert isinstance(events[1], StreamHead)
    assert frames.error_codes(peer.output()) == [PROTOCOL_ERROR]


def test_there_is_no_switch_of_protocols() -> None:
    peer = Crafted("client")
    stream_id = peer.codec.open_stream(request(), end=True)
    (event,) = peer.receive(peer.head(stream_id, ((b":status", b"101"),), end=False))
    assert isinstance(event, StreamReset)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200"), ("GET", b"304"), ("GET", b"204")]
)
def test_answers_without_content_may_declare_a_length(
    method: str, status: bytes
) -> None:
    peer = Crafted("client")
    one = peer.codec.open_stream(request(method), end=True)
    other = peer.codec.open_stream(request(method), end=True)
    head = ((b":status", status), (b"content-length", b"5"))
    events = peer.receive(
        peer.head(one, head, end=False),
        frames.data(one, end=True),
        peer.head(other, head, end=False),
        frames.data(other, b"12345"),
    )
    assert events[1] == StreamEnd(one, None)
    assert isinstance(events[3], StreamReset)


def test_data_before_the_response_costs_the_stream() -> None:
    peer = Crafted("client")
    stream_id = peer.codec.open_stream(request(), end=True)
    events = peer.receive(frames.data(stream_id, b"x"))
    assert isinstance(events[0], StreamReset)


def test_a_flood_of_informational_responses_costs_the_stream() -> None:
    peer = Crafted("client")
    stream_id = peer.codec.open_stream(request(), end=True)
    early = [peer.head(stream_id, ((b":status", b"103"),), end=False)] * 65
    events = peer.receive(*early)
    assert len([e for e in events if isinstance(e, StreamHead)]) == 64
    assert isinstance(events[-1], StreamReset)


def test_a_push_ends_the_connection() -> None:
    peer = Crafted("client")
    stream_id = peer.codec.open_stream(request(), end=True)
    with pytest.raises(OriginProtocolError, match="PUSH_PROMISE"):
        peer.receive(frames.push_promise(stream_id, 2, b"\x82"))


def test_refused_streams_are_unprocessed() -> None:
    peer = Crafted("client")
    stream_id = peer.codec.open_stream(request(), end=True)
    assert peer.receive(frames.rst(stream_id, REFUSED_STREAM)) == [
        StreamReset(
            stream_id=stream_id, code=REFUSED_STREAM, by_peer=True, is_unprocessed=True
        )
    ]


# --- what is ignored or answered -----------------------------------------------------


def test_ping_and_settings_are_answered() -> None:
    peer = Crafted("server")
    peer.receive(frames.ping(b"abcdefgh"), frames.ping(ack=True), frames.settings())
    sent = peer.output()
    assert [f.opaque_data for f in of_kind(sent, PingFrame)] == [b"abcdefgh"]
    assert ["ACK" in f.flags for f in of_kind(sent, SettingsFrame)] == [True]


def test_unknown_frames_settings_and_priorities_are_ignored() -> None:
    peer = Crafted("server")
    peer.receive(
        frames.raw_frame(0x0A, 0, 0, b"altsvc"),
        frames.raw_frame(0x10, 0xFF, 7, b"priority update"),
        frames.settings({0x0A0A: 5, 9: 1}),
        frames.priority(1, depends_on=1),
        frames.priority(77),
    )
    assert len(peer.output()) == 1
    assert_usable(peer)


def test_the_peers_table_size_does_not_grow_ours() -> None:
    peer = Crafted("server")
    peer.receive(frames.settings({1: 2**31}), peer.head(1, GET))
    big = [(b"x-%d" % i, b"v" * 500) for i in range(60)]
    response = Response(status=200, headers=Headers(big))
    peer.codec.send_response_head(1, peer.codec.response_head(1, response), end=True)
    first = len(peer.codec.take_output())
    peer.receive(peer.head(3, GET))
    peer.codec.send_response_head(3, peer.codec.response_head(3, response), end=True)
    # Had all sixty stayed in the table, the second block would be a tenth of this.
    assert len(peer.codec.take_output()) > first * 0.5
