"""Bodies chunk by chunk, both ways, with real clients over each way."""

import asyncio
import gzip
import hashlib
import logging
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from int3rceptor import Body, Config, DecodeError, Flow, Proxy, Respond, Response
from tests.support.origin_tls import OriginTls
from tests.support.streams import eventually
from tests.support.ways import (
    WAYS,
    Way,
    an_origin,
    curl_through,
    httpx_through,
)

PLAIN, TLS_H1, TLS_H2 = WAYS
SMALL = b"hello"
LARGE = b"0123456789abcdef" * 65_536  # 1 MiB: many chunks, and more than a window


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def content(request: pytest.FixtureRequest) -> bytes:
    chosen: bytes = request.param
    return chosen


def upper(chunk: bytes) -> bytes:
    return chunk.upper()


async def upper_later(chunk: bytes) -> bytes:
    await asyncio.sleep(0)
    return chunk.upper()


@pytest.mark.parametrize("function", [upper, upper_later])
async def test_a_response_passes_through_a_function(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes, function: object
) -> None:
    assert callable(function)
    sizes: list[int] = []
    async with an_origin(way, origin_tls, content) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def transform(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(function)

        proxy.on_capture(lambda flow: sizes.append(flow.bytes_down))
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            for _ in range(2):  # the connections are still good
                got = await client.get(f"{origin.url}/")
                assert got.content == content.upper()
                assert "content-length" not in got.headers
        await eventually(lambda: len(sizes) == 2)

    assert sizes == [len(content)] * 2


async def test_curl_reads_a_compressed_stream(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes, tmp_path: Path
) -> None:
    def compress(flow: Flow) -> None:
        assert flow.response
        engine = zlib.compressobj(wbits=31)
        flow.response.headers["content-encoding"] = "gzip"
        flow.response.body.transform(
            lambda chunk: engine.compress(chunk) if chunk else engine.flush()
        )

    saved = tmp_path / "saved"
    async with an_origin(way, origin_tls, content) as origin, Proxy(config) as proxy:
        proxy.on_response(compress)
        arguments = ("--output", str(saved), "--no-include", f"{origin.url}/")
        shown = await curl_through(proxy.url, proxy.ca_path, way, tmp_path, *arguments)

    shown.ok()
    assert gzip.decompress(saved.read_bytes()) == content


async def test_an_upload_passes_through_a_function(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 50_000):
            yield content[start : start + 50_000]

    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda flow: flow.request.body.transform(upper_later))
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            for body in (content, pieces()):
                got = await client.post(f"{origin.url}/", content=body)
                assert got.text == "hello"

    assert [one.body for one in origin.received] == [content.upper()] * 2
    assert all("content-length" not in one.headers for one in origin.received)


async def test_what_was_kept_back_is_sent_at_the_end(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes
) -> None:
    digest = hashlib.sha256()

    def seal(chunk: bytes) -> bytes:
        digest.update(chunk)
        return chunk or digest.hexdigest().encode()

    async with an_origin(way, origin_tls, content) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def sealed(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(seal)

        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.get(f"{origin.url}/")

    assert got.content[: len(content)] == content
    assert got.content[len(content) :].decode() == hashlib.sha256(content).hexdigest()


async def test_requests_without_a_body_stay_as_they_are(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda flow: flow.request.body.transform(lambda _: b"more"))
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            await client.get(f"{origin.url}/")

    assert origin.received[0].body == b""
    assert "transfer-encoding" not in origin.received[0].headers


async def test_the_answer_to_a_head_request_stays_without_a_body(
    config: Config, origin_tls: OriginTls, way: Way, tmp_path: Path
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def more(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(lambda chunk: chunk or b"more")

        url = f"{origin.url}/"
        got = await curl_through(
            proxy.url, proxy.ca_path, way, tmp_path, "--head", url, url
        )

    assert got.ok().text.lower().count("content-type: text/plain") == 2
    assert "more" not in got.text


async def test_a_made_answer_can_be_transformed_too(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda _: Respond(Response(status=200, body=Body(b"made"))))

        @proxy.on_response
        def shout(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(upper)

        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.get(f"{origin.url}/")

    assert got.text == "MADE"


async def test_two_functions_and_one_that_reads_the_result(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes
) -> None:
    read: list[bytes | None] = []

    def reverse(flow: Flow) -> None:
        assert flow.response
        read.append(flow.response.body.content)
        flow.response.body.replace((flow.response.body.content or b"")[::-1])

    async with an_origin(way, origin_tls, content) as origin, Proxy(config) as proxy:
        for priority, function in ((1, upper), (2, bytes.swapcase)):

            def transform(flow: Flow, function: object = function) -> None:
                assert callable(function)
                assert flow.response
                flow.response.body.transform(function)

            proxy.listen("on_response", transform, priority=priority)
        proxy.listen("on_response", reverse, priority=3, needs_body=True)
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.get(f"{origin.url}/")

    changed = content.upper().swapcase()
    assert read == [changed]
    assert got.content == changed[::-1]
    assert got.headers["content-length"] == str(len(content))


async def test_what_is_past_the_limit_streams_on_through_a_function(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls, LARGE) as origin:
        limits = replace(config.limits, max_buffered_body_bytes=100_000)
        async with Proxy(replace(config, limits=limits)) as proxy:

            def shout(flow: Flow) -> None:
                assert flow.response
                assert flow.response.body.content is None
                flow.response.body.transform(upper)

            proxy.listen("on_response", shout, needs_body=True)
            async with httpx_through(proxy.url, proxy.ca_path, way) as client:
                got = await client.get(f"{origin.url}/")

    assert got.content == LARGE.upper()


async def test_a_request_that_is_answered_can_be_read_chunk_by_chunk(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        async def count(flow: Flow) -> Respond:
            digest = hashlib.sha256()
            async for chunk in flow.request.body:
                digest.update(chunk)
            return Respond(Response(status=200, body=Body(digest.hexdigest().encode())))

        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.post(f"{origin.url}/", content=LARGE)

    assert got.text == hashlib.sha256(LARGE).hexdigest()
    assert origin.received == []


# --- a function that fails ------------------------------------------------------------


def fails(chunk: bytes) -> bytes:
    raise ValueError("cannot")


async def test_a_response_whose_function_fails_is_broken_off(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with an_origin(way, origin_tls, content) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def break_off(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(fails)

        with caplog.at_level(logging.INFO, "int3rceptor"):
            async with httpx_through(proxy.url, proxy.ca_path, way) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(f"{origin.url}/")

    ours = [one for one in caplog.records if one.name.startswith("int3rceptor")]
    (line,) = [one.getMessage() for one in ours if "fails" in one.message]
    assert f"({origin.url}/)" in line
    assert "fails failed in the middle of a body: ValueError: cannot" in line
    assert all(one.exc_info is None for one in ours)
    assert proxy.statistics.errors == 1


async def test_an_upload_whose_function_fails_is_told_of(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda flow: flow.request.body.transform(fails))
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.post(f"{origin.url}/", content=SMALL)

    assert got.status_code == 502
    assert "fails failed in the middle of a body: ValueError: cannot" in got.text
    assert origin.received == []


# --- decoding -------------------------------------------------------------------------


async def test_a_decoded_body_is_seen_and_sent(
    config: Config, origin_tls: OriginTls, way: Way, content: bytes
) -> None:
    fields = {"content-encoding": "gzip", "etag": '"1"'}
    coded = gzip.compress(content)
    async with (
        an_origin(way, origin_tls, coded, fields) as origin,
        Proxy(config) as proxy,
    ):

        @proxy.on_response
        def decode(flow: Flow) -> None:
            assert flow.response
            flow.response.decode()
            flow.response.body.transform(upper)

        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.get(f"{origin.url}/")

    assert got.content == content.upper()
    assert "content-encoding" not in got.headers
    assert got.headers["etag"] == 'W/"1"'


async def test_what_may_not_be_decoded_is_told_and_passes(
    config: Config, origin_tls: OriginTls
) -> None:
    fields = {"content-encoding": "gzip", "cache-control": "no-transform"}
    told: list[str] = []
    async with (
        an_origin(TLS_H1, origin_tls, gzip.compress(SMALL), fields) as origin,
        Proxy(config) as proxy,
    ):

        @proxy.on_response
        def decode(flow: Flow) -> None:
            assert flow.response
            try:
                flow.response.decode()
            except DecodeError as error:
                told.append(f"{error.why}: {error}")

        async with httpx_through(proxy.url, proxy.ca_path, TLS_H1) as client:
            got = await client.get(f"{origin.url}/")

    assert told == ["refused: Cache-Control says no-transform"]
    assert (got.content, got.headers["content-encoding"]) == (SMALL, "gzip")


async def test_a_request_that_does_not_decode_is_answered_502(
    config: Config, origin_tls: OriginTls
) -> None:
    begun = gzip.compress(LARGE)[:900]
    async with an_origin(TLS_H1, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        def decode(flow: Flow) -> None:
            flow.request.decode()

        async def damaged() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield begun

        async with httpx_through(proxy.url, proxy.ca_path, TLS_H1) as client:
            got = await client.post(
                f"{origin.url}/",
                content=damaged(),
                headers={"content-encoding": "gzip"},
            )

    assert got.status_code == 502
    assert "A body could not be decoded" in got.text
