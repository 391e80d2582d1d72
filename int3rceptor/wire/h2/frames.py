"""HTTP/2 frames as bytes: the walker over what comes in, and the few that we build.

It keeps frame and header-block boundaries (RFC 9113, 4) and knows no stream's state.
"""

import struct
from collections.abc import Iterator, Sequence

from int3rceptor.wire.h2.faults import ConnectionFault, H2Code
from int3rceptor.wire.h2.limits import (
    MAX_CONTINUATIONS_PER_BLOCK,
    MAX_FRAME_BYTES,
    MAX_FRAMES_AT_ONCE,
    MAX_HEADER_BLOCK_BYTES,
    AbuseMeter,
)
from int3rceptor.wire.sniff import H2_PREFACE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
HAS_PRIORITY = 0x20

_AROUND_BLOCK = END_HEADERS | PADDED | HAS_PRIORITY
"""What says that HEADERS holds a whole block, and nothing else."""

FRAME_HEAD_BYTES = 9

MAX_STREAM_ID = 2**31 - 1

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream id, payload."""

_HEAD = struct.Struct(">BHBBI")
_UINT = struct.Struct(">I")
_GOAWAY = struct.Struct(">II")
_SETTING = struct.Struct(">HI")

_HTTP1_LENGTH = int.from_bytes(b"HTT", "big")
"""Of the frame that "HTTP/1.1 ..." would begin: what a server says that speaks no other
version to a client that takes it to know HTTP/2."""


class FrameWalker:
    """Cuts a connection's bytes into frames, whatever the pieces they come in.

    HEADERS and its CONTINUATIONs come out as one HEADERS frame that holds the whole
    block, without padding and priority.
    """

    __slots__ = (
        "_block",
        "_block_bytes",
        "_block_flags",
        "_block_stream",
        "_meter",
        "_needed",
        "_preface",
        "_rest",
        "_saw_settings",
        "is_behind",
    )

    def __init__(self, meter: AbuseMeter, *, expects_preface: bool) -> None:
        self._meter = meter
        self._rest = bytearray()
        self._needed = 0
        self.is_behind = False
        """Whether whole frames may be here that were not given yet."""
        self._preface = H2_PREFACE if expects_preface else b""
        self._saw_settings = False
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._block_flags = 0
        self._block_stream = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The first frames that are whole with `data`, at most MAX_FRAMES_AT_ONCE;
        ConnectionFault where they are broken."""
        self.is_behind = False
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
        position = self._skip_preface(data) if self._preface else 0
        total = len(data)
        left = MAX_FRAMES_AT_ONCE
        self._needed = FRAME_HEAD_BYTES
        while left and total - position >= FRAME_HEAD_BYTES:
            high, low, kind, flags, stream_id = _HEAD.unpack_from(data, position)
            start = position + FRAME_HEAD_BYTES
            end = start + (high << 16 | low)
            if end - start > MAX_FRAME_BYTES or not self._saw_settings:
                self._check_head(kind, flags, end - start)
            if end > total:
                self._needed = end - position
                break
            position = end
            left -= 1
            frame = (kind, flags, stream_id & MAX_STREAM_ID, data[start:end])
            if (
                self._block
                or kind == CONTINUATION
                or (kind == HEADERS and flags & _AROUND_BLOCK != END_HEADERS)
            ):
                block = self._assemble(frame)
                if block is not None:
                    yield block
            else:
                yield frame
        self._rest = bytearray(data[position:])
        self.is_behind = not left

    def _skip_preface(self, data: bytes) -> int:
        size = min(len(self._preface), len(data))
        if data[:size] != self._preface[:size]:
            raise ConnectionFault(
                H2Code.PROTOCOL_ERROR, "the connection preface is not HTTP/2's"
            )
        self._preface = self._preface[size:]
        return size

    def _check_head(self, kind: int, flags: int, length: int) -> None:
        if length == _HTTP1_LENGTH and not self._saw_settings:
            raise ConnectionFault(
                H2Code.HTTP_1_1_REQUIRED, "the first bytes are HTTP/1, not HTTP/2"
            )
        if length > MAX_FRAME_BYTES:
            raise ConnectionFault(
                H2Code.FRAME_SIZE_ERROR,
                f"a frame of {length} bytes; {MAX_FRAME_BYTES} are allowed",
            )
        if not self._saw_settings:
            # RFC 9113, 3.4: the preface ends in a SETTINGS frame that is no ACK.
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(
                    H2Code.PROTOCOL_ERROR, "the first frame is not SETTINGS"
                )
            self._saw_settings = True

    def _assemble(self, frame: Frame) -> Frame | None:
        """The whole block once `frame` ends it (RFC 9113, 4.3 and 6.10)."""
        kind, flags, stream_id, payload = frame
        if not self._block:
            if kind == CONTINUATION:
                raise ConnectionFault(
                    H2Code.PROTOCOL_ERROR, "CONTINUATION without HEADERS"
                )
            payload = _strip_head(flags, payload)
            if flags & END_HEADERS:
                return HEADERS, flags, stream_id, payload
            self._block_flags, self._block_stream = flags, stream_id
            self._block_bytes = 0
        elif kind != CONTINUATION or stream_id != self._block_stream:
            raise ConnectionFault(
                H2Code.PROTOCOL_ERROR, "another frame inside a header block"
            )
        else:
            self._meter.continuations.spend(self._meter.now)
        self._block.append(payload)
        self._block_bytes += len(payload)
        self._check_block()
        if kind == HEADERS or not flags & END_HEADERS:
            return None
        block = b"".join(self._block)
        self._block = []
        return HEADERS, self._block_flags, stream_id, block

    def _check_block(self) -> None:
        if len(self._block) - 1 > MAX_CONTINUATIONS_PER_BLOCK:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM,
                f"more than {MAX_CONTINUATIONS_PER_BLOCK} CONTINUATION frames in a row",
            )
        if self._block_bytes > MAX_HEADER_BLOCK_BYTES:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM,
                f"a header block larger than {MAX_HEADER_BLOCK_BYTES} bytes",
            )


def strip_padding(payload: bytes) -> bytes:
    """The data of a padded frame (RFC 9113, 6.1)."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(
            H2Code.PROTOCOL_ERROR, "padding longer than the frame it is in"
        )
    return payload[1 : len(payload) - payload[0]]


def _strip_head(flags: int, payload: bytes) -> bytes:
    if flags & PADDED:
        payload = strip_padding(payload)
    if flags & HAS_PRIORITY:
        # Priorities are ignored (RFC 9113, 5.3.2), a self-dependency among them.
        if len(payload) < 5:
            raise ConnectionFault(
                H2Code.FRAME_SIZE_ERROR, "HEADERS too short for its priority"
            )
        payload = payload[5:]
    return payload


def frame_head(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """The nine bytes before a payload of less than 64 KiB."""
    return _HEAD.pack(0, length, kind, flags, stream_id)


def build_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame's bytes; `payload` is shorter than 64 KiB."""
    return _HEAD.pack(0, len(payload), kind, flags, stream_id) + payload


def window_update_frame(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE; stream 0 is the connection."""
    return build_frame(WINDOW_UPDATE, 0, stream_id, _UINT.pack(increment))


def rst_stream_frame(stream_id: int, code: int) -> bytes:
    """RST_STREAM."""
    return build_frame(RST_STREAM, 0, stream_id, _UINT.pack(code))


def goaway_frame(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """GOAWAY."""
    return build_frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream_id, code) + debug)


def read_uint(payload: bytes) -> int:
    """The 32-bit number a RST_STREAM or WINDOW_UPDATE holds."""
    if len(payload) != 4:
        raise ConnectionFault(
            H2Code.FRAME_SIZE_ERROR, f"a 4-byte frame has {len(payload)} bytes"
        )
    number: int = _UINT.unpack(payload)[0]
    return number


def read_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Last stream id, error code and debug data."""
    if len(payload) < _GOAWAY.size:
        raise ConnectionFault(H2Code.FRAME_SIZE_ERROR, "GOAWAY is too short")
    last_stream_id, code = _GOAWAY.unpack_from(payload)
    return last_stream_id & MAX_STREAM_ID, code, payload[_GOAWAY.size :]


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Setting ids and values in order."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(
            H2Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes"
        )
    return list(_SETTING.iter_unpack(payload))


def settings_frame(settings: Sequence[tuple[int, int]]) -> bytes:
    """SETTINGS."""
    payload = b"".join(_SETTING.pack(*setting) for setting in settings)
    return build_frame(SETTINGS, 0, 0, payload)
