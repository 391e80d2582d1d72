"""When requests are due that come at a fixed rate, and an alarm that is exact.

An event loop's timers count milliseconds, which is as long as some answers take.
"""

import ctypes
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.measure import BenchmarkError

# timerfd_create(2), time.h
CLOCK_MONOTONIC = 1
TFD_CLOEXEC, TFD_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
NS_PER_S = 1_000_000_000


@dataclass(slots=True, kw_only=True)
class Schedule:
    """`total` requests, the first one interval after `start`, then one an interval."""

    start: float
    interval_s: float
    total: int
    issued: int = 0

    def due(self, now: float) -> list[float]:
        """When each request was due that has become so since the last question."""
        first = self.issued
        until = int((now - self.start) / self.interval_s)
        self.issued = max(first, min(until, self.total))
        return [
            self.start + (number + 1) * self.interval_s
            for number in range(first, self.issued)
        ]

    @property
    def is_over(self) -> bool:
        """Whether nothing will become due any more."""
        return self.issued == self.total


@contextmanager
def ticking(interval_s: float) -> Iterator[int]:
    """A file that is readable each time the interval has passed (Linux's timerfd)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if fd < 0:
        raise BenchmarkError(f"no timer: {os.strerror(ctypes.get_errno())}")
    try:
        seconds, rest = divmod(max(1, round(interval_s * NS_PER_S)), NS_PER_S)
        # struct itimerspec: the interval, and when it ends first.
        spec = struct.pack("4l", seconds, rest, seconds, rest)
        if libc.timerfd_settime(fd, 0, spec, None):
            raise BenchmarkError(f"no timer: {os.strerror(ctypes.get_errno())}")
        yield fd
    finally:
        os.close(fd)


def wait_again(fd: int) -> float:
    """Make the file wait for the next time; what time it is."""
    os.read(fd, 8)
    return time.perf_counter()
