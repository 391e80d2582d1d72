"""Opens a CONNECT tunnel and says whose certificate stands at its end.

Loopback only. `open_route` is for load generators; the proof blocks, and is taken
before anything is measured.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError

TIMEOUT_S = 30.0
MAX_HEAD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to `host:port`: through `via` by CONNECT, or straight to `via`."""

    via: tuple[str, int]
    is_proxy: bool
    host: str
    port: int


async def open_route(route: Route) -> socket.socket:
    """A connected socket on which the next byte from the peer belongs to the origin."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, route.via)
        if route.is_proxy:
            await loop.sock_sendall(sock, _connect_head(route))
            answer = b""
            # Nothing follows the head: inside the tunnel the client speaks first.
            while not answer.endswith(b"\r\n\r\n"):
                piece = await loop.sock_recv(sock, MAX_HEAD_BYTES)
                answer = _grown(answer, piece, route)
            _require_tunnel(answer, route)
    except BaseException:
        sock.close()
        raise
    return sock


def open_blocking(route: Route) -> socket.socket:
    """The same without an event loop."""
    sock = socket.create_connection(route.via, TIMEOUT_S)
    try:
        if route.is_proxy:
            sock.sendall(_connect_head(route))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer = _grown(answer, sock.recv(MAX_HEAD_BYTES), route)
            _require_tunnel(answer, route)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_head(route: Route) -> bytes:
    authority = f"{route.host}:{route.port}"
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()


def _grown(answer: bytes, piece: bytes, route: Route) -> bytes:
    if not piece or len(answer) > MAX_HEAD_BYTES:
        raise BenchmarkError(
            f"CONNECT {route.host}:{route.port}: no whole answer: {answer[:200]!r}"
        )
    return answer + piece


def _require_tunnel(answer: bytes, route: Route) -> None:
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise BenchmarkError(
            f"CONNECT {route.host}:{route.port} was refused: {answer[:200]!r}"
        )


def client_context(ca_pem: Path, *, names_checked: bool = True) -> ssl.SSLContext:
    """Trusts `ca_pem` and nobody else, so that a handshake proves who is speaking.

    Without `names_checked`, `require_name` is the caller's to call.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = names_checked
    context.load_verify_locations(ca_pem)
    return context


def require_name(certificate: Mapping[str, object], host: str) -> None:
    """Fail unless `certificate`, as ssl describes it, names `host`.

    More lenient than ssl in one thing: two peers name an address as if it were a DNS
    name. They minted a certificate for it all the same, and that is what is measured.
    """
    named = certificate.get("subjectAltName")
    names = named if isinstance(named, tuple) else ()
    if not any(name in (("DNS", host), ("IP Address", host)) for name in names):
        raise BenchmarkError(f"the leaf shown for {host} is not minted for it: {names}")


def prove_interception(
    route: Route, proxy_ca: Path, origin_ca: Path, alpn: str
) -> None:
    """Fail unless the leaf was issued by the proxy's CA and `alpn` was agreed.

    No ALPN at all is as good as "http/1.1" (RFC 7301 section 3.2): a client that asked
    for it speaks it then.
    """
    # Both are trusted here, so that a blind relay is named as such and does not look
    # like one more certificate error.
    context = client_context(proxy_ca, names_checked=False)
    own_names = {str(ca["subject"]) for ca in context.get_ca_certs()}
    context.load_verify_locations(origin_ca)
    context.set_alpn_protocols([alpn])
    place = f"the proxy on port {route.via[1]}"
    try:
        with (
            open_blocking(route) as sock,
            context.wrap_socket(sock, server_hostname=route.host) as tls,
        ):
            certificate = tls.getpeercert() or {}
            agreed = tls.selected_alpn_protocol() or "http/1.1"
    except OSError as error:
        raise BenchmarkError(
            f"{place}: no TLS for {route.host} that its CA stands for: {error}"
        ) from error
    issuer = str(certificate.get("issuer"))
    if issuer not in own_names:
        raise BenchmarkError(
            f"{place} did not intercept: the leaf was issued by {issuer}"
        )
    require_name(certificate, route.host)
    if agreed != alpn:
        raise BenchmarkError(f"{place} agreed on {agreed!r}, not on {alpn!r}")
