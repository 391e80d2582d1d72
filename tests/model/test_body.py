import asyncio
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import LimitExceeded, StreamLost, TransformError
from int3rceptor.model.body import MAX_HELD_BYTES, Body, Transform
from int3rceptor.model.headers import Headers
from tests.support import chunks as support
from tests.support.listening import Held

CHUNKS = st.lists(st.binary(min_size=1, max_size=5), max_size=8)
TRAILERS = Headers([(b"Checksum", b"1")])


class Chunks(support.Chunks):
    """Chunks with trailers after them."""

    def trailers(self) -> Headers | None:
        return TRAILERS


async def rest(body: Body) -> list[bytes]:
    return [chunk async for chunk in body]


async def test_a_whole_body() -> None:
    body = Body(b"abc")

    assert body.is_whole
    assert not body.is_empty
    assert body.passed == 3
    assert await body.read(0) == b"abc"
    assert await rest(body) == [b"abc"]
    assert await rest(body) == [b"abc"]
    assert await body.chunk() == b""


async def test_an_empty_body() -> None:
    assert Body().is_empty
    assert Body().is_whole
    assert await rest(Body()) == []
    assert not Body(trailers=TRAILERS).is_empty
    assert not Body(source=Chunks()).is_empty


async def test_a_stream_gives_its_chunks_once() -> None:
    body = Body(source=Chunks(b"ab", b"c"), length=3)

    assert not body.is_whole
    assert body.content is None
    assert body.trailers is None
    assert await body.chunk() == b"ab"
    assert body.size == 2
    assert await body.chunk() == b"c"
    assert await body.chunk() == b""
    assert await body.chunk() == b""
    assert body.size == body.passed == 3
    assert body.trailers == TRAILERS


async def test_a_source_is_not_asked_after_its_end() -> None:
    source = Chunks(b"a")
    body = Body(source=source)
    await rest(body)
    await body.chunk()
    await body.chunk()

    assert source.asked == 2


async def test_read_makes_it_whole() -> None:
    body = Body(source=Chunks(b"ab", b"c"))

    assert await body.read(3) == b"abc"
    assert body.is_whole
    assert body.content == b"abc"
    assert body.length == body.passed == 3
    assert body.trailers == TRAILERS
    assert await rest(body) == [b"abc"]


async def test_past_the_limit_the_stream_is_as_it_was() -> None:
    body = Body(source=Chunks(b"ab", b"cd", b"ef"), length=6)
    with pytest.raises(LimitExceeded, match="larger than 3 bytes"):
        await body.read(3)

    assert not body.is_whole
    assert body.size == 0
    assert body.length == 6
    with pytest.raises(LimitExceeded):
        await body.read(3)
    assert await rest(body) == [b"ab", b"cd", b"ef"]
    assert body.size == 6
    assert body.trailers == TRAILERS


async def test_a_larger_limit_may_come_later() -> None:
    body = Body(source=Chunks(b"ab", b"cd", b"ef"))
    with pytest.raises(LimitExceeded):
        await body.read(1)

    assert await body.read(6) == b"abcdef"


async def test_many_small_chunks_go_back_quickly() -> None:
    # One byte each: nothing here may take time in the square of their number.
    count = 200_000
    body = Body(source=Chunks(*[b"x"] * count, b"end"))
    with pytest.raises(LimitExceeded):
        await body.read(count)

    assert len(await rest(body)) == count + 1


async def test_the_sources_error_is_passed_on() -> None:
    body = Body(source=Chunks(b"ab", error=StreamLost("gone")))

    with pytest.raises(StreamLost, match="gone"):
        await body.read(100)
    assert not body.is_whole


async def test_replace_a_whole_body() -> None:
    body = Body(b"abc")
    body.replace(b"longer")

    assert await body.read(100) == b"longer"
    assert body.length == body.passed == 6


async def test_replace_a_body_that_was_read() -> None:
    body = Body(source=Chunks(b"abc"))
    await body.read(100)
    body.replace(b"")

    assert body.is_whole
    assert await rest(body) == []
    assert body.trailers == TRAILERS


# --- transform ------------------------------------------------------------------------


def upper(chunk: bytes) -> bytes:
    return chunk.upper()


async def upper_later(chunk: bytes) -> bytes:
    await asyncio.sleep(0)
    return chunk.upper()


class Holding:
    """Gives nothing before the end, then all of it, reversed."""

    def __init__(self) -> None:
        self.kept = b""

    def __call__(self, chunk: bytes) -> bytes:
        self.kept += chunk
        return b"" if chunk else self.kept[::-1]


@pytest.mark.parametrize("function", [upper, upper_later])
async def test_a_stream_passes_through_a_function(function: Transform) -> None:
    tap = Held()
    body = Body(source=Chunks(b"ab", b"c"), length=3)
    body.tap = tap
    body.transform(function)

    assert body.length is None
    assert await rest(body) == [b"AB", b"C"]
    assert tap.held == b"ABC"
    assert body.size == 3
    assert body.trailers == TRAILERS
    assert (body.replaced, body.original) == (1, None)


async def test_what_a_function_keeps_back_comes_at_the_end() -> None:
    body = Body(source=Chunks(b"ab", b"c"))
    body.transform(Holding())

    assert await rest(body) == [b"cba"]
    assert await body.chunk() == b""
    assert body.trailers == TRAILERS


async def test_a_whole_body_becomes_a_stream() -> None:
    body = Body(b"abc", length=3, trailers=TRAILERS)
    body.transform(upper)

    assert not body.is_whole
    assert body.length is None
    assert body.original == b"abc"
    assert await rest(body) == [b"ABC"]
    assert body.trailers == TRAILERS


async def test_a_transformed_body_can_be_made_whole_and_transformed_again() -> None:
    body = Body(source=Chunks(b"ab", b"c"))
    body.transform(upper)
    body.transform(lambda chunk: b"<%b>" % chunk)

    assert await body.read(100) == b"<AB><C><>"
    body.transform(Holding())
    assert await rest(body) == [b"><>C<>BA<"]


async def test_an_empty_body_calls_nothing() -> None:
    body = Body()
    body.transform(Holding())

    assert body.is_empty
    assert body.replaced == 0


async def test_an_empty_stream_can_be_filled() -> None:
    body = Body(source=Chunks())
    body.transform(lambda chunk: chunk or b"end")

    assert await rest(body) == [b"end"]


async def test_a_body_that_has_passed_is_left_alone() -> None:
    body = Body(source=Chunks(b"abc"))
    await rest(body)
    body.transform(Holding())

    assert await rest(body) == []
    assert body.replaced == 0


async def test_chunks_that_went_back_are_transformed_too() -> None:
    body = Body(source=Chunks(b"ab", b"cd", b"ef"))
    with pytest.raises(LimitExceeded):
        await body.read(3)
    body.transform(upper)

    assert await rest(body) == [b"AB", b"CD", b"EF"]


async def test_reading_a_transformed_body_past_a_limit_transforms_it_once() -> None:
    body = Body(source=Chunks(b"ab", b"cd"))
    body.transform(lambda chunk: chunk and chunk + b"+")
    with pytest.raises(LimitExceeded):
        await body.read(3)

    assert await rest(body) == [b"ab+", b"cd+"]


async def no_bytes(_: bytes) -> str:
    return "text"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda chunk: chunk + 1, "TypeError: can't concat int to bytes"),
        (no_bytes, "no_bytes failed .*: it gave str, not bytes"),
    ],
    ids=["raises", "gives-text"],
)
async def test_a_function_that_fails_breaks_the_body_off(
    function: Transform, reason: str
) -> None:
    body = Body(source=Chunks(b"ab", b"cd"))
    body.transform(function)

    with pytest.raises(TransformError, match=reason):
        await body.chunk()
    with pytest.raises(TransformError, match="an earlier call did not end"):
        await body.chunk()


@pytest.mark.parametrize("chunks", [[b"ab", b"cd"], []])
async def test_a_function_that_was_cancelled_does_not_end_the_body(
    chunks: list[bytes],
) -> None:
    never = asyncio.Event()

    async def wait(chunk: bytes) -> bytes:
        await never.wait()
        return chunk

    body = Body(source=Chunks(*chunks))
    body.transform(wait)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await body.chunk()

    with pytest.raises(TransformError):
        await body.chunk()


@given(CHUNKS, st.integers(1, 9))
async def test_compressing_chunk_by_chunk_loses_nothing(
    chunks: list[bytes], level: int
) -> None:
    engine = zlib.compressobj(level)
    body = Body(source=Chunks(*chunks))
    body.transform(lambda chunk: engine.compress(chunk) if chunk else engine.flush())
    sent = b"".join(await rest(body))

    assert zlib.decompress(sent) == b"".join(chunks)
    assert body.size == len(sent)


@given(CHUNKS, st.integers(0, 20))
async def test_reading_up_to_a_limit_never_loses_a_byte(
    chunks: list[bytes], limit: int
) -> None:
    body = Body(source=Chunks(*chunks))
    whole = b"".join(chunks)
    try:
        assert await body.read(limit) == whole
    except LimitExceeded:
        assert len(whole) > limit
    else:
        assert len(whole) <= limit

    assert b"".join(await rest(body)) == whole
    assert body.passed == len(whole)


async def test_what_a_tap_held_is_kept_once_all_has_passed() -> None:
    body = Body(source=Chunks(b"ab", b"c"), length=3)
    body.tap = tap = Held()
    await body.chunk()
    assert (body.has_ended, body.kept) == (False, None)
    await body.chunk()  # the last one, by the length that was announced
    assert (body.has_ended, body.kept) == (True, b"abc")
    tap.held.clear()
    assert body.kept is None
    assert Body(b"whole").kept == b"whole"
    body.tap = None
    assert body.kept is None


@pytest.mark.parametrize("taken", range(4))
async def test_a_stream_that_is_held_begins_anew(taken: int) -> None:
    body = Body(source=Chunks(b"ab", b"c"))
    body.tap, body.held = Held(), bytearray()
    for _ in range(2):
        for _ in range(taken):
            await body.chunk()
        assert body.rewind()
        assert body.size == 0

    assert b"".join(await rest(body)) == b"abc"
    assert body.trailers == TRAILERS
    assert (body.size, body.kept) == (3, b"abc")  # the tap was told once


async def test_a_stream_begins_anew_only_with_all_that_has_passed() -> None:
    body = Body(source=Chunks(b"ab", b"c"))
    assert body.rewind()  # nothing has
    await body.chunk()
    assert not body.rewind()
    assert await rest(body) == [b"c"]

    body = Body(source=Chunks(bytes(MAX_HELD_BYTES), b"c"))
    body.held = bytearray()
    await body.chunk()
    assert body.rewind()
    await body.chunk()
    await body.chunk()
    assert body.held is None
    assert not body.rewind()
