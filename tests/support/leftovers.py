"""What a process holds before and after: files, tasks, threads, signal handlers."""

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import psutil

from tests.support.streams import eventually, turns

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What can be left over, in a form that can be compared."""

    files: int
    tasks: int
    threads: tuple[str, ...]
    children: int
    handlers: tuple[object, ...]

    def is_within(self, other: Self) -> bool:
        return (
            self.files <= other.files
            and self.tasks <= other.tasks
            and set(self.threads) <= set(other.threads)
            and self.children <= other.children
            and self.handlers == other.handlers
        )


def footprint() -> Footprint:
    process = psutil.Process()
    ours = [one.name for one in threading.enumerate() if "int3rceptor" in one.name]
    return Footprint(
        files=process.num_fds(),
        tasks=len(asyncio.all_tasks()),
        threads=tuple(sorted(ours)),
        children=len(process.children()),
        handlers=tuple(signal.getsignal(number) for number in SIGNALS),
    )


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """On exit the process holds no more than on entry. It may hold less: what earlier
    tests let go is closed when the collector finds it."""
    loop = asyncio.get_running_loop()
    await loop.getaddrinfo("127.0.0.1", 80)  # the loop's own executor is no leak
    # Nor is the file that uvloop opens when it listens first, to have one to give up.
    (await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)).close()
    await turns()
    gc.collect()
    before = footprint()
    yield
    with contextlib.suppress(AssertionError):
        await eventually(lambda: footprint().is_within(before))
    after = footprint()
    assert after.is_within(before), f"{after}, and before: {before}"
