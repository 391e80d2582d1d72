"""HTTP/1.1 and HTTP/2 in all four pairs of client and origin."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.clients import h2_client, secure
from tests.support.h1_peer import H1Peer
from tests.support.h2_origin import H2Origin, answer
from tests.support.h2_peer import CANCEL, NO_ERROR, H2Stream, request_head
from tests.support.nginx import SMALL, Nginx
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin
from tests.support.pairs import Ask, Reply, Version, exchange, pair_client, pair_origin
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess

# Each side speaks HTTP/2 whenever its peer can, so one proxy makes all four pairs.
BOTH = '[tls]\nclient_http2 = "always"\n[upstream]\nhttp2 = "always"\n'


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[ProxyProcess]:
    folder = tmp_path_factory.mktemp("pairs")
    with ProxyProcess(folder, "--upstream-ca", origin_tls.ca, config=BOTH) as running:
        yield running


async def test_head_and_body_arrive_both_ways(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    ask = Ask(
        method="POST",
        path="/p?q=%20\xe9",
        headers=[(b"x-one", b"1"), (b"x-two", b"a, b"), (b"x-one", b"2")],
        body=b"up" * 100_000,
    )
    reply = Reply(
        status=201,
        headers=[(b"x-back", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
        body=b"down" * 100_000,
    )

    asked, received = await exchange(proxy, origin_tls, (near, far), ask, reply)

    assert (asked.method, asked.path, asked.body) == (ask.method, ask.path, ask.body)
    assert asked.values(b"x-one") == [b"1", b"2"]
    assert asked.values(b"x-two") == [b"a, b"]
    assert (received.status, received.body) == (201, reply.body)
    assert received.values(b"x-back") == [b"1"]
    assert received.values(b"set-cookie") == [b"a=1", b"b=2"]


async def test_trailers_arrive_both_ways(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    ask = Ask(
        method="POST",
        headers=[(b"te", b"trailers")] if near == "h2" else [],
        body=b"body",
        trailers=[(b"x-up", b"1")],
    )
    reply = Reply(body=b"answer", trailers=[(b"x-down", b"2"), (b"x-more", b"3")])

    asked, received = await exchange(proxy, origin_tls, (near, far), ask, reply)

    assert asked.body == b"body"
    assert asked.trailers == ask.trailers
    assert received.body == b"answer"
    assert received.trailers == reply.trailers


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)]
)
async def test_answers_without_a_body(
    proxy: ProxyProcess,
    origin_tls: OriginTls,
    near: Version,
    far: Version,
    method: str,
    status: int,
) -> None:
    headers = [(b"etag", b'"x"')]
    if method == "HEAD":
        headers.append((b"content-length", b"1234"))

    _, received = await exchange(
        proxy,
        origin_tls,
        (near, far),
        Ask(method=method),
        Reply(status=status, headers=headers),
    )

    assert (received.status, received.body) == (status, b"")
    assert received.values(b"etag") == [b'"x"']
    if method == "HEAD":
        assert received.values(b"content-length") == [b"1234"]


async def test_large_headers(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    # Past one HTTP/2 frame (16 KiB), so CONTINUATION both ways; 40 KB in all.
    many = [(b"x-large-%d" % number, b"v" * 1000) for number in range(40)]

    asked, received = await exchange(
        proxy, origin_tls, (near, far), Ask(headers=many), Reply(headers=many)
    )

    for name, value in many:
        assert asked.values(name) == [value]
        assert received.values(name) == [value]


async def test_early_hints(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    reply = Reply(hints=[(b"link", b"</a.css>; rel=preload")], body=b"page")

    _, received = await exchange(proxy, origin_tls, (near, far), Ask(), reply)

    hints = [(name.lower(), value) for name, value in received.hints]
    assert hints == reply.hints
    assert received.body == b"page"


async def test_cookie_crumbs(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    crumbs = [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    sent = crumbs if near == "h2" else [(b"cookie", b"a=1; b=2; c=3")]

    asked, _ = await exchange(
        proxy, origin_tls, (near, far), Ask(headers=sent), Reply()
    )

    # RFC 9113, 8.2.3: joined with "; " before they leave HTTP/2.
    received = asked.values(b"cookie")
    assert b"; ".join(received) == b"a=1; b=2; c=3"
    if far == "h1":
        assert len(received) == 1


async def test_nothing_hop_by_hop_crosses(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    connection = [(b"Connection", b"keep-alive, X-Gone"), (b"X-Gone", b"1")]
    ask = Ask(headers=connection if near == "h1" else [])
    reply = Reply(headers=connection if far == "h1" else [])

    asked, received = await exchange(proxy, origin_tls, (near, far), ask, reply)

    assert received.status == 200
    for name in (b"x-gone", b"keep-alive", b"proxy-connection"):
        assert not asked.values(name)
        assert not received.values(name)
    for version, headers in ((far, asked.headers), (near, received.headers)):
        if version == "h2":
            names = [name for name, _ in headers]
            assert names == [name.lower() for name in names]
            assert not {b"connection", b"transfer-encoding", b"host"} & set(names)


async def test_early_answer_to_an_upload(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    reply = Reply(status=413, body=b"too large", is_early=True)

    async with (
        pair_origin(far, lambda _: reply, origin_tls) as origin,
        pair_client(near, proxy, origin.netloc) as client,
    ):
        # More than every buffer on the way: it can only end because the answer came.
        task = asyncio.ensure_future(client(Ask(method="POST", body=b"x" * 4_000_000)))
        try:
            async with asyncio.timeout(PATIENT_S):
                received = await task
        except ConnectionError:
            pytest.fail("the answer was lost with the connection")
        finally:
            task.cancel()

    assert (received.status, received.body) == (413, b"too large")


async def test_a_client_may_end_its_upload_after_an_answer_and_a_reset(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async def refuse(stream: H2Stream) -> None:
        # As nginx does with what is too large, both in one segment.
        stream.peer.h2.send_headers(stream.id, [(b":status", b"413")], True)
        await stream.reset(NO_ERROR)

    async with (
        H2Origin(refuse, tls=origin_tls.server(("h2",))) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.open(request_head("POST", origin.netloc, "/"), end=False)
        await stream.wait_headers()
        await client.ping()  # a reset would have come before its answer
        assert stream.reset_code is None
        await stream.send_data(b"late", end=True)
        await stream.wait_over()

    assert (stream.status, stream.reset_code) == (413, None)


async def test_many_exchanges_on_one_client_connection(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    def mirror(ask: Ask) -> Reply:
        return Reply(body=ask.path.encode() + ask.body)

    async with (
        pair_origin(far, mirror, origin_tls) as origin,
        pair_client(near, proxy, origin.netloc) as client,
    ):
        asks = [
            Ask(method="POST", path=f"/{number}", body=b"b" * number)
            for number in range(1, 41)
        ]
        if near == "h2":
            replies = await asyncio.gather(*map(client, asks))
        else:
            replies = [await client(ask) for ask in asks]

    expected = [ask.path.encode() + ask.body for ask in asks]
    assert [reply.body for reply in replies] == expected


async def test_client_that_goes_away_ends_the_origins_work(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    gone = asyncio.Event()

    async def endless_h1(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        try:
            while True:
                await peer.send(b"x" * 10_000)
        except OSError:
            gone.set()

    async def endless_h2(stream: H2Stream) -> None:
        await stream.send_headers([(b":status", b"200")])
        while stream.reset_code is None:
            await stream.send_data(b"x" * 10_000)
        gone.set()

    server: ScriptedOrigin | H2Origin
    if far == "h1":
        server = ScriptedOrigin(endless_h1, tls=origin_tls.server(["http/1.1"]))
    else:
        server = H2Origin(endless_h2, tls=origin_tls.server(["h2"]))
    async with server:
        if near == "h1":
            async with secure(proxy, server.netloc) as client:
                await client.send(
                    f"GET / HTTP/1.1\r\nHost: {server.netloc}\r\n\r\n".encode()
                )
                await client.read_exactly(50_000)
                client.reset()
        else:
            async with h2_client(proxy, server.netloc) as h2:
                stream = await h2.open(request_head("GET", server.netloc, "/"))
                await stream.wait_body(50_000)
                await stream.reset(CANCEL)
                async with asyncio.timeout(PATIENT_S):
                    await gone.wait()
        async with asyncio.timeout(PATIENT_S):
            await gone.wait()


async def test_origin_that_breaks_off_is_not_passed_on_as_whole(
    proxy: ProxyProcess, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    # What is unread when the reset comes may be lost on the way, as by any system.
    has_part = asyncio.Event()

    async def broken_h1(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npartial")
        await has_part.wait()
        peer.reset()

    async def broken_h2(stream: H2Stream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"partial")
        await has_part.wait()
        await stream.reset(2)

    server: ScriptedOrigin | H2Origin
    if far == "h1":
        server = ScriptedOrigin(broken_h1, tls=origin_tls.server(["http/1.1"]))
    else:
        server = H2Origin(broken_h2, tls=origin_tls.server(["h2"]))
    async with server:
        if near == "h1":
            async with secure(proxy, server.netloc) as client:
                await client.send(
                    f"GET / HTTP/1.1\r\nHost: {server.netloc}\r\n\r\n".encode()
                )
                await client.read_until(b"partial")
                has_part.set()
                rest = await client.read_to_end()
            # Neither the announced length nor the last chunk may be there.
            assert not rest.endswith(b"0\r\n\r\n")
            assert len(rest) < 1000
        else:
            async with h2_client(proxy, server.netloc) as h2:
                stream = await h2.open(request_head("GET", server.netloc, "/"))
                await stream.wait_body(len(b"partial"))
                has_part.set()
                await stream.wait_over()
            assert bytes(stream.body) == b"partial"
            assert not stream.is_ended
            assert stream.reset_code is not None


async def test_stalled_stream_does_not_slow_another_on_the_same_origin_connection(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    body = b"z" * 1_000_000

    async def send(stream: H2Stream) -> None:
        await stream.respond(200, body)

    async with H2Origin(send, tls=origin_tls.server(["h2"])) as origin:
        async with (
            h2_client(proxy, origin.netloc, opens_windows=False) as slow,
            h2_client(proxy, origin.netloc) as quick,
        ):
            stalled = await slow.open(request_head("GET", origin.netloc, "/slow"))
            await stalled.wait_body(60_000)
            quick_ones = [
                await quick.request("GET", origin.netloc, "/quick") for _ in range(5)
            ]
            assert len(stalled.body) < len(body)
            await stalled.open_window()
            await stalled.wait_over()

        assert len(origin.peers) == 1
    assert [len(one.body) for one in quick_ones] == [len(body)] * 5
    assert bytes(stalled.body) == body


async def test_client_streams_share_one_origin_connection(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc, knows_http1=False) as one,
        h2_client(proxy, origin.netloc, knows_http1=False) as two,
    ):
        await one.request("GET", origin.netloc, "/first")
        streams = await asyncio.gather(
            *(
                client.request("GET", origin.netloc, f"/{number}")
                for client in (one, two)
                for number in range(30)
            )
        )

        assert len(origin.peers) == 1
    assert {stream.status for stream in streams} == {200}


@pytest.mark.parametrize("rounds", [1, 3])
async def test_goaway_after_ten_requests_fails_none_of_twenty(
    proxy: ProxyProcess, nginx: Nginx, rounds: int
) -> None:
    async with h2_client(proxy, nginx.short) as client:
        for number in range(rounds):
            path = f"/small.txt?goaway-{rounds}-{number}"
            streams = await asyncio.gather(
                *(client.request("GET", nginx.short, path) for _ in range(20))
            )
            assert [stream.status for stream in streams] == [200] * 20
            assert {bytes(stream.body) for stream in streams} == {SMALL}
            assert len(nginx.received(path, 20)) == 20


async def test_authority_that_the_certificate_does_not_cover_is_misdirected(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        wrong = await client.request("GET", "elsewhere.test", "/secret")
        right = await client.request("GET", origin.netloc, "/right")

        paths = [stream.path for stream in origin.streams]
    assert (wrong.status, right.status) == (421, 200)
    assert paths == [b"/right"]
