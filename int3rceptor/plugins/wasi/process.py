"""WASI's functions about the process that a guest takes itself for.

Its arguments and environment are the manifest's, its clocks and random bytes come from
the surroundings, it cannot sleep, and when it exits only its call ends.
"""

import struct
from collections.abc import Sequence
from itertools import accumulate

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.abi.wasi_codes import (
    SUBSCRIPTION_ABSTIME,
    Clock,
    Errno,
    EventType,
)
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.host.read import random
from int3rceptor.plugins.wasi.memory import is_inside, put, put_u32, put_u64
from int3rceptor.plugins.wasi.state import NS_PER_MS, Wasi

MAX_SUBSCRIPTIONS = 256
"""Of one poll_oneoff: Go asks for one clock and each file that is waited for."""

MAX_NS = (1 << 63) - 1
"""The latest time there is, in the year 2262: a guest may ask for one far beyond."""


def args_get(wasi: Wasi, pointers_at: int, texts_at: int) -> int:
    """args_get."""
    return _texts(wasi, wasi.args, pointers_at, texts_at)


def args_sizes_get(wasi: Wasi, count_at: int, size_at: int) -> int:
    """args_sizes_get."""
    return _sizes(wasi, wasi.args, count_at, size_at)


def environ_get(wasi: Wasi, pointers_at: int, texts_at: int) -> int:
    """environ_get."""
    return _texts(wasi, wasi.environ, pointers_at, texts_at)


def environ_sizes_get(wasi: Wasi, count_at: int, size_at: int) -> int:
    """environ_sizes_get."""
    return _sizes(wasi, wasi.environ, count_at, size_at)


def _texts(wasi: Wasi, texts: Sequence[bytes], pointers_at: int, texts_at: int) -> int:
    starts = list(accumulate(map(len, texts), initial=texts_at))[:-1]
    if texts and starts[-1] > _LAST_ADDRESS:
        return Status.BAD_POINTER
    pointers = struct.pack(f"<{len(starts)}I", *starts)
    status = put(wasi.host, texts_at, b"".join(texts))
    return status or put(wasi.host, pointers_at, pointers)


def _sizes(wasi: Wasi, texts: Sequence[bytes], count_at: int, size_at: int) -> int:
    status = put_u32(wasi.host, count_at, len(texts))
    return status or put_u32(wasi.host, size_at, sum(map(len, texts)))


def clock_res_get(wasi: Wasi, clock: int, result_at: int) -> int:
    """clock_res_get."""
    if clock not in _CLOCKS:
        return Errno.NOTSUP
    return put_u64(wasi.host, result_at, NS_PER_MS)


def clock_time_get(wasi: Wasi, clock: int, _precision: int, result_at: int) -> int:
    """clock_time_get."""
    if clock not in _CLOCKS:
        return Errno.NOTSUP
    return put_u64(wasi.host, result_at, _now(wasi, clock))


_CLOCKS = frozenset(Clock)


def _now(wasi: Wasi, clock: int) -> int:
    if clock == Clock.MONOTONIC:
        return wasi.monotonic_ns()
    return wasi.host.surroundings.now_ms() * NS_PER_MS


def random_get(wasi: Wasi, address: int, length: int) -> int:
    """random_get."""
    return random(wasi.host, address, length)


def sched_yield(_wasi: Wasi) -> int:
    """sched_yield."""
    return Errno.SUCCESS


def proc_exit(wasi: Wasi, code: int) -> int:
    """proc_exit: also with 0, since nothing can be called in a program that is over."""
    wasi.host.end(Fault(kind=FaultKind.EXITED, detail=f"proc_exit({code})"))
    return Errno.SUCCESS


_LAST_ADDRESS = (1 << 32) - 1
_SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")
_EVENT = struct.Struct("<QHB5xQ8x")


def poll_oneoff(wasi: Wasi, in_at: int, out_at: int, count: int, result_at: int) -> int:
    """poll_oneoff: answers as if the time until the first clock had passed.

    A wait would hold the proxy's loop, or a thread. A guest that means to slow a flow
    down has host_delay.
    """
    host = wasi.host
    if not 0 < count <= MAX_SUBSCRIPTIONS:
        return Errno.INVAL
    data = host.read(in_at, _SUBSCRIPTION.size * count)
    if data is None or not is_inside(host, out_at, _EVENT.size * count):
        return Status.BAD_POINTER
    ready: list[bytes] = []
    clocks: list[tuple[int, int, bytes]] = []
    for userdata, kind, which, timeout, _, flags in _SUBSCRIPTION.iter_unpack(data):
        if kind != EventType.CLOCK:
            ready.append(_descriptor_event(wasi, userdata, kind, which))
        elif which not in _CLOCKS:
            ready.append(_EVENT.pack(userdata, Errno.NOTSUP, kind, 0))
        else:
            wait = timeout - _now(wasi, which) * (flags & SUBSCRIPTION_ABSTIME)
            event = _EVENT.pack(userdata, Errno.SUCCESS, kind, 0)
            clocks.append((max(wait, 0), which, event))
    if not ready and clocks:
        first = min(wait for wait, _, _ in clocks)
        wasi.sleep_until(min(wasi.monotonic_ns() + first, MAX_NS))
        ready = [event for wait, _, event in clocks if wait == first]
    status = put(host, out_at, b"".join(ready))
    return status or put_u32(host, result_at, len(ready))


def _descriptor_event(wasi: Wasi, userdata: int, kind: int, descriptor: int) -> bytes:
    is_known = kind in (EventType.FD_READ, EventType.FD_WRITE)
    errno = Errno.SUCCESS if is_known else Errno.INVAL
    if is_known and wasi.descriptors.get(descriptor) is None:
        errno = Errno.BADF
    return _EVENT.pack(userdata, errno, kind, 0)


def not_supported(_wasi: Wasi, *_values: int) -> int:
    """What no plugin gets: sockets, links, signals, times of files."""
    return Errno.NOTSUP
