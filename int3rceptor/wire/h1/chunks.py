"""The guard of chunked bodies: judges every chunk line, then hands on canonical chunks.

What it refuses never reaches h11. It knows no heads and no connection.
"""

import re
from enum import Enum
from typing import TYPE_CHECKING

from int3rceptor.errors import ProtocolError
from int3rceptor.wire.h1.framing import MAX_TRAILER_BYTES, judge_bytes, judge_trailers
from int3rceptor.wire.peers import Peer, refusal

if TYPE_CHECKING:
    from int3rceptor.model.headers import Headers

MAX_CHUNK_SIZE_DIGITS = 16
"""Hexadecimal digits of a chunk size: 64 bits, so that no counter wraps further on."""

MAX_CHUNK_EXTENSION_BYTES = 4 * 1024
"""All chunk extensions of one message. Nobody uses them, and they are sent once per
byte of body by those who want a server to read for ever."""

MAX_CHUNK_LINE_BYTES = MAX_CHUNK_SIZE_DIGITS + MAX_CHUNK_EXTENSION_BYTES
"""One chunk line without its CRLF, padding included."""

MAX_CHUNKS_AT_ONCE = 256
"""Judged in one go: a millisecond. One read may hold 50,000 chunks of a byte each, and
whoever sends them without end must not keep the others waiting."""

MAX_CHUNK = 2**63 - 1

# RFC 9112, 7.1 and 7.1.1; extensions only have to be free of control characters.
_EXTENSION = rb"(?:[ \t]*+;[^\x00-\x08\x0a-\x1f\x7f]*+)?"
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,%d}+)(%s)" % (MAX_CHUNK_SIZE_DIGITS, _EXTENSION)
)
# Old origins pad the size with spaces. What we send on is never padded.
_PADDED_CHUNK_LINE = re.compile(_CHUNK_LINE.pattern + rb"[ \t]*+")


class _Expect(Enum):
    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILERS = "trailers"
    NOTHING = "nothing"


class ChunkGuard:
    """Walks one chunked body. `trailers` is known once `is_done`."""

    __slots__ = (
        "_expect",
        "_extension_bytes",
        "_line",
        "_peer",
        "_refused",
        "_rest",
        "_seen",
        "is_behind",
        "trailers",
    )

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._line = _CHUNK_LINE if peer is Peer.CLIENT else _PADDED_CHUNK_LINE
        self._expect = _Expect.SIZE
        self._rest = 0
        self._seen = 0
        self._extension_bytes = 0
        self._refused: ProtocolError | None = None
        self.is_behind = False
        """Whether the last walk stopped early: more may be here to be judged."""
        self.trailers: Headers | None = None

    @property
    def is_done(self) -> bool:
        """Whether the body and its trailer section have been read to the end."""
        return self._expect is _Expect.NOTHING

    def walk(self, buffer: bytearray) -> bytes:
        """Take from `buffer` what can be judged; the content bytes found in it.

        Chunks are joined, MAX_CHUNKS_AT_ONCE of them.
        Content in front of a fault is returned first; the next call refuses.
        """
        parts: list[bytes] = []
        at = 0
        if self._refused is not None:
            raise self._refused
        try:
            while len(parts) < MAX_CHUNKS_AT_ONCE and (
                step := self._step(buffer, at, parts)
            ):
                at += step
        except ProtocolError as error:
            if not parts:
                raise
            self._refused = error
        del buffer[:at]
        self.is_behind = len(parts) >= MAX_CHUNKS_AT_ONCE
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _step(self, buffer: bytearray, at: int, parts: list[bytes]) -> int:
        """Judge one element at `at`; the bytes it took, 0 when more are needed."""
        match self._expect:
            case _Expect.SIZE:
                return self._size(buffer, at)
            case _Expect.DATA:
                piece = bytes(memoryview(buffer)[at : at + self._rest])
                if piece:
                    parts.append(piece)
                    self._rest -= len(piece)
                if not self._rest:
                    self._expect = _Expect.DATA_END
                return len(piece)
            case _Expect.DATA_END:
                return self._data_end(buffer, at)
            case _Expect.TRAILERS:
                return self._trailers(buffer, at)
            case _Expect.NOTHING:
                return 0

    def _size(self, buffer: bytearray, at: int) -> int:
        end = buffer.find(b"\n", at, at + MAX_CHUNK_LINE_BYTES + 2)
        if end < 0:
            if len(buffer) - at > MAX_CHUNK_LINE_BYTES + 1:
                raise refusal(self._peer, "a chunk line is too long")
            return 0
        line = self._line.fullmatch(buffer, at, end - 1)
        if line is None or buffer[end - 1] != 0x0D:
            raise refusal(
                self._peer, f"invalid chunk line {bytes(buffer[at:end][:40])!r}"
            )
        self._extension_bytes += len(line[2])
        if self._extension_bytes > MAX_CHUNK_EXTENSION_BYTES:
            raise refusal(
                self._peer,
                f"more than {MAX_CHUNK_EXTENSION_BYTES} bytes of chunk extensions",
            )
        self._rest = int(line[1], 16)
        if self._rest > MAX_CHUNK:
            raise refusal(self._peer, f"chunk size {line[1].decode()} is out of range")
        self._expect = _Expect.DATA if self._rest else _Expect.TRAILERS
        return end + 1 - at

    def _data_end(self, buffer: bytearray, at: int) -> int:
        end = buffer[at : at + 2]
        if not b"\r\n".startswith(end):
            raise refusal(self._peer, "no CRLF after the data of a chunk")
        if len(end) < 2:
            return 0
        self._expect = _Expect.SIZE
        return 2

    def _trailers(self, buffer: bytearray, at: int) -> int:
        if buffer.startswith(b"\r\n", at):
            end = at + 2
        else:
            found = buffer.find(b"\r\n\r\n", at, at + MAX_TRAILER_BYTES)
            if found < 0:
                self._judge_partial(buffer, at)
                return 0
            end = found + 4
            self.trailers = judge_trailers(bytes(buffer[at:end]), self._peer)
        self._expect = _Expect.NOTHING
        return end - at

    def _judge_partial(self, buffer: bytearray, at: int) -> None:
        size = len(buffer) - at
        judge_bytes(buffer, at + self._seen, at + MAX_TRAILER_BYTES, self._peer)
        self._seen = size
        if size >= MAX_TRAILER_BYTES:
            raise refusal(
                self._peer, f"trailers are larger than {MAX_TRAILER_BYTES} bytes", 431
            )
