"""Numbers, records and scattered buffers in a guest's memory, within the budget."""

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.wasi_codes import Errno
from int3rceptor.plugins.host.host import Host

MAX_IOVECS = 1024
"""Buffers in one call, as Linux has it."""

MAX_IO_BYTES = 256 * 1024
"""What one call moves at most; callers go on after a short read or write, as always."""

_IOVEC = struct.Struct("<II")


def is_inside(host: Host, address: int, size: int) -> bool:
    """Whether a result can be stored: asked before anything is done."""
    return host.guest is not None and address + size <= host.guest.memory_bytes()


def put(host: Host, address: int, data: bytes) -> int:
    """Store a result: SUCCESS, or why not."""
    return min(host.give(data, address, len(data)), Status.OK)


def put_u32(host: Host, address: int, number: int) -> int:
    """Store a size, a count or a descriptor."""
    return put(host, address, number.to_bytes(4, "little"))


def put_u64(host: Host, address: int, number: int) -> int:
    """Store a time or a place in a file."""
    return put(host, address, number.to_bytes(8, "little"))


def iovecs(host: Host, address: int, count: int) -> list[tuple[int, int]] | int:
    """The buffers of a call, in all at most MAX_IO_BYTES, each inside the memory."""
    if count > MAX_IOVECS:
        return Errno.INVAL
    table = host.read(address, _IOVEC.size * count)
    if table is None:
        return Status.BAD_POINTER
    spans: list[tuple[int, int]] = []
    room = MAX_IO_BYTES
    for at, length in _IOVEC.iter_unpack(table):
        if not is_inside(host, at, length):
            return Status.BAD_POINTER
        if room and length:
            spans.append((at, min(length, room)))
            room -= spans[-1][1]
    return spans


def gather(host: Host, spans: Iterable[tuple[int, int]]) -> bytes | None:
    """What the buffers hold; None when the budget is spent."""
    parts = [host.read(at, length) for at, length in spans]
    return None if None in parts else b"".join(part for part in parts if part)


def scatter(host: Host, spans: Sequence[tuple[int, int]], data: bytes) -> int:
    """Fill the buffers, one after the other: SUCCESS, or why not."""
    starts = accumulate((length for _, length in spans), initial=0)
    for (at, length), start in zip(spans, starts, strict=False):
        if part := data[start : start + length]:
            status = put(host, at, part)
            if status:
                return status
    return Errno.SUCCESS
