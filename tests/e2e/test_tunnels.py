"""CONNECT in every shape: split, joined, nested, blind, passed through."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from cryptography import x509

from tests.support.bio_tls import BioTls
from tests.support.clients import Proxy, connect_head, raw, secure, tunnel
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Peer, H2Stream, h2_over
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, closed_port, fixed
from tests.support.process import ProxyProcess

LEAVING_CLIENTS = 20
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
PASSTHROUGH = '[tls]\npassthrough = ["*.0.0.1"]\n'


def get(netloc: str, path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode()


async def test_connect_and_hello_in_one_packet(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        raw(proxy) as client,
    ):
        tls = BioTls(client, proxy.ca, "localhost")
        await client.send(connect_head(origin.netloc) + tls.hello())
        assert (await client.read_head()).status == 200
        await tls.handshake()
        await tls.send(get(origin.netloc))
        answer = await tls.read_response()

    assert answer.text == "ok"


async def test_connect_and_hello_byte_by_byte(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async def drip(client: H1Peer, data: bytes) -> None:
        for place in range(len(data)):
            await client.send(data[place : place + 1])
            await asyncio.sleep(0)

    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        raw(proxy) as client,
    ):
        tls = BioTls(client, proxy.ca, "localhost")
        await drip(client, connect_head(origin.netloc))
        assert (await client.read_head()).status == 200
        await drip(client, tls.hello())
        await tls.handshake()
        await tls.send(get(origin.netloc))
        answer = await tls.read_response()

    assert answer.text == "ok"


async def test_connect_after_empty_lines(proxy: Proxy, origin_tls: OriginTls) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        raw(proxy) as client,
    ):
        tls = BioTls(client, proxy.ca, "localhost")
        await client.send(b"\r\n\r\n" + connect_head(origin.netloc))
        assert (await client.read_head()).status == 200
        await client.send(tls.hello())
        await tls.handshake()
        await tls.send(get(origin.netloc))
        answer = await tls.read_response()

    assert answer.text == "ok"


async def test_connect_after_a_bare_line_feed_is_refused(proxy: Proxy) -> None:
    async with raw(proxy) as client:
        await client.send(b"\n" + connect_head("localhost:443"))
        assert (await client.read_head()).status == 400


async def test_connect_after_another_request(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response(b"plain"))) as plain,
        AnsweringOrigin(fixed(response(b"secure")), tls=origin_tls.server()) as origin,
        raw(proxy) as client,
    ):
        await client.send(
            f"GET {plain.url}/ HTTP/1.1\r\nHost: {plain.netloc}\r\n\r\n".encode()
        )
        first = await client.read_response()
        await client.send(connect_head(origin.netloc))
        assert (await client.read_head()).status == 200
        tls = BioTls(client, proxy.ca, "localhost")
        await tls.handshake()
        await tls.send(get(origin.netloc))
        second = await tls.read_response()

    assert (first.text, second.text) == ("plain", "secure")


async def test_tls_in_tls(proxy: Proxy, origin_tls: OriginTls) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        tunnel(proxy, "localhost:443") as client,
    ):
        outer = BioTls(client, proxy.ca, "localhost")
        await outer.handshake()
        await outer.send(connect_head(origin.netloc))
        assert (await outer.read_response()).status == 200
        inner = BioTls(outer, proxy.ca, "localhost")
        await inner.handshake()
        await inner.send(get(origin.netloc))
        answer = await inner.read_response()

    assert answer.text == "ok"


async def test_tls_to_the_proxy_itself(proxy: Proxy, origin_tls: OriginTls) -> None:
    """What curl does for `--proxy https://...`."""
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        raw(proxy) as client,
    ):
        outer = BioTls(client, proxy.ca, "localhost")
        await outer.handshake()
        await outer.send(connect_head(origin.netloc))
        assert (await outer.read_response()).status == 200
        inner = BioTls(outer, proxy.ca, "localhost")
        await inner.handshake()
        await inner.send(get(origin.netloc))
        answer = await inner.read_response()

    assert answer.text == "ok"


async def test_server_that_speaks_first(proxy: Proxy) -> None:
    async def greet(peer: H1Peer) -> None:
        await peer.send(b"220 ready\r\n")
        said = await peer.read_until(b"\r\n")
        await peer.send(b"250 " + said)
        assert await peer.read() == b""
        await peer.send(b"221 bye\r\n")

    async with (
        ScriptedOrigin(greet) as origin,
        tunnel(proxy, origin.netloc) as client,
    ):
        greeting = await client.read_until(b"\r\n")
        await client.send(b"EHLO\r\n")
        answer = await client.read_until(b"\r\n")
        client.send_eof()
        rest = await client.read_to_end()

    assert greeting == b"220 ready\r\n"
    assert (answer, rest) == (b"250 EHLO\r\n", b"221 bye\r\n")


async def test_client_that_speaks_neither_tls_nor_http(proxy: Proxy) -> None:
    async def reverse(peer: H1Peer) -> None:
        data = await peer.read_to_end()
        await peer.send(data[::-1])

    said = bytes(range(256)) * 2000

    async with (
        ScriptedOrigin(reverse) as origin,
        tunnel(proxy, origin.netloc) as client,
    ):
        await client.send(said)
        client.send_eof()
        heard = await client.read_to_end()

    assert heard == said[::-1]


async def test_plain_http_inside_a_tunnel(proxy: Proxy) -> None:
    async with (
        AnsweringOrigin(fixed(response())) as origin,
        tunnel(proxy, origin.netloc) as client,
    ):
        await client.send(get(origin.netloc, "/inside"))
        answer = await client.read_response()

        (request,) = origin.requests
    assert answer.text == "ok"
    assert request.start_line == b"GET /inside HTTP/1.1"


@pytest.fixture(scope="module")
def passing(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[ProxyProcess]:
    folder = tmp_path_factory.mktemp("passing")
    arguments = ("--upstream-ca", origin_tls.ca)
    with ProxyProcess(folder, *arguments, config=PASSTHROUGH) as running:
        yield running


async def test_passthrough_shows_the_origins_own_certificate(
    passing: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin:
        async with tunnel(passing, f"127.0.0.1:{origin.port}") as client:
            await client.start_tls(client_context(origin_tls.ca), "127.0.0.1")
            await client.send(get(origin.netloc))
            assert (await client.read_response()).text == "ok"
        # The same origin by a name that no glob matches is intercepted.
        async with secure(passing, origin.netloc) as client:
            await client.send(get(origin.netloc))
            assert (await client.read_response()).text == "ok"


async def test_passthrough_of_a_dead_origin_is_refused_before_the_tunnel(
    passing: ProxyProcess,
) -> None:
    async with raw(passing) as client:
        await client.send(connect_head(f"127.0.0.1:{closed_port()}"))
        answer = await client.read_response()

    assert answer.status == 502


async def test_passthrough_for_a_client_that_has_left_leaves_no_origin_open(
    passing: ProxyProcess,
) -> None:
    async def read(peer: H1Peer) -> None:
        await peer.read_to_end()

    async with ScriptedOrigin(read) as origin:
        for _ in range(LEAVING_CLIENTS):
            with socket.create_connection(passing.address) as client:
                client.sendall(connect_head(f"127.0.0.1:{origin.port}"))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        await origin.wait_ended(LEAVING_CLIENTS)


@pytest.mark.parametrize(
    "first", [b"\x05\x01\x00", b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"], ids=["5", "4"]
)
async def test_socks_is_refused_clearly(proxy: ProxyProcess, first: bytes) -> None:
    before = len([line for line in proxy.lines if "SOCKS" in line])

    async with raw(proxy) as client:
        await client.send(first)
        answer = await client.read_to_end()

    # SOCKS4 refuses with 0x5b in its second byte, SOCKS5 with 0xff.
    assert answer[:2] in (b"\x05\xff", b"\x00\x5b")
    proxy.wait_for_line("SOCKS", count=before + 1)


async def test_garbage_as_first_bytes_is_refused(proxy: Proxy) -> None:
    async with raw(proxy) as client:
        await client.send(b"\x00\x01\x02\x03 neither\r\n\r\n")
        answer = await client.read_to_end()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


async def test_http2_with_prior_knowledge_in_clear(proxy: Proxy) -> None:
    async with AnsweringOrigin(fixed(response(b"in clear"))) as origin:
        reader, writer = await asyncio.open_connection(*proxy.address)
        async with H2Peer(reader, writer, is_client=True) as client:
            stream = await client.request("GET", origin.netloc, "/clear", scheme="http")

        (request,) = origin.requests
    assert (stream.status, stream.text) == (200, "in clear")
    assert request.target == b"/clear"
    assert request.values("host") == [origin.netloc.encode()]


async def test_http2_with_prior_knowledge_in_a_tunnel_is_for_the_origin(
    proxy: Proxy,
) -> None:
    """What gRPC without TLS does where a proxy is set: nobody speaks HTTP/1.1."""

    async def call(stream: H2Stream) -> None:
        await stream.wait_over()
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(stream.body[::-1])
        await stream.send_headers([(b"grpc-status", b"0")], end=True)

    async with (
        H2Origin(call, tls=None) as origin,
        AnsweringOrigin(fixed(response(b"over HTTP/1.1"))) as old,
    ):
        for _ in range(2):
            async with (
                tunnel(proxy, origin.netloc) as inner,
                h2_over(inner.reader, inner.writer) as client,
            ):
                stream = await client.request(
                    "POST", origin.netloc, "/call", scheme="http", body=b"abc"
                )
                assert (stream.status, stream.text) == (200, "cba")
                assert stream.trailers == [(b"grpc-status", b"0")]
        async with raw(proxy) as client:
            await client.send(
                f"GET {old.url}/ HTTP/1.1\r\nHost: {old.netloc}\r\n\r\n".encode()
            )
            assert (await client.read_response()).text == "over HTTP/1.1"

    assert len(origin.peers) == 1


async def test_prior_knowledge_that_is_none_is_a_page(proxy: Proxy) -> None:
    async with (
        AnsweringOrigin(fixed(response())) as origin,
        tunnel(proxy, origin.netloc) as inner,
        h2_over(inner.reader, inner.writer) as client,
    ):
        stream = await client.request("GET", origin.netloc, "/", scheme="http")

    assert stream.status == 502
    assert "not valid HTTP" in stream.text


async def fetch(proxy: Proxy, url: str) -> bytes:
    async with raw(proxy) as client:
        host = url.split("/")[2]
        await client.send(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = await client.read_response()
        assert answer.status == 200, answer.text
        return answer.body


async def test_pages_of_int3rceptor_local(proxy: Proxy) -> None:
    base = "http://int3rceptor.local"
    page = (await fetch(proxy, f"{base}/")).decode()
    links = [urljoin(f"{base}/", link) for link in re.findall(r'href="([^"]+)"', page)]
    files = [await fetch(proxy, link) for link in links if link.startswith(base)]
    certificate = x509.load_pem_x509_certificate(proxy.ca.read_bytes())

    def is_pem(file: bytes) -> bool:
        if not file.startswith(b"-----BEGIN CERTIFICATE-----"):
            return False
        return x509.load_pem_x509_certificate(file) == certificate

    der = ssl.PEM_cert_to_DER_cert(proxy.ca.read_text())
    assert any(map(is_pem, files)), links
    assert der in files, links
    assert any(b"<plist" in file for file in files), links
    assert not any(b"PRIVATE KEY" in file for file in files)
    for platform in ("Windows", "macOS", "Linux", "Android", "iOS", "Firefox"):
        assert platform in page


async def test_int3rceptor_local_by_its_whole_name_and_in_tls(proxy: Proxy) -> None:
    """Nobody looks for it in DNS, where another machine could answer by that name."""
    pem = proxy.ca.read_bytes()
    assert await fetch(proxy, "http://int3rceptor.local./ca.pem") == pem
    for name in ("int3rceptor.local", "int3rceptor.local."):
        netloc = f"{name}:443"
        async with secure(proxy, netloc) as client:
            await client.send(get(netloc, "/ca.pem"))
            assert (await client.read_response()).body == pem


async def test_request_straight_to_the_proxy_is_helped(proxy: Proxy) -> None:
    async with raw(proxy) as client:
        host, port = proxy.address
        await client.send(get(f"{host}:{port}"))
        answer = await client.read_response()
        (link, *_) = re.findall(r'href="(/[^"]+)"', answer.text)
        await client.send(get(f"{host}:{port}", link))
        file = await client.read_response()

    assert answer.status == 200
    assert "this is a proxy" in answer.text.lower()
    # A client that does not use the proxy yet can fetch the certificate here too.
    assert file.body == proxy.ca.read_bytes()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_request_straight_to_the_proxy_over_http2_is_helped(
    proxy: Proxy, scheme: str
) -> None:
    tls = ssl.create_default_context(cafile=str(proxy.ca))
    host, port = proxy.address

    is_clear = scheme == "http"
    async with httpx.AsyncClient(
        http1=not is_clear, http2=True, verify=tls, trust_env=False
    ) as client:
        answer = await client.get(f"{scheme}://{host}:{port}/")

    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert "this is a proxy" in answer.text.lower()


@pytest.mark.parametrize("form", ["absolute", "connect"])
async def test_request_to_the_proxy_through_the_proxy_ends(
    proxy: Proxy, form: str
) -> None:
    host, port = proxy.address
    url = f"http://{host}:{port}/loop"

    async with raw(proxy) as client:
        if form == "absolute":
            request = f"GET {url} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
            await client.send(request.encode())
        else:
            await client.send(connect_head(f"{host}:{port}"))
            if (await client.read_head()).status == 200:
                await client.send(get(f"{host}:{port}", "/loop"))
        received = await client.read_response() if form == "absolute" else None

    if received:
        assert 200 <= received.status < 600
        assert "proxy" in received.text.lower()


@pytest.mark.parametrize("name", ["LOCALHOST", "LocalHost", "127.0.0.1"])
async def test_names_in_other_spellings(
    proxy: Proxy, origin_tls: OriginTls, name: str
) -> None:
    server_name = name.lower()
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        secure(proxy, f"{name}:{origin.port}", server_name=server_name) as client,
    ):
        await client.send(get(f"{name}:{origin.port}"))
        answer = await client.read_response()

    assert (answer.status, answer.text) == (200, "ok")


async def test_client_without_sni(proxy: Proxy, origin_tls: OriginTls) -> None:
    context = client_context(proxy.ca)
    # OpenSSL sends no SNI for an IP address; the leaf must then be for the address.
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        tunnel(proxy, f"127.0.0.1:{origin.port}") as client,
    ):
        await client.start_tls(context, "127.0.0.1")
        await client.send(get(origin.netloc))
        answer = await client.read_response()

    assert answer.text == "ok"


@pytest.mark.parametrize(
    "authority",
    ["no-port", "localhost:0", "localhost:99999", "localhost:http", ":443", "a b:443"],
)
async def test_bad_connect_authority(proxy: Proxy, authority: str) -> None:
    async with raw(proxy) as client:
        await client.send(connect_head(authority))
        answer = await client.read_response()

    assert answer.status == 400


async def test_ca_is_what_every_leaf_is_signed_by(
    proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        leaf = client.writer.get_extra_info("ssl_object").getpeercert(True)
        await client.send(get(origin.netloc))
        await client.read_response()

    ca = x509.load_pem_x509_certificate(proxy.ca.read_bytes())
    x509.load_der_x509_certificate(leaf).verify_directly_issued_by(ca)


async def test_http2_is_offered_where_the_origin_speaks_it(
    proxy: Proxy, origin_tls: OriginTls
) -> None:
    only_h1 = AnsweringOrigin(fixed(response()), tls=origin_tls.server(["http/1.1"]))
    async with only_h1 as origin:
        async with secure(proxy, origin.netloc, alpn=["h2", "http/1.1"]) as client:
            assert client.alpn == "http/1.1"
            await client.send(get(origin.netloc))
            assert (await client.read_response()).text == "ok"
        async with secure(proxy, origin.netloc, alpn=[]) as client:
            assert client.alpn is None
            await client.send(get(origin.netloc))
            assert (await client.read_response()).text == "ok"
