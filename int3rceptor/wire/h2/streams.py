"""What the codec remembers: open streams, those lately gone, the inbound windows."""

from collections import OrderedDict

from int3rceptor.wire.events import ResponseHead
from int3rceptor.wire.h2.faults import ConnectionFault, H2Code, StreamFault
from int3rceptor.wire.h2.fields import NO_CONTENT_STATUS
from int3rceptor.wire.h2.limits import (
    MAX_INFORMATIONAL,
    MAX_REMEMBERED_RESETS,
    MAX_WINDOW_BYTES,
    RETURN_FRACTION,
    AbuseMeter,
    H2Limits,
)


class StreamState:
    """One open stream: who has ended, what its body may still bring, its window."""

    __slots__ = (
        "_expected",
        "_informational",
        "_size",
        "_window",
        "due",
        "has_head",
        "id",
        "local_ended",
        "method",
        "remote_ended",
        "send_window",
        "unread",
    )

    def __init__(
        self, stream_id: int, method: str, window: int, send_window: int
    ) -> None:
        self.id = stream_id
        self.method = method
        self.has_head = False
        self.local_ended = False
        self.remote_ended = False
        self.unread = 0
        self.due = 0
        self._window = window
        self.send_window = send_window
        self._expected: int | None = None
        self._size = 0
        self._informational = 0

    def expect_body(self, length: int | None) -> None:
        """The final head came; `length` is what it declares of the body."""
        self.has_head = True
        self._expected = length

    def response_came(self, head: ResponseHead) -> None:
        """Note a response's head, final or informational."""
        if head.status < 200:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise StreamFault(f"more than {MAX_INFORMATIONAL} 1xx responses")
            return
        bodiless = self.method == "HEAD" or head.status in NO_CONTENT_STATUS
        self.expect_body(0 if bodiless else head.length)

    def take(self, flow_bytes: int, size: int) -> None:
        """A DATA frame: `flow_bytes` with its padding, `size` of it data."""
        if self.remote_ended:
            raise StreamFault("DATA after END_STREAM", code=H2Code.STREAM_CLOSED)
        if not self.has_head:
            raise StreamFault("DATA before HEADERS")
        left = self._window = self._window - flow_bytes
        if left < 0:
            raise StreamFault(
                "more DATA than the stream's window allows",
                code=H2Code.FLOW_CONTROL_ERROR,
            )
        came = self._size = self._size + size
        expected = self._expected
        if expected is not None and came > expected:
            raise StreamFault(f"more DATA than Content-Length {expected}")
        self.unread += size
        self.due += flow_bytes - size

    def widen(self, increment: int) -> None:
        """WINDOW_UPDATE came."""
        self.send_window += increment
        if self.send_window > MAX_WINDOW_BYTES:
            raise StreamFault(
                "WINDOW_UPDATE past the largest window", code=H2Code.FLOW_CONTROL_ERROR
            )

    def end(self) -> None:
        """END_STREAM came."""
        if self._expected is not None and self._size != self._expected:
            raise StreamFault(
                f"{self._size} bytes of DATA, Content-Length is {self._expected}"
            )
        self.remote_ended = True

    def consume(self, size: int) -> None:
        """`size` bytes were passed on."""
        self.unread -= size
        self.due += size

    def increment(self, full: int) -> int:
        """How far to open the window now; 0 while too little of `full` is due."""
        due = self.due
        if self.remote_ended or due * RETURN_FRACTION < full:
            return 0
        self.due = 0
        self._window += due
        return due


class ConnectionWindow:
    """The inbound window of the connection: given back on receipt.

    Waiting for consumers would let one stalled stream freeze all the others. Only when
    more than `max_unread` bytes wait for their consumers it stays shut.
    """

    __slots__ = ("_due", "_full", "_left", "_max_unread", "unread")

    def __init__(self, limits: H2Limits) -> None:
        self._full = limits.connection_window
        self._left = limits.connection_window
        self._max_unread = limits.max_unread
        self._due = 0
        self.unread = 0

    def take(self, flow_bytes: int) -> None:
        """A DATA frame of this size came, on whatever stream."""
        self._left -= flow_bytes
        self._due += flow_bytes
        if self._left < 0:
            raise ConnectionFault(
                H2Code.FLOW_CONTROL_ERROR,
                "more DATA than the connection's window allows",
            )

    def increment(self) -> int:
        """How far to open it now; 0 while too little is due, or too much unread."""
        due = self._due
        if due * RETURN_FRACTION < self._full or self.unread > self._max_unread:
            return 0
        self._due = 0
        self._left += due
        return due


class StreamTable:
    """The streams of one connection, open and lately gone."""

    __slots__ = (
        "_limits",
        "_meter",
        "_reset_ids",
        "_unread",
        "highest_in",
        "highest_out",
        "last_accepted",
        "open",
        "window",
    )

    def __init__(self, limits: H2Limits, meter: AbuseMeter) -> None:
        self._limits = limits
        self._meter = meter
        self.open: dict[int, StreamState] = {}
        self.window = ConnectionWindow(limits)
        self.highest_in = 0
        self.highest_out = 0
        self.last_accepted = 0
        # Finished streams of which bytes still wait for their consumer.
        self._unread: dict[int, int] = {}
        # Insertion order makes the oldest the first to go.
        self._reset_ids: OrderedDict[int, None] = OrderedDict()

    def add(self, stream_id: int, method: str, send_window: int) -> StreamState:
        """A stream begins."""
        stream = StreamState(stream_id, method, self._limits.stream_window, send_window)
        self.open[stream_id] = stream
        return stream

    def end_local(self, stream: StreamState) -> None:
        """Our END_STREAM was sent."""
        stream.local_ended = True
        if stream.remote_ended:
            self._finish(stream)

    def end_remote(self, stream: StreamState) -> None:
        """The peer's END_STREAM came; StreamFault when the body is not whole."""
        stream.end()
        if stream.local_ended:
            self._finish(stream)

    def _finish(self, stream: StreamState) -> None:
        del self.open[stream.id]
        if stream.unread:
            self._unread[stream.id] = stream.unread
        self._meter.stream_finished()

    def forget(self, stream_id: int) -> None:
        """The stream was reset, by whichever side, or never accepted."""
        stream = self.open.pop(stream_id, None)
        if stream is not None:
            self.window.unread -= stream.unread
        else:
            self.window.unread -= self._unread.pop(stream_id, 0)
        self._reset_ids[stream_id] = None
        if len(self._reset_ids) > MAX_REMEMBERED_RESETS:
            self._reset_ids.popitem(last=False)

    def was_reset(self, stream_id: int) -> bool:
        """Whether what still comes for this stream may have been sent in good faith."""
        return stream_id in self._reset_ids

    def move_send_windows(self, change: int) -> None:
        """The peer's INITIAL_WINDOW_SIZE moved (RFC 9113, 6.9.2)."""
        for stream in self.open.values():
            stream.send_window += change
            if stream.send_window > MAX_WINDOW_BYTES:
                raise ConnectionFault(
                    H2Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE past the largest"
                )

    def is_idle(self, stream_id: int, *, is_ours: bool) -> bool:
        """Whether no stream of this id has begun yet."""
        return stream_id > (self.highest_out if is_ours else self.highest_in)

    def consume(self, stream_id: int, size: int) -> int:
        """`size` bytes were passed on; how far to open the stream's window now."""
        stream = self.open.get(stream_id)
        if stream is not None:
            self.window.unread -= size
            stream.consume(size)
            return stream.increment(self._limits.stream_window)
        waiting = self._unread.pop(stream_id, 0)
        self.window.unread -= min(size, waiting)
        if waiting > size:
            self._unread[stream_id] = waiting - size
        return 0

    def clear(self) -> None:
        """The connection is over."""
        self.open.clear()
        self._unread.clear()
