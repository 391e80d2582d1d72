"""HTTP/1.1 byte for byte: raw clients on one side, scripted origins on the other."""

import asyncio

import pytest

from tests.support.clients import Proxy, raw, secure
from tests.support.h1_peer import H1Peer, Message, chunked, response
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, echo, fixed

ODD_FIELDS = (
    b"accept: */*\r\n"
    b"X-lower-UPPER: MiXed  value\r\n"
    b"x-repeated: 1\r\n"
    b"X-Between: \r\n"
    b"X-Repeated: 2\r\n"
    b"ACCEPT-ENCODING: gzip, br\r\n"
    b"x-bytes: \xe9\xff\r\n"
    b"Cookie: a=1; b=2\r\n"
)
ODD_ANSWER = (
    b"HTTP/1.1 207 Tr\xe8s  Bien\r\n"
    b"server: Odd\r\n"
    b"SET-cookie: a=1\r\n"
    b"X-Empty: \r\n"
    b"set-Cookie: b=2\r\n"
    b"content-LENGTH: 2\r\n"
    b"x-bytes: \xe9\xff\r\n"
    b"\r\n"
    b"ok"
)


def path_of(request: Message) -> bytes:
    return response(
        request.target, headers={"X-Path": request.target.decode("latin-1")}
    )


def absolute(origin: ScriptedOrigin, path: str = "/", extra: str = "") -> bytes:
    return (
        f"GET {origin.url}{path} HTTP/1.1\r\nHost: {origin.netloc}\r\n{extra}\r\n"
    ).encode("latin-1")


async def test_request_head_is_kept_byte_for_byte(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        head = b"GET /kept HTTP/1.1\r\nhOsT: " + origin.netloc.encode() + b"\r\n"
        head += ODD_FIELDS + b"\r\n"
        await client.send(head)
        await client.read_response()

        (request,) = origin.requests
    assert request.head == head


async def test_response_head_is_kept_byte_for_byte(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(ODD_ANSWER), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        await client.send(
            b"GET / HTTP/1.1\r\nHost: " + origin.netloc.encode() + b"\r\n\r\n"
        )
        answer = await client.read_response()

    assert answer.head + answer.body == ODD_ANSWER


@pytest.mark.parametrize(
    "target",
    [
        b"/a%2Fb/../c//d/./?q=%20+&&=&x",
        b"/caf\xe9/\xff\xfe?\x80=\xc3\xa9",
        b'/{}|\\^`"<>[]?{}|\\^`"<>[]\'',
        b"/*",
        b"/" + b"long" * 2000,
    ],
    ids=["dots", "high-bytes", "odd-ascii", "star", "long"],
)
async def test_target_is_kept_byte_for_byte(
    proxy: Proxy, origin_tls: OriginTls, target: bytes
) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        host = origin.netloc.encode()
        await client.send(
            b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        )
        answer = await client.read_response()

        assert answer.status == 200, answer.text
        (request,) = origin.requests
    assert request.target == target


async def test_pipelined_requests_are_answered_in_order(proxy: Proxy) -> None:
    async with AnsweringOrigin(path_of) as origin, raw(proxy) as client:
        paths = [f"/{number}" for number in range(10)]

        await client.send(b"".join(absolute(origin, path) for path in paths))
        answers = [(await client.read_response()).text for _ in paths]

    assert answers == paths


async def test_pipelined_request_after_a_body(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        host = origin.netloc.encode()
        post = b"POST /1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\n\r\nGET /"
        get = b"GET /2 HTTP/1.1\r\nHost: %s\r\n\r\n"
        await client.send(post % host + get % host)
        for _ in range(2):
            await client.read_response()

        lines = [request.start_line for request in origin.requests]
        bodies = [request.body for request in origin.requests]
    assert lines == [b"POST /1 HTTP/1.1", b"GET /2 HTTP/1.1"]
    assert bodies == [b"GET /", b""]


async def test_host_is_replaced_by_the_absolute_target(proxy: Proxy) -> None:
    # RFC 9112, 3.2.2: a proxy must ignore the Host received beside an absolute-form.
    async with AnsweringOrigin(echo) as origin, raw(proxy) as client:
        await client.send(
            f"GET {origin.url}/x HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n".encode()
        )
        await client.read_response()

        (request,) = origin.requests
    assert request.values("host") == [origin.netloc.encode()]
    assert request.target == b"/x"


async def test_hop_by_hop_fields_end_here_both_ways(proxy: Proxy) -> None:
    answer = response(
        b"ok",
        headers={
            "Connection": "X-Gone, keep-alive",
            "Keep-Alive": "timeout=5",
            "X-Gone": "1",
            "Proxy-Authenticate": "Basic",
            "X-Stays": "1",
        },
    )
    extra = (
        "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 1\r\n"
        "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n"
        "X-Stays: 1\r\n"
    )

    async with AnsweringOrigin(fixed(answer)) as origin, raw(proxy) as client:
        await client.send(absolute(origin, extra=extra))
        received = await client.read_response()

        (request,) = origin.requests
    for name in ("x-secret", "keep-alive", "proxy-connection", "proxy-authorization"):
        assert request.value(name) is None, name
    for name in ("x-gone", "keep-alive"):
        assert received.value(name) is None, name
    assert request.value("x-stays") == received.value("x-stays") == b"1"
    assert b"X-Secret" not in (request.value("connection") or b"")


async def test_chunked_request_with_trailers(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    body = chunked(b"one", b"two" * 1000, trailers={"X-Sum": "1", "x-more": "2"})

    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        head = (
            f"POST /t HTTP/1.1\r\nHost: {origin.netloc}\r\nTrailer: X-Sum\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        await client.send(head.encode() + body)
        await client.read_response()

        (request,) = origin.requests
    assert request.body == b"one" + b"two" * 1000
    assert request.trailers == [(b"X-Sum", b"1"), (b"x-more", b"2")]


async def test_response_streams_as_it_comes(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    seen = asyncio.Event()

    async def drip(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
        )
        await seen.wait()
        await peer.send(chunked(b"two"))

    async with (
        ScriptedOrigin(drip, tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        await client.send(f"GET / HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode())
        await client.read_head()
        pieces = client.chunks()
        # The origin sends the second only after the first has arrived here.
        first = await anext(pieces)
        seen.set()
        rest = [piece async for piece in pieces]

    assert (first, b"".join(rest)) == (b"one", b"two")


async def test_informational_responses_are_passed_on(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    answer = hints + b"HTTP/1.1 102 Processing\r\n\r\n" + response(b"ok")

    async with (
        AnsweringOrigin(fixed(answer), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        await client.send(f"GET / HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode())
        heads = [await client.read_head() for _ in range(3)]

    assert [head.status for head in heads] == [103, 102, 200]
    assert heads[0].value("link") == b"</a.css>; rel=preload"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=["head-length", "204", "304", "empty"],
)
async def test_responses_without_a_body_keep_the_connection(
    proxy: Proxy, origin_tls: OriginTls, method: bytes, answer: bytes
) -> None:
    async with (
        AnsweringOrigin(fixed(answer), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        request = (
            method + b" / HTTP/1.1\r\nHost: " + origin.netloc.encode() + b"\r\n\r\n"
        )
        heads = []
        for _ in range(2):
            await client.send(request)
            heads.append((await client.read_response(method)).head)

    assert heads == [answer, answer]


async def test_chunked_answer_to_head_keeps_the_connection(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"

    async with (
        AnsweringOrigin(fixed(answer), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        heads = []
        for _ in range(2):
            await client.send(
                f"HEAD / HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
            )
            heads.append((await client.read_response(b"HEAD")).value("x-a"))

        assert len(origin.peers) == 1
    # Whether its answer would be chunked is each hop's own affair (RFC 9112, 6.1).
    assert heads == [b"1", b"1"]


async def test_http_1_0_client_gets_no_chunks_and_the_end(proxy: Proxy) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer += chunked(b"one", b"two")

    async with AnsweringOrigin(fixed(answer)) as origin, raw(proxy) as client:
        await client.send(f"GET {origin.url}/old HTTP/1.0\r\n\r\n".encode())
        received = await client.read_response()

    assert received.status == 200
    assert received.value("transfer-encoding") is None
    assert received.body == b"onetwo"


async def test_http_1_0_origin_that_ends_by_closing(proxy: Proxy) -> None:
    async def old(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(
            b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end"
        )

    async with ScriptedOrigin(old) as origin, raw(proxy) as client:
        bodies = []
        for _ in range(2):
            await client.send(absolute(origin))
            bodies.append(await client.read_response())

    # HTTP/1.1 clients keep their connection: chunked takes the place of the close.
    assert [body.body for body in bodies] == [b"until the end"] * 2
    assert all(body.is_chunked for body in bodies)


async def test_connection_close_is_honoured(proxy: Proxy) -> None:
    async with AnsweringOrigin(fixed(response())) as origin, raw(proxy) as client:
        await client.send(absolute(origin, extra="Connection: close\r\n"))
        answer = await client.read_response()
        rest = await client.read_to_end()

    assert answer.status == 200
    assert (answer.value("connection") or b"").lower() == b"close"
    assert rest == b""


async def test_one_client_connection_to_two_origins(proxy: Proxy) -> None:
    async with (
        AnsweringOrigin(fixed(response(b"first"))) as first,
        AnsweringOrigin(fixed(response(b"second"))) as second,
        raw(proxy) as client,
    ):
        texts = []
        for origin in (first, second, first):
            await client.send(absolute(origin))
            texts.append((await client.read_response()).text)

    assert texts == ["first", "second", "first"]


async def test_origin_connection_is_reused_across_clients(proxy: Proxy) -> None:
    async with AnsweringOrigin(fixed(response())) as origin:
        for _ in range(5):
            async with raw(proxy) as client:
                await client.send(absolute(origin))
                assert (await client.read_response()).status == 200

        assert len(origin.requests) == 5
        assert len(origin.peers) == 1


async def test_upgrade_becomes_a_relay_and_keeps_leftover_bytes(proxy: Proxy) -> None:
    async def upgrade(peer: H1Peer) -> None:
        request = await peer.read_request()
        assert request.value("upgrade") == b"chat"
        assert request.value("connection") is not None
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n"
        # In one write with the head: the first bytes of the new protocol.
        await peer.send(switch + b"Connection: Upgrade\r\n\r\nat once;")
        said = await peer.read_to_end()
        await peer.send(b"you said " + said)

    async with ScriptedOrigin(upgrade) as origin, raw(proxy) as client:
        await client.send(
            absolute(origin, extra="Connection: Upgrade\r\nUpgrade: chat\r\n")
        )
        head = await client.read_head()
        await client.send(b"GET / not http\r\n\r\n")
        client.send_eof()
        rest = await client.read_to_end()

    assert head.status == 101
    assert head.value("upgrade") == b"chat"
    assert rest == b"at once;you said GET / not http\r\n\r\n"


async def test_half_closed_client_still_gets_its_answer(proxy: Proxy) -> None:
    body = b"x" * 100_000
    async with AnsweringOrigin(fixed(response(body))) as origin, raw(proxy) as client:
        await client.send(absolute(origin))
        client.send_eof()
        answer = await client.read_response()

    assert answer.body == body
