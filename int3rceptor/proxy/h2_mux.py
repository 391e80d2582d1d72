"""Drives one HTTP/2 connection for either role: reads, writes, waits for windows.

What came of a stream waits in its `Inbox`, bounded by the window that we gave it. What
is sent is written once per turn of the event loop, whatever the number of streams.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from int3rceptor.errors import (
    Int3rceptorError,
    StreamError,
    StreamLost,
    StreamTimeout,
    TransformError,
)
from int3rceptor.hooks.keeper import BeforeEnd
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.turns import turn
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import Tasks
from int3rceptor.proxy.h2_waits import Wait, Waits
from int3rceptor.proxy.limits import EAGER_BODY_BYTES
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    H2Event,
    StreamData,
    StreamEnd,
    StreamHead,
    StreamReset,
    WindowOpened,
)
from int3rceptor.wire.h2.sending import Head

SMALL_BYTES = 4 * 1024
"""Pieces of body below this size that wait are joined: a full window of single bytes
would be 262,144 pieces, each of which costs 20 µs on its way, and memory of its own."""


class WindowTimeout(StreamTimeout):
    """The peer took nothing of a body for too long: its window stayed shut."""


class Inbox:
    """The body of one stream's message as it comes in: a ChunkSource."""

    __slots__ = (
        "_chunks", "_error", "_mux", "_size", "_stream_id", "_timeout_s", "_trailers",
        "_wait", "has_ended",
    )  # fmt: skip

    def __init__(self, mux: "H2Mux", stream_id: int, timeout_s: float) -> None:
        self._mux = mux
        self._stream_id = stream_id
        self._timeout_s = timeout_s
        self.has_ended = False
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._wait: Wait | None = None  # until somebody has to
        self._trailers: Headers | None = None
        self._error: Int3rceptorError | None = None

    def put(self, data: bytes) -> None:
        """A piece of body has come."""
        chunks = self._chunks
        if chunks and len(data) < SMALL_BYTES and len(chunks[-1]) < SMALL_BYTES:
            chunks[-1] += data
        else:
            chunks.append(data)
        self._size += len(data)
        if self._wait is not None:
            self._wait.open()

    def end(self, trailers: Headers | None) -> None:
        """The message is whole."""
        self.has_ended = True
        self._trailers = trailers
        if self._wait is not None:
            self._wait.open()

    def fail(self, error: Int3rceptorError) -> None:
        """The rest will not come. What came stays readable."""
        if not self.has_ended:
            self._error = error
            if self._wait is not None:
                self._wait.open()

    def body(self, length: int | None) -> Body:
        """The message's body: whole, if it is small and here.

        Without a declared `length` it stays a stream: who sends a whole one on declares
        a length, and how the pieces came must not decide that.
        """
        content = None
        if length is not None and self._size <= EAGER_BODY_BYTES:
            content = self.take_whole()
        if content is None:
            return Body(source=self, length=length)
        return Body(content, length=length, trailers=self._trailers)

    def take_whole(self) -> bytes | None:
        """The whole content, if all of it is here already."""
        if not self.has_ended:
            return None
        chunks = self._chunks
        if not chunks:
            return b""
        content = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._mux.consumed(self._stream_id, len(content))
        return content

    async def next_chunk(self) -> bytes:
        while not self._chunks:
            if self.has_ended:
                return b""
            if self._error is not None:
                raise self._error
            if self._wait is None:
                self._wait = Wait(self._mux.waits)
            await self._wait.wait(self._timeout_s)
        data = self._chunks.popleft()
        self._mux.consumed(self._stream_id, len(data))
        return data

    def trailers(self) -> Headers | None:
        return self._trailers


class H2Mux:
    """One connection. `on_event` gets what concerns neither bodies nor windows."""

    def __init__(
        self,
        stream: ByteStream,
        codec: H2Codec,
        on_event: Callable[[H2Event], None],
        idle_s: float,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.codec = codec
        self.inboxes: dict[int, Inbox] = {}
        self.stream = stream
        self._on_event = on_event
        self._idle_s = idle_s
        self._tasks = Tasks("http2")
        self.waits = Waits(self.loop)
        self._window_waits: dict[int, Wait] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._is_flush_due = False
        # Now, not in `run`: the preface comes before the first stream's frames.
        codec.start()
        self.flush_soon()

    async def run(self) -> None:
        """Read until the peer, or an idle deadline, ends the connection.

        Returns when it was closed or idle. ProtocolError when the peer broke the
        protocol (it has been told so), StreamError when the connection broke.
        """
        try:
            while data := await self._read():
                self._receive(data)
                while self.codec.is_behind:
                    await turn()
                    self._receive(b"")
        finally:
            self.flush()
            await self._tasks.close()
            for waiting in self._window_waits.values():
                waiting.fail(StreamLost("the connection is gone"))
            self.waits.close()

    def _receive(self, data: bytes) -> None:
        for event in self.codec.receive(data, self.loop.time()):
            self._sort(event)
        self.flush_soon()

    async def _read(self) -> bytes:
        while True:
            try:
                return await self.stream.read(self._idle_s)
            except StreamTimeout:
                if not self.codec.open_streams:
                    self.codec.close()
                    return b""

    def _sort(self, event: H2Event) -> None:
        if isinstance(event, StreamHead):
            self._on_event(event)
        elif isinstance(event, StreamData):
            if inbox := self.inboxes.get(event.stream_id):
                inbox.put(event.data)
            else:
                self.codec.consumed(event.stream_id, len(event.data))
        elif isinstance(event, StreamEnd):
            if inbox := self.inboxes.get(event.stream_id):
                inbox.end(event.trailers)
            self._on_event(event)
        elif isinstance(event, WindowOpened):
            self._open_windows(event.stream_id)
        else:
            if isinstance(event, StreamReset):
                self._open_windows(event.stream_id)
            self._on_event(event)

    def _open_windows(self, stream_id: int) -> None:
        if stream_id == 0:
            for waiting in self._window_waits.values():
                waiting.open()
        elif (one := self._window_waits.get(stream_id)) is not None:
            one.open()

    # Bodies

    def open_inbox(self, head: StreamHead, timeout_s: float) -> Inbox:
        """Where the body that follows `head` is put."""
        stream_id = head.stream_id
        inbox = self.inboxes[stream_id] = Inbox(self, stream_id, timeout_s)
        return inbox

    def consumed(self, stream_id: int, size: int) -> None:
        """A piece of body was passed on: let the peer send more."""
        self.codec.consumed(stream_id, size)
        self.flush_soon()

    def takes(self, stream_id: int, body: Body) -> bool:
        """Whether all of `body` is here, and may be sent now."""
        content = body.content
        if not content or body.trailers or not self._room.is_set():
            return False
        return len(content) <= self.codec.window(stream_id)

    def send_whole(self, stream_id: int, head: Head, content: bytes) -> bool:
        """Send a whole response; False, and nothing is sent, when it may not be now."""
        if not self._room.is_set():
            return False
        is_sent = self.codec.send_whole(stream_id, head, content)
        self.flush_soon()
        return is_sent

    async def send_body(
        self, stream_id: int, body: Body, before_end: BeforeEnd | None = None
    ) -> None:
        """Send all of `body` and end our side; the body's errors, or StreamError when
        the stream is gone or its window stays shut. `before_end` comes before the last
        bytes of content, where those are known as such, or else before the end."""
        if body.content:
            end = not body.trailers
            await self._send(stream_id, body.content, before_end, end=end)
            before_end = None
        elif body.content is None:
            sent = 0
            while data := await body.chunk():
                sent += len(data)
                is_last = body.size == body.length
                await self._send(stream_id, data, before_end if is_last else None)
                before_end = None if is_last else before_end
            if body.length not in (None, sent):
                what = f"{sent} bytes were left of a body of {body.length}"
                raise TransformError(f"{what}: a function took the others")
        if before_end is not None:
            await before_end()
        if body.trailers:
            self.codec.send_trailers(stream_id, body.trailers)
        elif not body.content:
            self.codec.end(stream_id)
        self.flush_soon()

    async def _send(
        self,
        stream_id: int,
        data: bytes,
        before_end: BeforeEnd | None,
        *,
        end: bool = False,
    ) -> None:
        while data:
            if not self._room.is_set():
                await self._room.wait()
            window = self.codec.window(stream_id)
            if window <= 0:
                await self._wait_for_window(stream_id)
                continue
            if before_end is not None and len(data) <= window:
                await before_end()
                before_end = None
                continue  # others may have used the window meanwhile
            piece, data = data[:window], data[window:]
            self.codec.send_data(stream_id, piece, end=end and not data)
            self.flush_soon()

    async def _wait_for_window(self, stream_id: int) -> None:
        waiting = self._window_waits[stream_id] = Wait(self.waits)
        try:
            await waiting.wait(self._idle_s)
        except StreamTimeout as error:
            raise WindowTimeout("the stream's window stayed shut") from error
        finally:
            del self._window_waits[stream_id]

    # Writing

    def flush_soon(self) -> None:
        """Write what is queued at the end of this turn of the loop."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self._flush_due)

    def _flush_due(self) -> None:
        self._is_flush_due = False
        self.flush()

    def flush(self) -> None:
        """Write what is queued, unless the peer is behind: then it stays in the codec,
        which limits it."""
        if not self._room.is_set():
            return
        if data := self.codec.take_output():
            self.stream.write(data)
            if not self.stream.has_room:
                self._room.clear()
                self._tasks.start(self._wait_for_room(), "room")

    async def _wait_for_room(self) -> None:
        try:
            await self.stream.drain(self._idle_s)
        except StreamError:
            self.stream.abort()
        self._room.set()
        self.flush()
