"""A plugin that leads requests elsewhere and adds trailers, on real sockets."""

from pathlib import Path

from int3rceptor import Config, Flow, Proxy
from tests.support.clients import h2_client, secure
from tests.support.h1_peer import response
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, closed_port, fixed

GUEST = Path(__file__).parents[1] / "guests/reroute.wat"


class Running(Proxy):
    """A proxy as the clients of the tests see one."""

    @property
    def ca(self) -> Path:
        return self.ca_path


def leading(config: Config, url: str) -> Running:
    fields = config.as_table() | {"plugin": (GUEST,)}
    tables = {"plugins": {"reroute": {"config": {"url": url}}}}
    return Running(Config.of(fields | tables))


async def test_the_request_goes_there_and_the_answer_ends_in_a_trailer(
    config: Config, origin_tls: OriginTls
) -> None:
    named = f"localhost:{closed_port()}"
    flows: list[Flow] = []
    async with (
        AnsweringOrigin(fixed(response(b"there")), tls=origin_tls.server()) as there,
        leading(config, f"{there.url}/new?q") as proxy,
    ):
        proxy.on_capture(flows.append)
        async with secure(proxy, named) as client:
            head = f"GET /old HTTP/1.1\r\nHost: {named}\r\n\r\n"
            await client.send(head.encode())
            received = await client.read_response()
        async with h2_client(proxy, named) as h2:
            stream = await h2.request("GET", named, "/old")

    assert received.text == "there"
    assert received.trailers == [(b"x-checked", b"yes")]
    assert bytes(stream.body) == b"there"
    assert (b"x-checked", b"yes") in stream.trailers
    for asked in there.requests:
        assert asked.target == b"/new?q"
        assert asked.value("host") == there.netloc.encode()
    changes = [one.what for one in flows[0].changes if one.author == "reroute"]
    assert f"GET https://{named}/old -> GET {there.url}/new?q" in changes
    assert "trailer + x-checked: yes" in changes
