"""Origins whose TLS or HTTP/2 is bad: the page inside the intercepted connection."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.asking import ask_secure, check_alive, check_page
from tests.support.clients import Proxy, h2_client
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream
from tests.support.origin_tls import OriginTls
from tests.support.origins import (
    AnsweringOrigin,
    ScriptedOrigin,
    fixed,
)
from tests.support.process import ProxyProcess


@pytest.fixture(autouse=True)
async def still_serves(proxy: ProxyProcess) -> AsyncIterator[None]:
    yield
    await check_alive(proxy)


BAD_CERTIFICATES = {
    "expired": "expired",
    "not-yet-valid": "not valid before",
    "other-host": "elsewhere.test",
    "self-signed": "signed by itself",
    "untrusted-root": "neither trusted",
    "incomplete-chain": "chain",
    "common-name-only": "names no host at all",
}


@pytest.mark.parametrize("kind", OriginTls.BAD)
async def test_certificate_that_must_not_be_accepted(
    proxy: Proxy, origin_tls: OriginTls, kind: str
) -> None:
    tls = origin_tls.server(["http/1.1"], kind)

    async with AnsweringOrigin(fixed(response(b"secret")), tls=tls) as origin:
        answer = await ask_secure(proxy, origin.netloc)

        assert not origin.requests
    check_page(answer, 502, "certificate", BAD_CERTIFICATES[kind])


@pytest.mark.parametrize("kind", OriginTls.BAD)
async def test_certificate_that_must_not_be_accepted_over_http2(
    proxy: Proxy, origin_tls: OriginTls, kind: str
) -> None:
    async def refuse(stream: H2Stream) -> None:
        await stream.respond(200, b"secret")

    async with (
        H2Origin(refuse, tls=origin_tls.server(["h2"], kind)) as origin,
        # A failed probe offers both versions, so HTTP/2 it is.
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/")

        assert not origin.streams
    assert stream.status == 502
    assert BAD_CERTIFICATES[kind] in stream.text


async def silent(peer: H1Peer) -> None:
    await peer.read_to_end()


async def test_origin_that_speaks_tls_1_0_only(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def refuse(peer: H1Peer) -> None:
        # By hand: asyncio's own TLS drops the alert with which a server refuses.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = origin_tls.server_tls_1_0()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := await peer.read():
            incoming.write(data)
            with contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            await peer.send(outgoing.read())

    async with ScriptedOrigin(refuse) as origin:
        answer = await ask_secure(proxy, origin.netloc)

    check_page(answer, 502, "tls", "old")


async def test_origin_that_speaks_no_tls(proxy: Proxy) -> None:
    async def plain(peer: H1Peer) -> None:
        await peer.read()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with ScriptedOrigin(plain) as origin:
        answer = await ask_secure(proxy, origin.netloc)

    check_page(answer, 502, "tls")


WANTED = {
    ssl.TLSVersion.TLSv1_2: "handshake refused",
    ssl.TLSVersion.TLSv1_3: "wants a certificate from its client",
}


@contextlib.contextmanager
def refusing(tls: ssl.SSLContext) -> Iterator[str]:
    """An origin whose handshakes fail, on blocking sockets: those send the alert."""
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                client, _ = listener.accept()
                with contextlib.suppress(ssl.SSLError), client:
                    tls.wrap_socket(client, server_side=True)

    thread = threading.Thread(target=refuse)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
@pytest.mark.parametrize("version", WANTED)
async def test_origin_that_wants_a_client_certificate(
    proxy: Proxy, origin_tls: OriginTls, version: ssl.TLSVersion, alpn: str
) -> None:
    """TLS 1.3 has an alert for it, which comes after our side of the handshake."""
    tls = origin_tls.server([alpn])
    tls.minimum_version = tls.maximum_version = version
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(origin_tls.ca)

    with refusing(tls) as netloc:
        answer = await ask_secure(proxy, netloc)

    check_page(answer, 502, WANTED[version])


async def test_origin_that_never_finishes_its_handshake(impatient_proxy: Proxy) -> None:
    async with ScriptedOrigin(silent) as origin:
        answer = await ask_secure(impatient_proxy, origin.netloc)

    check_page(answer, 504, "time", "handshake")


async def test_http2_origin_that_resets_every_stream(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def refuse(stream: H2Stream) -> None:
        await stream.reset(2)

    async with (
        H2Origin(refuse, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/")

    assert stream.status == 502 or stream.reset_code is not None


async def test_http2_origin_that_closes_without_a_word(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def hang_up(stream: H2Stream) -> None:
        stream.peer._writer.transport.abort()

    async with (
        H2Origin(hang_up, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/")

    assert stream.status == 502


async def test_http2_origin_that_never_answers(
    impatient_proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def hang(stream: H2Stream) -> None:
        await asyncio.Event().wait()

    async with (
        H2Origin(hang, tls=origin_tls.server(["h2"])) as origin,
        h2_client(impatient_proxy, origin.netloc) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/")

        assert len(origin.streams) == 1
    assert stream.status == 504


async def test_http2_origin_that_sends_garbage(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def spew(stream: H2Stream) -> None:
        await stream.peer.send_raw(b"\xff" * 10_000)

    async with (
        H2Origin(spew, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/")

    assert stream.status == 502


async def test_insecure_upstream_is_loud_and_works(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> None:
    folder = tmp_path_factory.mktemp("insecure")
    tls = origin_tls.server(["http/1.1"], "self-signed")

    with ProxyProcess(folder, "--insecure-upstream") as running:
        async with AnsweringOrigin(fixed(response()), tls=tls) as origin:
            answer = await ask_secure(running, origin.netloc)
        warned = [line for line in running.stderr if "insecure" in line.lower()]

    assert answer.text == "ok"
    assert warned
