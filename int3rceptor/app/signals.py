"""What the process is told by signals: to stop, to hurry, to read its files again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine

from int3rceptor.net.tasks import Tasks

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

TERMINAL = "/dev/tty"
"""The terminal that the process belongs to, whatever its streams are."""


class StopSignals:
    """Set by the first signal to stop; the second calls `hurry`."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self.hurry: Callable[[], None] = _nothing
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            with contextlib.suppress(NotImplementedError):  # Windows' event loops
                loop.add_signal_handler(number, self.set)

    def set(self) -> None:
        """Stop, or hurry."""
        if not self._stop.is_set():
            self._stop.set()
            return
        hurry, self.hurry = self.hurry, _nothing
        hurry()

    def is_set(self) -> bool:
        """Whether it is stopping."""
        return self._stop.is_set()

    async def wait(self) -> None:
        """Until it is to stop."""
        await self._stop.wait()


def reload_at_hangup(
    reload: Callable[[], Coroutine[object, object, None]],
    stop: StopSignals,
    stack: contextlib.AsyncExitStack,
) -> None:
    """SIGHUP reads rules and plugins again. The same signal says that the terminal is
    gone: then it stops, as it would without us. While it stops there may be more of
    them, from the terminal's shell or a service manager: they ask for nothing new."""
    tasks = Tasks("hangup")
    stack.push_async_callback(tasks.close)
    had_terminal = _has_terminal()

    def hang_up() -> None:
        if stop.is_set():
            return
        if had_terminal and not _has_terminal():
            stop.set()
        elif not len(tasks):  # one that runs reads all that there is
            tasks.start(reload(), "reload")

    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows
        loop.add_signal_handler(signal.SIGHUP, hang_up)


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _nothing() -> None:
    """Nobody is in a hurry."""
