"""A thread that writes records while the disk is too slow for the event loop.

What was accepted is written in order, or nothing after it is. Knows nothing of
segments: `write` takes whole records and says False for "not now".
"""

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import NamedTuple

SLOW_S = 0.25
"""A write that took longer than this held up every exchange: the next ones are left to
the thread."""

QUICK_WRITES = 16
"""Quick writes in a row until the disk counts as quick again: after a stall it may be
quick once and stall again."""

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Records that wait in memory: seconds of heavy traffic, and what memory can bear."""

BATCH_BYTES = 256 * 1024
"""Written at once. A busy event loop lets the thread run some 200 times a second, so
one record at a time would not keep up with it."""

_RETRY_S = 0.1
"""How soon a record that could not be written is tried again; `write` keeps the longer
pauses that a disk needs."""


class Waiting(NamedTuple):
    """A sealed record, and how many flows it is: one or none."""

    frame: bytes
    flows: int


class Backlog:
    """Started at once. Its methods are for one thread, the caller's."""

    def __init__(self, write: Callable[[bytes, int], bool]) -> None:
        self.has_ended = False
        self._write = write
        self._changed = Condition()
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._quick = 0
        self._is_ending = False
        self._gives_up = False
        # A daemon: a write into a dead disk never returns, and the process must end.
        self._thread = Thread(
            target=self._run, name="int3rceptor slow disk", daemon=True
        )
        self._thread.start()

    def offer(self, frame: bytes, flows: int) -> bool:
        """Take one record; False when too much is waiting already."""
        with self._changed:
            if self._waiting_bytes + len(frame) > MAX_WAITING_BYTES:
                return False
            self._waiting.append(Waiting(frame, flows))
            self._waiting_bytes += len(frame)
            self._changed.notify()
        return True

    @property
    def is_needless(self) -> bool:
        """Whether the disk is quick again and next to nothing waits."""
        return self._quick >= QUICK_WRITES and self._waiting_bytes <= BATCH_BYTES

    def retire(self, within_s: float) -> bool:
        """Write what waits, and end; False when that takes longer: it goes on."""
        self._end(within_s, gives_up=False)
        with self._changed:
            if not self.has_ended:
                self._is_ending = False
                self._quick = 0
            return self.has_ended

    def close(self, within_s: float) -> int:
        """Write what can be written, and end; how many flows were not.

        Unless it `has_ended` now, it hangs in a write: nobody else may write.
        """
        self._end(within_s, gives_up=True)
        with self._changed:
            return sum(one.flows for one in self._waiting)

    def _end(self, within_s: float, *, gives_up: bool) -> None:
        with self._changed:
            self._is_ending = True
            self._gives_up = gives_up
            self._changed.notify()
        self._thread.join(within_s)

    def _run(self) -> None:
        while batch := self._batch():
            started = time.monotonic()
            is_written = self._write(
                b"".join(one.frame for one in batch), sum(one.flows for one in batch)
            )
            took = time.monotonic() - started
            with self._changed:
                if is_written:
                    self._forget(batch)
                    self._quick = self._quick + 1 if took <= SLOW_S else 0
                elif self._gives_up:
                    break
                else:
                    self._changed.wait(_RETRY_S)
        self.has_ended = True

    def _batch(self) -> list[Waiting]:
        """The records to write next, once there are some; none when it is to end.

        They stay in the queue until they are written, and so count as waiting.
        """
        with self._changed:
            while not self._waiting and not self._is_ending:
                self._changed.wait()
            batch: list[Waiting] = []
            size = 0
            for one in self._waiting:
                size += len(one.frame)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(one)
            if not batch:
                self.has_ended = True
            return batch

    def _forget(self, batch: list[Waiting]) -> None:
        for one in batch:
            self._waiting.popleft()
            self._waiting_bytes -= len(one.frame)
