"""Threads that nobody waits for when the process ends.

Python joins those of a ThreadPoolExecutor before it exits, and a call that asks a dead
name server can take a minute and a half, which nothing cuts short.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """Up to `most` threads, each begun when there is none idle for a call."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._begun = 0
        self._idle = threading.Semaphore(0)
        self._waiting: SimpleQueue[_Call | None] = SimpleQueue()

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Have a call made, in its turn."""
        future: Future[T] = Future()
        made = partial(_make, future, partial(fn, *args, **kwargs))
        self._waiting.put(_Call(future.cancel, made))
        if not self._idle.acquire(blocking=False) and self._begun < self._most:
            self._begun += 1
            name = f"{self._name}_{self._begun}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """Make no call that waits yet; the threads end, each after the call that it
        makes just now."""
        with contextlib.suppress(Empty):
            while (call := self._waiting.get_nowait()) is not None:
                call.cancel()
        for _ in range(self._begun):
            self._waiting.put(None)

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call.make()
            del call  # what it was made of, and what came of it
            self._idle.release()


class _Call(NamedTuple):
    cancel: Callable[[], object]
    make: Callable[[], None]


def _make(future: "Future[T]", call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # the caller's, whatever it is
        future.set_exception(error)
