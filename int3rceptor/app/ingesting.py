"""The hub's work on the store: takes in what the journal has, tidies between times.

All of it in one thread of its own, in slices, so that the hub's loop stays free.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from int3rceptor.net.tasks import Tasks
from int3rceptor.store.database.index import Index
from int3rceptor.store.journal.segment import JOURNAL_FOLDER

SLICE_S = 0.2
"""Longest piece of work at once: a stop waits for one."""

PAUSE_S = 0.25
"""Between looks at the journal. Readers see its tail anyway, and larger transactions
are cheaper."""

MAX_BUSY_FLOWS = 25
"""Flows taken in since the last look, up to which it is quiet enough to tidy."""

TIDY_EVERY_S = 60.0
"""Age alone gives something to tidy, now and then."""

NICENESS = 19
"""Of the thread that works on the store, the lowest: at 10, on a core that it shares
with the proxy, it kept the core for up to 4 ms while the proxy had work. Below is
SCHED_IDLE alone: on a core that is never free, the hub's loop waited 1 s for it."""

FINISH_S = 5.0
"""How long the end may take; what is left in the journal then is for the next start."""


@contextlib.asynccontextmanager
async def ingesting(index: Index, flows_dir: Path) -> AsyncIterator[asyncio.Task[None]]:
    """Work on `index` inside; on the way out take in what is left, and close it.

    The task ends before that only by an error that nobody expected.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "int3rceptor-ingest", initializer=_give_way) as thread:
        work = _Work(index, thread, flows_dir / JOURNAL_FOLDER)
        tasks = Tasks("ingest")
        task = tasks.spawn(work.run(), "journal")
        try:
            yield task
        finally:
            work.is_over.set()
            await task
            await loop.run_in_executor(thread, index.close)


def _give_way() -> None:
    """Let traffic go first where the cores are few: this thread is never in a hurry."""
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class _Work:
    def __init__(self, index: Index, thread: ThreadPoolExecutor, journal: Path) -> None:
        self._index = index
        self._thread = thread
        self._journal = journal
        self._tidy_at = 0.0
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        while not self.is_over.is_set():
            if not self._journal.exists():
                # Nothing was kept here yet, or it was taken away: a store would say
                # otherwise, and be in the way of one that is put back.
                await self._pause()
                continue
            before = self._index.flows
            has_more = await self._in_thread(self._index.ingest)
            taken = self._index.flows - before
            if taken:
                self._tidy_at = 0.0
            if not has_more and taken <= MAX_BUSY_FLOWS:
                has_more = await self._tidy()
            if not has_more:
                await self._pause()
        if not self._journal.exists():
            return
        give_up = time.monotonic() + FINISH_S
        while time.monotonic() < give_up and await self._in_thread(self._index.ingest):
            pass

    async def _tidy(self) -> bool:
        if time.monotonic() < self._tidy_at:
            return False
        has_more = await self._in_thread(self._index.idle)
        if not has_more:
            self._tidy_at = time.monotonic() + TIDY_EVERY_S
        return has_more

    async def _in_thread(self, work: Callable[[float], bool]) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, SLICE_S)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_S):
                await self.is_over.wait()
        except TimeoutError:
            pass
