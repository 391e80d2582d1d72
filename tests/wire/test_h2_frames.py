"""The frame walker alone: boundaries, blocks, padding, and the frames that we build."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.wire.h2.faults import ConnectionFault
from int3rceptor.wire.h2.frames import (
    FrameWalker,
    goaway_frame,
    read_goaway,
    read_settings,
    read_uint,
    rst_stream_frame,
    settings_frame,
    strip_padding,
    window_update_frame,
)
from int3rceptor.wire.h2.limits import MAX_FRAME_BYTES, AbuseMeter
from int3rceptor.wire.sniff import H2_PREFACE
from tests.support import frames

FIRST = frames.settings()


def walker(*, expects_preface: bool = False) -> FrameWalker:
    return FrameWalker(AbuseMeter(), expects_preface=expects_preface)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 60))
def test_frames_are_the_same_whatever_the_pieces(
    contents: list[bytes], size: int
) -> None:
    blob = H2_PREFACE + FIRST + b"".join(map(frames.data, [1] * 9, contents))
    blob += frames.header_block(1, b"block" * 9, piece=7)
    whole = list(walker(expects_preface=True).feed(blob))
    cut = walker(expects_preface=True)
    pieces = [blob[i : i + size] for i in range(0, len(blob), size)]
    assert [frame for piece in pieces for frame in cut.feed(piece)] == whole
    assert [frame[3] for frame in whole[1:]] == [*contents, b"block" * 9]


@pytest.mark.parametrize(
    "preface", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX"]
)
def test_another_preface_is_refused(preface: bytes) -> None:
    with pytest.raises(ConnectionFault, match="preface"):
        list(walker(expects_preface=True).feed(preface))


def test_an_answer_in_http1_is_called_so() -> None:
    walk = walker()
    with pytest.raises(ConnectionFault, match="the first bytes are HTTP/1"):
        list(walk.feed(b"HTTP/1.1 400 Bad Request\r\n"))


def test_the_largest_frame_passes_and_a_larger_is_refused_unread() -> None:
    walk = walker()
    list(walk.feed(FIRST))
    assert len(list(walk.feed(frames.data(1, bytes(MAX_FRAME_BYTES))))) == 1
    with pytest.raises(ConnectionFault, match="16385"):
        list(walk.feed(frames.raw_frame(0, 0, 1, bytes(MAX_FRAME_BYTES + 1))[:9]))


def test_padding_and_priority_are_stripped_from_heads() -> None:
    padded = frames.raw_frame(1, 0x08 | 0x20 | 0x04, 1, b"\x02" + b"prior" + b"ab\0\0")
    assert list(walker().feed(FIRST + padded))[1][3] == b"ab"
    assert strip_padding(b"\x00abc") == b"abc"
    for broken in (b"", b"\x01", b"\x04abc"):
        with pytest.raises(ConnectionFault):
            strip_padding(broken)


@pytest.mark.parametrize(
    "intruder",
    [
        frames.ping(),
        frames.data(1),
        frames.raw_frame(9, 4, 3),
        frames.raw_frame(1, 4, 1),
        frames.raw_frame(0x55, 0, 0),
    ],
)
def test_nothing_may_stand_inside_a_header_block(intruder: bytes) -> None:
    with pytest.raises(ConnectionFault, match="inside"):
        list(walker().feed(FIRST + frames.raw_frame(1, 0, 1, b"a") + intruder))


def test_continuation_needs_a_block() -> None:
    with pytest.raises(ConnectionFault, match="without HEADERS"):
        list(walker().feed(FIRST + frames.raw_frame(9, 4, 1)))


def test_a_block_is_bounded() -> None:
    with pytest.raises(ConnectionFault, match="larger than"):
        list(walker().feed(FIRST + frames.header_block(1, bytes(65_537))))
    assert len(list(walker().feed(FIRST + frames.header_block(1, bytes(65_536))))) == 2


def test_what_we_build_is_what_others_read() -> None:
    assert window_update_frame(3, 77) == frames.window_update(3, 77)
    assert rst_stream_frame(5, 8) == frames.rst(5, 8)
    assert goaway_frame(7, 11, b"why") == frames.goaway(7, 11, b"why")
    assert settings_frame([(4, 5), (3, 9)]) == frames.settings({4: 5, 3: 9})
    assert read_goaway(goaway_frame(7, 11, b"why")[9:]) == (7, 11, b"why")
    assert read_settings(settings_frame([(4, 5)])[9:]) == [(4, 5)]
    assert read_uint(b"\0\0\1\0") == 256
