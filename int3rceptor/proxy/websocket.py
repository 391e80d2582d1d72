"""The relay of a WebSocket whose messages someone follows.

Each direction is taken apart by `wire.websocket`; what is whole is shown to the
followers, one after the other, and goes on before the next is shown. What cannot be
shown passes unseen, and the flow says so; where a follower is a guard it does not pass:
the connection is cut.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from inspect import isawaitable

from int3rceptor.errors import MessagesCut, PluginError, WebSocketError
from int3rceptor.hooks.dispatcher import tell_failure
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.flow import Flow
from int3rceptor.model.turns import turn
from int3rceptor.model.websocket import (
    Follower,
    Given,
    WebSocket,
    WebSocketMessage,
    is_utf8,
)
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import is_cancelled
from int3rceptor.proxy.tunnel import relay
from int3rceptor.wire.fields import comma_tokens
from int3rceptor.wire.websocket.deflate import agreed
from int3rceptor.wire.websocket.messages import Direction, Passing, Unseen, Whole

POINT = "on_websocket_message"
"""What the flow's record calls it, beside the hooks."""


def open_websocket(flow: Flow) -> WebSocket | None:
    """What a 101 opens, if that is a WebSocket: to be followed by who is asked now."""
    response = flow.response
    assert response is not None
    upgrade = response.headers.get_all_bytes(b"upgrade")
    return WebSocket() if b"websocket" in comma_tokens(upgrade) else None


async def relay_messages(
    flow: Flow, websocket: WebSocket, client: ByteStream, origin: ByteStream
) -> None:
    """Pass messages until both directions have ended, as `relay` passes bytes."""
    turns = asyncio.Lock()
    up = _Passage(flow, websocket, turns, is_client=True)
    down = _Passage(flow, websocket, turns, is_client=False)
    try:
        await relay(flow, client, origin, up, down)
    finally:
        for one in websocket.followers:
            if what := _summary(one):
                flow.record(POINT, one.name, what)


class _Passage:
    """One direction of it. Once it `is_unread`, bytes pass as they come.

    The two directions take `turns` to show what they have: a follower is never asked
    about two messages at once.
    """

    def __init__(
        self,
        flow: Flow,
        websocket: WebSocket,
        turns: asyncio.Lock,
        *,
        is_client: bool,
    ) -> None:
        self._turns = turns
        self._flow = flow
        self._websocket = websocket
        self._is_client = is_client
        self._direction: Direction | None = None
        self._is_unread = False

    async def take(self, data: bytes) -> AsyncIterator[bytes]:
        """What goes on now that these have come; b"" has come at their end."""
        if self._is_unread:
            if data:
                yield data
            return
        try:
            async for piece in self._read(data):
                yield piece
        except WebSocketError as error:
            unsent = data if self._direction is None else self._direction.rest()
            yield self._give_up(str(error), unsent)
        else:
            if not data and (rest := self._begun().rest()):
                yield self._give_up("it ended in the middle of a message", rest)

    def _begun(self) -> Direction:
        if self._direction is None:
            assert self._flow.response is not None
            values = self._flow.response.headers.get_all("sec-websocket-extensions")
            self._direction = Direction(agreed(values), is_client=self._is_client)
        return self._direction

    async def _read(self, data: bytes) -> AsyncIterator[bytes]:
        for event in self._begun().receive(data):
            pieces: Iterable[Passing] = ()
            if isinstance(event, Whole):
                async with self._turns:
                    pieces = await self._show(event)
            elif isinstance(event, Unseen):
                self._count()
                for one in self._websocket.followers:
                    _pass_by(one, event.why)
            else:
                pieces = (event,)
            for piece in pieces:
                if piece.data:
                    yield piece.data
                else:
                    await turn()

    def _count(self) -> None:
        if self._is_client:
            self._websocket.up += 1
        else:
            self._websocket.down += 1

    async def _show(self, whole: Whole) -> Iterable[Passing]:
        """What goes on in the place of a message, by what its followers gave."""
        self._count()
        direction = self._begun()
        shown = sent = WebSocketMessage(
            data=whole.data, is_text=whole.is_text, is_from_client=self._is_client
        )
        for one in self._websocket.followers:
            if one.max_bytes is not None and len(sent.data) > one.max_bytes:
                _pass_by(one, f"larger than {one.max_bytes} bytes")
                continue
            given = await self._ask(one, sent)
            if isinstance(given, Drop):
                one.dropped += 1
                direction.drop()
                return ()
            one.changed += given != sent
            sent = given
        if sent == shown:
            return direction.keep(whole)
        return direction.replace(sent.data, is_text=sent.is_text)

    async def _ask(
        self, one: Follower, message: WebSocketMessage
    ) -> WebSocketMessage | Drop:
        try:
            given = one.function(message)
            if isawaitable(given):
                given = await given
            return _judged(given, message)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            is_plain = isinstance(error, PluginError)
            reason = str(error) if is_plain else f"{type(error).__name__}: {error}"
            one.failed += 1
            if one.failed == 1:  # a million messages are no million lines
                tell_failure(POINT, one.name, self._flow, reason)
            if one.is_guard():
                raise MessagesCut(
                    f"{one.name} failed on a message: {reason}"
                ) from error
            return message

    def _give_up(self, why: str, unsent: bytes) -> bytes:
        """Nobody is shown what comes from here on; what has not gone on yet does."""
        self._is_unread = True
        direction, self._direction = self._direction, None
        who = "the client" if self._is_client else "the origin"
        for one in self._websocket.followers:
            self._flow.record(POINT, one.name, f"is shown no more of {who}: {why}")
            if one.is_guard():
                raise MessagesCut(f"{one.name} cannot be shown what {who} sends: {why}")
        if direction is not None and not direction.can_go_unread:
            raise MessagesCut(f"messages were changed, and then came {why}")
        return unsent


def _judged(given: Given, message: WebSocketMessage) -> WebSocketMessage | Drop:
    """What a follower made of a message; an exception when it makes no sense."""
    if given is None:
        return message
    if isinstance(given, Drop):
        return given
    if isinstance(given, str):
        return replace(message, data=given.encode(), is_text=True)
    if not isinstance(given, bytes):
        raise TypeError(f"it gave {type(given).__name__}, not bytes or str")
    if message.is_text and not is_utf8(given):
        raise ValueError("it gave a text message that is not UTF-8")
    return replace(message, data=given)


def _pass_by(one: Follower, why: str) -> None:
    """A message is not shown to this follower."""
    one.unseen += 1
    if one.is_guard():
        raise MessagesCut(f"{one.name} cannot be shown a message: {why}")


def _summary(one: Follower) -> str:
    """What came of all messages for one follower, in a few words."""
    counts = (
        (one.changed, "changed"),
        (one.dropped, "dropped"),
        (one.unseen, "too large to be shown"),
        (one.failed, "failed on"),
    )
    told = [f"{count} {what}" for count, what in counts if count]
    return f"messages: {', '.join(told)}" if told else ""
