"""WebSocket frames (RFC 6455, 5): their heads, their masks, and what is none."""

from enum import IntEnum
from os import urandom
from typing import NamedTuple

from int3rceptor.errors import WebSocketError

MAX_CONTROL_BYTES = 125
"""The payload of a ping, a pong or a close (RFC 6455, 5.5)."""


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_KNOWN = frozenset(Opcode)
_FIN, _RSV1, _RSV23, _OPCODE = 0x80, 0x40, 0x30, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_TWO, _EIGHT = 126, 127

_OWN_CODES = range(3000, 5000)
_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
"""Close codes that may be sent (RFC 6455, 7.4, and IANA's registry)."""


class Head(NamedTuple):
    """A frame's head: `size` bytes of its own, then `length` of payload."""

    opcode: int
    is_final: bool
    is_compressed: bool
    mask: bytes
    size: int
    length: int

    @property
    def is_control(self) -> bool:
        """Whether it stands for itself, even between the frames of a message."""
        return self.opcode >= Opcode.CLOSE


def head_of(data: bytearray, *, is_masked: bool) -> Head | None:
    """The frame head that `data` begins with; None while it is not whole.

    WebSocketError for what no sender on this side of a connection may send.
    """
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    opcode = first & _OPCODE
    if opcode not in _KNOWN:
        raise WebSocketError(f"a frame of the unknown kind {opcode}")
    if first & _RSV23:
        raise WebSocketError("a frame with reserved bits")
    if bool(second & _MASKED) is not is_masked:
        raise WebSocketError(
            "a frame that is not masked" if is_masked else "a frame that is masked"
        )
    length, size = second & _LENGTH, 2
    if length >= _TWO:
        size = 4 if length == _TWO else 10
        if len(data) < size:
            return None
        length = _long(int.from_bytes(data[2:size], "big"), size)
    mask = b""
    if is_masked:
        mask = bytes(data[size : size + 4])
        size += 4
        if len(data) < size:
            return None
    head = Head(opcode, bool(first & _FIN), bool(first & _RSV1), mask, size, length)
    if head.is_control:
        _judge_control(head)
    return head


def _long(length: int, size: int) -> int:
    if length < _TWO or (size == 10 and length < 1 << 16):
        raise WebSocketError("a frame whose length is not written in the short way")
    if length >> 63:
        raise WebSocketError("a frame of more than 2^63 bytes")
    return length


def _judge_control(head: Head) -> None:
    if not head.is_final:
        raise WebSocketError("a control frame in pieces")
    if head.is_compressed:
        raise WebSocketError("a control frame with reserved bits")
    if head.length > MAX_CONTROL_BYTES:
        raise WebSocketError(f"a control frame of {head.length} bytes")


def judge_close(payload: bytes) -> None:
    """WebSocketError unless a close frame may hold this."""
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CODES or code in _OWN_CODES):
        raise WebSocketError(f"a close frame with the code {code}")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError("a close frame whose reason is not UTF-8") from None


def masked(data: bytes, mask: bytes, start: int = 0) -> bytes:
    """`data` with the mask put on, or taken off; `start` bytes came before it."""
    if not mask or not data:
        return data
    count, turned = len(data), start % 4
    key = (mask[turned:] + mask[:turned]) * (count // 4 + 1)
    both = int.from_bytes(data, "big") ^ int.from_bytes(key[:count], "big")
    return both.to_bytes(count, "big")


def frame(
    opcode: int,
    payload: bytes,
    *,
    is_final: bool = True,
    is_compressed: bool = False,
    is_masked: bool,
) -> bytes:
    """A frame as it goes out, under a mask of its own if it needs one."""
    first = opcode | is_final * _FIN | is_compressed * _RSV1
    length, bit = len(payload), is_masked * _MASKED
    if length < _TWO:
        head = bytes((first, bit | length))
    elif length < 1 << 16:
        head = bytes((first, bit | _TWO)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | _EIGHT)) + length.to_bytes(8, "big")
    if not is_masked:
        return head + payload
    mask = urandom(4)
    return head + mask + masked(payload, mask)
