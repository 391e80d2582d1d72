"""Waiting on the streams of one HTTP/2 connection, with a single timer for all.

A timer for each wait, as net.gate has, would be armed and cancelled for every stream.
"""

import asyncio

from int3rceptor.errors import StreamTimeout
from int3rceptor.net.gate import Gate


class Waits:
    """The waits of one connection. The timer runs for the earliest deadline that there
    was; when it fires early, it is armed again for the earliest that there is."""

    __slots__ = ("_is_closed", "_timer", "_timer_at", "_waiting", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: set[Wait] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_closed = False

    def begin(self, wait: "Wait") -> None:
        """Watch the deadline of a wait."""
        self._waiting.add(wait)
        if self._timer is None or wait.expires < self._timer_at:
            self._arm(wait.expires)

    def end(self, wait: "Wait") -> None:
        """It waits no more."""
        self._waiting.discard(wait)
        if self._is_closed:
            self.close()

    def close(self) -> None:
        """The connection is over: drop the timer once nobody waits."""
        self._is_closed = True
        if self._timer is not None and not self._waiting:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._fired)

    def _fired(self) -> None:
        self._timer = None
        now = self.loop.time()
        for wait in [one for one in self._waiting if one.expires <= now]:
            wait.fail(StreamTimeout("no byte passed before the deadline"))
        left = [one.expires for one in self._waiting if one.expires > now]
        if left:
            self._arm(min(left))


class Wait(Gate):
    """A gate whose deadline is watched by the connection's timer."""

    __slots__ = ("_waits",)

    def __init__(self, waits: Waits) -> None:
        super().__init__(waits.loop)
        self._waits = waits

    @property
    def expires(self) -> float:
        """The deadline of the wait under way."""
        return self._expires

    async def wait(self, timeout_s: float) -> None:
        if self._future is not None:
            raise RuntimeError("a second coroutine waits on the same stream")
        loop = self._loop
        self._future = future = loop.create_future()
        self._expires = loop.time() + timeout_s
        self._waits.begin(self)
        try:
            await future
        finally:
            self._future = None
            self._waits.end(self)
