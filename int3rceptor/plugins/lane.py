"""Runs a slow plugin's calls in a thread: one at a time, in order, a bounded queue.

A store belongs to one thread at a time, and a running guest cannot be called off
early: the lane stays taken until the call is over, whoever stopped waiting for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from int3rceptor.errors import LimitExceeded

MAX_WAITING = 64
"""Exchanges that may wait for one plugin; each holds a request's head in memory."""

Result = TypeVar("Result")


class Lane:
    """The turn order of one plugin."""

    def __init__(self, executor: Executor, wait_s: float) -> None:
        self._executor = executor
        self._wait_s = wait_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.is_taken = False

    async def run(self, call: Callable[[], Result]) -> Result:
        """Wait for the turn, then run `call` in a thread.

        LimitExceeded when the queue is full or the turn did not come within `wait_s`.
        """
        await self._take()
        loop = asyncio.get_running_loop()
        try:
            job = loop.run_in_executor(self._executor, call)
        except BaseException:
            self._release()
            raise
        job.add_done_callback(self._finished)
        return await asyncio.shield(job)

    async def _take(self) -> None:
        if not self.is_taken:
            self.is_taken = True
            return
        if len(self._waiting) >= MAX_WAITING:
            raise LimitExceeded(f"{MAX_WAITING} calls wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                reason = f"waited {self._wait_s:g} s for its turn"
                raise LimitExceeded(reason) from None
            raise

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            self._release()

    def _finished(self, job: asyncio.Future[Result]) -> None:
        if not job.cancelled():
            job.exception()  # seen, even when nobody waits any more
        self._release()

    def _release(self) -> None:
        """Pass the turn on; the lane stays taken while someone gets it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.is_taken = False
