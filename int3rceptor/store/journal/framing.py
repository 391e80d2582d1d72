"""The layout of a journal segment: bytes to records and back.

A segment is MAGIC, then records: u32 length of the payload, u32 CRC-32 of kind and
payload, u8 kind, payload; little endian. What a payload means is for `records`.
"""

import struct
from collections.abc import Iterator
from enum import Enum
from typing import BinaryIO
from zlib import crc32

MAGIC = b"I3JRNL\x00\x01"
"""Seven bytes that say what this is, one that says its version."""

FLOW = 1
BODY = 2
END = 3
"""Kinds of records. END has no payload and closes a segment in order."""

HEADER_BYTES = 9
"""What stands before each payload."""

KIND_AT = HEADER_BYTES - 1
"""Where in a record its kind is; the checksum begins there."""

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""Largest payload. A flow's record with two replaced bodies and a head of a megabyte
stays far below it; a length above it is damage, and nobody allocates for it."""

_HEADER = struct.Struct("<IIB")
_SUM_OF = tuple(crc32(bytes((kind,))) for kind in range(256))
"""What the checksum of each kind begins with."""


class Tail(Enum):
    """Why the reading of a segment stopped."""

    ENDED = "closed in order"
    OPEN = "no more records yet"
    TORN = "the last record is not whole"
    DAMAGED = "a record is damaged"
    FOREIGN = "no journal, or one of another version"


class Records:
    """The whole records of a segment from an offset on, read as they are asked for.

    Iterate once: (offset behind the record, kind, payload). Kinds that are not known
    are for the caller to skip. Then `end` is the offset behind the last whole record,
    where a later reading goes on, and `tail` says why there is no more.
    """

    def __init__(self, file: BinaryIO, offset: int = 0) -> None:
        self._file = file
        self.end = offset
        self.tail = Tail.OPEN

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        if self.end == 0 and not self._is_ours():
            return
        self._file.seek(self.end)
        while header := self._file.read(HEADER_BYTES):
            payload = self._payload(header)
            if payload is None:
                return
            self.end += HEADER_BYTES + len(payload)
            kind = header[KIND_AT]
            if kind == END:
                self.tail = Tail.ENDED
            yield self.end, kind, payload
            if kind == END:
                return

    def _is_ours(self) -> bool:
        self._file.seek(0)
        found = self._file.read(len(MAGIC))
        if found == MAGIC:
            self.end = len(MAGIC)
            return True
        self.tail = Tail.TORN if MAGIC.startswith(found) else Tail.FOREIGN
        return False

    def _payload(self, header: bytes) -> bytes | None:
        """The payload behind `header`; None, with `tail` set, when it is not whole."""
        if len(header) < HEADER_BYTES:
            self.tail = Tail.TORN
            return None
        length, checksum, kind = _HEADER.unpack(header)
        if length > MAX_RECORD_BYTES:
            self.tail = Tail.DAMAGED
            return None
        payload = self._file.read(length)
        if len(payload) < length:
            self.tail = Tail.TORN
            return None
        if crc32(payload, _SUM_OF[kind]) != checksum:
            self.tail = Tail.DAMAGED
            return None
        return payload


def read_records(file: BinaryIO, offset: int = 0) -> Records:
    """The records of the segment `file` from `offset` on: 0, or an `end` of before."""
    return Records(file, offset)


def sealed(kind: int, payload: bytes) -> bytes:
    """The record of this kind that holds `payload`."""
    checksum = crc32(payload, _SUM_OF[kind])
    return _HEADER.pack(len(payload), checksum, kind) + payload
