"""When requests are due that come at a fixed rate, and an alarm that is exact.

An event loop's timers count milliseconds, which is as long as some answers take.
"""

import ctypes
import os
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

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


class Ticker:
    """A file that is readable each time the interval has passed (Linux's timerfd)."""

    def __init__(self, interval_s: float) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        seconds, nanoseconds = divmod(max(1, round(interval_s * NS_PER_S)), NS_PER_S)
        # struct itimerspec: the interval, and when it ends first.
        spec = struct.pack("4l", seconds, nanoseconds, seconds, nanoseconds)
        if self.fd < 0 or libc.timerfd_settime(self.fd, 0, spec, None):
            raise BenchmarkError(f"no timer: {os.strerror(ctypes.get_errno())}")

    def read(self) -> float:
        """Make it wait for the next time; what time it is."""
        os.read(self.fd, 8)
        return time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.fd)
