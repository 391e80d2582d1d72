"""Runs a plugin's calls in threads: one at a time on each seat, in order, bounded.

A seat is an instance. Its store belongs to one thread at a time, and a running guest
cannot be called off early: the seat stays taken until the call is over, whoever stopped
waiting for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from int3rceptor.errors import LimitExceeded

MAX_WAITING = 64
"""Exchanges that may wait for one plugin; each holds a request's head in memory."""

Seat = TypeVar("Seat")
Result = TypeVar("Result")


class Lane(Generic[Seat]):
    """The turn order of one plugin. `free` is changed in the loop's thread only; who
    calls inline, without a turn, takes the last of it and is done before it returns."""

    def __init__(
        self, seats: Sequence[Seat], executor: Executor, wait_s: float
    ) -> None:
        self._executor = executor
        self._wait_s = wait_s
        self._waiting: deque[tuple[asyncio.Future[Seat], Seat | None]] = deque()
        self.free = list(reversed(seats))

    async def run(
        self, call: Callable[[Seat], Result], wanted: Seat | None = None
    ) -> Result:
        """Wait for a seat, or the one that is `wanted`, then run `call` in a thread.

        LimitExceeded when the queue is full, or when neither a seat nor a thread was
        free within `wait_s`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_s
        seat = await self._take(deadline, wanted)
        try:
            job = self._executor.submit(call, seat)
        except BaseException:
            self._release(seat)
            raise
        done = asyncio.wrap_future(job)
        done.add_done_callback(lambda _: self._finished(done, seat))
        try:
            await asyncio.wait((done,), timeout=max(0.0, deadline - loop.time()))
        except asyncio.CancelledError:
            job.cancel()  # unless it runs already
            raise
        if not done.done() and job.cancel():
            raise self._late("a thread")
        return await asyncio.shield(done)

    async def _take(self, deadline: float, wanted: Seat | None) -> Seat:
        if wanted in self.free:
            self.free.remove(wanted)
            return wanted
        if wanted is None and self.free:
            return self.free.pop()
        if len(self._waiting) >= MAX_WAITING:
            raise LimitExceeded(f"{MAX_WAITING} calls wait already")
        turn: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        waiting = (turn, wanted)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout_at(deadline):
                return await turn
        except BaseException as error:
            self._give_up(waiting)
            if isinstance(error, TimeoutError):
                raise self._late("its turn") from None
            raise

    def _late(self, what: str) -> LimitExceeded:
        return LimitExceeded(f"waited {self._wait_s:g} s for {what}")

    def _give_up(self, waiting: tuple[asyncio.Future[Seat], Seat | None]) -> None:
        turn = waiting[0]
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif turn.done() and not turn.cancelled():
            self._release(turn.result())

    def _finished(self, job: asyncio.Future[Result], seat: Seat) -> None:
        if not job.cancelled():
            job.exception()  # seen, even when nobody waits any more
        self._release(seat)

    def _release(self, seat: Seat) -> None:
        """Pass the seat on; it is free only when nobody waits for it."""
        for waiting in tuple(self._waiting):
            turn, wanted = waiting
            if wanted not in (None, seat):
                continue
            self._waiting.remove(waiting)
            if not turn.done():
                turn.set_result(seat)
                return
        self.free.append(seat)
