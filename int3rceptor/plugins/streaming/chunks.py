"""A piece of a body as a guest is shown it, and what it gives back. Pure data."""

from dataclasses import dataclass

from int3rceptor.model.server_events import MAX_EVENT_BYTES, Event
from int3rceptor.model.websocket import WebSocketMessage

MAX_CHUNK_BYTES = 16 * 1024
"""Largest chunk that a guest is shown; what comes larger is split. The default fuel has
60 instructions for each of its bytes, and a loop over them stays under 1 ms. TLS and
HTTP/2 cut bodies up at this size anyway."""

MAX_GIVEN_BYTES = 1024 * 1024
"""Largest chunk that a guest may put in its place: it is held until it has left, and a
guest that kept something back has this much to give it out in at a time."""

BUDGET_SHARE = 4
"""Of a call's byte budget the largest chunk, event or message is a quarter: to read it,
to put one as large in its place, and half for all else."""


def largest_event(call_bytes: int) -> int:
    """Largest event that is shown to a guest which may move so many bytes in a call."""
    return min(MAX_EVENT_BYTES, max(1, call_bytes // BUDGET_SHARE))


@dataclass(slots=True, kw_only=True)
class Chunk:
    """`given` goes on in the place of `data`; None: it goes on as it is.

    The last one is the end of the body, and empty. `event`: the data are of that event,
    which may have other fields than it came with, too. `message`: it is a WebSocket's,
    and whole.
    """

    data: bytes
    is_last: bool = False
    given: bytes | None = None
    event: Event | None = None
    message: WebSocketMessage | None = None

    @property
    def is_given(self) -> bool:
        """Whether something was put in its place."""
        is_changed = self.event is not None and self.event.is_changed
        return self.given is not None or is_changed

    def settle(self) -> None:
        """The call ended well: the event goes on with what was given."""
        if self.event is not None and self.given is not None:
            self.event.data = self.given


def message_chunk(message: WebSocketMessage) -> Chunk:
    """A message as a guest is shown it."""
    return Chunk(data=message.data, message=message)
