"""Clients that break the rules, stall or vanish: refused clearly, and bounded."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import psutil
import pytest

from tests.support.bio_tls import BioTls
from tests.support.clients import connect_head, h2_client, raw, secure, tunnel
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin, answer
from tests.support.h2_peer import request_head
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess

SHORT = "[limits]\nclient_idle_s = 2.0\nhead_timeout_s = 2.0\n"
CLOSE_S = 20.0
"""Patient, and less than the limits are by themselves."""
MEGABYTE = 1024 * 1024
ENHANCE_YOUR_CALM = 11


@pytest.fixture(scope="module")
def hasty(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[ProxyProcess]:
    """A proxy that waits for clients so briefly that a test can wait for its end."""
    folder = tmp_path_factory.mktemp("faulty-clients")
    with ProxyProcess(folder, "--upstream-ca", origin_tls.ca, config=SHORT) as running:
        yield running


@pytest.fixture(autouse=True)
async def still_serves(proxy: ProxyProcess) -> AsyncIterator[None]:
    yield
    async with (
        AnsweringOrigin(fixed(response(b"alive"))) as origin,
        raw(proxy) as client,
    ):
        await client.send(
            f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
        )
        assert (await client.read_response()).text == "alive"


REFUSED = {
    "te-with-cl": b"POST %u HTTP/1.1\r\nHost: %h\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-in-http-1.0": b"POST %u HTTP/1.0\r\nHost: %h\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"POST %u HTTP/1.1\r\nHost: %h\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nxx",
    "repeated-length": b"POST %u HTTP/1.1\r\nHost: %h\r\nContent-Length: 1\r\n"
    b"Content-Length: 1\r\n\r\nx",
    "listed-length": b"POST %u HTTP/1.1\r\nHost: %h\r\nContent-Length: 1, 1\r\n\r\nx",
    "signed-length": b"POST %u HTTP/1.1\r\nHost: %h\r\nContent-Length: +1\r\n\r\nx",
    "te-not-chunked": b"POST %u HTTP/1.1\r\nHost: %h\r\n"
    b"Transfer-Encoding: gzip\r\n\r\n",
    "te-chunked-twice": b"POST %u HTTP/1.1\r\nHost: %h\r\n"
    b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "te-chunked-first": b"POST %u HTTP/1.1\r\nHost: %h\r\n"
    b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "bare-lf": b"GET %u HTTP/1.1\nHost: %h\n\n",
    "bare-lf-in-fields": b"GET %u HTTP/1.1\r\nHost: %h\nX-A: 1\r\n\r\n",
    "bare-cr": b"GET %u HTTP/1.1\r\nHost: %h\r\nX-A: 1\rX-B: 2\r\n\r\n",
    "space-before-colon": b"GET %u HTTP/1.1\r\nHost: %h\r\nX-A : 1\r\n\r\n",
    "obs-fold": b"GET %u HTTP/1.1\r\nHost: %h\r\nX-A: 1\r\n 2\r\n\r\n",
    "nul": b"GET %u HTTP/1.1\r\nHost: %h\r\nX-A: a\x00b\r\n\r\n",
    "control-character": b"GET %u HTTP/1.1\r\nHost: %h\r\nX-A: a\x08b\r\n\r\n",
    "two-hosts": b"GET %u HTTP/1.1\r\nHost: %h\r\nHost: %h\r\n\r\n",
    "no-host": b"GET %u HTTP/1.1\r\n\r\n",
    "no-colon": b"GET %u HTTP/1.1\r\nHost: %h\r\nnonsense\r\n\r\n",
    "no-name": b"GET %u HTTP/1.1\r\nHost: %h\r\n: 1\r\n\r\n",
    "two-spaces": b"GET  %u HTTP/1.1\r\nHost: %h\r\n\r\n",
    "user-info": b"GET http://user@%h/ HTTP/1.1\r\nHost: %h\r\n\r\n",
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_request_that_must_be_refused(proxy: ProxyProcess, kind: str) -> None:
    async with AnsweringOrigin(fixed(response())) as origin, raw(proxy) as client:
        host = origin.netloc.encode()
        request = REFUSED[kind].replace(b"%u", b"http://%h/").replace(b"%h", host)
        smuggled = b"GET http://%s/smuggled HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host)
        await client.send(request + smuggled)
        async with asyncio.timeout(CLOSE_S):
            received = await client.read_to_end()

        targets = [request.target for request in origin.requests]
    assert received.startswith(b"HTTP/1.1 400 "), received
    # What followed can no longer be told apart, so the connection is over.
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", received)) == 1
    assert targets == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"zz\r\n", "not-hex"),
        (b"-1\r\n", "negative"),
        (b"1" * 100 + b"\r\n", "endless-size"),
        (b"1;" + b"e" * 100_000 + b"\r\nx\r\n0\r\n\r\n", "endless-extension"),
        (b"1\r\nxy\r\n0\r\n\r\n", "no-crlf"),
        (b"0\r\nContent-Length: 5\r\n\r\n", "length-in-trailers"),
        (b"0\r\nX-A : 5\r\n\r\n", "bad-trailer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_body_that_must_be_refused(
    proxy: ProxyProcess, body: bytes, reason: str
) -> None:
    async with AnsweringOrigin(fixed(response())) as origin, raw(proxy) as client:
        await client.send(
            f"POST {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(CLOSE_S):
            received = await client.read_to_end()

        # The origin never sees such a request as whole.
        assert origin.requests == [], reason
    assert received.startswith(b"HTTP/1.1 400 "), received


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET http://h/ HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET http://h/" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET http://h/ HTTP/1.1\r\nX-A: " + b"x" * 2_000_000 + b"\r\n\r\n", 431),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ],
    ids=["http-2.0", "long-target", "large-head", "ftp"],
)
async def test_request_past_a_limit(
    proxy: ProxyProcess, start: bytes, status: int
) -> None:
    async with AnsweringOrigin(fixed(response())) as origin, raw(proxy) as client:
        request = start.replace(b"http://h/", f"{origin.url}/".encode(), 1)
        client.writer.write(request)
        async with asyncio.timeout(CLOSE_S):
            answer = await client.read_response()

    assert answer.status == status


async def test_client_that_says_nothing_is_let_go(hasty: ProxyProcess) -> None:
    async with raw(hasty) as client, asyncio.timeout(CLOSE_S):
        assert await client.read_to_end() == b""


@pytest.mark.parametrize(
    "begun", [b"GE", b"PRI * HTTP/2", b"GET http://localhost/ HTTP/1.1\r\nHost: loc"]
)
async def test_half_a_head_is_let_go(hasty: ProxyProcess, begun: bytes) -> None:
    async with raw(hasty) as client, asyncio.timeout(CLOSE_S):
        await client.send(begun)
        received = await client.read_to_end()

    assert received.startswith(b"HTTP/1.1 408 "), received


async def test_half_a_connect_is_let_go(hasty: ProxyProcess) -> None:
    async with raw(hasty) as client, asyncio.timeout(CLOSE_S):
        await client.send(connect_head("localhost:443")[:-5])
        received = await client.read_to_end()

    assert received == b"" or received.startswith(b"HTTP/1.1 408 ")


async def test_half_a_client_hello_is_let_go(
    hasty: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        tunnel(hasty, origin.netloc) as client,
        asyncio.timeout(CLOSE_S + 10),
    ):
        hello = BioTls(client, hasty.ca, "localhost").hello()
        await client.send(hello[: len(hello) // 2])
        await client.read_to_end()

        # Half a hello is no reason to bother the origin with garbage.
        assert not origin.requests


async def test_client_that_vanishes_in_its_upload(proxy: ProxyProcess) -> None:
    ends: asyncio.Queue[bytes] = asyncio.Queue()
    begun = asyncio.Event()

    async def read_all(peer: H1Peer) -> None:
        await peer.read_head()
        begun.set()
        ends.put_nowait(await peer.read_to_end())

    async with ScriptedOrigin(read_all) as origin:
        for reset in (False, True):
            async with raw(proxy) as client:
                await client.send(
                    f"POST {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n"
                    "Content-Length: 1000\r\n\r\npartial".encode()
                )
                async with asyncio.timeout(CLOSE_S):
                    await begun.wait()
                if reset:
                    client.reset()
            # The origin's connection ends too, without a word more than was sent.
            async with asyncio.timeout(CLOSE_S):
                assert await ends.get() in (b"", b"partial")
            begun.clear()


async def test_chunked_upload_cut_off_is_not_completed(proxy: ProxyProcess) -> None:
    ends: asyncio.Queue[bytes] = asyncio.Queue()

    async def read_all(peer: H1Peer) -> None:
        ends.put_nowait(await peer.read_to_end())

    async with ScriptedOrigin(read_all) as origin:
        async with raw(proxy) as client:
            await client.send(
                f"POST {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode()
            )
        async with asyncio.timeout(CLOSE_S):
            received = await ends.get()

    assert b"0\r\n\r\n" not in received


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
async def test_client_that_stops_reading_costs_bounded_memory(
    proxy: ProxyProcess, origin_tls: OriginTls, secured: bool
) -> None:
    total = 0

    async def pour(peer: H1Peer) -> None:
        nonlocal total
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        while total < 400 * MEGABYTE:
            await peer.send(bytes(MEGABYTE))
            total += MEGABYTE

    process = psutil.Process(proxy.process.pid)
    before = process.memory_info().rss
    tls = origin_tls.server() if secured else None
    async with ScriptedOrigin(pour, tls=tls) as origin:
        opened = secure(proxy, origin.netloc) if secured else raw(proxy)
        async with opened as client:
            target = "/" if secured else f"{origin.url}/"
            client.stop_reading()
            client.writer.write(
                f"GET {target} HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
            )
            # Until nothing moves any more: every buffer on the way is full.
            last = -1
            async with asyncio.timeout(PATIENT_S):
                while total != last or total == 0:
                    last = total
                    await asyncio.sleep(0.5)
            grown = process.memory_info().rss - before

    assert total < 100 * MEGABYTE
    assert grown < 32 * MEGABYTE


async def test_malformed_request_costs_its_stream_only(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        good = request_head("GET", origin.netloc, "/good")
        bad_heads = [
            [*good, (b"X-Upper", b"1")],
            [*good, (b"connection", b"close")],
            [*good, (b"transfer-encoding", b"chunked")],
            [*good, (b":path", b"/twice")],
            [*good, (b":unknown", b"1")],
            [*good, (b"x-bad", b"a\r\nb")],
            good[:2],
        ]
        outcomes = []
        for head in bad_heads:
            stream = await client.open(head)
            await stream.wait_over()
            outcomes.append(stream.reset_code is not None or stream.status == 400)
        after = await client.request("GET", origin.netloc, "/after")

        paths = {stream.path for stream in origin.streams}
    assert all(outcomes), outcomes
    assert after.status == 200
    assert paths == {b"/after"}


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


FLOODS = {
    "ping": frame(6, 0, 0, b"12345678"),
    "settings": frame(4, 0, 0),
    "priority": frame(2, 0, 1, b"\0\0\0\0\0"),
    "window-update": frame(8, 0, 0, b"\0\0\0\1"),
    "unknown": frame(200, 0, 0, b"x"),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_flood_of_control_frames_is_ended(
    proxy: ProxyProcess, origin_tls: OriginTls, kind: str
) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        await client.request("GET", origin.netloc, "/before")
        flood = FLOODS[kind] * 1000
        try:
            async with asyncio.timeout(PATIENT_S):
                for _ in range(100):
                    await client.send_raw(flood)
                    if client.is_closed:
                        break
        except OSError:
            pass
        await client.wait_until(lambda: client.is_closed)

        if client.goaway:
            assert (
                int.from_bytes(client.goaway.payload[4:8], "big") == ENHANCE_YOUR_CALM
            )


async def test_rapid_reset_is_ended(proxy: ProxyProcess, origin_tls: OriginTls) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        opened = 0
        try:
            async with asyncio.timeout(PATIENT_S):
                while not client.is_closed and not client.goaway and opened < 20_000:
                    stream = await client.open(request_head("GET", origin.netloc, "/"))
                    await stream.reset()
                    opened += 1
        except OSError:
            pass

        assert opened < 20_000
        if client.goaway:
            assert (
                int.from_bytes(client.goaway.payload[4:8], "big") == ENHANCE_YOUR_CALM
            )


async def test_continuation_flood_is_ended(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        await client.request("GET", origin.netloc, "/before")
        sent = 0
        try:
            async with asyncio.timeout(PATIENT_S):
                await client.send_raw(frame(1, 0, 101, b"\x82"))
                while not client.is_closed and sent < 50_000:
                    await client.send_raw(frame(9, 0, 101, b"\x40\x01a\x01b") * 100)
                    sent += 100
        except OSError:
            pass
        await client.wait_until(lambda: client.is_closed)
    assert sent < 50_000
