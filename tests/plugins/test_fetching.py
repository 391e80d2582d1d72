"""Fetches over real sockets: trust, deadlines, limits, and where they may not lead."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from int3rceptor.net.own import Address
from int3rceptor.plugins.network import fetching
from int3rceptor.plugins.network.fetching import HttpFetcher
from int3rceptor.plugins.network.outbound import (
    FetchAnswer,
    FetchFailure,
    FetchRequest,
    FetchTerms,
)
from int3rceptor.tls.contexts import OriginVerification, origin_context
from tests.support.h1_peer import H1Peer, chunked, response
from tests.support.origin_tls import OriginTls
from tests.support.origins import (
    AnsweringOrigin,
    ScriptedOrigin,
    closed_port,
    echo,
    fixed,
)
from tests.support.patience import PATIENT_S

BODY = b"from the origin"


@pytest.fixture(scope="module")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origin-tls"))


def no_tls() -> ssl.SSLContext:
    raise AssertionError("nobody asked for https")


def request(
    port: int,
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    method: str = "GET",
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
) -> FetchRequest:
    return FetchRequest(
        method=method,
        scheme=scheme,
        host=host,
        port=port,
        target=b"/path?q=1",
        headers=headers or [],
        body=body,
    )


async def fetch(
    asked: FetchRequest,
    *,
    ca: Path | None = None,
    own: Sequence[Address] = (),
    seconds: float = 5.0,
    max_bytes: int = 100_000,
    may_be_private: bool = True,
) -> FetchAnswer | FetchFailure:
    def tls() -> ssl.SSLContext:
        return origin_context(OriginVerification(extra_ca=(ca,) if ca else ()))

    fetcher = HttpFetcher(tls if ca else no_tls, own)
    terms = FetchTerms(
        seconds=seconds, max_bytes=max_bytes, may_be_private=may_be_private
    )
    return await asyncio.to_thread(fetcher, asked, terms)


async def answer_to(script: bytes, **terms: int) -> FetchAnswer | FetchFailure:
    async def say(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(script)

    async with ScriptedOrigin(say) as origin:
        return await fetch(request(origin.port), **terms)


async def test_what_goes_out_is_what_was_asked_and_no_more() -> None:
    async with AnsweringOrigin(echo) as origin:
        asked = request(
            origin.port, method="POST", headers=[(b"X-A", b"caf\xe9")], body=b"data"
        )
        answer = await fetch(asked)
        (received,) = origin.requests
    assert isinstance(answer, FetchAnswer)
    assert answer.status == 200
    assert (b"Content-Type", b"application/json") in answer.headers
    assert json.loads(answer.body)["body_bytes"] == 4
    assert received.start_line == b"POST /path?q=1 HTTP/1.1"
    assert received.headers == [
        (b"Host", b"127.0.0.1:%d" % origin.port),
        (b"X-A", b"caf\xe9"),
        (b"Content-Length", b"4"),
        (b"Connection", b"close"),
    ]


@pytest.mark.parametrize(
    ("method", "body", "lengths"),
    [("DELETE", b"data", [b"4"]), ("POST", b"", [b"0"]), ("GET", b"", [])],
)
async def test_a_body_has_its_length_whatever_the_method(
    method: str, body: bytes, lengths: list[bytes]
) -> None:
    """Without it, it would be taken for the next request."""
    async with AnsweringOrigin(echo) as origin:
        await fetch(request(origin.port, method=method, body=body))
        (received,) = origin.requests
    found = [value for name, value in received.headers if name == b"Content-Length"]
    assert found == lengths


async def test_https_is_verified(origin_tls: OriginTls) -> None:
    async with AnsweringOrigin(fixed(response(BODY)), tls=origin_tls.server()) as good:
        asked = request(good.port, scheme="https", host="localhost")
        answer = await fetch(asked, ca=origin_tls.ca)
    assert isinstance(answer, FetchAnswer)
    assert answer.body == BODY


@pytest.mark.parametrize("kind", OriginTls.BAD)
async def test_a_certificate_that_is_wrong_is_a_failure(
    kind: str, origin_tls: OriginTls
) -> None:
    tls = origin_tls.server(kind=kind)
    async with AnsweringOrigin(fixed(response(BODY)), tls=tls) as origin:
        asked = request(origin.port, scheme="https", host="localhost")
        answer = await fetch(asked, ca=origin_tls.ca)
        assert origin.requests == []
    assert isinstance(answer, FetchFailure)
    assert answer.reason.startswith("its certificate: ")


async def test_a_server_without_tls_is_a_failure(origin_tls: OriginTls) -> None:
    async with ScriptedOrigin(lambda peer: peer.send(b"220 mail\r\n")) as origin:
        asked = request(origin.port, scheme="https", host="localhost")
        answer = await fetch(asked, ca=origin_tls.ca)
    assert isinstance(answer, FetchFailure)
    assert answer.reason.startswith("no TLS connection: ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
async def test_this_machine_is_not_reached_without_a_grant(host: str) -> None:
    async with AnsweringOrigin(echo) as origin:
        asked = request(origin.port, host=host)
        answer = await fetch(asked, may_be_private=False)
        assert origin.peers == []
    assert isinstance(answer, FetchFailure)
    assert answer.is_private
    assert "127.0.0.1, which is not a public address" in answer.reason
    assert f"network.private:{host}:{origin.port}" in answer.reason


def test_a_name_that_leads_to_both_is_reached_by_the_public_address_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[tuple[str, int]] = []

    class Refusing(socket.socket):
        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            connected.append(address)
            raise ConnectionRefusedError(111, "")

    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80))
        for one in ("10.0.0.1", "8.8.8.8", "169.254.169.254")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    monkeypatch.setattr(socket, "socket", Refusing)
    fetcher = HttpFetcher(no_tls, ())
    terms = FetchTerms(seconds=5, max_bytes=10, may_be_private=False)
    answer = fetcher(request(80, host="both.test"), terms)
    # By number: the name is not asked for again, which could answer otherwise.
    assert connected == [("8.8.8.8", 80)]
    assert isinstance(answer, FetchFailure)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_proxys_own_ports_are_never_reached(host: str) -> None:
    async with AnsweringOrigin(echo) as origin:
        for own in (("127.0.0.1", origin.port), ("0.0.0.0", origin.port)):  # noqa: S104
            answer = await fetch(request(origin.port, host=host), own=[own])
            assert isinstance(answer, FetchFailure)
            assert answer.reason == "this is the proxy's own address"
        await origin.wait_ended(2)
        assert origin.requests == []


async def test_a_chunk_of_a_size_below_zero_is_not_read_to_the_end() -> None:
    """http.client reads all that comes for one, whatever the limit."""
    sent = 0

    async def flood(peer: H1Peer) -> None:
        nonlocal sent
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while sent < 64 * 1024 * 1024:
            await peer.send(b"x" * 65_536)
            sent += 65_536

    async with ScriptedOrigin(flood) as origin:
        answer = await fetch(request(origin.port), max_bytes=1_000)
    assert answer == FetchFailure("the answer cannot be read: IncompleteRead")
    assert sent < 32 * 1024 * 1024


async def test_nobody_there_is_a_failure() -> None:
    answer = await fetch(request(closed_port()))
    assert answer == FetchFailure("connection refused")


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    answer = await fetch(request(80, host="nowhere.invalid"))
    assert isinstance(answer, FetchFailure)
    assert not answer.is_private


@pytest.mark.parametrize("host", ["a" * 300, ".", "a..b", "xn--"])
async def test_what_is_no_name_is_a_failure(host: str) -> None:
    assert isinstance(await fetch(request(80, host=host)), FetchFailure)


async def test_a_lookup_that_hangs_ends_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_answered, is_over = threading.Event(), threading.Event()

    def hang(*_args: object, **_more: object) -> list[object]:
        is_answered.wait(PATIENT_S)
        is_over.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    answer = await fetch(request(80, host="slow.test"), seconds=0.2)
    assert answer == FetchFailure("no whole answer within 0.2 s")
    assert not is_over.is_set()
    is_answered.set()
    # Its thread is over before the name is put back.
    assert await asyncio.to_thread(is_over.wait, PATIENT_S)


async def test_lookups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_lookups", fetching.threading.BoundedSemaphore(1))
    fetching._lookups.acquire()
    answer = await fetch(request(80, host="slow.test"), seconds=0.1)
    assert answer == FetchFailure("no whole answer within 0.1 s")
    fetching._lookups.release()


DRIPS = [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"]


@pytest.mark.parametrize("head", DRIPS, ids=["silent", "in the head", "in the body"])
async def test_a_peer_that_drips_ends_at_the_deadline(head: bytes) -> None:
    async def drip(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(head)
        while head:
            await peer.send(b"x")
            await asyncio.sleep(0.05)
        await asyncio.sleep(PATIENT_S)

    async with ScriptedOrigin(drip) as origin:
        answer = await fetch(request(origin.port), seconds=0.4)
    assert answer == FetchFailure("no whole answer within 0.4 s")


async def test_a_peer_that_does_not_read_ends_at_the_deadline() -> None:
    async def ignore(_peer: H1Peer) -> None:
        await asyncio.sleep(PATIENT_S)

    async with ScriptedOrigin(ignore) as origin:
        asked = request(origin.port, method="POST", body=b"x" * 32_000_000)
        answer = await fetch(asked, seconds=0.5)
    assert answer == FetchFailure("no whole answer within 0.5 s")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_an_answer_may_have_so_many_bytes(is_chunked: bool) -> None:
    def framed(body: bytes) -> bytes:
        if not is_chunked:
            return response(body)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + chunked(body[:10], body[10:])

    extra = len("Transfer-Encodingchunked") if is_chunked else len("Content-Length1000")
    whole = await answer_to(framed(b"x" * 1000), max_bytes=1000 + extra)
    assert isinstance(whole, FetchAnswer)
    assert len(whole.body) == 1000
    more = await answer_to(framed(b"x" * 1001), max_bytes=1000 + extra)
    assert isinstance(more, FetchFailure)
    assert more.is_large
    head = await answer_to(framed(b"x"), max_bytes=5)
    assert isinstance(head, FetchFailure)
    assert head.is_large


async def test_a_body_up_to_the_end_of_the_connection() -> None:
    answer = await answer_to(b"HTTP/1.0 203 Fine\r\nA: 1\r\na: 2\r\n\r\n" + BODY)
    assert answer == FetchAnswer(
        status=203, headers=[(b"A", b"1"), (b"a", b"2")], body=BODY
    )


async def test_no_redirect_is_followed() -> None:
    target = "http://127.0.0.1:1/"
    said = response(b"", "302 Found", {"Location": target, "Set-Cookie": "a=1"})
    answer = await answer_to(said)
    assert isinstance(answer, FetchAnswer)
    assert answer.status == 302


BROKEN = [
    b"",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("said", BROKEN)
async def test_a_broken_answer_is_a_failure(said: bytes) -> None:
    answer = await answer_to(said)
    assert isinstance(answer, FetchFailure)
    assert not answer.is_large


async def test_the_environments_proxies_are_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    async with AnsweringOrigin(fixed(response(BODY))) as origin:
        answer = await fetch(request(origin.port))
    assert isinstance(answer, FetchAnswer)


async def test_no_socket_is_left(origin_tls: OriginTls) -> None:
    # What is left open warns when it is collected, and warnings are errors here.
    tls = origin_tls.server()
    async with AnsweringOrigin(fixed(response(BODY)), tls=tls) as origin:
        for _ in range(3):
            asked = request(origin.port, scheme="https", host="localhost")
            assert isinstance(await fetch(asked, ca=origin_tls.ca), FetchAnswer)
