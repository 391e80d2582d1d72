"""The sending half of a connection: what the peer allows, and bytes until they leave.

It knows no stream's state: callers name streams that may send.
"""

from int3rceptor.model.headers import RawHeaders
from int3rceptor.wire.h2 import frames
from int3rceptor.wire.h2.faults import ConnectionFault, H2Code
from int3rceptor.wire.h2.hpack.decoder import TABLE_BYTES
from int3rceptor.wire.h2.hpack.encoder import Encoder
from int3rceptor.wire.h2.limits import (
    MAX_FRAME_BYTES,
    MAX_SENT_FRAME_BYTES,
    MAX_WINDOW_BYTES,
    H2Limits,
)
from int3rceptor.wire.h2.sending import Head
from int3rceptor.wire.h2.settings import Setting
from int3rceptor.wire.sniff import H2_PREFACE

DEFAULT_WINDOW_BYTES = 65_535
"""Each window before anything is said (RFC 9113, 6.9.2)."""

NO_STREAM_LIMIT = 2**32 + 1
"""More than a setting can say: the peer has named none."""


# Read for every frame: of a module it would be looked up each time.
_DATA, _HEADERS = frames.DATA, frames.HEADERS
_END_STREAM, _END_HEADERS = frames.END_STREAM, frames.END_HEADERS


class Outbound:
    """Queued output, the peer's settings, and the connection's window."""

    __slots__ = (
        "_encoder", "_has_settings", "_is_server", "_limits", "_next_id", "_queue",
        "max_streams", "pending", "stream_window", "window",
    )  # fmt: skip

    def __init__(self, limits: H2Limits, *, is_server: bool) -> None:
        self._limits = limits
        self._is_server = is_server
        self._has_settings = False
        self._encoder = Encoder()
        self._queue: list[bytes | memoryview] = []
        self._next_id = 2 if is_server else 1
        self.pending = 0
        """How many bytes are queued."""
        self.max_streams = limits.max_streams
        """What the peer allows; our own limit until it has said so."""
        self.window = DEFAULT_WINDOW_BYTES
        """What may be sent over all streams."""
        self.stream_window = DEFAULT_WINDOW_BYTES
        """What a new stream may send."""

    def start(self) -> None:
        """Queue the preface, and open the connection's window."""
        limits = self._limits
        settings = [
            (Setting.HEADER_TABLE_SIZE, TABLE_BYTES),
            (Setting.ENABLE_PUSH, 0),
            (Setting.MAX_CONCURRENT_STREAMS, limits.max_streams),
            (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
            (Setting.MAX_FRAME_SIZE, MAX_FRAME_BYTES),
            (Setting.MAX_HEADER_LIST_SIZE, limits.header_list),
        ]
        if not self._is_server:
            self.queue(H2_PREFACE)
        self.queue(frames.settings_frame(settings))
        opened = limits.connection_window - DEFAULT_WINDOW_BYTES
        self.queue(frames.window_update_frame(0, opened))

    def queue(self, frame: bytes | memoryview) -> None:
        """Add bytes to the output."""
        self._queue.append(frame)
        self.pending += len(frame)

    def take(self) -> bytes:
        """All that is queued."""
        data = b"".join(self._queue)
        self._queue.clear()
        self.pending = 0
        return data

    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours; None when they are used up."""
        stream_id = self._next_id
        if stream_id > frames.MAX_STREAM_ID:
            return None
        self._next_id += 2
        return stream_id

    def send_head(self, stream_id: int, head: Head, *, end: bool) -> None:
        """Queue a head."""
        start, path, rest = head
        encoder = self._encoder
        block = encoder.encode_section(start)
        if path is not None:
            block += encoder.encode(((b":path", path),))
        self._send_block(stream_id, block + encoder.encode_section(rest), end)

    def send_headers(self, stream_id: int, fields: RawHeaders, *, end: bool) -> None:
        """Queue any other header list."""
        self._send_block(stream_id, self._encoder.encode(fields), end)

    def _send_block(self, stream_id: int, block: bytes, end: bool) -> None:
        """Queue a block, cut into HEADERS and CONTINUATION."""
        flags = _END_STREAM if end else 0
        kind = _HEADERS
        while len(block) > MAX_SENT_FRAME_BYTES:
            piece, block = block[:MAX_SENT_FRAME_BYTES], block[MAX_SENT_FRAME_BYTES:]
            self.queue(frames.build_frame(kind, flags, stream_id, piece))
            kind, flags = frames.CONTINUATION, 0
        self.queue(frames.build_frame(kind, flags | _END_HEADERS, stream_id, block))

    def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Queue DATA, cut into frames; the connection's window has room for it."""
        size = len(data)
        self.window -= size
        rest: bytes | memoryview = data
        if size > MAX_SENT_FRAME_BYTES:
            view = memoryview(data)
            last = (size - 1) // MAX_SENT_FRAME_BYTES * MAX_SENT_FRAME_BYTES
            for start in range(0, last, MAX_SENT_FRAME_BYTES):
                piece = view[start : start + MAX_SENT_FRAME_BYTES]
                self._send_frame(stream_id, piece, 0)
            rest = view[last:]
        self._send_frame(stream_id, rest, _END_STREAM if end else 0)

    def _send_frame(self, stream_id: int, data: bytes | memoryview, flags: int) -> None:
        size = len(data)
        self._queue += (frames.frame_head(_DATA, flags, stream_id, size), data)
        self.pending += frames.FRAME_HEAD_BYTES + size

    # --- what the peer says of it -----------------------------------------------------

    def widen(self, increment: int) -> None:
        """WINDOW_UPDATE of the connection came."""
        self.window += increment
        if self.window > MAX_WINDOW_BYTES:
            raise ConnectionFault(
                H2Code.FLOW_CONTROL_ERROR, "WINDOW_UPDATE past the largest window"
            )

    def apply(self, settings: list[tuple[Setting, int]]) -> None:
        """SETTINGS came: obey, and say so."""
        if not self._has_settings:
            self._has_settings = True
            self.max_streams = NO_STREAM_LIMIT
        for setting, value in settings:
            if setting is Setting.HEADER_TABLE_SIZE:
                self._encoder.allow(value)
            elif setting is Setting.MAX_CONCURRENT_STREAMS:
                self.max_streams = value
            elif setting is Setting.INITIAL_WINDOW_SIZE:
                self.stream_window = value
        self.queue(frames.build_frame(frames.SETTINGS, frames.ACK, 0))
