"""WebSocket messages as the load and its origin need them (RFC 6455): short and whole.

A yardstick does not share the code that it measures. What no honest echo of a short
message needs (lengths of 64 bits, fragments, extensions, other opcodes) is an error.
"""

import base64
import hashlib
import os
from collections.abc import Iterator

from benchmarks.measure import BenchmarkError

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TEXT_AND_LAST = 0x81  # FIN, and the opcode of text
MASKED = 0x80
MAX_SHORT_BYTES, EXTENDED = 125, 126
MAX_PAYLOAD_BYTES = 0xFFFF


def accept_of(key: str) -> str:
    """What a server answers to a `Sec-WebSocket-Key`."""
    digest = hashlib.sha1(f"{key}{GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def new_key() -> str:
    """A key for one handshake."""
    return base64.b64encode(os.urandom(16)).decode()


def _mask(payload: bytes, key: bytes) -> bytes:
    """`payload` masked, or unmasked: it is the same."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return masked.to_bytes(size, "big")


def frame(payload: bytes, key: bytes = b"") -> bytes:
    """One text message in one frame; masked by `key`, as a client must."""
    size, mask_bit = len(payload), MASKED if key else 0
    if size > MAX_PAYLOAD_BYTES:
        raise BenchmarkError(f"a message of {size} bytes: at most {MAX_PAYLOAD_BYTES}")
    if size <= MAX_SHORT_BYTES:
        head = bytes((TEXT_AND_LAST, mask_bit | size))
    else:
        head = bytes((TEXT_AND_LAST, mask_bit | EXTENDED)) + size.to_bytes(2, "big")
    return head + key + (_mask(payload, key) if key else payload)


class Messages:
    """Cuts messages out of what arrives; `are_masked` as by the side they come from."""

    def __init__(self, *, are_masked: bool) -> None:
        self._mask_bit = MASKED if are_masked else 0
        self._received = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole now; what no echo needs is a BenchmarkError, when
        those before it have been handed out."""
        received = self._received + data if self._received else data
        begin, end = 0, len(received)
        while end - begin >= 2:
            payload_at, size = self._sized(received, begin)
            next_at = payload_at + size
            if end < next_at:
                break
            payload = received[payload_at:next_at]
            if self._mask_bit:
                payload = _mask(payload, received[payload_at - 4 : payload_at])
            yield payload
            begin = next_at
        self._received = received[begin:]

    def _sized(self, received: bytes, begin: int) -> tuple[int, int]:
        """Where the payload of the frame at `begin` starts, and its size."""
        second = received[begin + 1]
        size, payload_at = second & ~MASKED, begin + 2
        is_known = received[begin] == TEXT_AND_LAST and size <= EXTENDED
        if not is_known or second & MASKED != self._mask_bit:
            raise BenchmarkError(
                f"not a whole text message: {received[begin : begin + 16]!r}"
            )
        if size == EXTENDED:
            size = int.from_bytes(received[payload_at : payload_at + 2], "big")
            payload_at += 2
        return payload_at + (4 if self._mask_bit else 0), size
