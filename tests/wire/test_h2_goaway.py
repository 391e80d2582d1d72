"""The codec at the end of connections: GOAWAY both ways, limits, errors, long runs."""

import pytest
from hyperframe.frame import (
    GoAwayFrame,
    RstStreamFrame,
)

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
    PoolExhausted,
    StreamLost,
)
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    PeerGoAway,
    SettingsChanged,
    StreamRefused,
    StreamReset,
    WindowOpened,
)
from tests.support import frames
from tests.support.frames import Crafted, of_kind
from tests.support.h2_pair import Pair, content, request, response


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_our_goaway_lets_open_streams_finish(pair: Pair) -> None:
    first = pair.client.open_stream(request("POST"), end=False)
    pair.run()
    late = pair.client.open_stream(request(), end=True)
    in_flight = pair.client.take_output()
    pair.server.shutdown()
    assert pair.server.is_closing
    at_server = pair.server.receive(in_flight)
    assert [type(event) for event in at_server] == [StreamRefused]
    at_client, _ = pair.run()
    assert at_client[0] == StreamReset(
        stream_id=late, code=7, by_peer=True, is_unprocessed=True
    )
    assert at_client[1] == PeerGoAway(last_stream_id=first, code=0, debug=b"")
    with pytest.raises(OriginClosed) as refused:
        pair.client.open_stream(request(), end=True)
    assert refused.value.is_unprocessed
    pair.client.send_data(first, b"still", end=True)
    _, at_server = pair.run()
    assert content(at_server, first) == b"still"
    pair.server.send_response_head(
        first, pair.server.response_head(first, response(body=b"done")), end=False
    )
    pair.server.send_data(first, b"done", end=True)
    at_client, _ = pair.run()
    assert content(at_client, first) == b"done"
    assert pair.server.open_streams == 0


def test_the_peers_goaway_ends_nothing_that_it_promised() -> None:
    peer = Crafted("client")
    streams = [peer.codec.open_stream(request(), end=True) for _ in range(4)]
    events = peer.receive(frames.goaway(streams[2], debug=b"x" * 5000))
    assert [e.stream_id for e in events if isinstance(e, StreamReset)] == streams[3:]
    assert isinstance(events[-1], PeerGoAway)
    assert len(events[-1].debug) == 256
    events = peer.receive(frames.goaway(streams[1]), frames.goaway(streams[3]))
    assert [e.stream_id for e in events if isinstance(e, StreamReset)] == [streams[2]]
    assert isinstance(events[-1], PeerGoAway)
    assert events[-1].last_stream_id == streams[1]
    events = peer.receive(
        peer.head(streams[0], frames.OK, end=False),
        frames.data(streams[0], b"late", end=True),
        peer.head(streams[1], frames.OK),
    )
    assert content(events, streams[0]) == b"late"
    assert peer.codec.open_streams == 0
    # What still comes for the streams that were given up hurts nothing.
    assert not peer.receive(peer.head(streams[3], frames.OK))


def test_close_is_final(pair: Pair) -> None:
    stream_id = pair.client.open_stream(request(), end=True)
    pair.run()
    pair.server.close(11, b"why")
    goaway = of_kind(frames.read_frames(pair.server.take_output()), GoAwayFrame)
    assert [(f.error_code, f.last_stream_id, f.additional_data) for f in goaway] == [
        (11, stream_id, b"why")
    ]
    assert pair.server.error_code == 11
    assert pair.server.receive(frames.ping()) == []
    with pytest.raises(StreamLost):
        pair.server.send_response_head(
            stream_id, pair.server.response_head(stream_id, response()), end=True
        )
    pair.server.close(2)
    pair.server.shutdown()
    assert pair.server.take_output() == b""


def test_the_peers_stream_limit_is_kept() -> None:
    peer = Crafted("client")
    assert peer.codec.peer_max_streams == 2**32 + 1
    assert peer.receive(frames.settings({3: 1})) == [SettingsChanged()]
    stream_id = peer.codec.open_stream(request(), end=True)
    assert not peer.codec.can_open_stream
    with pytest.raises(PoolExhausted):
        peer.codec.open_stream(request(), end=True)
    peer.receive(peer.head(stream_id, frames.OK))
    assert peer.codec.can_open_stream


def test_before_settings_our_own_limit_stands() -> None:
    codec = H2Codec("client")
    codec.start()
    assert codec.peer_max_streams == 100


def test_window_shrunk_by_settings_goes_negative_and_recovers() -> None:
    peer = Crafted("server")
    peer.receive(peer.head(1))
    peer.codec.send_response_head(1, peer.codec.response_head(1, response()), end=False)
    peer.codec.send_data(1, bytes(60_000))
    assert WindowOpened(0) in peer.receive(frames.settings({4: 1_000}))
    assert peer.codec.window(1) == 1_000 - 60_000
    with pytest.raises(ValueError, match="window"):
        peer.codec.send_data(1, b"x")
    assert peer.receive(frames.window_update(1, 70_000)) == [WindowOpened(1)]
    assert peer.codec.window(1) == 5_535


def test_errors_name_the_side_at_fault() -> None:
    with pytest.raises(ClientProtocolError, match="PROTOCOL_ERROR"):
        Crafted("server").receive(frames.raw_frame(6, 0, 1, bytes(8)))
    peer = Crafted("client")
    with pytest.raises(OriginProtocolError, match="FRAME_SIZE_ERROR"):
        peer.receive(frames.raw_frame(6, 0, 0, b"short"))
    assert peer.codec.error_code == 6
    assert frames.error_codes(peer.output()) == [6]
    assert peer.receive(frames.ping()) == []


def test_ten_thousand_exchanges_trip_nothing_and_leave_nothing() -> None:
    """What h2load does on one connection, with a clock that stands still."""
    peer = Crafted("server")
    answer = response(body=b"hello")
    for batch in range(100):
        ids = range(batch * 200 + 1, batch * 200 + 201, 2)
        peer.receive(*(peer.head(stream_id) for stream_id in ids))
        for stream_id in ids:
            peer.codec.send_response_head(
                stream_id, peer.codec.response_head(stream_id, answer), end=False
            )
            peer.codec.send_data(stream_id, b"hello", end=True)
        assert not of_kind(peer.output(), RstStreamFrame)
        peer.receive(frames.window_update(0, 500))
    assert peer.codec.open_streams == 0
