"""on_connect says where to dial: by a function and by a plugin, on real sockets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from int3rceptor import Config, Flow, PassThrough, Proxy, Upstream
from int3rceptor.model.flow import FlowKind
from tests.support.asking import ask, ask_secure, check_page
from tests.support.clients import h2_client, raw, secure, tunnel
from tests.support.h1_peer import response
from tests.support.h2_origin import H2Origin
from tests.support.h2_origin import answer as h2_answer
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, closed_port, fixed

GUEST = Path(__file__).parents[1] / "guests/connect_to.wat"
OK = fixed(response(b"from there"))


class Running(Proxy):
    """A proxy as the clients of the tests see one; keeps the flows that ended."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.flows: list[Flow] = []
        self.on_capture(self.flows.append)

    @property
    def ca(self) -> Path:
        return self.ca_path


Leading = Callable[[int], Running]
"""Makes a proxy that dials this port of 127.0.0.1, whatever was named."""


@pytest.fixture(params=["function", "plugin"])
def leading(request: pytest.FixtureRequest, config: Config) -> Leading:
    def by_function(port: int) -> Running:
        proxy = Running(config)
        proxy.on_connect(lambda _: Upstream("127.0.0.1", port))
        return proxy

    def by_plugin(port: int) -> Running:
        table = {"config": {"host": "127.0.0.1", "port": port}}
        fields = config.as_table() | {"plugin": (GUEST,)}
        return Running(Config.of(fields | {"plugins": {"connect_to": table}}))

    return by_function if request.param == "function" else by_plugin


def said(flow: Flow) -> list[str]:
    return [one.what for one in flow.changes if one.point == "on_connect"]


async def test_another_server_answers_for_the_named_origin(
    leading: Leading, origin_tls: OriginTls
) -> None:
    named = f"localhost:{closed_port()}"
    async with (
        AnsweringOrigin(OK, tls=origin_tls.server()) as there,
        leading(there.port) as proxy,
        secure(proxy, named) as client,
    ):
        for path in ("/first", "/second"):
            await client.send(f"GET {path} HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())
            assert (await client.read_response()).text == "from there"
        requests = there.requests
        peers = there.peers

    assert [one.value("host") for one in requests] == [named.encode()] * 2
    assert len(peers) == 1  # the pool knows it by where it leads
    for flow in proxy.flows:
        assert flow.request.url.startswith(f"https://{named}/")
        assert said(flow) == [f"to be dialled at 127.0.0.1:{there.port}"]
        assert flow.origin is not None
        assert flow.origin.address == ("127.0.0.1", there.port)


async def test_names_stay_what_the_certificate_is_judged_by(
    leading: Leading, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(OK, tls=origin_tls.server()) as there,
        leading(there.port) as proxy,
    ):
        answer = await ask_secure(proxy, "named.test:443", server_name="named.test")

    check_page(answer, 502, "named.test", "certificate")
    assert there.requests == []


async def test_http2_and_its_probe_go_there(
    leading: Leading, origin_tls: OriginTls
) -> None:
    named = f"localhost:{closed_port()}"
    async with (
        H2Origin(h2_answer, tls=origin_tls.server(["h2"])) as there,
        leading(there.port) as proxy,
        h2_client(proxy, named) as client,
    ):
        stream = await client.request("GET", named, "/")

    assert stream.status == 200
    assert said(proxy.flows[0]) == [f"to be dialled at 127.0.0.1:{there.port}"]


async def test_plain_http_goes_there_on_every_request(leading: Leading) -> None:
    async with (
        AnsweringOrigin(OK) as there,
        leading(there.port) as proxy,
        raw(proxy) as client,
    ):
        for name in ("a.test", "b.test:81", "a.test"):
            head = f"GET http://{name}/ HTTP/1.1\r\nHost: {name}\r\n\r\n"
            await client.send(head.encode())
            assert (await client.read_response()).text == "from there"

    hosts = [one.value("host") for one in there.requests]
    assert hosts == [b"a.test", b"b.test:81", b"a.test"]
    line = f"to be dialled at 127.0.0.1:{there.port}"
    assert [said(flow) for flow in proxy.flows] == [[line]] * 3


async def test_a_loop_is_refused_by_the_address(leading: Leading) -> None:
    proxy = leading(1)
    async with proxy:
        own = Upstream("0.0.0.0", proxy.address[1])  # noqa: S104
        proxy.listen("on_connect", lambda _: own, priority=2_000)
        check_page(await ask(proxy, "named.test:80"), 508, "own address")


async def test_bytes_that_are_relayed_go_there_too(leading: Leading) -> None:
    async with AnsweringOrigin(OK) as there, leading(there.port) as proxy:
        proxy.listen("on_connect", lambda _: PassThrough(), priority=2_000)
        async with tunnel(proxy, "named.test:7") as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: named.test\r\n\r\n")
            assert (await client.read_response()).text == "from there"

    (flow,) = proxy.flows
    assert flow.kind is FlowKind.TUNNEL
    line = f"to be dialled at 127.0.0.1:{there.port}"
    assert said(flow) == [line, "passed through"]


async def test_two_clients_of_one_name_do_not_share_two_servers(
    config: Config,
) -> None:
    """What one client was led to is not what another, led elsewhere, gets."""
    async with (
        AnsweringOrigin(fixed(response(b"one"))) as one,
        AnsweringOrigin(fixed(response(b"two"))) as two,
        Running(config) as proxy,
    ):
        ports = iter((one.port, two.port, one.port))
        proxy.on_connect(lambda _: Upstream("127.0.0.1", next(ports)))
        texts = [(await ask(proxy, "named.test:80")).text for _ in range(3)]

    assert texts == ["one", "two", "one"]
    assert (len(one.peers), len(two.peers)) == (1, 1)


@pytest.mark.parametrize(
    ("host", "port"), [("", 1), ("a b", 1), ("a\n", 1), ("a", 0), ("a", 65_536)]
)
def test_no_place_to_dial(host: str, port: int) -> None:
    with pytest.raises(ValueError, match="to dial"):
        Upstream(host, port)
