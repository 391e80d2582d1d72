"""Sending to real origins on 127.0.0.1: retries, what is learnt, how dials fail."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.config.model import UpstreamConfig
from int3rceptor.errors import (
    CertificateRejected,
    ConnectError,
    OriginClosed,
    OriginError,
    OriginProtocolError,
    OriginTimeout,
    ProxyLoop,
    ResolveError,
)
from int3rceptor.model.body import MAX_HELD_BYTES, Body
from int3rceptor.model.headers import Headers, RawHeaders
from int3rceptor.model.message import Request
from int3rceptor.net.connecting import SocketAddress
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.upstream import dial
from int3rceptor.proxy.upstream.answer import Answer, Origin
from int3rceptor.proxy.upstream.dial import Dialer
from int3rceptor.proxy.upstream.origins import Origins
from int3rceptor.tls.contexts import OriginContexts, OriginVerification
from int3rceptor.wire.h2.faults import H2Code
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin, answer
from tests.support.h2_peer import H2Peer, H2Stream
from tests.support.origin_tls import OriginTls
from tests.support.origins import (
    AnsweringOrigin,
    ScriptedOrigin,
    closed_port,
    echo,
    fixed,
)
from tests.support.streams import eventually, turns
from tests.support.upstream import Feed, Informed

OWNER = object()
OWN = ("127.0.0.1", 1)


@pytest.fixture(scope="session")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origins"))


@pytest.fixture(autouse=True)
def no_system_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own roots play no part, and take 50 ms a time to load."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@contextlib.asynccontextmanager
async def origins_of(
    tls: OriginTls, settings: UpstreamConfig | None = None
) -> AsyncIterator[Origins]:
    loop = asyncio.get_running_loop()
    used = settings or UpstreamConfig()
    contexts = OriginContexts(OriginVerification(extra_ca=(tls.ca,)))
    dialer = Dialer(loop, contexts, used, own=(OWN,))
    made = Origins(loop, dialer, used)
    try:
        yield made
    finally:
        await made.aclose()
        dialer.close()
        await turns()


@pytest.fixture
async def origins(origin_tls: OriginTls) -> AsyncIterator[Origins]:
    async with origins_of(origin_tls) as made:
        yield made


def ask(
    port: int,
    method: str = "GET",
    *,
    scheme: str = "http",
    body: Body | None = None,
    headers: RawHeaders | None = None,
) -> Request:
    return Request(
        method=method,
        scheme=scheme,
        host="localhost",
        port=port,
        target=b"/",
        authority=f"localhost:{port}",
        version="HTTP/1.1",
        headers=Headers([(b"Host", b"localhost"), *(headers or [])]),
        body=body or Body(),
    )


async def send(
    origins: Origins, request: Request, *, h2: bool = False, owner: object = OWNER
) -> Answer:
    sni = "localhost" if request.scheme == "https" else None
    return await origins.send(
        request,
        Origin(request.scheme, request.host, request.port, sni),
        Informed(),
        client_is_http2=h2,
        owner=owner,
    )


async def test_a_connection_is_kept_and_reused(origins: Origins) -> None:
    async with AnsweringOrigin(echo) as origin:
        for reused in (False, True, True):
            answer_ = await send(origins, ask(origin.port))
            await answer_.response.body.read(10_000)
            await answer_.settle()
            assert answer_.info.is_reused is reused

        assert len(origin.peers) == 1


class OnceEach:
    """Answers one request per connection and then closes it without a word."""

    def __init__(self) -> None:
        self.served = 0

    async def __call__(self, peer: H1Peer) -> None:
        await peer.read_request()
        self.served += 1
        await peer.send(response())
        await peer.read_head()  # the second request, which gets no answer


async def whole(answer_: Answer) -> bytes:
    content = await answer_.response.body.read(100_000)
    await answer_.settle()
    return content


async def test_a_stale_connection_costs_a_retry_and_no_error(origins: Origins) -> None:
    script = OnceEach()
    async with ScriptedOrigin(script) as origin:
        for _ in range(3):
            assert await whole(await send(origins, ask(origin.port))) == b"ok"

    assert script.served == 3


async def test_what_is_not_idempotent_is_not_sent_twice(origins: Origins) -> None:
    async with ScriptedOrigin(OnceEach()) as origin:
        await whole(await send(origins, ask(origin.port)))

        with pytest.raises(OriginClosed):
            await send(origins, ask(origin.port, "POST", body=Body(b"x")))


async def test_a_fresh_connection_that_closes_is_not_tried_again(
    origins: Origins,
) -> None:
    async def close(peer: H1Peer) -> None:
        await peer.read_head()

    async with ScriptedOrigin(close) as origin:
        with pytest.raises(OriginClosed):
            await send(origins, ask(origin.port))
        await origin.wait_ended()
        assert len(origin.peers) == 1


def fed(*chunks: bytes) -> Body:
    feed = Feed()
    for chunk in (*chunks, b""):
        feed.put(chunk)
    return Body(source=feed, length=sum(map(len, chunks)))


async def test_a_body_that_has_gone_is_not_sent_twice(origins: Origins) -> None:
    async with ScriptedOrigin(OnceEach()) as origin:
        await whole(await send(origins, ask(origin.port)))
        put = ask(origin.port, "PUT", body=fed(b"abc", bytes(MAX_HELD_BYTES)))

        with pytest.raises(OriginClosed):
            await send(origins, put)


async def test_a_small_body_that_has_passed_is_sent_again(
    origins: Origins, origin_tls: OriginTls
) -> None:
    came: list[bytes] = []

    async def refuse_twice(stream: H2Stream) -> None:
        await stream.wait_over()
        came.append(bytes(stream.body))
        if len(came) < 3:
            await stream.reset(H2Code.REFUSED_STREAM)
        else:
            await stream.respond(200, b"taken")

    async with H2Origin(refuse_twice, tls=origin_tls.server(("h2",))) as origin:
        body = fed(b"abc", b"de")
        got = await send(
            origins, ask(origin.port, "POST", scheme="https", body=body), h2=True
        )
        assert await whole(got) == b"taken"
    assert came == [b"abcde"] * 3
    assert body.size == 5
    assert body.held is None


async def test_a_connection_beside_another_resumes_its_session(
    origin_tls: OriginTls, origins: Origins
) -> None:
    async def never_end(peer: H1Peer) -> None:
        await peer.read_request()
        await peer.send(response()[:-1])
        await peer.read_to_end()

    async with ScriptedOrigin(never_end, tls=origin_tls.server()) as origin:
        got = [await send(origins, ask(origin.port, scheme="https")) for _ in "abc"]
        resumed = [one.info.tls and one.info.tls.is_resumed for one in got]
        for one in got:
            await one.aclose()

    assert resumed == [False, True, True]


async def test_a_connection_after_another_resumes_its_session(
    origin_tls: OriginTls, origins: Origins
) -> None:
    resumed = []
    async with ScriptedOrigin(OnceEach(), tls=origin_tls.server()) as origin:
        for _ in range(3):
            got = await send(origins, ask(origin.port, scheme="https"))
            resumed.append(got.info.tls and got.info.tls.is_resumed)
            await whole(got)
            await origins.pool.aclose()
            await origin.wait_ended()

    assert resumed == [False, True, True]


async def test_nothing_listens(origins: Origins) -> None:
    port = closed_port()

    with pytest.raises(ConnectError, match=f"port {port}") as raised:
        await send(origins, ask(port))
    assert raised.value.advice
    assert origins.pool.open_connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(
    origins: Origins, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    flags = []

    def watched(host: str, port: int, flag: int = 0) -> list[SocketAddress]:
        flags.append(flag)
        return real(host, port, flag)

    real = dial._getaddrinfo
    monkeypatch.setattr(dial, "_getaddrinfo", watched)
    request = ask(closed_port())
    request.host = address

    with pytest.raises(OriginError, match="cannot connect"):
        await send(origins, request)
    assert flags == [socket.AI_NUMERICHOST]


async def test_a_name_that_does_not_resolve(origins: Origins) -> None:
    request = ask(80)
    request.host = "does-not-exist.invalid"

    with pytest.raises(ResolveError, match="does-not-exist"):
        await send(origins, request)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".test"])
async def test_a_name_that_cannot_be_one(origins: Origins, host: str) -> None:
    request = ask(80)
    request.host = host

    with pytest.raises(ResolveError):
        await send(origins, request)


async def test_a_handshake_that_does_not_come(origin_tls: OriginTls) -> None:
    async def silent(peer: H1Peer) -> None:
        await peer.read_to_end()

    settings = UpstreamConfig(tls_timeout_s=0.1)
    async with (
        ScriptedOrigin(silent) as origin,
        origins_of(origin_tls, settings) as origins,
    ):
        told = "^handshake timed out: localhost did not finish the handshake in time$"
        with pytest.raises(OriginTimeout, match=told):
            await send(origins, ask(origin.port, scheme="https"))
        assert origins.pool.open_connections == 0


async def test_a_bad_certificate(origins: Origins, origin_tls: OriginTls) -> None:
    tls = origin_tls.server(kind="expired")
    async with AnsweringOrigin(echo, tls=tls) as origin:
        with pytest.raises(CertificateRejected, match="expired"):
            await send(origins, ask(origin.port, scheme="https"))
        assert origins.pool.open_connections == 0


async def test_the_dot_of_the_root_is_no_part_of_a_certificates_name(
    origins: Origins, origin_tls: OriginTls
) -> None:
    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        via = ("127.0.0.1", origin.port)
        rooted = Origin("https", "localhost.", origin.port, None, via)
        got = await origins.send(
            ask(origin.port, scheme="https"),
            rooted,
            Informed(),
            client_is_http2=False,
            owner=OWNER,
        )
        await whole(got)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test"])
async def test_a_name_that_no_certificate_has(
    origins: Origins, origin_tls: OriginTls, host: str
) -> None:
    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        where = Origin("https", host, 443, None, ("127.0.0.1", origin.port))
        with pytest.raises(ResolveError, match="no certificate can be for the name"):
            await origins.send(
                ask(443, scheme="https"),
                where,
                Informed(),
                client_is_http2=False,
                owner=OWNER,
            )
        assert origins.pool.open_connections == 0


async def test_what_cannot_be_loaded_for_an_origin_leaves_no_connection_open(
    origins: Origins, origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when there is no file left to open for the module of HTTP/2."""
    made: list[ByteStream] = []
    dial_tls = Dialer.tls

    async def noted(self: Dialer, origin: Origin, *, may_use_h2: bool) -> ByteStream:
        made.append(await dial_tls(self, origin, may_use_h2=may_use_h2))
        return made[-1]

    monkeypatch.setattr(Dialer, "tls", noted)
    monkeypatch.setitem(sys.modules, "int3rceptor.proxy.upstream.h2_client", None)
    async with H2Origin(answer, tls=origin_tls.server(("h2",))) as origin:
        with pytest.raises(ImportError):
            await send(origins, ask(origin.port, scheme="https"), h2=True)

    assert [stream.is_usable for stream in made] == [False]
    assert origins.pool.open_connections == 0


async def test_http2_is_mirrored(origins: Origins, origin_tls: OriginTls) -> None:
    tls = origin_tls.server(("h2", "http/1.1"))
    async with H2Origin(answer, tls=tls) as origin:
        got = await send(origins, ask(origin.port, scheme="https"), h2=True)
        assert await whole(got) == b"/ 0 bytes"
        assert got.info.version == "HTTP/2"
        assert got.info.tls is not None
        assert got.info.tls.alpn == "h2"


async def test_an_upgrade_goes_by_http1(
    origins: Origins, origin_tls: OriginTls
) -> None:
    headers = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    tls = origin_tls.server(("h2", "http/1.1"))
    async with AnsweringOrigin(fixed(response()), tls=tls) as origin:
        request = ask(origin.port, scheme="https", headers=headers)
        got = await send(origins, request, h2=True)

        assert got.info.version == "HTTP/1.1"
        await got.aclose()


async def test_that_an_origin_speaks_http2_is_learnt_once(
    origins: Origins, origin_tls: OriginTls
) -> None:
    async with H2Origin(answer, tls=origin_tls.server(("h2",))) as origin:
        where = Origin("https", "localhost", origin.port, "localhost")
        assert await origins.learns_h2(where, 5.0) is True
        assert await origins.learns_h2(where, 5.0) is True
        got = await send(origins, ask(origin.port, scheme="https"), h2=True)
        assert await whole(got) == b"/ 0 bytes"
        assert len(origin.peers) == 1


async def test_that_an_origin_speaks_http1_is_learnt_once(
    origins: Origins, origin_tls: OriginTls
) -> None:
    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        where = Origin("https", "localhost", origin.port, "localhost")
        assert await origins.learns_h2(where, 5.0) is False
        assert await origins.learns_h2(where, 5.0) is False
        assert origins.pool.open_connections == 1
        await eventually(lambda: len(origin.peers) == 1)


async def test_an_origin_that_takes_http2_up_is_spoken_to_by_it(
    origins: Origins, origin_tls: OriginTls
) -> None:
    async def serve(peer: H1Peer) -> None:
        if peer.alpn != "h2":
            return
        h2 = H2Peer(peer.reader, peer.writer, is_client=False, handler=answer)
        async with h2:
            await h2.wait_until(lambda: h2.is_closed)

    tls = origin_tls.server(("http/1.1",))
    async with ScriptedOrigin(serve, tls=tls) as origin:
        where = Origin("https", "localhost", origin.port, "localhost")
        assert await origins.learns_h2(where, 5.0) is False
        # As when another server starts at its address.
        tls.set_alpn_protocols(["h2"])
        got = await send(origins, ask(origin.port, scheme="https"), h2=True)
        assert await whole(got) == b"/ 0 bytes"
        assert await origins.learns_h2(where, 5.0) is True


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_origin_that_requires_http1_gets_it(
    origins: Origins, origin_tls: OriginTls, method: str
) -> None:
    async def require(stream: H2Stream) -> None:
        await stream.wait_over()
        await stream.reset(H2Code.HTTP_1_1_REQUIRED)

    async def serve(peer: H1Peer) -> None:
        if peer.alpn == "h2":
            h2 = H2Peer(peer.reader, peer.writer, is_client=False, handler=require)
            async with h2:
                await h2.wait_until(lambda: h2.is_closed)
        else:
            asked = await peer.read_request()
            await peer.send(response(asked.body))

    tls = origin_tls.server(("h2", "http/1.1"))
    async with ScriptedOrigin(serve, tls=tls) as origin:
        request = ask(origin.port, method, scheme="https", body=Body(b"once"))
        got = await send(origins, request, h2=True)
        assert await whole(got) == b"once"
        assert got.info.version == "HTTP/1.1"


async def test_what_cannot_be_learnt_is_unknown(origins: Origins) -> None:
    where = Origin("https", "localhost", closed_port(), "localhost")

    assert await origins.learns_h2(where, 5.0) is None


async def test_ntlm_binds_a_connection_to_its_client(origins: Origins) -> None:
    offer = {"WWW-Authenticate": "NTLM abc"}
    async with AnsweringOrigin(fixed(response(headers=offer))) as origin:
        one, other = object(), object()
        await whole(await send(origins, ask(origin.port), owner=one))
        again = await send(origins, ask(origin.port), owner=one)
        await whole(again)
        elsewhere = await send(origins, ask(origin.port), owner=other)
        await whole(elsewhere)

        assert again.info.is_reused
        assert not elsewhere.info.is_reused


async def test_nonsense_closes_the_connection(origins: Origins) -> None:
    async def babble(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(b"\0\1\2\3\r\n\r\n")

    async with ScriptedOrigin(babble) as origin:
        with pytest.raises(OriginProtocolError):
            await send(origins, ask(origin.port))
        assert origins.pool.open_connections == 0


@pytest.mark.parametrize(
    ("listens", "asked", "is_own"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104 - only compared
        ("::", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("192.0.2.1", "127.0.0.1", False),
    ],
)
async def test_the_proxy_does_not_dial_itself(
    listens: str, asked: str, is_own: bool
) -> None:
    loop = asyncio.get_running_loop()
    async with AnsweringOrigin(echo) as origin:
        dialer = Dialer(
            loop,
            OriginContexts(OriginVerification()),
            UpstreamConfig(),
            own=((listens, origin.port),),
        )
        if is_own:
            with pytest.raises(ProxyLoop, match="own address"):
                await dialer.tcp(asked, origin.port)
        else:
            await (await dialer.tcp(asked, origin.port)).aclose()
        dialer.close()
