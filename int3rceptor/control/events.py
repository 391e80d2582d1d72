"""Live events: what a viewer is told, and how one proves who it is.

A browser's WebSocket cannot send an Authorization field, and a token in a URL ends up
in logs. So there are three ways to show it: that field, for programs; a subprotocol
beside ours; or the first message.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from int3rceptor.control.failures import answer
from int3rceptor.control.guards import has_token
from int3rceptor.control.showing import text
from int3rceptor.control.token import is_token
from int3rceptor.control.viewers import Viewer, Viewers
from int3rceptor.link.messages import FlowSummary
from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.net.tasks import first_of

PATH = "/api/events"
SUBPROTOCOL = "int3rceptor.events.v1"
TOKEN_PREFIX = "int3rceptor.token."  # noqa: S105  # what stands before one

HELLO_S = 5.0
"""Longest wait for a first message with the token."""

MAX_STRANGERS = 32
"""Connections at once that have yet to show the token."""

MAX_MESSAGE_BYTES = 4096
"""Largest message from a viewer: its hello."""

# RFC 6455, 7.4.2: 4000 to 4999 are for applications; the rest tells the HTTP status.
UNEXPECTED, UNAUTHORISED, TOO_SLOW, TOO_MANY = 4400, 4401, 4408, 4429

EventType = Literal["flow.began", "flow.ended"]


class _Flow(msgspec.Struct, frozen=True):
    """As control.schemas.FlowSummary, but for what only a kept flow has."""

    id: int
    created: float
    kind: str
    method: str
    scheme: str
    host: str
    port: int
    target: str
    version: str
    status: int | None
    origin_version: str
    request_bytes: int
    response_bytes: int
    total_s: float | None
    error: str
    tags: list[str]
    rule: str


class _Event(msgspec.Struct, frozen=True):
    type: EventType
    flow: _Flow


class _Wrote(msgspec.Struct, frozen=True, tag="plugin.line"):
    line: LogLine


class _Gap(msgspec.Struct, frozen=True, tag="gap"):
    missed: int


class _Welcome(msgspec.Struct, frozen=True, tag="hello"):
    version: str


class _Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["hello"]
    token: str


_encode = msgspec.json.Encoder().encode
_hello = msgspec.json.Decoder(_Hello)


class Events:
    """What passes, for all who watch. The hub calls `began` and the like."""

    def __init__(self, watch: Callable[[bool], None]) -> None:
        """`watch` is told whether anyone watches."""
        self.viewers = Viewers(watch, gap_text)

    def began(self, flow: FlowSummary) -> None:
        """A flow began."""
        self._publish("flow.began", flow)

    def ended(self, flow: FlowSummary) -> None:
        """A flow is over."""
        self._publish("flow.ended", flow)

    def wrote(self, line: LogLine) -> None:
        """A plugin wrote a line."""
        if len(self.viewers):
            self.viewers.publish(_encode(_Wrote(line)).decode())

    def gap(self, count: int) -> None:
        """So many events were lost before they came here."""
        self.viewers.skip(count)

    def _publish(self, kind: EventType, flow: FlowSummary) -> None:
        if len(self.viewers):
            self.viewers.publish(_encode(_Event(kind, _shown(flow))).decode())


def gap_text(missed: int) -> str:
    """The marker of a gap."""
    return _encode(_Gap(missed)).decode()


def _shown(flow: FlowSummary) -> _Flow:
    return _Flow(
        id=flow.id,
        created=flow.created,
        kind=flow.kind,
        method=flow.method,
        scheme=flow.scheme,
        host=flow.host,
        port=flow.port,
        target=text(flow.target),
        version=flow.version,
        status=flow.status or None,
        origin_version=flow.origin_version,
        request_bytes=flow.request_bytes,
        response_bytes=flow.response_bytes,
        total_s=flow.total_s or None,
        error=flow.error,
        tags=flow.tags,
        rule=flow.rule,
    )


class EventRoute:
    """The WebSocket."""

    def __init__(self, events: Events, token: str, version: str) -> None:
        self._viewers = events.viewers
        self._token = token
        self._welcome = _encode(_Welcome(version)).decode()
        self._strangers = 0

    async def get(self, request: Request) -> JSONResponse:
        """What a plain GET is told."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return answer(426, "open a WebSocket here", headers=headers)

    async def connect(self, websocket: WebSocket) -> None:
        """One viewer, from its handshake to its end."""
        offered: list[str] = websocket.scope["subprotocols"]
        tokens = [one for one in offered if one.startswith(TOKEN_PREFIX)]
        head = websocket.scope["headers"]
        has_shown = bool(tokens) or any(name == b"authorization" for name, _ in head)
        is_known = has_token(head, self._token) or any(
            is_token(one.removeprefix(TOKEN_PREFIX), self._token) for one in tokens
        )
        if has_shown and not is_known:
            await websocket.send_denial_response(answer(401, "the token is wrong"))
            return
        if not is_known and self._strangers >= MAX_STRANGERS:
            refusal = answer(503, "too many connections have yet to show the token")
            await websocket.send_denial_response(refusal)
            return
        # Never the one that holds the token: the answer's head may be logged.
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            if is_known or await self._introduces_itself(websocket):
                await self._show(websocket)
        except WebSocketDisconnect:
            pass

    async def _introduces_itself(self, websocket: WebSocket) -> bool:
        """Wait for the first message; whether it holds the token."""
        self._strangers += 1
        try:
            async with asyncio.timeout(HELLO_S):
                hello = _hello.decode(await _received(websocket))
        except TimeoutError:
            await websocket.close(TOO_SLOW, "no hello with the token came in time")
            return False
        except msgspec.MsgspecError:
            await websocket.close(UNEXPECTED, 'send {"type": "hello", "token": ...}')
            return False
        finally:
            self._strangers -= 1
        if not is_token(hello.token, self._token):
            await websocket.close(UNAUTHORISED, "the token is wrong")
            return False
        return True

    async def _show(self, websocket: WebSocket) -> None:
        viewer = self._viewers.join()
        if viewer is None:
            await websocket.close(TOO_MANY, "too many viewers")
            return
        try:
            await websocket.send_text(self._welcome)
            await first_of(_send_all(websocket, viewer), _received(websocket))
            await websocket.close(UNEXPECTED, "nothing is expected after the hello")
        finally:
            self._viewers.leave(viewer)


async def _send_all(websocket: WebSocket, viewer: Viewer) -> bytes:
    while True:
        await websocket.send_text(await viewer.next())


async def _received(websocket: WebSocket) -> bytes:
    """One message; WebSocketDisconnect when there will be none."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    found: str | bytes | None = message.get("text")
    if found is None:
        found = message.get("bytes")
    return found.encode("utf-8", "replace") if isinstance(found, str) else found or b""
