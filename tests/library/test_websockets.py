"""WebSockets through the proxy: real clients and servers, and functions in between."""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from int3rceptor import Body, Config, Drop, Flow, Proxy, Response, WebSocketMessage
from int3rceptor.wire.websocket import messages as websocket
from int3rceptor.wire.websocket.frames import Opcode, frame
from tests.support.h1_peer import H1Peer
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin
from tests.support.streams import eventually
from tests.support.websockets_ends import client_of, echo_origin
from tests.support.websockets_peer import PLAIN, Sender, deflated

Function = Callable[[WebSocketMessage], object]
MIB = bytes(range(256)) * 4096

HANDSHAKE = (
    b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
)


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def tls(request: pytest.FixtureRequest, origin_tls: OriginTls) -> OriginTls | None:
    return origin_tls if request.param else None


@pytest.fixture(params=["deflate", None], ids=["deflated", "plain"])
def compression(request: pytest.FixtureRequest) -> str | None:
    chosen: str | None = request.param
    return chosen


def followed(proxy: Proxy, *functions: Function) -> list[Flow]:
    """The flows that are over; their messages pass these functions."""
    flows: list[Flow] = []

    @proxy.on_response
    def follow(flow: Flow) -> None:
        for one in functions:
            assert flow.websocket is not None
            flow.websocket.transform(one)  # type: ignore[arg-type]  # what they give

    proxy.on_capture(flows.append)  # type: ignore[arg-type]  # it gives None
    return flows


def upper(message: WebSocketMessage) -> bytes:
    return message.data.upper()


async def upper_later(message: WebSocketMessage) -> str | bytes:
    await asyncio.sleep(0)
    return message.text.upper() if message.is_text else message.data.upper()


def no_secrets(message: WebSocketMessage) -> Drop | None:
    return Drop() if b"secret" in message.data else None


async def test_nobody_listens(
    config: Config, tls: OriginTls | None, compression: str | None
) -> None:
    async with echo_origin(tls) as origin, Proxy(config) as proxy:
        flows = followed(proxy)
        async with client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        await eventually(lambda: bool(flows))
    (flow,) = flows
    assert flow.websocket is not None
    assert (flow.websocket.up, flow.websocket.down) == (0, 0)
    assert flow.bytes_up
    assert flow.bytes_down


async def test_messages_are_shown_and_pass(
    config: Config, tls: OriginTls | None, compression: str | None
) -> None:
    seen: list[WebSocketMessage] = []
    sent: list[str | bytes] = ["hello", "", b"", "grüße " * 100, b"\0\1", MIB, "bye"]
    async with echo_origin(tls) as origin, Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client:
            for one in sent:
                await client.send(one)
                assert await client.recv() == one
            await (await client.ping(b"are you there"))
            await client.send(["in ", "many ", "frames"])
            assert await client.recv() == "in many frames"
            await client.close(4321, "enough")
        await eventually(lambda: bool(flows))
    assert origin.received == [*sent, "in many frames"]
    assert origin.closes == [(4321, "enough")]
    (flow,) = flows
    count = len(sent) + 1
    assert flow.websocket is not None
    assert (flow.websocket.up, flow.websocket.down) == (count, count)
    assert not flow.changes
    assert not flow.error
    ups = [one for one in seen if one.is_from_client]
    assert [one.text if one.is_text else one.data for one in ups] == origin.received
    assert [one.data for one in seen if not one.is_from_client] == [
        one.data for one in ups
    ]


@pytest.mark.parametrize("function", [upper, upper_later])
async def test_messages_are_changed(
    config: Config,
    tls: OriginTls | None,
    compression: str | None,
    function: Function,
) -> None:
    async with echo_origin(tls) as origin, Proxy(config) as proxy:
        flows = followed(proxy, function)
        async with client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client:
            for one in ["abc", "ABC", "abc" * 20_000, b"abc", MIB]:
                await client.send(one)
                assert await client.recv() == one.upper()
        await eventually(lambda: bool(flows))
    assert origin.received[:2] == ["ABC", "ABC"]
    assert origin.received[3:] == [b"ABC", MIB.upper()]
    (change,) = flows[0].changes
    assert change.point == "on_websocket_message"
    assert change.author == function.__name__
    assert change.what == "messages: 4 changed"  # the origin sent them in upper case


async def test_functions_follow_each_other_and_drop(
    config: Config, tls: OriginTls | None, compression: str | None
) -> None:
    def tell(message: WebSocketMessage) -> str | None:
        return f"{message.text} secret" if message.text == "TELL" else None

    async with echo_origin(tls) as origin, Proxy(config) as proxy:
        flows = followed(proxy, upper, tell, no_secrets)
        async with client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client:
            for one in ["one" * 50, "tell", "a secret", "one" * 50]:
                await client.send(one)
            assert await client.recv() == "ONE" * 50
            assert await client.recv() == "A SECRET"
            assert await client.recv() == "ONE" * 50
        await eventually(lambda: bool(flows))
    assert origin.received == ["ONE" * 50, "A SECRET", "ONE" * 50]
    assert [(one.author, one.what) for one in flows[0].changes] == [
        ("upper", "messages: 4 changed"),
        ("tell", "messages: 1 changed"),
        ("no_secrets", "messages: 1 dropped"),
    ]


async def test_a_function_that_fails_costs_one_line(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(message: WebSocketMessage) -> object:
        wanted: dict[str, object] = {"int": 1, "text": b"\xff", "surrogate": "\ud800"}
        if message.text == "raise":
            raise KeyError("x")
        return wanted.get(message.text)

    sent = ["raise", "int", "text", "surrogate", "fine"]
    async with echo_origin() as origin, Proxy(config) as proxy:
        flows = followed(proxy, wrong)
        async with client_of(origin.url, proxy.url, proxy.ca_path) as client:
            with caplog.at_level(logging.WARNING, "int3rceptor"):
                for one in sent:
                    await client.send(one)
                    assert await client.recv() == one
        await eventually(lambda: bool(flows))
    (record,) = caplog.records
    assert "on_websocket_message of wrong failed on flow" in record.getMessage()
    assert [one.what for one in flows[0].changes] == [
        "failed: KeyError: 'x'",
        "messages: 8 failed on",
    ]


async def test_a_message_that_is_too_large_passes(
    config: Config, compression: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 100_000)
    seen: list[WebSocketMessage] = []
    async with echo_origin() as origin, Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with client_of(
            origin.url, proxy.url, proxy.ca_path, compression=compression
        ) as client:
            for one in [MIB, b"small"]:
                await client.send(one)
                assert await client.recv() == one
        await eventually(lambda: bool(flows))
    assert [one.data for one in seen] == [b"small"] * 2
    assert flows[0].websocket
    assert (flows[0].websocket.up, flows[0].websocket.down) == (2, 2)
    assert flows[0].changes[0].what == "messages: 2 too large to be shown"


# Ends that say odd things


@contextlib.asynccontextmanager
async def upgraded(
    proxy: Proxy,
    extensions: bytes = b"",
    early: bytes = b"",
    upgrade: bytes = b"WebSocket",
) -> AsyncIterator[tuple[H1Peer, H1Peer]]:
    """A client and an origin after a 101, in the clear, with the proxy between.

    The client has sent `early` with its request, as none should and some do.
    """
    came: asyncio.Future[H1Peer] = asyncio.get_running_loop().create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set_result(H1Peer(reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with H1Peer(*await asyncio.open_connection(*proxy.address)) as client:
        await client.send(HANDSHAKE % (port, port) + early)
        async with await came as origin:
            server.close()
            await origin.read_until(b"\r\n\r\n")
            await origin.send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                b"Upgrade: %b\r\n%b\r\n" % (upgrade, extensions)
            )
            await client.read_until(b"\r\n\r\n")
            yield client, origin


async def test_frames_pass_byte_for_byte(config: Config) -> None:
    seen: list[WebSocketMessage] = []
    sender = Sender(PLAIN, is_client=True)
    early = b"".join(sender.message("early", [1, 1, 3]))
    async with Proxy(config) as proxy:
        followed(proxy, seen.append)
        async with upgraded(proxy, early=early) as (client, origin):
            assert await origin.read_exactly(len(early)) == early
            first, last = sender.message(b"abcd", [2])
            ping, pong = sender.ping(b"now"), b"\x8a\x00"
            await client.send(first + ping)
            assert await origin.read_exactly(len(ping)) == ping
            await origin.send(pong)
            assert await client.read_exactly(2) == pong
            await client.send(last)
            both = first + last
            assert await origin.read_exactly(len(both)) == both
    assert [one.data for one in seen] == [b"early", b"abcd"]


async def test_what_is_no_websocket_passes_unseen(config: Config) -> None:
    seen: list[WebSocketMessage] = []
    sender = Sender(PLAIN, is_client=True)
    async with Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with upgraded(proxy) as (client, origin):
            begun = sender.message("begun", [2])[0]
            await client.send(sender.message("good")[0] + begun)
            await client.send(b"something else")
            assert await origin.read_exactly(10)
            rest = begun + b"something else"
            assert await origin.read_exactly(len(rest)) == rest
            await client.send(b" and more")
            assert await origin.read_exactly(9) == b" and more"
            await origin.send(b"\x81\x02ok")  # the other direction is still one
            assert await client.read_exactly(4) == b"\x81\x02ok"
        await eventually(lambda: bool(flows))
    assert [one.text for one in seen] == ["good", "ok"]
    (change,) = flows[0].changes
    assert change.what.startswith("is shown no more of the client: a frame ")
    assert not flows[0].error


async def test_an_extension_that_is_not_known(config: Config) -> None:
    seen: list[WebSocketMessage] = []
    header = b"Sec-WebSocket-Extensions: x-secret\r\n"
    async with Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with upgraded(proxy, header) as (client, origin):
            await client.send(b"any bytes")
            assert await origin.read_exactly(9) == b"any bytes"
            await origin.send(b"\x00")
            assert await client.read_exactly(1) == b"\x00"
        await eventually(lambda: bool(flows))
    assert not seen
    assert len(flows[0].changes) == 2
    assert "its extensions are not known: x-secret" in flows[0].changes[0].what


async def test_what_was_changed_cannot_go_on_unread(config: Config) -> None:
    extensions = deflated()
    sender = Sender(extensions, is_client=True)
    header = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with Proxy(config) as proxy:
        flows = followed(proxy, upper)
        async with upgraded(proxy, header) as (client, origin):
            await client.send(sender.message("abc")[0])
            assert await origin.read_exactly(2)
            await client.send(b"\xff")
            await client.send(b"\xff")
            await origin.read_to_end()
            await client.read_to_end()
        await eventually(lambda: bool(flows))
    assert flows[0].error.startswith("messages were changed, and then came ")


async def test_damage_in_a_message_that_passes_is_passed_on_once(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1_000)
    seen: list[WebSocketMessage] = []
    stored = zlib.compressobj(0, wbits=-15)
    begun = stored.compress(bytes(3_000)) + stored.flush(zlib.Z_SYNC_FLUSH)
    damaged = b"\x07" + bytes(50)  # a block of no kind that there is
    message = frame(Opcode.BINARY, begun + damaged, is_compressed=True, is_masked=False)
    header = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with upgraded(proxy, header) as (client, origin):
            first = message[: -len(damaged)]
            await origin.send(first)
            assert await client.read_exactly(len(first)) == first
            await origin.send(damaged)
            assert await client.read_exactly(len(damaged)) == damaged
            await origin.send(b"more")
            assert await client.read_exactly(4) == b"more"
        await eventually(lambda: bool(flows))
    assert not seen
    assert "damaged compression" in flows[0].changes[0].what


@pytest.mark.parametrize("first", ["client", "origin"])
async def test_an_end_in_the_middle_of_a_message(config: Config, first: str) -> None:
    seen: list[WebSocketMessage] = []
    is_client = first == "client"
    begun, _ = Sender(PLAIN, is_client=is_client).message("abcd", [2])
    async with Proxy(config) as proxy:
        flows = followed(proxy, seen.append)
        async with upgraded(proxy) as (client, origin):
            one, other = (client, origin) if is_client else (origin, client)
            await one.send(begun)
            one.send_eof()
            assert (await other.read_to_end()).endswith(begun)
        await eventually(lambda: bool(flows))
    assert not seen
    assert "it ended in the middle of a message" in flows[0].changes[0].what


def refuse(flow: Flow) -> None:
    assert flow.response
    flow.response.status, flow.response.reason = 403, b""


def replace(flow: Flow) -> None:
    flow.response = Response(status=403, body=Body(b"no"))


@pytest.mark.parametrize("listener", [refuse, replace])
async def test_a_101_that_becomes_another_answer_opens_nothing(
    config: Config, listener: Callable[[Flow], None]
) -> None:
    ends: list[bytes] = []

    async def switch(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n\r\nof the new protocol"
        )
        ends.append(await peer.read_to_end())

    flows: list[Flow] = []
    async with ScriptedOrigin(switch) as origin, Proxy(config) as proxy:
        proxy.on_response(listener)
        proxy.on_capture(flows.append)  # type: ignore[arg-type]  # it gives None
        async with H1Peer(*await asyncio.open_connection(*proxy.address)) as client:
            await client.send(HANDSHAKE % (origin.port, origin.port))
            assert (await client.read_response()).status == 403
            # The next request is read as one, and none of the origin's bytes come.
            await client.send(b"GET / HTTP/1.1\r\nHost: int3rceptor.local\r\n\r\n")
            assert (await client.read_head()).status == 200
        await eventually(lambda: bool(ends))
    assert ends == [b""]
    assert flows[0].websocket is None


async def test_another_protocol_has_no_messages(config: Config) -> None:
    flows: list[Flow] = []
    async with Proxy(config) as proxy:
        proxy.on_response(flows.append)  # type: ignore[arg-type]  # it gives None
        async with upgraded(proxy, upgrade=b"chat") as (client, origin):
            await client.send(b"any bytes")
            assert await origin.read_exactly(9) == b"any bytes"
    assert flows[0].websocket is None
