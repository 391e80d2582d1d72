"""The messages of a WebSocket as policy sees them, and who is shown them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class Drop:
    """Close without an answer (HTTP/1), reset the stream (HTTP/2). Of a WebSocket's
    message: it does not go on."""

    reason: str = ""


@dataclass(slots=True, frozen=True, kw_only=True)
class WebSocketMessage:
    """One message, whole and without compression; the text of a text is UTF-8."""

    data: bytes
    is_text: bool
    is_from_client: bool

    @property
    def text(self) -> str:
        """The data as text; UnicodeDecodeError when a binary message is none."""
        return self.data.decode()


Given = bytes | str | Drop | None
"""What becomes of a message: other data of the same kind, a text, nothing, or None: it
goes on as it is."""

MessageFunction = Callable[[WebSocketMessage], Given | Awaitable[Given]]
"""Is shown each message, sync or async."""


def _is_no_guard() -> bool:
    return False


@dataclass(slots=True, kw_only=True)
class Follower:
    """Who is shown the messages of one WebSocket, and what came of it so far.

    `is_guard`: whether nothing may pass it unseen. A larger message than `max_bytes` is
    not shown to it.
    """

    name: str
    function: MessageFunction
    is_guard: Callable[[], bool] = _is_no_guard
    max_bytes: int | None = None
    changed: int = 0
    dropped: int = 0
    failed: int = 0
    unseen: int = 0


@dataclass(slots=True)
class WebSocket:
    """The messages to come after a 101: `up` from the client, `down` from the origin
    so far. They are taken apart, and counted, only for who follows them."""

    followers: list[Follower] = field(default_factory=list)
    up: int = 0
    down: int = 0

    def transform(self, function: MessageFunction) -> None:
        """Show each message to `function` before it goes on.

        It gives None to let it go on as it is, bytes or a str to send in its place, or
        Drop(). Functions follow each other in the order in which they were given; each
        is shown what the one before it gave. No other message of this WebSocket is
        shown until all have returned.
        """
        name = getattr(function, "__name__", type(function).__name__)
        self.followers.append(Follower(name=name, function=function))


def is_utf8(data: bytes) -> bool:
    """Whether a text message may hold this."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
