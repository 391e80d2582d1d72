"""What a generator has to send: requests as answers allow, or by the clock."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.pace import Schedule


class Sender(Protocol):
    """A connection as batches see it."""

    is_lost: bool

    def start(self, batch: "Batch | PacedBatch") -> None:
        """Take part in `batch` until nothing is left in it."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """Requests still to send, and what came of those that were."""

    unsent: int
    done: asyncio.Future[None]
    open_connections: int
    latencies_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def take(self) -> float | None:
        """From when one more request counts, which is then the caller's; or None."""
        if self.unsent == 0:
            return None
        self.unsent -= 1
        return time.perf_counter()

    def answered(self, counts_from: float) -> None:
        """The answer to what was taken at that time is here, and right."""
        self.latencies_s.append(time.perf_counter() - counts_from)

    def idle(self, _connection: Sender) -> None:
        """A connection has nothing more to do."""
        self._one_less()

    def lost(self, reason: str) -> None:
        """A connection ended before its answer came."""
        self.errors.append(reason)
        self._one_less()

    def _one_less(self) -> None:
        self.open_connections -= 1
        if self.open_connections == 0 and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True, kw_only=True)
class PacedBatch:
    """Requests that are due at their time, whatever became of those before.

    One that finds all connections busy waits, and its wait counts: to ask a slow proxy
    less often would spare it the very requests that show how slow it was.
    """

    schedule: Schedule
    done: asyncio.Future[None]
    open_connections: int
    parked: list[Sender] = field(default_factory=list)
    waiting: deque[float] = field(default_factory=deque)
    latencies_s: list[float] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def tick(self, now: float) -> None:
        """Send what has become due, as far as connections are free for it."""
        self.waiting.extend(self.schedule.due(now))
        while self.waiting and self.parked:
            self.parked.pop().start(self)
        self._finish_if_over()

    def take(self) -> float | None:
        """From when one more request counts, which is then the caller's; or None."""
        return self.waiting.popleft() if self.waiting else None

    def answered(self, counts_from: float) -> None:
        """The answer to what was due at that time is here, and right."""
        now = time.perf_counter()
        self.latencies_s.append(now - counts_from)
        self.spans.append((counts_from, now))

    def idle(self, connection: Sender) -> None:
        """A connection is free for what comes due."""
        self.parked.append(connection)
        self._finish_if_over()

    def lost(self, reason: str) -> None:
        """A connection ended before its answer came."""
        self.errors.append(reason)
        self.open_connections -= 1
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        is_over = self.schedule.is_over or self.open_connections == 0
        all_free = len(self.parked) == self.open_connections
        if is_over and all_free and not self.done.done():
            self.done.set_result(None)
