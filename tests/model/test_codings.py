"""Content codings undone piece by piece: whole, cut anywhere, damaged, or bombs."""

import contextlib
import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from int3rceptor.errors import DecodeError
from int3rceptor.model.codings import (
    FREE_BYTES,
    MAX_CODINGS,
    MAX_FRAMES,
    MAX_RATIO,
    STEP_BYTES,
    Decoding,
    codings_of,
    decode_whole,
    pieces_of,
)

PLAIN = b"some words, " * 20_000


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


MAKE = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "GZIP , identity,ZSTD": lambda data: zstandard.compress(gzip.compress(data)),
}
CODINGS = pytest.mark.parametrize("coding", MAKE)


def decoded(content: bytes, coding: str, step: int = 1 << 20) -> bytes:
    decoding = Decoding(coding)
    found = [
        part for piece in pieces_of(content, step) for part in decoding.decode(piece)
    ]
    decoding.finish()
    return b"".join(found)


@CODINGS
def test_each_is_undone_wherever_it_is_cut(coding: str) -> None:
    content = MAKE[coding](PLAIN)
    for step in (1, 2, 3, 7, 1000, len(content)):
        assert decoded(content, coding, step) == PLAIN


@CODINGS
@settings(max_examples=20)
@given(data=st.binary(max_size=2000), step=st.integers(1, 100))
def test_any_content_comes_back(coding: str, data: bytes, step: int) -> None:
    assert decoded(MAKE[coding](data), coding, step) == data
    assert decode_whole(MAKE[coding](data), coding, len(data)) == data


@CODINGS
@settings(max_examples=30)
@given(data=st.binary(max_size=300), step=st.integers(1, 100))
def test_any_garbage_is_an_error_or_decoded(
    coding: str, data: bytes, step: int
) -> None:
    # No other error leaves.
    with contextlib.suppress(DecodeError):
        decoded(data, coding, step)


@CODINGS
def test_what_ends_early_is_not_whole(coding: str) -> None:
    with pytest.raises(DecodeError, match="it ends early") as caught:
        decoded(MAKE[coding](PLAIN)[:-1], coding)
    assert caught.value.why == "damaged"


@CODINGS
def test_an_empty_body_is_whole_whatever_its_head_says(coding: str) -> None:
    assert decoded(b"", coding) == b""


@CODINGS
def test_steps_are_bounded_and_lazy(coding: str) -> None:
    content = MAKE[coding](bytes(4_000_000))
    parts = Decoding(coding).decode(content)
    tracemalloc.start()
    try:
        first = next(parts)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # brotli goes over its limit by a part of its window.
    assert len(first) <= 4 * STEP_BYTES
    assert held < (9_000_000 if "zstd" in coding.lower() else 1_000_000)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_follow_each_other(coding: str) -> None:
    content = MAKE[coding](b"one ") + MAKE[coding](b"") + MAKE[coding](b"two")
    for step in (1, 5, 1000):
        assert decoded(content, coding, step) == b"one two"


def test_brotli_ends_at_its_end() -> None:
    for step in (1, 1000):
        with pytest.raises(DecodeError):
            decoded(brotli.compress(PLAIN) + b"\0" * 10, "br", step)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_padding_after_the_end_is_no_content(coding: str) -> None:
    for step in (1, 1000):
        assert decoded(MAKE[coding](PLAIN) + b"\0" * 10, coding, step) == PLAIN


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_flood_of_members_ends(coding: str) -> None:
    with pytest.raises(DecodeError, match="it has too many members"):
        decoded(MAKE[coding](b"x") * 2 * MAX_FRAMES, coding)


def test_members_of_some_size_are_no_flood() -> None:
    one = gzip.compress(bytes(range(256)) * 8, compresslevel=0)
    assert len(decoded(one * 2000, "gzip", 65_536)) == 2000 * 2048


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, gzip", "br, gzip"])
def test_a_bomb_is_stopped_while_it_grows(coding: str) -> None:
    content = b"\0" * 64_000_000
    for one in codings_of(coding):
        content = MAKE[one](content)
    parts = Decoding(coding).decode(content)
    grown: list[int] = []
    with pytest.raises(DecodeError, match="times its size") as caught:
        grown.extend(map(len, parts))
    assert caught.value.why == "too large"
    assert sum(grown) <= FREE_BYTES + MAX_RATIO * len(content) + 4 * STEP_BYTES


def test_what_one_layer_makes_and_the_next_throws_away_counts_too() -> None:
    # The inner gzip is at its end at once; all that follows is padding to it.
    inner = gzip.compress(b"x") + bytes(64_000_000)
    with pytest.raises(DecodeError, match="times its size"):
        decoded(gzip.compress(inner), "gzip, gzip")


def hollow(size: int) -> bytes:
    """A gzip body in another one: thousands of blocks with nothing in them."""
    head = gzip.compress(b"")[:10]
    return gzip.compress(head + b"\0\0\0\xff\xff" * (size // 5), 1)


def test_what_comes_to_nothing_does_not_take_long_either() -> None:
    body = hollow(8 * 1024 * 1024)
    with pytest.raises(DecodeError, match="larger than 1000 bytes") as caught:
        decode_whole(body, "gzip, gzip", 1000)
    assert caught.value.why == "too large"


def test_what_is_coded_is_not_read_far_beyond_what_may_come_of_it() -> None:
    # Brotli's metadata are skipped, at 40 ms for a MiB.
    with pytest.raises(DecodeError, match="larger than 1000 bytes") as caught:
        decode_whole(b"\x6c" + b"\x06" * 1_000_000, "br", 1000)
    assert caught.value.why == "too large"
    steps = Decoding("br").decode(b"\x6c" + b"\x06" * 1_000_000)
    assert [*steps] == [b""] * (1_000_000 // STEP_BYTES)


def test_what_comes_to_nothing_has_steps() -> None:
    steps = [*Decoding("gzip, gzip").decode(hollow(1024 * 1024))]
    assert set(steps) == {b""}
    assert len(steps) >= 16


def test_a_small_body_may_grow_at_any_ratio() -> None:
    assert len(decoded(brotli.compress(bytes(FREE_BYTES)), "br")) == FREE_BYTES


def test_whole_up_to_a_size() -> None:
    with pytest.raises(DecodeError, match="larger than 9 bytes") as caught:
        decode_whole(gzip.compress(b"0123456789"), "gzip", 9)
    assert caught.value.why == "too large"


@pytest.mark.parametrize(
    ("coding", "message"),
    [
        ("compress", "compress is not decoded here"),
        ("gzip, aes128gcm", "aes128gcm is not decoded here"),
        (", ".join(["gzip"] * (MAX_CODINGS + 1)), "more than 4 codings"),
    ],
)
def test_what_is_not_known(coding: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        Decoding(coding)
    assert caught.value.why == "unknown"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_it_is_not_is_damage(coding: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decoded(b"<html>this was never coded</html>", coding)
    assert caught.value.why == "damaged"


def test_a_window_too_large_to_hold_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=25)
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = engine.compress(PLAIN) + engine.flush()
    with pytest.raises(DecodeError) as caught:
        decoded(content, "zstd")
    assert caught.value.why == "damaged"
