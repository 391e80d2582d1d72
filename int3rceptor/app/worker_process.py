"""One worker, as the process that started it knows it: the link to it, what it said."""

import socket
from collections.abc import Callable, Mapping, Sequence

import msgspec

from int3rceptor.app.child import Child
from int3rceptor.app.plugin_asking import PluginAsking
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    CaPair,
    Failed,
    FromWorker,
    Reload,
    Serving,
    Start,
    Stats,
    Stop,
    ToWorker,
    Watch,
    WorkerStats,
    crew_decoder,
)
from int3rceptor.link.plugin_asks import PluginTold
from int3rceptor.net.loads import Place

MOST_DEATHS = 8
"""Deaths in a row before a worker is given up: a minute and a half of trying. What
kills it that often is no accident, and starting it costs the others their core."""

GAUGES = ("connections", "cpu_s", "resident_bytes")
"""Counters that end with their process; the others are gone on with."""


class WorkerProcess:
    """Worker `start.number`: started again when it dies, up to MOST_DEATHS in a row.

    `take` gets what it says, `on_end` is told how each process of it ended, and says
    whether another may be started. `failure` is why it could not begin, if it said so.
    """

    def __init__(
        self,
        program: str,
        handed: Sequence[int],
        start: Start,
        *,
        place: Place,
        take: Callable[["WorkerProcess", FromWorker], None],
        on_end: Callable[["WorkerProcess", str], bool],
    ) -> None:
        self.number = start.number
        self.serving: Serving | None = None
        self.asking = PluginAsking(self._send)
        self._start = start
        self._place = place
        self._take_on = take
        self._is_watched = False
        self.failure = ""
        self.is_over = False
        self._stats = Stats(counters={})
        self._before: dict[str, float] = {}
        self._channel: Channel[FromWorker] | None = None
        self._child = Child(
            f"worker {self.number}",
            program,
            handed,
            self._talk,
            may_return=lambda how: on_end(self, how),
            most=MOST_DEATHS,
        )

    async def run(self) -> None:
        """Until it was stopped, or given up."""
        try:
            await self._child.run()
        finally:
            self.is_over = True

    def share(self, authority: CaPair) -> None:
        """Have each process of it that begins from now on take this CA."""
        self._start = msgspec.structs.replace(self._start, authority=authority)

    def stop(self, *, is_urgent: bool) -> None:
        """Let it end, and start no other."""
        self._child.stop()
        self._send(Stop(is_urgent))

    def cut(self) -> None:
        """Talk to it no more: one that still runs is killed."""
        if self._channel is not None:
            self._channel.abort()

    def reload(self) -> None:
        """Have it read rules and plugins again."""
        self._send(Reload())

    def watch(self, is_on: bool) -> None:
        """Have it tell of what passes, or no more; one that follows it, too."""
        self._is_watched = is_on
        self._send(Watch(is_on))

    @property
    def counters(self) -> Mapping[str, float]:
        """Of all processes of it so far."""
        names = self._before.keys() | self._stats.counters.keys()
        now = self._stats.counters
        return {name: self._before.get(name, 0) + now.get(name, 0) for name in names}

    @property
    def problem(self) -> str:
        """What is wrong with its journal; "" when nothing is."""
        return self._stats.problem

    def stats(self) -> WorkerStats:
        """What is told of it alone."""
        now = self._stats.counters
        return WorkerStats(
            number=self.number,
            is_serving=self.serving is not None and not self._child.is_doubtful,
            restarts=self._child.restarts,
            hangs=self._child.hangs,
            counters={name: now.get(name, 0) for name in GAUGES},
        )

    async def _talk(self, sock: socket.socket) -> str:
        channel = await open_channel(sock, crew_decoder, self._take)
        self._channel = channel
        self.failure = ""
        try:
            channel.send(self._start)
            if self._is_watched:
                channel.send(Watch(True))
            if self._child.is_stopping:
                channel.send(Stop())
            await channel.wait_closed()
        finally:
            channel.abort()
            self._channel = self.serving = None
            self._settle()
            self.asking.give_up(f"worker {self.number} of the proxy died")
        return f"cannot begin: {self.failure}" if self.failure else ""

    def _settle(self) -> None:
        """The process is gone: its sums are of the past, its gauges are nothing."""
        self._place.leave()
        self._before = {
            name: value for name, value in self.counters.items() if name not in GAUGES
        }
        self._stats = Stats(counters={})

    def _send(self, message: ToWorker) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _take(self, message: FromWorker) -> None:
        self._child.heard()
        match message:
            case Serving():
                self._child.serves()
                self.serving = message
            case Failed(why=why):
                self.failure = why
            case Stats():
                self._stats = message
            case PluginTold():
                self.asking.take(message)
                return
        self._take_on(self, message)
