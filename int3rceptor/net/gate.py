"""One waiter with a deadline, at the price of an attribute write per wait.

A timer per wait would cost more than the wait itself. The gate keeps one timer and
lets it run: when it fires early (waits have come and gone since) it arms itself again
for the wait that is under way, if any.
"""

import asyncio
from collections.abc import Awaitable

from int3rceptor.errors import StreamTimeout


class Gate:
    """Lets one coroutine wait until `open` or `fail`, or a deadline."""

    __slots__ = ("_expires", "_future", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self._expires = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def is_awaited(self) -> bool:
        """Whether a coroutine waits now."""
        return self._future is not None and not self._future.done()

    def wait(self, timeout_s: float) -> Awaitable[None]:
        """Wait; StreamTimeout after `timeout_s`, or what `fail` was given."""
        future = self._future
        if future is not None and not future.done():
            raise RuntimeError("a second coroutine waits on the same stream")
        loop = self._loop
        self._future = future = loop.create_future()
        self._expires = expires = loop.time() + timeout_s
        if self._timer is None or self._timer_at > expires:
            self._arm()
        return future

    def open(self) -> None:
        """Let the waiter go on; without one, nothing."""
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Make the waiter raise; without one, nothing."""
        # The frames that an error passes hold this, which must not hold it in turn.
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(error)

    def close(self) -> None:
        """Drop the timer; the stream is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._expires
        self._timer = self._loop.call_at(self._expires, self._fired)

    def _fired(self) -> None:
        self._timer = None
        if not self.is_awaited:
            return
        if self._loop.time() < self._expires:
            self._arm()
            return
        self.fail(StreamTimeout("no byte passed before the deadline"))
