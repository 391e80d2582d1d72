"""Floods that are calmed, and honest traffic that is not."""

import pytest

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.h2.events import (
    StreamHead,
)
from tests.support import frames
from tests.support.frames import GET, POST, Crafted

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


@pytest.mark.parametrize(
    "flood",
    [
        frames.ping(),
        frames.ping(ack=True),
        frames.settings(),
        frames.settings(ack=True),
        frames.priority(3),
        frames.window_update(0, 1),
        frames.window_update(1, 1),
        frames.data(1),
        frames.raw_frame(0x42, 0, 0),
        frames.goaway(0),
        frames.padded_data(1, b"", 0),
    ],
    ids=[
        "ping",
        "ping ack",
        "settings",
        "settings ack",
        "priority",
        "window",
        "stream window",
        "empty data",
        "unknown",
        "goaway",
        "padding",
    ],
)
def test_floods_are_calmed(flood: bytes) -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, POST, end=False))
    with pytest.raises(ClientProtocolError, match="ENHANCE_YOUR_CALM"):
        peer.receive_each([flood * 100] * 30)
    assert peer.codec.error_code == CALM


def test_rapid_reset_is_calmed() -> None:
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError, match="cancelled"):
        peer.receive_each(
            peer.head(stream_id, GET) + frames.rst(stream_id)
            for stream_id in range(1, 4001, 2)
        )


def test_made_you_reset_is_calmed() -> None:
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError, match="cancelled"):
        peer.receive_each(
            peer.head(stream_id, GET) + frames.window_update(stream_id, 0)
            for stream_id in range(1, 4001, 2)
        )


def test_malformed_requests_without_end_are_calmed() -> None:
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError, match="cancelled"):
        peer.receive_each(peer.head(stream_id, ()) for stream_id in range(1, 4001, 2))


def test_continuations_are_calmed() -> None:
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError, match="CONTINUATION"):
        peer.receive(frames.raw_frame(1, 0, 1), *[frames.raw_frame(9, 0, 1, b"")] * 17)
    peer = Crafted("server")
    with pytest.raises(ClientProtocolError, match="CONTINUATION"):
        peer.receive_each(
            frames.header_block(stream_id, peer.encoder.encode(GET), piece=1)
            + frames.rst(stream_id)
            for stream_id in range(1, 1001, 2)
        )


def test_a_peer_that_asks_and_does_not_read_is_calmed() -> None:
    peer = Crafted("server")
    waiting = 0
    # Slow enough for the meter, and yet the answers pile up.
    for second in range(680):
        assert peer.codec.pending_output >= waiting
        peer.receive(frames.ping() * 90, now=float(second))
        waiting = peer.codec.pending_output
    with pytest.raises(ClientProtocolError, match="does not read"):
        peer.receive(frames.ping() * 1000, now=2000.0)


def test_time_and_finished_work_pay_for_cancelling() -> None:
    peer = Crafted("server")
    for turn in range(2000):
        stream_id = 4 * turn + 1
        peer.receive(peer.head(stream_id, GET), frames.rst(stream_id), now=turn / 30)
    for turn in range(2000, 4000):
        stream_id = 4 * turn + 1
        peer.receive(
            peer.head(stream_id, GET),
            frames.rst(stream_id),
            peer.head(stream_id + 2, GET),
        )
        answer(peer, stream_id + 2)
        peer.codec.take_output()
    assert_usable(peer, 99_999)


def test_a_peer_may_update_its_windows_for_every_frame_it_gets() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1, GET), frames.window_update(0, 2**30))
    peer.codec.send_response_head(
        1, peer.codec.response_head(1, Response(status=200)), end=False
    )
    for _ in range(5000):
        peer.codec.send_data(1, bytes(1000))
        peer.codec.take_output()
        peer.receive(frames.window_update(1, 1000), frames.window_update(0, 1000))
    assert_usable(peer)
