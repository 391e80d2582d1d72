"""What a flow looks like at one moment of a trial, and what changed since another."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from int3rceptor.hooks.changes import Look, differences, look
from int3rceptor.model.body import Body
from int3rceptor.model.codings import codings_of
from int3rceptor.model.decoding import coding_in
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Request, Response
from int3rceptor.model.server_events import EventCutter, Kind, Piece, is_event_stream

MAX_DECODED_BYTES = 256 * 1024 * 1024
"""Of a recorded body that a module takes the content coding off."""


@dataclass(slots=True, frozen=True, kw_only=True)
class MessageState:
    """A message at one moment; `start` is its method and target, or its status."""

    start: tuple[str, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        wanted = name.lower().encode()
        return [
            value.decode("utf-8", "replace")
            for key, value in self.fields
            if key.lower() == wanted
        ]


def whole(body: Body) -> bytes:
    """All of a body; decoded content may be a stream by now."""
    if body.content is None:
        return asyncio.run(body.read(MAX_DECODED_BYTES))
    return body.content


def events_of(response: Response, limit_bytes: int) -> list[Piece]:
    """What a stream of events is cut into; of anything else, or if coded, nothing."""
    if not is_event_stream(response.headers) or codings_of(coding_in(response.headers)):
        return []
    cutter = EventCutter(limit_bytes)
    pieces = [*cutter.feed(whole(response.body))]
    return [*pieces, Piece(cutter.rest(), Kind.OTHER)]


def looks(flow: Flow) -> Mapping[str, Look]:
    """Both messages as they are now."""
    found = {"request": look(flow.request)}
    if flow.response is not None:
        found["response"] = look(flow.response)
    return found


def changes(before: Mapping[str, Look], flow: Flow, tags: int) -> Iterable[str]:
    """What is not as it was `before`, in words."""
    for side, after in looks(flow).items():
        if side in before:
            for what in differences(before[side], after):
                yield f"{side}: {what}"
    yield from (f"tag: {tag}" for tag in flow.tags[tags:])


def state_of(message: Request | Response) -> MessageState:
    """A message now."""
    start: tuple[str, ...]
    if isinstance(message, Request):
        start = (message.method, message.path)
    else:
        start = (str(message.status),)
    return MessageState(
        start=start,
        fields=tuple(message.headers.raw),
        content=message.body.content or b"",
    )
