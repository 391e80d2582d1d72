"""One direction of a WebSocket, taken apart into messages and put together again.

What nobody changes goes on as the bytes that it came in. The frames of a message wait
until it is whole; pings, pongs and closes do not. Nothing here waits for anything, or
makes more than `STEP_BYTES` out of compressed bytes in one step.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from int3rceptor.errors import WebSocketError
from int3rceptor.model.codings import STEP_BYTES
from int3rceptor.model.websocket import is_utf8
from int3rceptor.wire.websocket.deflate import Deflate, Extensions
from int3rceptor.wire.websocket.frames import (
    Head,
    Opcode,
    frame,
    head_of,
    judge_close,
    masked,
)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Largest message that is shown, as its frames and as what they inflate to: as large
as a body that is made whole. Both are in memory at once, for each direction."""

MAX_FRAMES = 64 * 1024
"""Frames of one message that is shown: one of the largest size in pieces of 128 bytes.
Empty frames cost a sender two bytes, and who reads them microseconds."""

BREATH_FRAMES = 64
"""Frames that are taken in before others get a turn: a read may bring 100,000."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Passing:
    """Bytes that go on; none at all is a moment to let others run."""

    data: bytes = b""


@dataclass(slots=True, frozen=True, kw_only=True)
class Whole:
    """A message that waits for `keep`, `replace` or `drop`."""

    data: bytes
    is_text: bool


@dataclass(slots=True, frozen=True, kw_only=True)
class Unseen:
    """A message is too large to be shown, and passes from here on. `why` says what is
    too large."""

    why: str


Event = Passing | Whole | Unseen


@dataclass(slots=True, kw_only=True)
class _Passes:
    """A message that passes unseen; `is_anew`: its frames are not the sender's."""

    is_anew: bool
    is_first: bool = True
    size: int = 0


class Direction:
    """What one end sends to the other.

    `is_client`: the sender is the client, who masks. Take each event before the next is
    asked for, and answer a Whole first. `_held` are the frames of the message that is
    under way, as they came; `_data` is what they say.
    """

    def __init__(self, extensions: Extensions, *, is_client: bool) -> None:
        self._is_client = is_client
        side = extensions.client if is_client else extensions.server
        self._deflate = Deflate(side) if extensions.is_deflated else None
        self._buffer = bytearray()
        self._head: Head | None = None
        self._left = 0
        self._is_closed = False
        self._clear()

    def _clear(self) -> None:
        self._kind = 0  # a message begins with none of that kind
        self._is_compressed = False
        self._held = bytearray()
        self._data = bytearray()
        self._frames = 0
        self._passing: _Passes | None = None

    def receive(self, data: bytes) -> Iterator[Event]:
        """What these bytes complete; WebSocketError where they are none."""
        self._buffer += data
        frames = 0
        while True:
            head = self._head or head_of(self._buffer, is_masked=self._is_client)
            if head is None:
                return
            if head.is_control:
                if len(self._buffer) < head.size + head.length:
                    return
                yield Passing(data=self._control(head))
            else:
                if self._head is None:
                    self._begin(head)
                    yield from self._add(self._take(head.size), b"")
                yield from self._payload(head)
                if self._left:
                    return
                self._head = None
                if head.is_final:
                    yield from self._end()
            frames += 1
            if frames % BREATH_FRAMES == 0:
                yield Passing()

    def keep(self, message: Whole) -> Iterator[Passing]:
        """It goes on: as it came, unless its receiver could not inflate that."""
        raw, deflate = bytes(self._held), self._deflate
        if deflate is None or not self._is_compressed:
            yield Passing(data=raw)
        elif deflate.is_apart:
            yield from self._anew(message.data, is_text=message.is_text)
            deflate.match(len(message.data))
        else:
            deflate.passed()
            yield Passing(data=raw)
        self._clear()

    def replace(self, data: bytes, *, is_text: bool) -> Iterator[Passing]:
        """Another one goes on in its place, in one frame."""
        self._part()
        yield from self._anew(data, is_text=is_text)
        self._clear()

    def drop(self) -> None:
        """It does not go on."""
        self._part()
        self._clear()

    @property
    def can_go_unread(self) -> bool:
        """Whether the receiver understands what follows as its sender wrote it."""
        return self._deflate is None or not self._deflate.is_apart

    def rest(self) -> bytes:
        """What came and has not gone on: after a WebSocketError, or at the end."""
        rest = bytes(self._held + self._buffer)
        self._held.clear()
        self._buffer.clear()
        return rest

    # Frames

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _control(self, head: Head) -> bytes:
        if head.opcode == Opcode.CLOSE:
            payload = self._buffer[head.size : head.size + head.length]
            judge_close(masked(bytes(payload), head.mask))
            self._is_closed = True
        return self._take(head.size + head.length)

    def _begin(self, head: Head) -> None:
        """A frame of a message begins."""
        if self._is_closed:
            raise WebSocketError("a message after a close frame")
        is_first = head.opcode != Opcode.CONTINUATION
        if is_first is bool(self._kind):
            raise WebSocketError(
                "a message in the middle of another"
                if is_first
                else "the continuation of no message"
            )
        if head.is_compressed and (self._deflate is None or not is_first):
            raise WebSocketError("a frame with reserved bits")
        if is_first:
            self._kind, self._is_compressed = head.opcode, head.is_compressed
        self._head, self._left = head, head.length
        self._frames += 1

    def _payload(self, head: Head) -> Iterator[Event]:
        raw = self._take(self._left)
        plain = masked(raw, head.mask, head.length - self._left)
        self._left -= len(raw)
        yield from self._add(raw, plain)

    # Messages

    def _add(self, raw: bytes, plain: bytes) -> Iterator[Event]:
        """More of the message under way, as it came and without its mask."""
        if self._passing is None:
            self._held += raw
        elif not self._passing.is_anew:
            yield Passing(data=raw)
        if self._deflate is None or not self._is_compressed:
            yield from self._grow(plain)
            return
        yield from self._grow(b"")  # frames can be empty, and many
        for made in self._deflate.inflate(plain):
            yield from self._grow(made)

    def _grow(self, made: bytes) -> Iterator[Event]:
        """More of what it says."""
        if self._passing is not None:
            yield self._on(made)
            return
        self._data += made
        if why := self._too_large():
            yield Unseen(why=why)
            yield from self._let_go()

    def _too_large(self) -> str:
        if max(len(self._held), len(self._data)) > MAX_MESSAGE_BYTES:
            return f"larger than {MAX_MESSAGE_BYTES} bytes"
        return f"more than {MAX_FRAMES} frames" if self._frames > MAX_FRAMES else ""

    def _let_go(self) -> Iterator[Event]:
        """The message is not waited for: what is here of it goes on."""
        is_anew = self._is_compressed and not self.can_go_unread
        self._passing = _Passes(is_anew=is_anew)
        data, held = bytes(self._data), bytes(self._held)
        self._data.clear()
        self._held.clear()
        if not is_anew:
            yield Passing(data=held)
            return
        for start in range(0, len(data), STEP_BYTES):
            yield self._on(data[start : start + STEP_BYTES])

    def _on(self, made: bytes, *, is_final: bool = False) -> Passing:
        """A piece of a message that passes unseen, framed anew if it must be."""
        passing, deflate = self._passing, self._deflate
        assert passing is not None
        if not passing.is_anew or deflate is None:
            return Passing()
        passing.size += len(made)
        if is_deflated := deflate.can_write:
            made = deflate.compress(made) + (deflate.finish() if is_final else b"")
        if not made and not is_final:
            return Passing()
        is_first, passing.is_first = passing.is_first, False
        data = frame(
            self._kind if is_first else Opcode.CONTINUATION,
            made,
            is_final=is_final,
            is_compressed=is_first and is_deflated,
            is_masked=self._is_client,
        )
        return Passing(data=data)

    def _end(self) -> Iterator[Event]:
        """The message under way is whole."""
        deflate = self._deflate if self._is_compressed else None
        for made in () if deflate is None else deflate.end():
            yield from self._grow(made)
        if self._passing is None:
            is_text = self._kind == Opcode.TEXT
            data = bytes(self._data)
            if is_text and not is_utf8(data):
                raise WebSocketError("a text message that is not UTF-8")
            yield Whole(data=data, is_text=is_text)
            return
        if deflate is not None and self._passing.is_anew:
            yield self._on(b"", is_final=True)
            deflate.match(self._passing.size)
        elif deflate is not None:
            deflate.passed()
        self._clear()

    def _anew(self, data: bytes, *, is_text: bool) -> Iterator[Passing]:
        """The frame of a message that does not go on as it came."""
        deflate = self._deflate if self._is_compressed else None
        is_deflated = deflate is not None and deflate.can_write
        if deflate is not None and is_deflated:
            made = bytearray()
            for start in range(0, len(data), STEP_BYTES):
                made += deflate.compress(data[start : start + STEP_BYTES])
                yield Passing()
            data = bytes(made + deflate.finish())
        sent = frame(
            Opcode.TEXT if is_text else Opcode.BINARY,
            data,
            is_compressed=is_deflated,
            is_masked=self._is_client,
        )
        yield Passing(data=sent)

    def _part(self) -> None:
        """The receiver's window is the sender's no more, if there is one."""
        if self._deflate is not None and self._is_compressed:
            self._deflate.part()
