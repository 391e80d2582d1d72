"""Messages without their codings: the head, a whole body, a stream."""

import asyncio
import gzip
import random

import brotli
import pytest

from int3rceptor.errors import DecodeError
from int3rceptor.model.body import Body
from int3rceptor.model.codings import pieces_of
from int3rceptor.model.decoding import MAX_WHOLE_BYTES
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from tests.support.chunks import Chunks

PLAIN = b"plain words " * 1000


def coded(
    content: bytes, coding: bytes = b"gzip", *more: tuple[bytes, bytes]
) -> Response:
    headers = Headers([(b"Content-Encoding", coding), *more])
    return Response(status=200, headers=headers, body=Body(content))


def streamed(content: bytes, trailers: Headers | None = None) -> Response:
    response = coded(b"")
    response.body = Body(
        source=Chunks(*pieces_of(content, 50), trailers=trailers), length=len(content)
    )
    return response


async def rest(body: Body) -> bytes:
    return b"".join([chunk async for chunk in body])


def test_a_whole_body_stays_whole() -> None:
    response = coded(gzip.compress(PLAIN))
    response.decode()
    assert response.body.content == PLAIN
    assert response.body.length == len(PLAIN)
    assert "content-encoding" not in response.headers


async def test_a_stream_is_decoded_on_its_way() -> None:
    response = streamed(gzip.compress(PLAIN))
    response.decode()
    assert response.body.content is None
    assert response.body.length is None
    assert "content-encoding" not in response.headers
    assert await rest(response.body) == PLAIN


async def test_a_stream_that_is_decoded_is_not_coded_again() -> None:
    response = streamed(gzip.compress(PLAIN))
    response.decode()
    response.headers["Content-Encoding"] = "gzip"
    with pytest.raises(DecodeError, match="being taken off already") as caught:
        response.decode()
    assert caught.value.why == "damaged"
    assert response.headers["content-encoding"] == "gzip"
    assert await rest(response.body) == PLAIN


async def test_a_stream_that_passes_others_can_be_coded_again() -> None:
    response = streamed(gzip.compress(PLAIN))
    response.decode()
    chunks = bytearray()

    def code(chunk: bytes) -> bytes:
        chunks.extend(chunk)
        return b"" if chunk else gzip.compress(bytes(chunks))

    response.body.transform(code)
    response.headers["Content-Encoding"] = "gzip"
    response.decode()
    assert await rest(response.body) == PLAIN


async def test_what_was_read_and_put_back_is_decoded_too() -> None:
    response = streamed(gzip.compress(PLAIN))
    with pytest.raises(Exception, match="larger than 60 bytes"):
        await response.body.read(60)
    response.decode()
    assert await rest(response.body) == PLAIN


async def test_a_whole_body_that_grows_too_large_becomes_a_stream() -> None:
    size = MAX_WHOLE_BYTES + 1
    response = coded(gzip.compress(random.Random(1).randbytes(size), compresslevel=0))
    response.decode()
    assert response.body.content is None
    assert len(await rest(response.body)) == size


def test_a_request_can_be_decoded() -> None:
    request = Request(
        method="POST", scheme="https", host="h", port=443, target=b"/", authority="h",
        version="HTTP/1.1", headers=Headers([(b"content-encoding", b"br")]),
        body=Body(brotli.compress(PLAIN)),
    )  # fmt: skip
    request.decode()
    assert request.body.content == PLAIN


@pytest.mark.parametrize("coding", [b"", b"identity", b" , "])
def test_without_codings_nothing_happens(coding: bytes) -> None:
    response = coded(b"abc", coding, (b"ETag", b'"1"'))
    before = response.headers.copy()
    response.decode()
    assert (response.headers, response.body.content) == (before, b"abc")
    assert not response.body.replaced


def test_the_head_is_true_of_the_decoded_content() -> None:
    response = coded(
        gzip.compress(PLAIN),
        b"gzip",
        (b"ETag", b'"strong"'),
        (b"Accept-Ranges", b"bytes"),
        (b"Content-MD5", b"x"),
        (b"Content-Digest", b"sha-256=:x:"),
        (b"Repr-Digest", b"sha-256=:x:"),
        (b"Digest", b"sha-256=x"),
        (b"Vary", b"Accept-Encoding"),
        (b"Content-Type", b"text/plain"),
    )
    response.decode()
    assert response.headers.raw == [
        (b"ETag", b'W/"strong"'),
        (b"Vary", b"Accept-Encoding"),
        (b"Content-Type", b"text/plain"),
    ]


def test_a_weak_validator_stays() -> None:
    response = coded(gzip.compress(PLAIN), b"gzip", (b"etag", b'W/"weak"'))
    response.decode()
    assert response.headers["etag"] == 'W/"weak"'


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_digests_in_trailers_go(is_streamed: bool) -> None:
    trailers = Headers([(b"Content-Digest", b"sha-256=:x:"), (b"X-Sum", b"1")])
    content = gzip.compress(PLAIN)
    response = streamed(content, trailers) if is_streamed else coded(content)
    if not is_streamed:
        response.body.trailers = trailers
    response.decode()
    assert await rest(response.body) == PLAIN
    assert response.body.trailers == Headers([(b"X-Sum", b"1")])


def test_a_head_without_its_body_tells_of_no_length() -> None:
    response = coded(b"", b"gzip", (b"Content-Length", b"1234"), (b"ETag", b'"1"'))
    response.decode()
    assert response.headers.raw == [(b"ETag", b'W/"1"')]
    assert response.body.content == b""


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ([(b"Cache-Control", b"max-age=1, No-Transform")], 200, "no-transform"),
        ([(b"Content-Range", b"bytes 0-1/2")], 200, "part"),
        ([], 206, "part"),
    ],
)
def test_what_http_forbids_is_refused(
    fields: list[tuple[bytes, bytes]], status: int, message: str
) -> None:
    content = gzip.compress(PLAIN)
    response = coded(content, b"gzip", *fields)
    response.status = status
    before = response.headers.copy()
    with pytest.raises(DecodeError, match=message) as caught:
        response.decode()
    assert caught.value.why == "refused"
    assert (response.headers, response.body.content) == (before, content)


@pytest.mark.parametrize(
    "content", [b"never coded", gzip.compress(PLAIN)[:-4]], ids=["never", "early"]
)
def test_a_whole_body_that_is_damaged_stays_as_it_was(content: bytes) -> None:
    response = coded(content, b"gzip", (b"ETag", b'"1"'))
    before = response.headers.copy()
    with pytest.raises(DecodeError):
        response.decode()
    assert (response.headers, response.body.content) == (before, content)
    assert not response.body.replaced


async def test_a_stream_that_is_damaged_breaks_off_each_time_it_is_read() -> None:
    response = streamed(gzip.compress(PLAIN)[:-4])
    response.decode()
    for _ in range(2):
        with pytest.raises(DecodeError, match=r"cannot be decoded \(gzip\): it ends"):
            await rest(response.body)


async def test_others_have_their_turn_while_nothing_comes_of_a_stream() -> None:
    # Blocks with nothing in them, in two codings: one chunk is a megabyte of them.
    hollow = gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * (1024 * 1024 // 5)
    response = coded(b"", b"gzip, gzip")
    response.body = Body(source=Chunks(gzip.compress(hollow, 1)))
    response.decode()
    reading = asyncio.ensure_future(rest(response.body))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 16
    with pytest.raises(DecodeError, match="it ends early"):
        await reading


async def test_a_snapshot_takes_a_decoding_back() -> None:
    content = gzip.compress(PLAIN)
    for response in (coded(content), streamed(content)):
        restore = response.body.snapshot()
        length, was_whole = response.body.length, response.body.is_whole
        response.decode()
        restore()
        assert response.body.is_whole is was_whole
        assert (response.body.length, response.body.replaced) == (length, 0)
        assert response.body.original is None
        assert await rest(response.body) == content
