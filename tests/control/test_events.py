"""Live events over real WebSockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from int3rceptor.control import connections, events, server, viewers
from int3rceptor.control.events import SUBPROTOCOL, TOKEN_PREFIX
from int3rceptor.link.messages import FlowSummary
from tests.support.control import AUTHORISED, TOKEN, Control, control_port
from tests.support.patience import PATIENT_S

HELLO = json.dumps({"type": "hello", "token": TOKEN})


def flow(number: int, **given: object) -> FlowSummary:
    return FlowSummary(
        id=number,
        created=1.5,
        kind="http",
        method="GET",
        scheme="https",
        host="example.com",
        port=443,
        target=b"/caf\xe9",
        version="HTTP/2",
        **given,  # type: ignore[arg-type]  # a test's own
    )


def url(control: Control, path: str = "/api/events") -> str:
    return f"ws://{control.netloc}{path}"


@contextlib.asynccontextmanager
async def viewer(control: Control) -> AsyncIterator[ClientConnection]:
    """One that is let in, and has been told so."""
    async with connect(
        url(control), additional_headers=AUTHORISED, proxy=None
    ) as websocket:
        assert json.loads(await websocket.recv()) == {
            "type": "hello",
            "version": "1.2.3",
        }
        yield websocket


async def until(control: Control, viewers_left: int) -> None:
    """The server has seen that they left: nothing else tells, so it is asked again."""
    async with asyncio.timeout(PATIENT_S):
        while len(control.hub.events.viewers) != viewers_left:
            await control.client.get("/api/health")


async def test_what_begins_and_ends_is_told() -> None:
    async with control_port() as control, viewer(control) as websocket:
        control.hub.events.began(flow(7))
        control.hub.events.ended(
            flow(7, status=200, response_bytes=3, total_s=0.5, tags=["a"])
        )
        began = json.loads(await websocket.recv())
        ended = json.loads(await websocket.recv())

    assert began["type"] == "flow.began"
    assert began["flow"]["id"] == 7
    assert began["flow"]["target"] == "/caf\u00e9"
    assert began["flow"]["status"] is None
    assert began["flow"]["total_s"] is None
    assert ended["type"] == "flow.ended"
    assert (ended["flow"]["status"], ended["flow"]["tags"]) == (200, ["a"])


async def test_an_event_holds_what_the_list_does() -> None:
    async with control_port() as control, viewer(control) as websocket:
        control.hub.events.ended(flow(1))
        event = json.loads(await websocket.recv())
        openapi = (await control.client.get("/api/openapi.json")).json()

    listed = openapi["components"]["schemas"]["FlowSummary"]["properties"]
    assert set(event["flow"]) == set(listed) - {"is_marked"}


async def test_nobody_is_told_that_nobody_watches() -> None:
    async with control_port() as control:
        control.hub.events.began(flow(1))
        async with viewer(control), viewer(control):
            assert control.hub.watched == [True]
        await until(control, 0)

        assert control.hub.watched == [True, False]


# --- who is let in --------------------------------------------------------------------


async def test_the_token_as_first_message() -> None:
    async with (
        control_port() as control,
        connect(url(control), proxy=None) as websocket,
    ):
        assert control.hub.watched == []
        await websocket.send(HELLO)
        assert json.loads(await websocket.recv())["type"] == "hello"
        assert websocket.subprotocol is None


async def test_the_token_as_subprotocol() -> None:
    offered = [Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_PREFIX + TOKEN)]
    async with (
        control_port() as control,
        connect(url(control), subprotocols=offered, proxy=None) as websocket,
    ):
        assert json.loads(await websocket.recv())["type"] == "hello"
        assert websocket.subprotocol == SUBPROTOCOL
        assert websocket.response is not None
        assert TOKEN not in str(websocket.response.headers)


async def refusal(control: Control, **given: object) -> tuple[int, str]:
    """The HTTP status and the code with which a handshake is refused."""
    path = given.pop("path", "/api/events")
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url(control, str(path)), proxy=None, **given):  # type: ignore[arg-type]  # a test's own
            pass
    response = caught.value.response
    error = json.loads(response.body or b"")["error"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, error["code"]


async def test_a_wrong_token_is_refused_before_the_handshake() -> None:
    wrong = TOKEN.swapcase()
    async with control_port() as control:
        field = {"Authorization": f"Bearer {wrong}"}
        assert await refusal(control, additional_headers=field) == (
            401,
            "token_required",
        )
        offered = [Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_PREFIX + wrong)]
        assert await refusal(control, subprotocols=offered) == (401, "token_required")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": "https://attacker.example"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
    ],
)
async def test_other_sites_are_refused(
    headers: dict[str, str], status: int, code: str
) -> None:
    async with control_port() as control:
        found = await refusal(control, additional_headers={**AUTHORISED, **headers})

    assert found == (status, code)


async def test_a_rebound_name_is_refused() -> None:
    request = (
        "GET /api/events HTTP/1.1\r\nHost: attacker.example\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n"
    )
    async with control_port() as control:
        answer = await control.raw(request.encode())

    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b'"wrong_host"' in answer


async def closed(websocket: ClientConnection) -> int:
    """The code with which the server ends it."""
    async with asyncio.timeout(PATIENT_S):
        with contextlib.suppress(ConnectionClosedError):
            async for _ in websocket:
                pass
        await websocket.wait_closed()
    assert websocket.close_code is not None
    return websocket.close_code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (json.dumps({"type": "hello", "token": TOKEN.swapcase()}), 4401),
        (json.dumps({"type": "hello", "token": ""}), 4401),
        (json.dumps({"type": "hello", "token": TOKEN, "x": 1}), 4400),
        (json.dumps({"token": TOKEN}), 4400),
        ("", 4400),
        ("not JSON", 4400),
        (b"\xff", 4400),
        ("[" * 3000, 4400),
        ("x" * 100_000, 1009),
    ],
    ids=range(9),
)
async def test_a_first_message_that_is_no_hello(
    message: str | bytes, code: int
) -> None:
    async with (
        control_port() as control,
        connect(url(control), proxy=None) as websocket,
    ):
        await websocket.send(message)
        assert await closed(websocket) == code
        assert control.hub.watched == []


async def test_who_does_not_introduce_itself_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "HELLO_S", 0.05)
    async with (
        control_port() as control,
        connect(url(control), proxy=None) as websocket,
    ):
        assert await closed(websocket) == 4408


async def test_only_so_many_strangers_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_STRANGERS", 1)
    async with (
        control_port() as control,
        connect(url(control), proxy=None) as stranger,
    ):
        await (await stranger.ping())
        assert await refusal(control) == (503, "unavailable")
        async with viewer(control):
            pass
        await stranger.send(HELLO)
        assert json.loads(await stranger.recv())["type"] == "hello"


async def test_only_so_many_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "MAX_VIEWERS", 1)
    async with (
        control_port() as control,
        viewer(control),
        connect(url(control), additional_headers=AUTHORISED, proxy=None) as second,
    ):
        assert await closed(second) == 4429


async def test_nothing_is_expected_after_the_hello() -> None:
    async with control_port() as control, viewer(control) as websocket:
        await websocket.send("more")
        assert await closed(websocket) == 4400


@pytest.mark.parametrize("path", ["/api/flows", "/nope"])
async def test_other_paths_have_no_websocket(path: str) -> None:
    async with control_port() as control:
        found = await refusal(control, path=path, additional_headers=AUTHORISED)

    assert found == (404, "not_found")


async def test_a_plain_get_is_told_to_open_one() -> None:
    async with control_port() as control:
        answer = await control.client.get("/api/events")

    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"


# --- slow ones ------------------------------------------------------------------------


async def test_a_slow_reader_gets_a_gap_and_the_others_all() -> None:
    async with (
        asyncio.timeout(PATIENT_S),
        control_port() as control,
        viewer(control) as slow,
        viewer(control) as quick,
    ):
        # It takes nothing off its socket: the server's buffers fill, then a queue.
        slow.transport.pause_reading()
        last = 0
        while not control.hub.events.viewers.missed:
            last += 1
            control.hub.events.ended(flow(last, error="x" * 20_000))
            message = json.loads(await quick.recv())
            assert (message["type"], message["flow"]["id"]) == ("flow.ended", last)
        slow.transport.resume_reading()
        expected = 1
        gaps = 0
        while expected <= last:
            message = json.loads(await slow.recv())
            if message["type"] == "gap":
                gaps += 1
                expected += message["missed"]
            else:
                assert message["flow"]["id"] == expected
                expected += 1

    assert gaps == 1


async def test_a_viewer_that_takes_nothing_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.1)
    monkeypatch.setattr(server, "TICK_S", 0.02)
    async with control_port() as control, viewer(control) as stopped:
        stopped.transport.pause_reading()
        while len(control.hub.events.viewers):
            control.hub.events.ended(flow(1, error="x" * 20_000))
            await control.client.get("/api/health")
        stopped.transport.abort()

        assert control.hub.watched == [True, False]


async def test_what_the_link_lost_is_a_gap() -> None:
    async with control_port() as control, viewer(control) as websocket:
        control.hub.events.began(flow(1))
        control.hub.events.gap(41)
        control.hub.events.began(flow(2))
        types = [json.loads(await websocket.recv()) for _ in range(3)]

    assert [one["type"] for one in types] == ["flow.began", "gap", "flow.began"]
    assert types[1]["missed"] == 41


async def test_a_viewer_that_vanishes_is_forgotten() -> None:
    async with control_port() as control:
        async with viewer(control) as websocket:
            websocket.transport.abort()
            await until(control, 0)

        assert control.hub.watched == [True, False]


async def test_viewers_are_told_when_the_hub_stops() -> None:
    async with control_port() as control:
        websocket = await connect(
            url(control), additional_headers=AUTHORISED, proxy=None
        )
        await websocket.recv()
    assert await closed(websocket) == 1012
