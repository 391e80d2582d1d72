"""What the HTTP/2 codec says of its streams and of the connection.

Not frozen: that costs 1 µs for each.
"""

from dataclasses import dataclass

from int3rceptor.model.headers import Headers
from int3rceptor.wire.events import RequestHead, ResponseHead


@dataclass(slots=True)
class StreamHead:
    """A request, a final response or an informational one (status below 200) begins.

    `ended`: nothing follows on this stream, and no StreamEnd comes.
    """

    stream_id: int
    head: RequestHead | ResponseHead
    ended: bool


@dataclass(slots=True)
class StreamData:
    """A piece of body, never empty. Say `consumed` when it has been passed on."""

    stream_id: int
    data: bytes


@dataclass(slots=True)
class StreamEnd:
    """The peer's message is whole."""

    stream_id: int
    trailers: Headers | None


@dataclass(slots=True, kw_only=True)
class StreamReset:
    """The stream is gone in both directions; unread bytes of it may be dropped.

    `by_peer` is False when its own fault made us reset it: then `reason` says which.
    `is_unprocessed`: the peer says that it has not acted on the request, so that it may
    be sent again elsewhere (RFC 9113, 8.7).
    """

    stream_id: int
    code: int
    by_peer: bool
    reason: str = ""
    is_unprocessed: bool = False


@dataclass(slots=True, kw_only=True)
class StreamRefused:
    """A request that never became a stream: it was malformed, too large, or too late.

    It has been answered with RST_STREAM; this is for the log and the counters.
    `status` is what HTTP/1 would have said.
    """

    stream_id: int
    reason: str
    status: int


@dataclass(slots=True)
class WindowOpened:
    """More may be sent on this stream; 0: look at every stream that waits."""

    stream_id: int


@dataclass(slots=True, kw_only=True)
class PeerGoAway:
    """The peer takes no new streams. Each stream above `last_stream_id` got its own
    StreamReset (unprocessed) before this; the others go on to their end."""

    last_stream_id: int
    code: int
    debug: bytes


@dataclass(slots=True)
class SettingsChanged:
    """The peer's settings took effect: `peer_max_streams` may differ now."""


H2Event = (
    StreamHead
    | StreamData
    | StreamEnd
    | StreamReset
    | StreamRefused
    | WindowOpened
    | PeerGoAway
    | SettingsChanged
)
