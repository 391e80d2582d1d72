"""Any frames in any pieces: events or the named errors, nothing else."""

import random

from hyperframe.frame import (
    GoAwayFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import ProtocolError
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.h2.events import (
    StreamData,
    StreamEnd,
    StreamHead,
    StreamReset,
    WindowOpened,
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


def _anything() -> st.SearchStrategy[bytes]:
    ids = st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1])
    open_ids = st.sampled_from([1, 2, 3, 5, 2**31 - 1])
    block = st.sampled_from([b"\x82\x84\x87\x41\x01a", b"\x82", b"\x88", b"", b"\xff"])
    return st.one_of(
        st.builds(
            frames.raw_frame,
            st.integers(0, 12),
            st.integers(0, 255),
            ids,
            st.one_of(st.binary(max_size=20), block),
        ),
        st.builds(frames.header_block, open_ids, block, end=st.booleans()),
        st.builds(frames.data, open_ids, st.binary(max_size=9), end=st.booleans()),
        st.builds(frames.rst, st.sampled_from([1, 2, 3, 5])),
        st.binary(max_size=30),
    )


@given(st.sampled_from(["server", "client"]), st.lists(_anything(), max_size=30))
def test_any_bytes_give_events_or_the_named_errors(
    role: str, pieces: list[bytes]
) -> None:
    peer = Crafted("server" if role == "server" else "client")
    ours = [] if role == "server" else [peer.codec.open_stream(request(), end=False)]
    seen: set[int] = set(ours)
    try:
        for piece in pieces:
            for event in peer.receive(piece):
                if isinstance(event, StreamHead):
                    seen.add(event.stream_id)
                elif isinstance(event, (StreamData, StreamEnd, StreamReset)):
                    assert event.stream_id in seen
            for stream_id in list(seen):
                peer.codec.consumed(stream_id, 1)
            frames.read_frames(peer.codec.take_output())
    except ProtocolError:
        assert isinstance(peer.output()[-1], GoAwayFrame)
        assert peer.codec.open_streams == 0


@given(st.lists(_anything(), max_size=12), st.randoms(use_true_random=False))
def test_how_bytes_are_cut_changes_nothing(
    pieces: list[bytes], random_: random.Random
) -> None:
    def hear(chunks: list[bytes]) -> tuple[list[object], int | None]:
        peer = Crafted("server")
        heard: list[object] = []
        try:
            for chunk in chunks:
                heard += peer.receive(chunk)
        except ProtocolError:
            heard = []
        events = [event for event in heard if not isinstance(event, WindowOpened)]
        return events, peer.codec.error_code

    blob = b"".join(pieces)
    cuts = sorted(random_.choices(range(len(blob) + 1), k=5))
    parts = [blob[a:b] for a, b in zip([0, *cuts], [*cuts, len(blob)], strict=True)]
    assert hear(parts) == hear([blob])
