"""Opens a CONNECT tunnel and says whose certificate stands at its end.

Blocking, for loopback and for what happens before or beside a measurement.
"""

import socket
import ssl
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


def open_route(route: Route) -> socket.socket:
    """A connected socket on which the next byte from the peer belongs to the origin."""
    sock = socket.create_connection(route.via, TIMEOUT_S)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if route.is_proxy:
            _connect(sock, f"{route.host}:{route.port}")
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, authority: str) -> None:
    sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One byte at a time: what follows the head is not ours to read.
        byte = sock.recv(1)
        head += byte
        if not byte or len(head) > MAX_HEAD_BYTES:
            raise BenchmarkError(
                f"CONNECT {authority}: no whole answer: {head[:200]!r}"
            )
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise BenchmarkError(f"CONNECT {authority} was refused: {head[:200]!r}")


def client_context(ca_pem: Path) -> ssl.SSLContext:
    """Trusts `ca_pem` and nobody else, so that a handshake proves who is speaking."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_pem)
    return context


def prove_interception(
    route: Route, proxy_ca: Path, origin_ca: Path, alpn: str
) -> None:
    """Fail unless the leaf was issued by the proxy's CA and `alpn` was agreed."""
    # Both are trusted here, so that a blind relay is named as such and does not look
    # like one more certificate error.
    context = client_context(proxy_ca)
    own_names = {str(ca["subject"]) for ca in context.get_ca_certs()}
    context.load_verify_locations(origin_ca)
    context.set_alpn_protocols([alpn])
    with (
        open_route(route) as sock,
        context.wrap_socket(sock, server_hostname=route.host) as tls,
    ):
        certificate = tls.getpeercert() or {}
        issuer = str(certificate.get("issuer"))
        if issuer not in own_names:
            raise BenchmarkError(
                f"the proxy on port {route.via[1]} did not intercept: "
                f"the leaf was issued by {issuer}"
            )
        if tls.selected_alpn_protocol() != alpn:
            raise BenchmarkError(
                f"the proxy on port {route.via[1]} agreed on "
                f"{tls.selected_alpn_protocol()!r} where {alpn!r} was to be measured"
            )
