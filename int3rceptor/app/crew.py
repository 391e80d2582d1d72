"""All workers of one proxy, as one: started, told, counted, ended together."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from int3rceptor import __version__
from int3rceptor.app.child import STOP_S
from int3rceptor.app.metrics import own_use
from int3rceptor.app.supervisor import Watcher
from int3rceptor.app.worker_log import WorkerLog
from int3rceptor.app.worker_process import WorkerProcess
from int3rceptor.config.model import Config
from int3rceptor.errors import WorkerError
from int3rceptor.link.messages import (
    LINK_VERSION,
    Began,
    Ended,
    Event,
    FromWorker,
    Gap,
    Logged,
    Serving,
    Start,
    Stats,
)
from int3rceptor.link.plugin_asks import PluginWrote
from int3rceptor.net.listening import Address
from int3rceptor.net.loads import Loads
from int3rceptor.net.tasks import Tasks, first_of

log = logging.getLogger("int3rceptor.workers")

CLOSE_S = 15.0
"""What a worker may take beside its drain: a call of a plugin ends within 5 s, a slow
disk is waited for as long."""

URGENT_S = 5.0
"""The same when nothing is waited for any more."""


class Crew:
    """`config.workers` processes that run `program`, with `handed` after their link.
    `loads` says how many clients each of them serves.

    The first begins alone: the CA, compiled plugins and such are made once, and what
    the user did wrong is said once.
    """

    def __init__(
        self,
        config: Config,
        program: str,
        handed: Sequence[int],
        refused: Sequence[Address],
        loads: Loads,
    ) -> None:
        self._drain_s = config.limits.drain_s
        self._log = WorkerLog()
        self._watcher: Watcher | None = None
        self._tasks = Tasks("workers")
        self._news = asyncio.Event()
        self._hurried = asyncio.Event()
        self._failure = ""
        self._has_begun = False
        self.all_gone = asyncio.Event()
        self._workers = [
            WorkerProcess(
                program,
                handed,
                start,
                place=loads.place_of(start.number),
                take=self._take,
                on_end=self._may_return,
            )
            for start in _starts(config, refused)
        ]

    # From start to end

    async def start(self) -> Serving:
        """What the first worker says of itself, once all serve. WorkerError when one
        cannot begin."""
        first, *others = self._workers
        await self._begin([first])
        serving = first.serving
        assert serving is not None
        for one in self._workers:
            one.share(serving.authority)
        await self._begin(others)
        self._has_begun = True
        return serving

    async def _begin(self, workers: Sequence[WorkerProcess]) -> None:
        """Until all of these serve."""
        for one in workers:
            self._tasks.start(self._run(one), f"worker {one.number}")
        while not all(one.serving for one in workers):
            await self._news.wait()
            self._news.clear()
            if self._failure:
                raise WorkerError(self._failure)

    async def reload(self) -> None:
        """Have all read rules and plugins again."""
        for one in self._workers:
            one.reload()

    def hurry(self) -> None:
        """Let nothing end by itself any more."""
        self._hurried.set()

    def end(self) -> None:
        """Have all of them drain and go, and start no other."""
        for one in self._workers:
            one.stop(is_urgent=False)

    async def stop(self) -> None:
        """Let all drain, and end them; then nothing of them is left."""
        self.end()
        await first_of(self._tasks.wait(self._drain_s + CLOSE_S), self._hurried.wait())
        if self._hurried.is_set():
            for one in self._workers:
                one.stop(is_urgent=True)
            await self._tasks.wait(URGENT_S)
        for one in self._workers:
            one.cut()
        await self._tasks.wait(2 * STOP_S)
        await self._tasks.close()

    # What the hub is told

    @property
    def watcher(self) -> Watcher | None:
        """Who is told of what passes."""
        return self._watcher

    @watcher.setter
    def watcher(self, watcher: Watcher | None) -> None:
        self._watcher = watcher
        for one in self._workers:
            one.watch(watcher is not None)

    def serving(self) -> list[WorkerProcess]:
        """The workers that serve now."""
        return [one for one in self._workers if one.serving is not None]

    def stats(self) -> Stats:
        """The sums of all, with what each uses; the use of this process is its own."""
        total: Counter[str] = Counter()
        for one in self._workers:
            total.update(one.counters)
        return Stats(
            counters={**total, **own_use()},
            problem=next((one.problem for one in self._workers if one.problem), ""),
            workers=[one.stats() for one in self._workers],
        )

    # What the workers say

    async def _run(self, worker: WorkerProcess) -> None:
        await worker.run()
        if all(one.is_over for one in self._workers):
            self.all_gone.set()

    def _may_return(self, worker: WorkerProcess, how: str) -> bool:
        """One has ended. At the start that is the end of all: the user is there."""
        if self._has_begun:
            return True
        self._failure = worker.failure or f"worker {worker.number} {how}"
        self._news.set()
        return False

    def _take(self, worker: WorkerProcess, message: FromWorker) -> None:
        match message:
            case Logged():
                self._log.take(worker.number, message)
            case Serving():
                self._news.set()
                if self._has_begun:
                    log.info("worker %d serves again", worker.number)
            case Gap(count=count):
                log.warning(
                    "worker %d was ahead of this process: %d events and lines of its"
                    " log are left out",
                    *(worker.number, count),
                )
                self._pass_on(message)
            case Began() | Ended() | PluginWrote():
                self._pass_on(message)

    def _pass_on(self, event: Event) -> None:
        if self._watcher is not None:
            self._watcher(event)


def _starts(config: Config, refused: Sequence[Address]) -> Iterator[Start]:
    """What each worker is to be."""
    settings = json.dumps(config.as_table()).encode()
    for number in range(1, config.workers + 1):
        yield Start(
            link_version=LINK_VERSION,
            version=__version__,
            settings=settings,
            number=number,
            workers=config.workers,
            refused=[*refused],
        )
