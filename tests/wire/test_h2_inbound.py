"""Broken requests and frames: what costs a stream, what the connection."""

from collections.abc import Callable

import pytest
from hyperframe.frame import (
    GoAwayFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from int3rceptor.errors import ClientProtocolError, OriginProtocolError
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    StreamHead,
    StreamRefused,
    StreamReset,
    WindowOpened,
)
from int3rceptor.wire.sniff import H2_PREFACE
from tests.support import frames
from tests.support.frames import GET, POST, Crafted, of_kind

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


MALFORMED = {
    "uppercase name": (*GET, (b"X-Up", b"1")),
    "no token": (*GET, (b"a b", b"1")),
    "empty name": (*GET, (b"", b"1")),
    "newline": (*GET, (b"a", b"1\r\nb: 2")),
    "nul": (*GET, (b"a", b"\0")),
    "leading space": (*GET, (b"a", b" 1")),
    "trailing tab": (*GET, (b"a", b"1\t")),
    "connection": (*GET, (b"connection", b"close")),
    "transfer-encoding": (*GET, (b"transfer-encoding", b"chunked")),
    "te gzip": (*GET, (b"te", b"gzip")),
    "no method": GET[1:],
    "no path": GET[:3],
    "no scheme": (GET[0], *GET[2:]),
    "no authority": (*GET[:2], GET[3]),
    "method twice": (GET[0], *GET),
    "unknown pseudo": (*GET, (b":protocol", b"websocket")),
    "pseudo late": (*GET[:3], (b"a", b"1"), GET[3]),
    "status in a request": (*GET, (b":status", b"200")),
    "relative path": (*GET[:3], (b":path", b"x")),
    "empty path": (*GET[:3], (b":path", b"")),
    "space in path": (*GET[:3], (b":path", b"/a b")),
    "url as path": (*GET[:3], (b":path", b"http://b.test/")),
    "star with GET": (*GET[:3], (b":path", b"*")),
    "user information": (*GET[:2], (b":authority", b"u@a.test"), GET[3]),
    "other host": (*GET, (b"host", b"b.test")),
    "two hosts": (*GET, (b"host", b"a.test"), (b"host", b"a.test")),
    "scheme": (GET[0], (b":scheme", b"ftp"), *GET[2:]),
    "length and no body": (*GET, (b"content-length", b"5")),
    "length is no number": (*GET, (b"content-length", b"+0")),
    "two lengths": (*GET, (b"content-length", b"0"), (b"content-length", b"0")),
    "CONNECT with path": ((b":method", b"CONNECT"), *GET[1:]),
    "CONNECT without port": ((b":method", b"CONNECT"), (b":authority", b"a.test")),
    "nothing at all": (),
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_costs_its_stream_only(fields: frames.Fields) -> None:
    peer = Crafted("server")
    events = peer.receive(peer.head(1, GET), peer.head(3, fields), peer.head(5, GET))
    assert [type(event) for event in events] == [StreamHead, StreamRefused, StreamHead]
    assert isinstance(events[1], StreamRefused)
    assert (events[1].stream_id, events[1].status) == (3, 400)
    resets = of_kind(peer.output(), RstStreamFrame)
    assert [(f.stream_id, f.error_code) for f in resets] == [(3, PROTOCOL_ERROR)]
    # What the client sent before it heard of it is ignored, and its DATA is credited.
    assert not peer.receive(frames.data(3, b"x"), frames.rst(3), peer.head(3, GET))
    answer(peer, 1)
    assert_usable(peer)


def test_a_large_header_list_is_refused_and_hpack_stays_in_step() -> None:
    peer = Crafted("server")
    large = [*GET, *[(b"x-%d" % i, b"v" * 6000) for i in range(12)]]
    events = peer.receive(peer.head(1, large))
    assert isinstance(events[0], StreamRefused)
    assert events[0].status == 431
    assert_usable(peer)


def test_too_many_fields_are_refused() -> None:
    peer = Crafted("server")
    events = peer.receive(peer.head(1, [*GET, *[(b"a", b"")] * 600]))
    assert isinstance(events[0], StreamRefused)
    assert events[0].status == 431


STREAM_FAULTS = {
    "more data than declared": (
        lambda p: p.head(1, LENGTH_5, end=False) + frames.data(1, b"123456"),
        PROTOCOL_ERROR,
    ),
    "less data than declared": (
        lambda p: p.head(1, LENGTH_5, end=False) + frames.data(1, b"1234", end=True),
        PROTOCOL_ERROR,
    ),
    "less before trailers": (
        lambda p: p.head(1, LENGTH_5, end=False) + p.head(1, [(b"t", b"1")]),
        PROTOCOL_ERROR,
    ),
    "trailers without END_STREAM": (
        lambda p: p.head(1, POST, end=False) + p.head(1, [(b"t", b"1")], end=False),
        PROTOCOL_ERROR,
    ),
    "pseudo-header in trailers": (
        lambda p: p.head(1, POST, end=False) + p.head(1, [(b":path", b"/")]),
        PROTOCOL_ERROR,
    ),
    "content-length in trailers": (
        lambda p: p.head(1, POST, end=False) + p.head(1, [(b"content-length", b"0")]),
        PROTOCOL_ERROR,
    ),
    "data after the end": (
        lambda p: p.head(1, GET) + frames.data(1, b"x"),
        STREAM_CLOSED,
    ),
    "headers after the end": (
        lambda p: p.head(1, GET) + p.head(1, [(b"t", b"1")]),
        STREAM_CLOSED,
    ),
    "window update of nothing": (
        lambda p: p.head(1, GET) + frames.window_update(1, 0),
        PROTOCOL_ERROR,
    ),
    "window past the largest": (
        lambda p: p.head(1, GET) + frames.window_update(1, 2**31 - 1),
        FLOW_CONTROL_ERROR,
    ),
    "window past the largest, then more": (
        lambda p: (
            p.head(1, POST, end=False)
            + frames.window_update(1, 2**31 - 1)
            + frames.data(1, b"x")
            + frames.window_update(1, 0)
        ),
        FLOW_CONTROL_ERROR,
    ),
    "data past the window": (
        lambda p: (
            p.head(1, POST, end=False)
            + frames.data(1, bytes(16_384)) * 16
            + frames.data(1, b"x")
        ),
        FLOW_CONTROL_ERROR,
    ),
    "short priority": (
        lambda p: p.head(1, GET) + frames.raw_frame(2, 0, 1, b"1"),
        FRAME_SIZE_ERROR,
    ),
}


@pytest.mark.parametrize(
    ("build", "code"), STREAM_FAULTS.values(), ids=STREAM_FAULTS.keys()
)
def test_a_stream_error_costs_its_stream_only(
    build: Callable[[Crafted], bytes], code: int
) -> None:
    peer = Crafted("server")
    events = peer.receive(build(peer))
    resets = [event for event in events if isinstance(event, StreamReset)]
    assert [(e.stream_id, e.code, e.by_peer) for e in resets] == [(1, code, False)]
    assert resets[0].reason
    sent = of_kind(peer.output(), RstStreamFrame)
    assert {(f.stream_id, f.error_code) for f in sent} >= {(1, code)}
    assert peer.codec.open_streams == 0
    assert_usable(peer)


def test_data_on_a_closed_stream_is_credited_to_the_connection() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, POST, end=False))
    peer.codec.reset(1)
    peer.codec.take_output()
    for _ in range(64):
        assert peer.receive(frames.data(1, bytes(16_384))) == []
    sent = peer.output()
    assert not of_kind(sent, RstStreamFrame)
    updates = of_kind(sent, WindowUpdateFrame)
    assert sum(f.window_increment for f in updates if f.stream_id == 0) == 1_048_576
    assert_usable(peer)


def test_data_after_a_finished_exchange_is_answered_stream_closed() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, GET))
    answer(peer, 1)
    peer.codec.take_output()
    assert peer.receive(frames.data(1, b"x")) == []
    assert frames.error_codes(peer.output()) == [STREAM_CLOSED]
    assert_usable(peer)


def test_padding_alone_gives_its_window_back() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, POST, end=False))
    got = 0
    for _ in range(3000):
        events = peer.receive(frames.padded_data(1, b"x", 200))
        got += len(events)
        peer.codec.consumed(1, 1)
    assert got == 3000


def test_more_streams_than_allowed_are_refused() -> None:
    peer = Crafted("server")
    peer.receive(*(peer.head(i, GET) for i in range(1, 201, 2)))
    events = peer.receive(peer.head(201, GET))
    assert isinstance(events[0], StreamRefused)
    assert frames.error_codes(peer.output()) == [REFUSED_STREAM]
    answer(peer, 1)
    assert_usable(peer, 203)


# --- what costs the connection -------------------------------------------------------

CONNECTION_FAULTS = {
    "data on idle": (lambda p: frames.data(1, b"x"), PROTOCOL_ERROR),
    "data on stream 0": (lambda p: frames.raw_frame(0, 0, 0, b"x"), PROTOCOL_ERROR),
    "reset of idle": (lambda p: frames.rst(1), PROTOCOL_ERROR),
    "window update on idle": (lambda p: frames.window_update(1, 1), PROTOCOL_ERROR),
    "window update of nothing": (lambda p: frames.window_update(0, 0), PROTOCOL_ERROR),
    "window past the largest": (
        lambda p: frames.window_update(0, 2**31 - 1),
        FLOW_CONTROL_ERROR,
    ),
    "even stream": (lambda p: p.head(2, GET), PROTOCOL_ERROR),
    "headers on stream 0": (lambda p: frames.raw_frame(1, 5, 0), PROTOCOL_ERROR),
    "lower stream": (lambda p: p.head(5, GET) + p.head(3, GET), STREAM_CLOSED),
    "broken hpack": (
        lambda p: frames.header_block(1, b"\xff\xff\xff\xff\xff"),
        COMPRESSION_ERROR,
    ),
    "table update too large": (
        lambda p: frames.header_block(1, b"\x3f\xe1\xff\x03"),
        COMPRESSION_ERROR,
    ),
    "push promise": (
        lambda p: p.head(1, GET) + frames.push_promise(1, 2, b"\x82"),
        PROTOCOL_ERROR,
    ),
    "settings on a stream": (lambda p: frames.raw_frame(4, 0, 1), PROTOCOL_ERROR),
    "settings of 5 bytes": (
        lambda p: frames.raw_frame(4, 0, 0, b"12345"),
        FRAME_SIZE_ERROR,
    ),
    "settings ack with content": (
        lambda p: frames.raw_frame(4, 1, 0, bytes(6)),
        FRAME_SIZE_ERROR,
    ),
    "settings out of range": (
        lambda p: frames.raw_frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"),
        FLOW_CONTROL_ERROR,
    ),
    "streams' windows past the largest": (
        lambda p: (
            p.head(1, GET)
            + frames.window_update(1, 2**31 - 1 - 65_535)
            + frames.settings({4: 65_536})
        ),
        FLOW_CONTROL_ERROR,
    ),
    "push neither on nor off": (
        lambda p: frames.raw_frame(4, 0, 0, b"\0\2\0\0\0\2"),
        PROTOCOL_ERROR,
    ),
    "frames too small": (
        lambda p: frames.raw_frame(4, 0, 0, b"\0\5\0\0\x3f\xff"),
        PROTOCOL_ERROR,
    ),
    "frames too large": (
        lambda p: frames.raw_frame(4, 0, 0, b"\0\5\1\0\0\0"),
        PROTOCOL_ERROR,
    ),
    "extended CONNECT neither on nor off": (
        lambda p: frames.raw_frame(4, 0, 0, b"\0\x08\0\0\0\2"),
        PROTOCOL_ERROR,
    ),
    "many settings": (lambda p: frames.raw_frame(4, 0, 0, bytes(6 * 65)), CALM),
    "ping of 7 bytes": (
        lambda p: frames.raw_frame(6, 0, 0, b"1234567"),
        FRAME_SIZE_ERROR,
    ),
    "reset of 5 bytes": (
        lambda p: p.head(1, GET) + frames.raw_frame(3, 0, 1, b"12345"),
        FRAME_SIZE_ERROR,
    ),
    "short goaway": (lambda p: frames.raw_frame(7, 0, 0, b"1234"), FRAME_SIZE_ERROR),
    "goaway on a stream": (
        lambda p: frames.raw_frame(7, 0, 1, bytes(8)),
        PROTOCOL_ERROR,
    ),
    "large goaway": (lambda p: frames.goaway(0, debug=bytes(9000)), CALM),
    "priority on stream 0": (
        lambda p: frames.raw_frame(2, 0, 0, bytes(5)),
        PROTOCOL_ERROR,
    ),
    "data padding": (
        lambda p: p.head(1, POST, end=False) + frames.raw_frame(0, 8, 1, b"\x05abc"),
        PROTOCOL_ERROR,
    ),
    "header padding": (
        lambda p: frames.raw_frame(1, 0x0C, 1, b"\x05abc"),
        PROTOCOL_ERROR,
    ),
    "thousands of fields": (
        lambda p: frames.header_block(1, bytes(3) * 1025),
        CALM,
    ),
    "header bomb": (
        # One entry of 4000 bytes, named 60 times in a byte each.
        lambda p: frames.header_block(
            1, b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 60
        ),
        CALM,
    ),
}


@pytest.mark.parametrize(
    ("build", "code"), CONNECTION_FAULTS.values(), ids=CONNECTION_FAULTS.keys()
)
def test_a_connection_error_ends_it_with_a_goaway(
    build: Callable[[Crafted], bytes], code: int
) -> None:
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError):
        peer.receive(build(peer))
    assert peer.codec.error_code == code
    goaway = peer.output()[-1]
    assert isinstance(goaway, GoAwayFrame)
    assert goaway.error_code == code
    assert goaway.additional_data


@pytest.mark.parametrize(
    "first", [frames.ping(), frames.settings(ack=True), frames.data(1)]
)
def test_the_first_frame_is_settings(first: bytes) -> None:
    codec = H2Codec("server")
    codec.start()
    with pytest.raises(ClientProtocolError, match="SETTINGS"):
        codec.receive(H2_PREFACE + first)


def test_a_server_that_asks_to_be_pushed_to_is_refused() -> None:
    peer = Crafted("client")
    with pytest.raises(OriginProtocolError, match="ENABLE_PUSH"):
        peer.receive(frames.settings({2: 1}))
    assert peer.codec.error_code == PROTOCOL_ERROR


def test_unknown_settings_are_ignored_and_acknowledged() -> None:
    peer = Crafted("server")
    peer.receive(frames.settings({0x0A0A: 7, 9: 1, 6: 100}))
    (ack,) = of_kind(peer.output(), SettingsFrame)
    assert "ACK" in ack.flags
    assert_usable(peer)


def test_a_smaller_window_can_make_a_streams_negative() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, GET))
    peer.codec.send_response_head(
        1, peer.codec.response_head(1, Response(status=200)), end=False
    )
    peer.codec.send_data(1, bytes(60_000))
    events = peer.receive(frames.settings({4: 1000}))
    assert WindowOpened(0) in events
    assert peer.codec.window(1) == 1000 - 60_000
    with pytest.raises(ValueError, match="window"):
        peer.codec.send_data(1, b"x")
    peer.receive(frames.window_update(1, 60_000))
    assert peer.codec.window(1) == 1000
