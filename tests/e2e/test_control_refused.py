"""The proxy does not relay to its control port, in whatever disguise it is asked."""

import re
import socket
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.clients import connect_head, h2_client, raw, secure, tunnel
from tests.support.process import BOTH_PLANES, ProxyProcess

pytestmark = pytest.mark.measured


LOOPBACK = "127.0.0.1"
NOT_FOUND, LOOP_DETECTED = 404, 508

Ask = Callable[[ProxyProcess, str], Awaitable[int]]


def own_address() -> str:
    """An address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only asks which way packets would go.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return LOOPBACK
        address: str = probe.getsockname()[0]
        return address


TO_LOOPBACK = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "0.0.0.0",  # noqa: S104 - asked for, not bound
    "0",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
]
TO_THIS_MACHINE = [*TO_LOOPBACK, "127.0.0.9", own_address()]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    folder = tmp_path_factory.mktemp("loopback")
    with ProxyProcess(folder, planes=BOTH_PLANES) as running:
        yield running


@pytest.fixture(scope="module")
def open_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """Its control port listens on every address of this machine."""
    folder = tmp_path_factory.mktemp("everywhere")
    planes = ("--control", "0.0.0.0:0")
    config = "[control_port]\nallow_remote = true\n"
    with ProxyProcess(folder, planes=planes, config=config) as running:
        yield running


def control_port(proxy: ProxyProcess) -> int:
    port = urlsplit(proxy.control).port
    assert port
    return port


def answered(proxy: ProxyProcess) -> int:
    """How many requests the control port has answered, itself asked directly."""
    request = urllib.request.Request(  # noqa: S310 - the URL is the proxy's own
        f"{proxy.control}/metrics", headers={"Authorization": f"Bearer {proxy.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        text = response.read().decode()
    counts = re.findall(
        r'int3rceptor_control_answers_total\{status="..."\} (\d+)', text
    )
    return sum(map(int, counts))


async def absolute_form(proxy: ProxyProcess, netloc: str) -> int:
    async with raw(proxy) as peer:
        head = f"GET http://{netloc}/api/health HTTP/1.1\r\nHost: {netloc}\r\n\r\n"
        await peer.send(head.encode())
        return (await peer.read_response()).status


async def in_a_tunnel(proxy: ProxyProcess, netloc: str) -> int:
    async with tunnel(proxy, netloc) as peer:
        head = f"GET /api/health HTTP/1.1\r\nHost: {netloc}\r\n\r\n"
        await peer.send(head.encode())
        return (await peer.read_response()).status


async def over_tls(proxy: ProxyProcess, netloc: str) -> int:
    async with secure(proxy, netloc) as peer:
        head = f"GET /api/health HTTP/1.1\r\nHost: {netloc}\r\n\r\n"
        await peer.send(head.encode())
        return (await peer.read_response()).status


async def over_http2(proxy: ProxyProcess, netloc: str) -> int:
    async with h2_client(proxy, netloc) as client:
        return (await client.request("GET", netloc, "/api/health")).status


async def as_websocket(proxy: ProxyProcess, netloc: str) -> int:
    async with raw(proxy) as peer:
        head = (
            f"GET http://{netloc}/api/events HTTP/1.1\r\nHost: {netloc}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await peer.send(head.encode())
        return (await peer.read_response()).status


@pytest.mark.parametrize(
    "ask", [absolute_form, in_a_tunnel, over_tls, over_http2, as_websocket]
)
async def test_whatever_the_form(proxy: ProxyProcess, ask: Ask) -> None:
    before = answered(proxy)

    status = await ask(proxy, f"localhost:{control_port(proxy)}")

    assert status == LOOP_DETECTED
    assert answered(proxy) == before + 1


async def test_a_host_field_alone_leads_nowhere(proxy: ProxyProcess) -> None:
    before = answered(proxy)
    netloc = f"localhost:{control_port(proxy)}"
    async with raw(proxy) as peer:
        await peer.send(f"GET /api/health HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
        assert (await peer.read_response()).status == NOT_FOUND

    assert answered(proxy) == before + 1


@pytest.mark.parametrize("host", TO_LOOPBACK)
async def test_whatever_the_name(proxy: ProxyProcess, host: str) -> None:
    before = answered(proxy)

    status = await absolute_form(proxy, f"{host}:{control_port(proxy)}")

    # What is no host in a URL is refused before it is resolved.
    assert status in (LOOP_DETECTED, 400)
    assert answered(proxy) == before + 1


@pytest.mark.parametrize("host", TO_THIS_MACHINE)
async def test_whatever_the_address_where_it_listens_on_all(
    open_proxy: ProxyProcess, host: str
) -> None:
    before = answered(open_proxy)

    status = await absolute_form(open_proxy, f"{host}:{control_port(open_proxy)}")

    assert status in (LOOP_DETECTED, 400)
    assert answered(open_proxy) == before + 1


async def test_bytes_that_are_no_http_do_not_get_there_either(
    proxy: ProxyProcess,
) -> None:
    before = answered(proxy)
    async with raw(proxy) as peer:
        await peer.send(connect_head(f"localhost:{control_port(proxy)}"))
        assert (await peer.read_head()).status == 200
        await peer.send(b"\x00\x01 not HTTP\r\n\r\n")
        assert await peer.read_to_end() == b""

    assert answered(proxy) == before + 1


async def test_an_ipv6_control_port(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not has_ipv6_loopback():
        pytest.skip("this machine has no IPv6")
    folder = tmp_path_factory.mktemp("ipv6")
    with ProxyProcess(folder, planes=("--control", "[::1]:0")) as proxy:
        port = control_port(proxy)
        before = answered(proxy)
        for host in ("[::1]", "[0:0:0:0:0:0:0:1]", "[::]"):
            assert await absolute_form(proxy, f"{host}:{port}") == LOOP_DETECTED
        assert answered(proxy) == before + 1


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
