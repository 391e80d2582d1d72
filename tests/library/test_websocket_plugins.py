"""Plugins that see WebSocket messages, with real clients, servers and modules."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from int3rceptor import Config, Flow, Proxy
from tests.support.guests import guest_file
from tests.support.h1_peer import H1Peer
from tests.support.origin_tls import OriginTls
from tests.support.streams import eventually
from tests.support.websockets_ends import EchoOrigin, client_of, echo_origin

GUEST = guest_file("message_moods")
NAME = GUEST.stem


def with_plugin(config: Config, file: Path = GUEST, **manifest: object) -> Config:
    plugins = {file.stem: manifest}
    return Config.of(config.as_table() | {"plugin": (file,), "plugins": plugins})


class Ends:
    """A client, an origin, and the flow once it is over."""

    def __init__(
        self, client: ClientConnection, origin: EchoOrigin, flows: list[Flow]
    ) -> None:
        self.client = client
        self.origin = origin
        self.flows = flows

    async def said(self, *messages: str | bytes) -> list[str | bytes]:
        """What comes back for these, as long as each is answered."""
        answers = []
        for one in messages:
            await self.client.send(one)
            answers.append(await self.client.recv())
        return answers

    async def over(self) -> Flow:
        """The flow, when the client has closed."""
        await self.client.close()
        await eventually(lambda: bool(self.flows))
        return self.flows[0]


@contextlib.asynccontextmanager
async def ends(
    config: Config, tls: OriginTls | None = None, compression: str | None = "deflate"
) -> AsyncIterator[Ends]:
    flows: list[Flow] = []
    proxy = Proxy(config)
    proxy.on_capture(flows.append)  # type: ignore[arg-type]  # it gives None
    async with (
        echo_origin(tls) as origin,
        proxy,
        client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client,
    ):
        yield Ends(client, origin, flows)


@pytest.mark.parametrize("has_tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_are_changed_both_ways(
    config: Config,
    origin_tls: OriginTls,
    compression: str | None,
    *,
    has_tls: bool,
) -> None:
    tls = origin_tls if has_tls else None
    async with ends(with_plugin(config), tls, compression) as both:
        sent = await both.said("abc", b"\xffabc", "f", b"f", "0", "8", "w")
        assert sent == [
            *("ABC", b"\xffABC", "CLIENT TEXT", b"CLIENT BINARY", "", "8", "w"),
        ]
        assert both.origin.received[:4] == [
            *("ABC", b"\xffABC", "client text", b"client binary"),
        ]
        flow = await both.over()
    assert not flow.error
    assert [(one.point, one.author, one.what) for one in flow.changes] == [
        ("on_websocket_message", NAME, "messages: 7 changed")
    ]
    (part,) = flow.plugins
    assert (part.name, part.hook) == (NAME, "on_websocket_message")
    assert part.calls > 5


@pytest.mark.parametrize("mood", ["d", "h"])
async def test_a_dropped_message_does_not_go_on(config: Config, mood: str) -> None:
    async with ends(with_plugin(config)) as both:
        await both.client.send(f"{mood} this")
        assert await both.said("after") == ["AFTER"]
        assert both.origin.received == ["AFTER"]
        flow = await both.over()
    assert [one.what for one in flow.changes] == ["messages: 1 changed, 1 dropped"]


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("t", "trap: unreachable"),
        ("l", "out of fuel"),
        ("e", "returned an error: code -1"),
    ],
)
async def test_after_a_fault_the_message_passes_and_the_next_is_shown(
    config: Config, mood: str, reason: str
) -> None:
    async with ends(with_plugin(config)) as both:
        assert await both.said(f"{mood}1", "next") == [f"{mood}1", "NEXT"]
        flow = await both.over()
    said = [one.what for one in flow.changes]
    assert reason in said[0]
    assert said[1] == "messages: 1 changed, 2 failed on"


async def test_a_guard_that_fails_cuts_the_connection(config: Config) -> None:
    guard = with_plugin(config, on_error="block")
    async with ends(guard) as both:
        assert await both.said("good") == ["GOOD"]
        await both.client.send("t")
        with pytest.raises(ConnectionClosedError):
            await both.client.recv()
        flow = await both.over()
    assert flow.error == f"{NAME} failed on a message: trap: unreachable"
    assert both.origin.received == ["GOOD"]


@pytest.mark.parametrize("is_guard", [False, True])
async def test_a_message_over_the_budget_is_not_shown(
    config: Config, *, is_guard: bool
) -> None:
    limits = {"host_bytes": 4000}
    on_error = "block" if is_guard else "skip"
    async with ends(with_plugin(config, on_error=on_error, limits=limits)) as both:
        assert await both.said("a" * 1000) == ["A" * 1000]
        await both.client.send("a" * 1001)
        if is_guard:
            with pytest.raises(ConnectionClosedError):
                await both.client.recv()
        else:
            assert await both.client.recv() == "a" * 1001
        flow = await both.over()
    why = "larger than 1000 bytes"
    if is_guard:
        assert flow.error == f"{NAME} cannot be shown a message: {why}"
    else:
        assert not flow.error
        what = "messages: 1 changed, 2 too large to be shown"
        assert [one.what for one in flow.changes] == [what]


async def test_in_quarantine_messages_pass(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async with ends(with_plugin(config)) as both:
        assert await both.said(*["t"] * 5, "after") == [*["t"] * 5, "after"]
        flow = await both.over()
    assert flow.changes[-1].what == "messages: 12 failed on"
    failures = [one for one in caplog.messages if "failed on flow" in one]
    assert len(failures) == 1
    assert any("is in quarantine" in one for one in caplog.messages)


async def test_the_example_of_the_documentation(config: Config, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/plugins/bodies.md"
    *_, example = re.findall(r"^```wat\n(.*?)^```", page.read_text(), re.M | re.S)
    file = tmp_path / "bang.wat"
    file.write_text(example)
    async with ends(with_plugin(config, file)) as both:
        await both.client.send("!secret")
        assert await both.said("", "x", "x!") == ["", "x", "x!"]
        assert both.origin.received == ["", "x", "x!"]
        flow = await both.over()
    assert [one.what for one in flow.changes] == ["messages: 1 dropped"]


async def test_other_answers_pass_a_guard_in_quarantine(config: Config) -> None:
    guard = with_plugin(config, on_error="block")
    async with Proxy(guard) as proxy, echo_origin() as origin:
        for _ in range(6):
            with contextlib.suppress(ConnectionClosedError, InvalidStatus):
                async with client_of(origin.url, proxy.url, proxy.ca_path) as client:
                    await client.send("t")
                    await client.recv()
        with pytest.raises(InvalidStatus):  # the plugin is out: no WebSocket opens
            async with client_of(origin.url, proxy.url, proxy.ca_path):
                pass
        peer = H1Peer(*await asyncio.open_connection(*proxy.address))
        async with peer:
            url = origin.url.replace("ws:", "http:")
            host = url.split("/")[2]
            head = f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            await peer.send(head.encode())
            assert (await peer.read_head()).status == 426
