"""The yardstick: it ends TLS on both sides, and what passes is what was sent."""

import os
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from benchmarks.measure import spawn, stop
from benchmarks.origin import ADDRESS, free_port, wait_for_port
from benchmarks.peers import PEERS, RELAY, Place
from benchmarks.tunnel import Route, client_context, open_blocking

if not sys.platform.startswith("linux"):
    pytest.skip("the benchmarks pin cores", allow_module_level=True)

CORE = min(os.sched_getaffinity(0))
PIECE = os.urandom(64 * 1024)


class Echo(socketserver.ThreadingTCPServer):
    """An origin: says what ALPN was agreed, then sends back all that it gets."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.ended = threading.Event()
        super().__init__((ADDRESS, 0), EchoConnection)


class EchoConnection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        echo = self.server
        assert isinstance(echo, Echo)
        try:
            with echo.context.wrap_socket(self.request, server_side=True) as tls:
                tls.sendall(f"{tls.selected_alpn_protocol()}\n".encode())
                while chunk := tls.recv(65536):
                    tls.sendall(chunk)
        except OSError:
            pass  # however it ended
        echo.ended.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    route: Route
    folder: Path
    echo: Echo

    @contextmanager
    def connect(self, alpn: str) -> Iterator[ssl.SSLSocket]:
        context = client_context(self.folder / "ca.pem")
        context.set_alpn_protocols([alpn])
        with (
            open_blocking(self.route) as sock,
            context.wrap_socket(sock, server_hostname=self.route.host) as tls,
        ):
            yield tls


@contextmanager
def relay(folder: Path) -> Iterator[int]:
    """The process that is measured; its port."""
    port = free_port()
    ca = folder / "origin-ca.pem"
    place = Place(folder=folder, port=port, origin_ca=ca, origin_port=0)
    with (folder / "relay.log").open("wb") as log:
        process = spawn(PEERS[RELAY].command(place), CORE, output=log)
    try:
        wait_for_port(port, process, folder / "relay.log")
        yield port
    finally:
        stop(process)


@contextmanager
def relayed(folder: Path, *, is_trusted: bool = True) -> Iterator[Bed]:
    authority = trustme.CA(organization_name="Origin CA")
    trusted = authority if is_trusted else trustme.CA()
    trusted.cert_pem.write_to_path(folder / "origin-ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(context)
    with Echo(context) as echo, relay(folder) as port:
        server = threading.Thread(target=echo.serve_forever, args=(0.01,))
        server.start()
        route = Route(
            via=(ADDRESS, port),
            is_proxy=True,
            host="localhost",
            port=echo.server_address[1],
        )
        try:
            yield Bed(route=route, folder=folder, echo=echo)
        finally:
            echo.shutdown()
            server.join()


def read_exactly(tls: ssl.SSLSocket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = tls.recv(size - len(received))
        assert piece
        received += piece
    return received


def is_cut_off(sock: socket.socket) -> bool:
    """Ended without a byte, orderly or not."""
    try:
        return not sock.recv(1)
    except OSError:
        return True


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
def test_what_the_client_agreed_on_is_agreed_on_with_the_origin(
    tmp_path: Path, alpn: str
) -> None:
    # The leaf is the relay's own: the client trusts no other CA.
    with relayed(tmp_path) as bed, bed.connect(alpn) as tls:
        assert tls.selected_alpn_protocol() == alpn
        assert read_exactly(tls, len(alpn) + 1).decode() == f"{alpn}\n"


def test_bytes_pass_both_ways_also_those_sent_before_the_origin_is_there(
    tmp_path: Path,
) -> None:
    with relayed(tmp_path) as bed, bed.connect("h2") as tls:
        tls.sendall(PIECE)
        assert read_exactly(tls, 3) == b"h2\n"
        for _ in range(32):
            assert read_exactly(tls, len(PIECE)) == PIECE
            tls.sendall(PIECE)
        assert read_exactly(tls, len(PIECE)) == PIECE


def test_an_end_on_one_side_is_an_end_on_the_other(tmp_path: Path) -> None:
    with relayed(tmp_path) as bed:
        with bed.connect("h2") as tls:
            read_exactly(tls, 3)
        assert bed.echo.ended.wait(10)


def test_an_origin_of_another_ca_is_not_relayed_to(tmp_path: Path) -> None:
    with relayed(tmp_path, is_trusted=False) as bed, bed.connect("h2") as tls:
        assert is_cut_off(tls)


def test_what_is_no_connect_is_cut_off(tmp_path: Path) -> None:
    with relayed(tmp_path) as bed, bed.connect("h2") as tls:
        read_exactly(tls, 3)
        direct = Route(via=bed.route.via, is_proxy=False, host="localhost", port=1)
        with open_blocking(direct) as sock:
            sock.sendall(b"GET http://localhost/ HTTP/1.1\r\n\r\n")
            assert is_cut_off(sock)
        # Whoever is relayed notices nothing of it.
        tls.sendall(PIECE)
        assert read_exactly(tls, len(PIECE)) == PIECE
