"""Tasks with an owner: named, referenced, and gone when their owner closes.

The only legal place of create_task: a task that nobody owns outlives its connection.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import TypeVar

log = logging.getLogger("int3rceptor.net")

First = TypeVar("First")
Second = TypeVar("Second")

CANCELLED_WITHIN = "what a function waited for was cancelled"
"""Why a function failed that is not cancelled itself: see `is_cancelled`."""

CANCEL_GRACE_S = 5.0
"""How long cancelled tasks may clean up: longer is a hang, and is reported as one."""


class Tasks:
    """The tasks of one owner. An exception that escapes one is logged, once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[object, object, None], name: str) -> None:
        """Run `work` as a task of this owner."""
        self.spawn(work, name).add_done_callback(log_failure)

    def spawn(
        self, work: Coroutine[object, object, None], name: str
    ) -> asyncio.Task[None]:
        """Like `start`, for an owner that wants the task, and what it raises."""
        # Not by the loop's factory, which is the program's: of an eager one the work
        # may be over before its owner knows of the task.
        loop = asyncio.get_running_loop()
        task = asyncio.Task(work, loop=loop, name=f"{self._name}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self, timeout_s: float) -> bool:
        """Let the tasks end by themselves; whether all did in time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return not self._tasks

    def cancel(self) -> None:
        """Cancel what still runs, without waiting."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel what still runs and wait for it, at most CANCEL_GRACE_S."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=CANCEL_GRACE_S)
        for task in pending:
            log.error("task %s does not end", task.get_name())


def log_failure(task: asyncio.Task[None]) -> None:
    """Say what a task that is over has raised, if it did: nobody expected that."""
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        log.error("internal error in %s", task.get_name(), exc_info=error)


def is_cancelled() -> bool:
    """Whether the task that runs is cancelled. A CancelledError that comes otherwise is
    of something that it waits for, a task of another owner."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def first_of(
    first: Coroutine[object, object, First], second: Coroutine[object, object, Second]
) -> First | Second:
    """What ends first; the other is cancelled. `second` wins when both have ended."""
    loop = asyncio.get_running_loop()
    a = loop.create_task(first, name="first")
    b = loop.create_task(second, name="second")
    try:
        await asyncio.wait((a, b), return_when=asyncio.FIRST_COMPLETED)
        return b.result() if b.done() else a.result()
    finally:
        for task in (a, b):
            task.cancel()
        await asyncio.gather(a, b, return_exceptions=True)


async def first_to_succeed(
    attempts: Iterable[Callable[[], Coroutine[object, object, First]]],
    delay_s: float,
    drop: Callable[[First], None],
) -> First:
    """What the first attempt gives that does not raise an OSError.

    Each begins when the one before has failed, or is not over after `delay_s`. What
    others give all the same goes to `drop`. When all fail: OSError, with the reasons.
    """
    loop = asyncio.get_running_loop()
    left, running, errors = deque(attempts), set[asyncio.Task[First]](), list[OSError]()
    try:
        while left or running:
            if left:
                running.add(loop.create_task(left.popleft()(), name="attempt"))
            done, _ = await asyncio.wait(
                running,
                timeout=delay_s if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for one in done:
                running.discard(one)
                try:
                    return one.result()
                except OSError as error:
                    errors.append(error)
    finally:
        for one in running:
            one.cancel()
        for result in await asyncio.gather(*running, return_exceptions=True):
            if not isinstance(result, BaseException):
                drop(result)
    raise _all_of(errors)


def _all_of(errors: list[OSError]) -> OSError:
    """One for several: most often they are all the same."""
    first = errors[0]
    if all(one.errno == first.errno for one in errors):
        return first
    return OSError("; ".join(dict.fromkeys(one.strerror or str(one) for one in errors)))
