"""The load generators against a proxy of thirty lines that can be told to misbehave."""

import os
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from benchmarks.clients import Client, parse_h2load, parse_h2load_log
from benchmarks.measure import BenchmarkError
from benchmarks.origin import HOST, SMALL_BODY, Origin, numbered_host
from benchmarks.tunnel import Route, prove_interception, require_name

if not sys.platform.startswith("linux"):
    pytest.skip("the benchmarks pin cores", allow_module_level=True)

CORE = min(os.sched_getaffinity(0))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n"
Answer = Callable[[int], bytes]


class TinyProxy(socketserver.ThreadingTCPServer):
    """Answers CONNECT, intercepts, and gives `answer(n)` to the n-th request (from 1).

    Empty bytes close the connection.
    """

    def __init__(self, context: ssl.SSLContext, answer: Answer) -> None:
        self.context = context
        self.answer = answer
        self.requests = 0
        self.asked_for: list[str] = []
        self.counting = threading.Lock()
        super().__init__(("127.0.0.1", 0), TinyProxyConnection)

    def next_answer(self) -> bytes:
        with self.counting:
            self.requests += 1
            return self.answer(self.requests)


class TinyProxyConnection(socketserver.BaseRequestHandler):
    request: socket.socket

    def handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, TinyProxy)
        head = read_head(self.request)
        with proxy.counting:
            proxy.asked_for.append(head.split(b" ")[1].decode())
        if head.startswith(b"GET http://localhost:1/small "):
            while head and (answer := proxy.next_answer()):
                self.request.sendall(answer)
                head = read_head(self.request)
            return
        if not head.startswith(b"CONNECT "):
            return
        self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            with proxy.context.wrap_socket(self.request, server_side=True) as tls:
                while read_head(tls) and (answer := proxy.next_answer()):
                    tls.sendall(answer)
        except (ssl.SSLError, ConnectionError):
            return  # the client refused what we are, or left


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return b""
        head += byte
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    proxy: TinyProxy
    client: Client


@contextmanager
def tiny_proxy(folder: Path, answer: Answer) -> Iterator[Bed]:
    authority = trustme.CA(organization_name="Tiny proxy CA")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    hosts = [numbered_host(number) for number in range(20)]
    authority.issue_cert(HOST, *hosts).configure_cert(context)
    (folder / "small").write_bytes(SMALL_BODY)
    origin = Origin(
        pid=os.getpid(),
        plain_port=1,
        h1_port=1,
        h2_port=1,
        ca_pem=folder / "origin-ca.pem",
        small=folder / "small",
        bulk=folder / "bulk",
        bulk_bytes=0,
        bulk_crc=0,
        upload=folder / "upload",
    )
    with TinyProxy(context, answer) as proxy:
        server = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        server.start()
        route = Route(
            via=("127.0.0.1", proxy.server_address[1]),
            is_proxy=True,
            host=HOST,
            port=1,
        )
        client = Client(
            route=route,
            ca_pem=folder / "ca.pem",
            origin=origin,
            core=CORE,
            folder=folder,
        )
        try:
            yield Bed(proxy=proxy, client=client)
        finally:
            proxy.shutdown()
            server.join()


def test_every_request_is_sent_once_over_the_connections_kept(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.h1_load(3) as load:
            first, second = load.run(40), load.run(7)
        assert (first.requests, first.errors) == (40, 0)
        assert (second.requests, second.errors) == (7, 0)
        assert first.p50_ms is not None
        assert first.p99_ms is not None
        assert 0 < first.p50_ms <= first.p99_ms
        assert bed.proxy.requests == 47


def test_paced_requests_are_all_sent_at_their_rate(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.h1_load(3) as load:
            paced, again = load.run_paced(20, 100.0), load.run(5)
        assert (paced.requests, paced.errors) == (20, 0)
        assert paced.elapsed_s >= 0.2
        assert (again.requests, again.errors) == (5, 0)
        assert bed.proxy.requests == 25


def test_paced_requests_that_fail_are_errors(tmp_path: Path) -> None:
    def answer(number: int) -> bytes:
        return HEAD + SMALL_BODY if number < 5 else b""

    with tiny_proxy(tmp_path, answer) as bed, bed.client.h1_load(2) as load:
        result = load.run_paced(20, 200.0)
    assert (result.requests, result.errors) == (4, 16)


def test_each_connection_is_asked_once(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.h1_load(35) as load:
            result = load.run_each()
        assert (result.requests, result.errors) == (35, 0)
        assert bed.proxy.requests == 35


def test_a_connection_that_was_lost_is_an_error_when_each_is_asked(
    tmp_path: Path,
) -> None:
    def answer(number: int) -> bytes:
        return b"" if number == 3 else HEAD + SMALL_BODY

    with tiny_proxy(tmp_path, answer) as bed, bed.client.h1_load(5) as load:
        first, again = load.run_each(), load.run_each()
    assert (first.requests, first.errors) == (4, 1)
    assert (again.requests, again.errors) == (4, 1)


def test_a_plain_request_has_the_absolute_form(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.h1_load(2, plain=True) as load:
            result = load.run(9)
        assert (result.requests, result.errors) == (9, 0)
        assert bed.proxy.asked_for == ["http://localhost:1/small"] * 2


def test_a_new_connection_for_each_request(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.new_load(3) as load:
            first, second = load.run(8), load.run(2)
        assert [each.requests for each in (first, second)] == [8, 2]
        assert first.p50_ms is not None
        assert first.p50_ms > 0
        assert bed.proxy.asked_for == ["localhost:1"] * 10


def test_each_first_contact_has_a_host_of_its_own(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.new_load(2, first_host=5) as load:
            results = load.run(4), load.run(3)
        assert [each.requests for each in results] == [4, 3]
        wanted = [f"{numbered_host(number)}:1" for number in range(5, 12)]
        assert sorted(bed.proxy.asked_for) == sorted(wanted)


def test_a_leaf_that_was_not_minted_for_the_host_is_an_error(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        with bed.client.new_load(1, first_host=19) as load:
            result = load.run(2)
        assert (result.requests, result.errors) == (1, 1)
        assert "not minted for it" in result.error_texts[0]


def test_new_connections_that_fail_are_errors(tmp_path: Path) -> None:
    def answer(number: int) -> bytes:
        return b"" if number == 2 else HEAD + SMALL_BODY

    with tiny_proxy(tmp_path, answer) as bed, bed.client.new_load(2) as load:
        result = load.run(6)
    assert (result.requests, result.errors) == (5, 1)


def test_hosts_do_not_repeat_and_stay_on_loopback() -> None:
    hosts = [numbered_host(number) for number in range(60_000)]
    assert len(set(hosts)) == 60_000
    assert hosts[0] == "127.100.0.1"
    assert hosts[-1] == "127.100.239.250"


@pytest.mark.parametrize("kind", ["DNS", "IP Address"])
def test_an_address_may_be_named_either_way(kind: str) -> None:
    require_name({"subjectAltName": ((kind, "127.0.0.1"),)}, "127.0.0.1")


@pytest.mark.parametrize(
    "certificate", [{}, {"subjectAltName": (("DNS", "localhost"),)}]
)
def test_a_leaf_for_somebody_else_is_refused(certificate: dict[str, object]) -> None:
    with pytest.raises(BenchmarkError, match="not minted"):
        require_name(certificate, "127.0.0.1")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        HEAD + SMALL_BODY[::-1],
        HEAD + SMALL_BODY + b"more",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["closed", "status", "other-body", "too-much", "no-length"],
)
def test_what_is_not_the_answer_is_an_error(tmp_path: Path, bad: bytes) -> None:
    def answer(number: int) -> bytes:
        return bad if number == 5 else HEAD + SMALL_BODY

    with tiny_proxy(tmp_path, answer) as bed, bed.client.h1_load(2) as load:
        result = load.run(20)
    assert (result.requests, result.errors) == (19, 1)
    assert len(result.error_texts) == 1


def test_requests_that_no_connection_is_left_for_are_errors(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: b"") as bed, bed.client.h1_load(2) as load:
        result = load.run(20)
        again = load.run(5)
    assert (result.requests, result.errors) == (0, 20)
    assert (again.requests, again.errors) == (0, 5)


def test_a_leaf_of_another_ca_ends_the_load(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: HEAD + SMALL_BODY) as bed:
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        with (
            pytest.raises(BenchmarkError, match="CERTIFICATE_VERIFY_FAILED"),
            bed.client.h1_load(1),
        ):
            pass


def test_a_blind_relay_is_not_taken_for_interception(tmp_path: Path) -> None:
    with tiny_proxy(tmp_path, lambda _: b"") as bed:
        # What the tiny proxy shows is now the "origin's" certificate.
        trustme.CA().cert_pem.write_to_path(tmp_path / "proxy-ca.pem")
        with pytest.raises(BenchmarkError, match="did not intercept"):
            prove_interception(
                bed.client.route, tmp_path / "proxy-ca.pem", tmp_path / "ca.pem", "h2"
            )


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + SMALL_BODY,
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"",
    ],
    ids=["an-answer", "another-key", "closed"],
)
def test_a_proxy_that_opens_no_websocket_is_named(
    tmp_path: Path, answer: bytes
) -> None:
    with (
        tiny_proxy(tmp_path, lambda _: answer) as bed,
        pytest.raises(
            BenchmarkError, match=r"ended on 127\.0\.0\.1:\d+:\nno WebSocket: "
        ),
        bed.client.ws_load(1, 1),
    ):
        pass


H2LOAD_REPORT = """\
Application protocol: h2

finished in 250.00ms, 40.00 req/s, 1.14KB/s
requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 11.45KB (11723) total, 370B (370) headers (space savings 83.99%), \
10.00KB (10240) data
"""


def test_a_good_h2load_report_is_read() -> None:
    result = parse_h2load(H2LOAD_REPORT, 10)
    assert (result.requests, result.errors, result.elapsed_s) == (10, 0, 0.25)
    assert result.error_texts == ()


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        ("10 succeeded, 0 failed", "8 succeeded, 2 failed", 2),
        ("10 2xx, 0 3xx, 0 4xx, 0 5xx", "7 2xx, 0 3xx, 0 4xx, 3 5xx", 3),
        ("(10240) data", "(9000) data", 1),
        ("protocol: h2", "protocol: http/1.1", 10),
    ],
)
def test_what_h2load_found_wrong_is_an_error(old: str, new: str, errors: int) -> None:
    result = parse_h2load(H2LOAD_REPORT.replace(old, new), 10)
    assert result.errors == errors
    assert result.requests == 10 - errors
    assert result.error_texts


def test_an_h2load_report_without_numbers_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="lacks"):
        parse_h2load("cannot connect\n", 10)


def test_percentiles_come_from_the_durations_of_the_log() -> None:
    lines = [f"17000000{number}\t200\t{number * 1000}" for number in range(1, 101)]
    assert parse_h2load_log("\n".join(lines)) == pytest.approx((51.0, 100.0))
