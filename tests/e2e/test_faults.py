"""Origins that fail: what the client is told, how soon, and that the proxy goes on."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.asking import ANSWER_S, ask, ask_secure, check_alive, check_page
from tests.support.clients import Proxy, raw
from tests.support.h1_peer import H1Peer, Message, response
from tests.support.origin_tls import OriginTls
from tests.support.origins import (
    HOST,
    Script,
    ScriptedOrigin,
    closed_port,
)
from tests.support.process import ProxyProcess


@pytest.fixture(autouse=True)
async def still_serves(proxy: ProxyProcess) -> AsyncIterator[None]:
    yield
    await check_alive(proxy)


@pytest.mark.parametrize("asked", [ask, ask_secure], ids=["http", "https"])
async def test_origin_that_refuses_connections(
    proxy: Proxy, asked: Callable[[Proxy, str], Awaitable[Message]]
) -> None:
    netloc = f"localhost:{closed_port()}"

    answer = await asked(proxy, netloc)

    check_page(answer, 502, netloc.partition(":")[2], "refused")


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
async def test_name_that_does_not_resolve(proxy: Proxy, secured: bool) -> None:
    name = "no-such-name.invalid"
    if secured:
        answer = await ask_secure(proxy, f"{name}:443", server_name=name)
    else:
        answer = await ask(proxy, name)

    check_page(answer, 502, name, "resolve")


async def test_connection_that_is_never_accepted(impatient_proxy: Proxy) -> None:
    with contextlib.ExitStack() as stack:
        # A full accept queue: the kernel drops further SYNs, and nobody says no.
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        await asyncio.sleep(0.1)

        address = f"127.0.0.1:{listener.getsockname()[1]}"
        answer = await ask(impatient_proxy, address)

    check_page(answer, 504, "time")


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
async def test_origin_that_says_nothing(
    impatient_proxy: Proxy, origin_tls: OriginTls, secured: bool
) -> None:
    tls = origin_tls.server() if secured else None

    async with ScriptedOrigin(silent, tls=tls) as origin:
        asked = ask_secure if secured else ask
        answer = await asked(impatient_proxy, origin.netloc)

    check_page(answer, 504, "time")


async def silent(peer: H1Peer) -> None:
    await peer.read_to_end()


async def silent_after_the_head(peer: H1Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await peer.read_to_end()


async def garbage(peer: H1Peer) -> None:
    await peer.read_request()
    await peer.send(bytes(range(256)) * 100)


async def closing_at_once(peer: H1Peer) -> None:
    await peer.read_request()


async def resetting(peer: H1Peer) -> None:
    await peer.read_request()
    peer.reset()


async def half_a_head(peer: H1Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def endless_head(peer: H1Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.send(b"X-More: " + b"y" * 1000 + b"\r\n")


async def flood_of_1xx(peer: H1Peer) -> None:
    await peer.read_request()
    while True:
        await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def last_get(netloc: str) -> bytes:
    """A request after which the client wants the connection to end."""
    head = f"GET http://{netloc}/ HTTP/1.1\r\nHost: {netloc}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


def bad(head: bytes) -> Script:
    async def send(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        await peer.read_to_end()

    return send


BAD_ANSWERS: dict[str, tuple[Script, int, str]] = {
    "garbage": (garbage, 502, "origin"),
    "closing": (closing_at_once, 502, "closed"),
    "resetting": (resetting, 502, "origin"),
    "half-a-head": (half_a_head, 502, "origin"),
    "endless-head": (endless_head, 502, "origin"),
    "te-with-cl": (
        bad(b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok"),
        502,
        "transfer-encoding",
    ),
    "two-lengths": (
        bad(b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        502,
        "content-length",
    ),
    "negative-length": (bad(b"Content-Length: -2\r\n\r\nok"), 502, "content-length"),
    "obs-fold": (bad(b"X-A: 1\r\n folded\r\n\r\n"), 502, "origin"),
    "bare-lf": (bad(b"X-A: 1\nX-B: 2\r\n\r\n"), 502, "origin"),
    "nul": (bad(b"X-A: \x00\r\n\r\n"), 502, "origin"),
    "space-before-colon": (bad(b"X-A : 1\r\n\r\n"), 502, "origin"),
    "unknown-coding": (
        bad(b"Transfer-Encoding: zip\r\n\r\n"),
        502,
        "transfer-encoding",
    ),
}


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_origin_with_a_bad_answer(
    proxy: Proxy, origin_tls: OriginTls, kind: str, secured: bool
) -> None:
    script, status, word = BAD_ANSWERS[kind]
    tls = origin_tls.server() if secured else None

    async with ScriptedOrigin(script, tls=tls) as origin:
        asked = ask_secure if secured else ask
        answer = await asked(proxy, origin.netloc)

    check_page(answer, status, word)


@pytest.mark.parametrize(
    "body",
    [b"zz\r\n", b"5\r\nhello", b"5\r\nhelloX\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n"],
    ids=["not-hex", "cut-off", "no-crlf", "huge"],
)
async def test_origin_with_bad_chunks_is_not_passed_on_as_whole(
    proxy: Proxy, body: bytes
) -> None:
    async def send(peer: H1Peer) -> None:
        await peer.read_request()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await peer.send(head + body)

    async with ScriptedOrigin(send) as origin, raw(proxy) as client:
        await client.send(last_get(origin.netloc))
        async with asyncio.timeout(ANSWER_S):
            received = await client.read_to_end()

    # Either the fault was seen in time for a page, or the body is visibly cut off.
    assert received.startswith(b"HTTP/1.1 502 ") or not received.endswith(b"0\r\n\r\n")


async def test_origin_that_stops_in_the_middle_of_its_body(
    impatient_proxy: Proxy,
) -> None:
    async with (
        ScriptedOrigin(silent_after_the_head) as origin,
        raw(impatient_proxy) as client,
    ):
        await client.send(last_get(origin.netloc))
        async with asyncio.timeout(ANSWER_S):
            received = await client.read_to_end()

    assert received.endswith(b"\r\n\r\nhalf")


async def test_flood_of_1xx_is_bounded(proxy: Proxy) -> None:
    async with ScriptedOrigin(flood_of_1xx) as origin, raw(proxy) as client:
        await client.send(last_get(origin.netloc))
        async with asyncio.timeout(ANSWER_S):
            received = await client.read_to_end()

    assert b"HTTP/1.1 502 " in received
    assert received.count(b" 102 ") < 1000


async def test_bytes_after_the_answer_spoil_the_connection_only(proxy: Proxy) -> None:
    async def too_much(peer: H1Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(response(b"right") + response(b"smuggled"))

    async with ScriptedOrigin(too_much) as origin:
        texts = [(await ask(proxy, origin.netloc)).text for _ in range(3)]

        assert len(origin.peers) == 3
    assert texts == ["right"] * 3


async def test_stale_idle_connection_is_retried(proxy: Proxy) -> None:
    async def once_then_close(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(response(b"kept alive?"))
        # The next request on this connection meets a close instead of an answer.
        await peer.read_head()

    async with ScriptedOrigin(once_then_close) as origin:
        statuses = [(await ask(proxy, origin.netloc)).status for _ in range(4)]

    assert statuses == [200] * 4


async def test_post_is_not_sent_twice(proxy: Proxy) -> None:
    posts: list[bytes] = []

    async def close_on_the_second(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(response(b"first"))
        posts.append((await peer.read_request()).start_line)

    async with ScriptedOrigin(close_on_the_second) as origin, raw(proxy) as client:
        url = f"http://{origin.netloc}/"
        host = f"Host: {origin.netloc}\r\n"
        await client.send(f"GET {url} HTTP/1.1\r\n{host}\r\n".encode())
        await client.read_response()
        body = "Content-Length: 4\r\n\r\nbody"
        await client.send(f"POST {url} HTTP/1.1\r\n{host}{body}".encode())
        answer = await client.read_response()

        # The origin read it whole and may have acted on it.
        assert len(posts) == 1
        assert len(origin.peers) == 1
    assert answer.status == 502
