"""One end of an HTTP/2 connection, client or origin, built on hyper-h2 for tests.

Keeps every frame that came, opens windows by itself unless told otherwise, and survives
a GOAWAY as the specification asks (hyper-h2 alone would not).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.settings import SettingCodes, Settings

from tests.support.h1_peer import Fields, hang_up
from tests.support.patience import PATIENT_S

READ_BYTES = 65536
PREFACE_BYTES = 24
FRAME_HEAD_BYTES = 9
GOAWAY = 7
NO_ERROR = 0
CANCEL = 8
REFUSED_STREAM = 7
WINDOW_BYTES = 65535


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class H2Stream:
    """One exchange: what came in, and what to send."""

    def __init__(self, peer: "H2Peer", stream_id: int) -> None:
        self.peer = peer
        self.id = stream_id
        self.headers: Fields = []
        self.informational: list[Fields] = []
        self.trailers: Fields = []
        self.body = bytearray()
        self.is_ended = False
        self.reset_code: int | None = None
        self.unacknowledged = 0
        self.opens_window = peer.opens_windows

    def value(self, name: str) -> bytes | None:
        wanted = name.encode()
        return next((value for key, value in self.headers if key == wanted), None)

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key == name.encode()]

    @property
    def status(self) -> int:
        return int(self.value(":status") or b"0")

    @property
    def path(self) -> bytes:
        return self.value(":path") or b""

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def is_over(self) -> bool:
        return self.is_ended or self.reset_code is not None or self.peer.is_closed

    async def wait_headers(self) -> Self:
        await self.peer.wait_until(lambda: bool(self.headers) or self.is_over)
        return self

    async def wait_body(self, size: int) -> None:
        await self.peer.wait_until(lambda: len(self.body) >= size or self.is_over)

    async def wait_over(self) -> Self:
        """Until it ended, was reset, or the connection is gone."""
        await self.peer.wait_until(lambda: self.is_over)
        return self

    async def send_headers(self, headers: Fields, *, end: bool = False) -> None:
        self.peer.h2.send_headers(self.id, headers, end_stream=end)
        await self.peer.flush()

    async def respond(
        self,
        status: int = 200,
        body: bytes = b"ok",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        head = [(b":status", b"%d" % status), *headers]
        await self.send_headers(head, end=not body)
        if body:
            await self.send_data(body, end=True)

    async def send_data(self, data: bytes, *, end: bool = False) -> None:
        """All of it, waiting for the peer's window as needed."""
        view = memoryview(data)
        while view:
            await self.peer.wait_until(self._can_send)
            if self.reset_code is not None or self.peer.is_closed:
                return
            room = self.peer.h2.local_flow_control_window(self.id)
            size = min(room, self.peer.h2.max_outbound_frame_size, len(view))
            chunk, view = bytes(view[:size]), view[size:]
            self.peer.h2.send_data(self.id, chunk, end_stream=end and not view)
            await self.peer.flush()
        if not data and end:
            self.peer.h2.end_stream(self.id)
            await self.peer.flush()

    def _can_send(self) -> bool:
        if self.reset_code is not None or self.peer.is_closed:
            return True
        return self.peer.h2.local_flow_control_window(self.id) > 0

    async def reset(self, code: int = CANCEL) -> None:
        self.peer.h2.reset_stream(self.id, code)
        await self.peer.flush()

    async def open_window(self) -> None:
        """Take up reading after `opens_window` was False."""
        self.opens_window = True
        size, self.unacknowledged = self.unacknowledged, 0
        if size and not self.is_over:
            self.peer.h2.increment_flow_control_window(size, self.id)
        await self.peer.flush()


Handler = Callable[[H2Stream], Awaitable[None]]


class H2Peer:
    """A connection in either role; an async context manager."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_client: bool,
        handler: Handler | None = None,
        opens_windows: bool = True,
        settings: dict[SettingCodes, int] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.wait_s = PATIENT_S
        self._handler = handler
        self._settings = settings or {}
        self._buffer = bytearray()
        self._skip = 0 if is_client else PREFACE_BYTES
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[Exception] = []
        self.opens_windows = opens_windows
        self.is_closed = False
        self.streams: dict[int, H2Stream] = {}
        self.frames: deque[Frame] = deque(maxlen=100_000)
        self.goaway: Frame | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=is_client,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_inbound_headers=False,
                normalize_outbound_headers=False,
            )
        )

    async def __aenter__(self) -> Self:
        if self._settings:
            self.h2.local_settings = Settings(
                client=bool(self.h2.config.client_side),
                initial_values=self._settings,
            )
        self.h2.initiate_connection()
        await self.flush()
        self._spawn(self._pump())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
        if self.failures:
            raise ExceptionGroup("an HTTP/2 handler failed", self.failures)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await hang_up(self._writer)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except (OSError, EOFError, h2.exceptions.StreamClosedError):
                pass
            except Exception as error:  # noqa: BLE001 - raised on exit
                self.failures.append(error)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(self.wait_s), self._changed:
            await self._changed.wait_for(ready)

    async def flush(self) -> None:
        if data := self.h2.data_to_send():
            await self.send_raw(data)

    async def send_raw(self, data: bytes) -> None:
        """Write it all; ConnectionResetError once the peer is gone."""
        if self._writer.is_closing():
            raise ConnectionResetError("the peer is gone")
        self._writer.write(data)
        async with asyncio.timeout(PATIENT_S):
            await self._writer.drain()
        # drain() does not yield while there is room, and a flood would starve the pump.
        await asyncio.sleep(0)

    async def ping(self) -> None:
        """A round trip: all that was sent before it has been read by the peer."""
        seen = sum(frame.kind == 6 and frame.flags & 1 for frame in self.frames)
        self.h2.ping(b"12345678")
        await self.flush()
        await self.wait_until(
            lambda: (
                self.is_closed
                or sum(frame.kind == 6 and frame.flags & 1 for frame in self.frames)
                > seen
            )
        )

    async def open(self, headers: Fields, *, end: bool = True) -> H2Stream:
        """Send a request head; the stream that will hold the answer."""
        stream_id = self.h2.get_next_available_stream_id()
        stream = self.streams[stream_id] = H2Stream(self, stream_id)
        await stream.send_headers(headers, end=end)
        return stream

    async def request(
        self,
        method: str,
        authority: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
        trailers: Sequence[tuple[bytes, bytes]] = (),
        scheme: str = "https",
    ) -> H2Stream:
        """A whole exchange: the stream when it is over."""
        head = request_head(method, authority, path, scheme=scheme)
        stream = await self.open([*head, *headers], end=not body and not trailers)
        if body:
            await stream.send_data(body, end=not trailers)
        if trailers:
            await stream.send_headers(list(trailers), end=True)
        return await stream.wait_over()

    async def _pump(self) -> None:
        try:
            while True:
                await self.reads.wait()
                data = await self._reader.read(READ_BYTES)
                if not data:
                    return
                for whole in self._split(data):
                    self._receive(whole)
                await self.flush()
                async with self._changed:
                    self._changed.notify_all()
        except (OSError, h2.exceptions.ProtocolError) as error:
            if isinstance(error, h2.exceptions.ProtocolError):
                self.failures.append(error)
        finally:
            self.is_closed = True
            with contextlib.suppress(asyncio.CancelledError):
                async with self._changed:
                    self._changed.notify_all()

    def _split(self, data: bytes) -> list[bytes]:
        """What hyper-h2 is to see of these bytes: all but GOAWAY, frame by frame."""
        self._buffer += data
        pieces = []
        if self._skip and len(self._buffer) >= self._skip:
            pieces.append(bytes(self._buffer[: self._skip]))
            del self._buffer[: self._skip]
            self._skip = 0
        while not self._skip and len(self._buffer) >= FRAME_HEAD_BYTES:
            size = FRAME_HEAD_BYTES + int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < size:
                break
            raw = bytes(self._buffer[:size])
            del self._buffer[:size]
            stream_id = int.from_bytes(raw[5:9], "big") & 0x7FFF_FFFF
            frame = Frame(raw[3], raw[4], stream_id, raw[FRAME_HEAD_BYTES:])
            self.frames.append(frame)
            if frame.kind == GOAWAY:
                self.goaway = frame
            else:
                pieces.append(raw)
        return pieces

    def _receive(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self._handle(event)

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                assert stream_id
                stream = self.streams[stream_id] = H2Stream(self, stream_id)
                stream.headers = _raw(headers)
                if self._handler:
                    self._spawn(self._handler(stream))
            case h2.events.ResponseReceived(stream_id=stream_id, headers=headers):
                self.streams[stream_id or 0].headers = _raw(headers)
            case h2.events.InformationalResponseReceived(
                stream_id=stream_id, headers=headers
            ):
                self.streams[stream_id or 0].informational.append(_raw(headers))
            case h2.events.TrailersReceived(stream_id=stream_id, headers=headers):
                self.streams[stream_id or 0].trailers = _raw(headers)
            case h2.events.DataReceived():
                self._data(event)
            case h2.events.StreamEnded(stream_id=stream_id):
                self.streams[stream_id or 0].is_ended = True
            case h2.events.StreamReset(stream_id=stream_id, error_code=code):
                if stream_id in self.streams:
                    self.streams[stream_id].reset_code = int(code or 0)
            case _:
                pass

    def _data(self, event: h2.events.DataReceived) -> None:
        stream = self.streams[event.stream_id or 0]
        stream.body += event.data or b""
        size = event.flow_controlled_length or 0
        if not size:
            return
        self.h2.increment_flow_control_window(size)
        if stream.opens_window:
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self.h2.increment_flow_control_window(size, event.stream_id)
        else:
            stream.unacknowledged += size


def _raw(headers: object) -> Fields:
    assert isinstance(headers, list)
    return [(bytes(name), bytes(value)) for name, value in headers]


def request_head(
    method: str, authority: str, path: str, *, scheme: str = "https"
) -> Fields:
    return [
        (b":method", method.encode()),
        (b":scheme", scheme.encode()),
        (b":authority", authority.encode()),
        (b":path", path.encode("latin-1")),
    ]


@contextlib.asynccontextmanager
async def h2_over(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    opens_windows: bool = True,
) -> AsyncIterator[H2Peer]:
    """A client on a connection that already agreed on HTTP/2."""
    peer = H2Peer(reader, writer, is_client=True, opens_windows=opens_windows)
    async with peer:
        yield peer
