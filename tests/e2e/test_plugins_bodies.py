"""Chunk hooks and decoding on live traffic, in all four pairs of versions."""

import asyncio
import contextlib
import gzip
import json
import random
import sys
from collections.abc import AsyncIterator, Callable
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path

import brotli
import httpx
import psutil
import pytest
import zstandard

from tests.e2e.conftest import Running
from tests.support import tools
from tests.support.clients import h2_client, raw, run, secure
from tests.support.h1_peer import H1Peer, chunked, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import CANCEL, H2Stream, request_head
from tests.support.nginx import TEXT, Nginx
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.pairs import (
    Ask,
    Reply,
    Version,
    exchange,
    pair_client,
    pair_origin,
)
from tests.support.patience import PATIENT_S
from tests.support.process import STORE_ALONE, ProxyProcess

ROOT = Path(__file__).parents[2]
GUESTS = ROOT / "tests" / "guests"
MIB = 1024 * 1024


@pytest.fixture
def upper(running: Running) -> ProxyProcess:
    return running("chunk_upper")


@pytest.fixture
def count(running: Running) -> ProxyProcess:
    return running("chunk_count")


@pytest.fixture
def moods(running: Running) -> ProxyProcess:
    return running("chunk_moods")


@pytest.fixture
def decoder(running: Running) -> ProxyProcess:
    return running("decode_chunks")


async def test_bodies_are_changed_on_their_way(
    upper: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    ask = Ask(method="POST", body=b"up" * 100_000)
    reply = Reply(body=b"down" * 100_000, trailers=[(b"x-sum", b"1")])

    asked, received = await exchange(upper, origin_tls, (near, far), ask, reply)

    assert asked.body == b"UP" * 100_000
    assert received.body == b"DOWN" * 100_000
    assert asked.values(b"content-length") == received.values(b"content-length") == []
    assert received.trailers == [(b"x-sum", b"1")]


async def test_a_reader_leaves_length_and_trailers_as_they_are(
    count: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    ask = Ask(
        method="POST",
        headers=[(b"content-length", b"100000")] if near == "h2" else [],
        body=b"u" * 100_000,
    )
    length = [(b"content-length", b"200001")] if far == "h2" else []
    reply = Reply(body=b"d" * 200_001, headers=length)

    asked, received = await exchange(count, origin_tls, (near, far), ask, reply)

    assert (asked.body, received.body) == (ask.body, reply.body)
    assert asked.values(b"content-length") == [b"100000"]
    assert received.values(b"content-length") == [b"200001"]
    count.wait_for_line("plugin chunk_count: INFO end 100000$")
    count.wait_for_line("plugin chunk_count: INFO end 200001$")


async def test_trailers_pass_a_reader(
    count: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    reply = Reply(body=b"d" * 1234, trailers=[(b"x-sum", b"1")])

    _, received = await exchange(count, origin_tls, (near, far), Ask(), reply)

    assert (received.body, received.trailers) == (reply.body, reply.trailers)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
async def test_what_has_no_body_is_as_ever(
    upper: ProxyProcess,
    origin_tls: OriginTls,
    near: Version,
    far: Version,
    method: str,
    status: int,
) -> None:
    length = [(b"content-length", b"42")] if method == "HEAD" else []
    reply = Reply(status=status, headers=length)

    _, received = await exchange(
        upper, origin_tls, (near, far), Ask(method=method), reply
    )

    assert (received.status, received.body) == (status, b"")
    assert received.headers.count((b"content-length", b"42")) == len(length)


async def test_a_request_that_waits_for_100_passes_too(
    upper: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        pair_origin("h1", lambda _: Reply(body=b"yes"), origin_tls) as origin,
        secure(upper, origin.netloc) as client,
    ):
        await client.send(
            f"POST / HTTP/1.1\r\nHost: {origin.netloc}\r\nContent-Length: 5\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert b" 100 " in await client.read_until(b"\r\n\r\n")
        await client.send(b"hello")
        received = await client.read_response()

    assert received.body == b"YES"
    assert origin.asked[0].body == b"HELLO"


# --- any size -------------------------------------------------------------------------

BODY = b"abcdefghijklmnop" * 1024  # 16 KiB
PIECES = 50 * MIB // len(BODY)
LARGE = sha256(BODY.upper() * PIECES).hexdigest()
MAX_GROWTH_BYTES = 16 * MIB
"""Of the proxy's memory by a body of 50 MiB: a few windows, buffers and chunks."""


async def pour(peer: H1Peer) -> None:
    await peer.read_head()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (50 * MIB))
    for _ in range(PIECES):
        await peer.send(BODY)
    await peer.read()  # to close now would lose what the proxy has yet to take


async def pour_h2(stream: H2Stream) -> None:
    await stream.send_headers([(b":status", b"200")])
    for number in range(PIECES):
        await stream.send_data(BODY, end=number == PIECES - 1)


def resident(proxy: ProxyProcess) -> int:
    return psutil.Process(proxy.process.pid).memory_info().rss


async def download(proxy: ProxyProcess, home: Path, near: Version, url: str) -> Path:
    saved = home / "saved"
    outcome = await run(
        tools.require("curl"),
        *("--silent", "--show-error", "--fail", "--max-time", "50"),
        *("--http2" if near == "h2" else "--http1.1", "--cacert", proxy.ca),
        *("--proxy", proxy.url, "--output", saved, url),
        home=home,
        within_s=55,
    )
    outcome.ok()
    return saved


@pytest.mark.slow
async def test_fifty_mib_pass_in_bounded_memory(
    upper: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version, home: Path
) -> None:
    context = origin_tls.server(["http/1.1" if far == "h1" else "h2"])
    server = (
        ScriptedOrigin(pour, tls=context)
        if far == "h1"
        else H2Origin(pour_h2, tls=context)
    )
    async with server as origin:
        before = resident(upper)
        peaks = [before]

        async def watch() -> None:
            while True:
                peaks.append(resident(upper))
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        saved = await download(upper, home, near, f"https://{origin.netloc}/large")
        watching.cancel()

    with saved.open("rb") as file:
        assert file_digest(file, "sha256").hexdigest() == LARGE
    assert max(peaks) - before < MAX_GROWTH_BYTES


def httpx_through(proxy: ProxyProcess, near: Version) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        proxy=proxy.url,
        verify=client_context(proxy.ca),
        http2=near == "h2",
        trust_env=False,
        timeout=PATIENT_S,
    )


async def test_an_upload_passes_in_bounded_memory(
    upper: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(16 * MIB // len(BODY)):
            yield BODY

    async with (
        pair_origin(far, lambda _: Reply(), origin_tls) as origin,
        httpx_through(upper, near) as client,
    ):
        before = resident(upper)
        got = await client.post(f"https://{origin.netloc}/up", content=pieces())
        grown = resident(upper) - before

    assert got.status_code == 200
    assert origin.asked[0].body == BODY.upper() * (16 * MIB // len(BODY))
    assert grown < MAX_GROWTH_BYTES


# --- the middle of a body -------------------------------------------------------------


async def test_a_dropped_answer_has_no_clean_end(
    moods: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version, home: Path
) -> None:
    reply = Reply(body=b"k" * 16_384 + b"d" * 10)
    async with pair_origin(far, lambda _: reply, origin_tls) as origin:
        code = await curl_code(moods, home, near, f"https://{origin.netloc}/dropped")

    # 18: partial file; 92: the stream was reset; 56: the connection was.
    assert code in (18, 56, 92)


async def curl_code(proxy: ProxyProcess, home: Path, near: Version, url: str) -> int:
    outcome = await run(
        tools.require("curl"),
        *("--silent", "--fail", "--max-time", "12", "--output", "/dev/null"),
        *("--http2" if near == "h2" else "--http1.1", "--cacert", proxy.ca),
        *("--proxy", proxy.url, url),
        home=home,
    )
    return outcome.code


async def explained(proxy: ProxyProcess, home: Path, path: str) -> str:
    """What `flows show --explain` tells of the last exchange with this path."""

    async def flows(*arguments: str) -> str:
        outcome = await run(
            *(sys.executable, "-m", "int3rceptor", "flows", *arguments),
            *("--data-dir", proxy.data_dir),
            home=home,
            cwd=ROOT,
        )
        return outcome.ok().text

    lines = [json.loads(line) for line in (await flows("list", "--json")).splitlines()]
    number = next(one["id"] for one in lines if one["target"] == path)
    return await flows("show", str(number), "--explain")


async def test_a_dropped_answer_over_http_10_has_no_clean_end(
    moods: ProxyProcess,
) -> None:
    body = chunked(b"k" * 16_384, b"d")
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    async with AnsweringOrigin(fixed(whole)) as origin, raw(moods) as client:
        await client.send(f"GET {origin.url}/ HTTP/1.0\r\n\r\n".encode())
        head = await client.read_head()
        assert head.value("content-length") is None
        # Only a reset can say it: such a body ends where the connection does.
        with pytest.raises(ConnectionResetError):
            await client.read_exactly(16_385)


async def test_a_dropped_request_never_ends_at_the_origin(
    moods: ProxyProcess, origin_tls: OriginTls, near: Version
) -> None:
    ended: list[bytes] = []

    async def serve(peer: H1Peer) -> None:
        await peer.read_head()
        ended.append(await peer.read_to_end())

    async with ScriptedOrigin(serve, tls=origin_tls.server(["http/1.1"])) as origin:
        ask = Ask(method="POST", body=b"k" * 16_384 + b"d" * 10)
        async with pair_client(near, moods, origin.netloc) as client:
            with pytest.raises((AssertionError, EOFError, OSError)):
                await client(ask)
        await origin.wait_ended()

    assert b"d" not in ended[0]
    assert not ended[0].endswith(b"0\r\n\r\n")


async def test_after_a_fault_an_untouched_body_goes_on(
    moods: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    body = b"k" * 16_384 + b"t" * 16_384 + b"x" * 16_384
    _, received = await exchange(
        moods, origin_tls, (near, far), Ask(), Reply(body=body)
    )

    assert received.body == body


async def test_a_client_that_leaves_and_an_origin_that_resets_cost_nobody_else(
    upper: ProxyProcess, origin_tls: OriginTls, near: Version, home: Path
) -> None:
    async def half(peer: H1Peer) -> None:
        head = await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nhalf")
        if head.target == b"/reset":
            await peer.send(BODY)
            peer.reset()
        else:
            with contextlib.suppress(OSError):
                while True:
                    await peer.send(BODY)
                    await asyncio.sleep(0.001)

    async with ScriptedOrigin(half, tls=origin_tls.server(["http/1.1"])) as origin:
        url = f"https://{origin.netloc}"
        # 22: a page, when the reset came before the answer's head had left.
        assert await curl_code(upper, home, near, f"{url}/reset") in (18, 22, 56, 92)
        async with pair_leaver(near, upper, origin.netloc) as received:
            assert received.startswith(b"HALF")
        await origin.wait_ended(2)
    async with (
        pair_origin("h1", lambda _: Reply(body=b"ok"), origin_tls) as fine,
        pair_client(near, upper, fine.netloc) as client,
    ):
        assert (await client(Ask())).body == b"OK"


@contextlib.asynccontextmanager
async def pair_leaver(
    near: Version, proxy: ProxyProcess, netloc: str
) -> AsyncIterator[bytes]:
    """What a client has of an answer when it leaves."""
    if near == "h1":
        async with secure(proxy, netloc) as client:
            await client.send(f"GET /l HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
            await client.read_head()
            yield b"".join([await anext(client.chunks())])
    else:
        async with h2_client(proxy, netloc) as h2:
            stream = await h2.open(request_head("GET", netloc, "/l"))
            await stream.wait_body(4)
            yield bytes(stream.body)
            await stream.reset(CANCEL)


async def test_what_happened_is_in_the_flows_record(
    tmp_path: Path, origin_tls: OriginTls, home: Path
) -> None:
    arguments = ("--upstream-ca", origin_tls.ca, "--plugin", GUESTS / "chunk_moods.wat")
    with ProxyProcess(tmp_path / "kept", *arguments, planes=STORE_ALONE) as proxy:
        bodies = {
            "/kept": b"xyz",
            "/cut": b"k" * 16_384 + b"d",
            "/fault": b"x" * 16_384 + b"t",
        }
        async with AnsweringOrigin(
            lambda request: response(bodies[request.target.decode()]),
            tls=origin_tls.server(),
        ) as origin:
            for path, code in (("/kept", 0), ("/cut", 18), ("/fault", 18)):
                url = f"https://{origin.netloc}{path}"
                assert await curl_code(proxy, home, "h1", url) == code
    shown = await explained(proxy, home, "/kept")
    assert "body replaced by a stream, from byte 0 on" in shown
    assert "!#" in shown
    assert "chunk_moods cut the body off" in await explained(proxy, home, "/cut")
    assert "failed: trap: unreachable" in await explained(proxy, home, "/fault")


# --- decoding -------------------------------------------------------------------------

PLAIN = b"plain words, many of them; " * 20_000
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
}


@pytest.mark.parametrize("coding", ENCODE)
async def test_bodies_are_decoded_both_ways(
    decoder: ProxyProcess,
    origin_tls: OriginTls,
    near: Version,
    far: Version,
    coding: str,
) -> None:
    coded = ENCODE[coding](random.Random(1).randbytes(100_000) + PLAIN)
    fields = [(b"content-encoding", coding.encode())]
    ask = Ask(method="POST", headers=fields, body=coded)
    reply = Reply(headers=[*fields, (b"etag", b'"1"')], body=coded)

    asked, received = await exchange(decoder, origin_tls, (near, far), ask, reply)

    for message in (asked, received):
        assert message.body.endswith(PLAIN)
        assert len(message.body) == 100_000 + len(PLAIN)
        assert message.values(b"content-encoding") == []
        assert message.values(b"content-length") in ([], [b"%d" % len(message.body)])
    assert received.values(b"etag") == [b'W/"1"']


async def test_what_nginx_compresses_is_decoded(
    decoder: ProxyProcess, nginx: Nginx, near: Version
) -> None:
    netloc = nginx.h1 if near == "h1" else nginx.h2
    async with httpx_through(decoder, near) as client:
        got = await client.get(f"https://{netloc}/text.txt?decoded-{near}")

    assert got.content == TEXT
    assert "content-encoding" not in got.headers
    (seen,) = nginx.received(f"/text.txt?decoded-{near}")
    assert "gzip" in str(seen["accept"])


BOMBS = [coding for coding in ENCODE if coding != "br"]


@cache
def bomb(coding: str) -> bytes:
    return ENCODE[coding](bytes(200 * MIB))


@pytest.mark.parametrize("coding", BOMBS)
async def test_a_bomb_is_cut_off_and_costs_no_memory(
    decoder: ProxyProcess, origin_tls: OriginTls, near: Version, home: Path, coding: str
) -> None:
    coded = bomb(coding)
    reply = Reply(headers=[(b"content-encoding", coding.encode())], body=coded)
    before = resident(decoder)
    async with pair_origin("h1", lambda _: reply, origin_tls) as origin:
        code = await curl_code(decoder, home, near, f"https://{origin.netloc}/bomb")

    assert code in (18, 56, 92)
    assert resident(decoder) - before < 3 * MAX_GROWTH_BYTES
    decoder.wait_for_line(r"the body cannot be decoded .*250 times its size")


async def test_what_was_never_coded_says_so(
    decoder: ProxyProcess, origin_tls: OriginTls, near: Version
) -> None:
    reply = Reply(headers=[(b"content-encoding", b"gzip")], body=b"never coded")

    _, received = await exchange(decoder, origin_tls, (near, "h1"), Ask(), reply)

    # The module is told so by a status (-3), and lets the answer pass as it is.
    assert received.body == b"never coded"
    assert received.values(b"content-encoding") == [b"gzip"]
    decoder.wait_for_line("plugin decode_chunks: INFO \\^$")
