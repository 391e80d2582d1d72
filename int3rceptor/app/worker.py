"""One of several proxy processes: told by its link what to be, when to end.

Its flows go into a journal of its own; all else that it has to say goes over the link,
to the process that started it. When the link closes, it ends.
"""

import asyncio
import contextlib
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from int3rceptor import __version__
from int3rceptor.app.carrying import Carrying, carrying
from int3rceptor.app.keeping import PluginLines
from int3rceptor.app.proxy_plane import Shared
from int3rceptor.app.watchdog import give_signs
from int3rceptor.config.model import Config
from int3rceptor.errors import Int3rceptorError
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    LINK_VERSION,
    CaPair,
    Failed,
    Logged,
    Reload,
    Serving,
    Start,
    Stats,
    Stop,
    ToWorker,
    Watch,
    worker_decoder,
)
from int3rceptor.link.plugin_asks import PluginAsk
from int3rceptor.net.loads import Loads
from int3rceptor.net.tasks import Tasks
from int3rceptor.tls.authority import Authority

START_S = 10.0
"""How long the first message may take; it is sent at once."""

STATS_S = 1.0
"""How often the counters are told."""

NUMBERS_S = 0.05
"""How long unused flow numbers are held: so much later than a flow of another worker
may a flow with a lower number begin. Giving them back takes some 20 µs."""

REPLACED = "int3rceptor was replaced while it ran: stop it, start it again"


@dataclass(slots=True, frozen=True, kw_only=True)
class Voice:
    """How a worker is heard: who is told of each flow, and who takes plugins' lines."""

    listeners: Sequence[Listener]
    plugin_lines: PluginLines


class _Orders:
    """What comes over the link, and who acts on it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.start: asyncio.Future[Start] = loop.create_future()
        self.stop = asyncio.Event()
        self.is_watched = False
        self.channel: Channel[ToWorker] | None = None
        self.carried: Carrying | None = None
        self.cut: Callable[[], None] | None = None
        self._work = Tasks("orders")
        self._main = asyncio.current_task()

    def take(self, message: ToWorker) -> None:
        match message:
            case Start() if not self.start.done():
                self.start.set_result(message)
            case Watch(is_on=is_on):
                self.is_watched = is_on
                self.watch()
            case PluginAsk() if self.carried and self.channel:
                self.carried.answers.take(message, self.channel.send)
            case Reload() if self.carried and not len(self._work):
                # One that runs reads all that there is.
                self._work.start(self.carried.ready.reload(), "reload")
            case Stop(is_urgent=is_urgent):
                self.end(is_urgent=is_urgent)

    def watch(self) -> None:
        """Tell of what passes, or no more."""
        if self.carried is not None and self.channel is not None:
            watcher = self.channel.offer if self.is_watched else None
            self.carried.watched.watcher = watcher

    def end(self, *, is_urgent: bool = False) -> None:
        """Drain; without a wait when that is urgent. Begin no more, before that."""
        is_first = not self.stop.is_set()
        self.stop.set()
        if self.channel is None:  # it is only being opened
            return
        if self.cut is None:
            if is_first:
                assert self._main is not None
                self._main.cancel()
        elif is_urgent:
            self.cut()

    async def aclose(self) -> None:
        """Act no more, but on an urgent end."""
        self.carried = None
        await self._work.close()


async def work(
    link: socket.socket,
    listening: socket.socket,
    loads: int,
    keys: int,
    voice: Callable[[Config], Voice],
) -> None:
    """Be a worker for whoever holds the other end of `link`, until told to stop.

    It accepts from `listening`, as others do; `loads` is the file of their loads,
    `keys` that of what their plugins share.
    """
    orders = _Orders()
    channel = await open_channel(link, worker_decoder, orders.take)
    orders.channel = channel
    tasks = Tasks("worker")
    try:
        with (
            contextlib.suppress(asyncio.CancelledError),  # it ended before it began
            contextlib.ExitStack() as stack,
        ):
            if orders.stop.is_set():
                return
            tasks.start(_ended_with(channel, orders), "link")
            async with asyncio.timeout(START_S):
                start = await orders.start
            shared = stack.enter_context(_shared(start, listening, loads, keys))
            await _serve(start, shared, voice, orders, channel)
    finally:
        await tasks.close()
        channel.close()
        await channel.wait_closed()


@contextlib.contextmanager
def _shared(
    start: Start, sock: socket.socket, descriptor: int, keys: int
) -> Iterator[Shared]:
    """What this worker shares with the others."""
    with contextlib.closing(Loads(descriptor, start.workers)) as loads:
        yield Shared(
            sock=sock,
            place=loads.place_of(start.number),
            number=start.number,
            workers=start.workers,
            keys=keys,
            authority=_authority(start.authority),
        )


def _authority(pair: CaPair | None) -> Authority | None:
    if pair is None:
        return None
    return Authority.of_pair(Path(pair.path), (pair.certificate, pair.key))


async def _ended_with(channel: Channel[ToWorker], orders: _Orders) -> None:
    await channel.wait_closed()
    orders.end()


async def _serve(
    start: Start,
    shared: Shared,
    voice: Callable[[Config], Voice],
    orders: _Orders,
    channel: Channel[ToWorker],
) -> None:
    if (start.link_version, start.version) != (LINK_VERSION, __version__):
        channel.send(Failed(REPLACED))
        return
    config = Config.of(json.loads(start.settings))
    heard = voice(config)
    try:
        async with contextlib.AsyncExitStack() as stack:
            signs = Tasks("signs")
            stack.push_async_callback(signs.close)
            signs.start(give_signs(channel), "of life")
            stack.enter_context(_logging_to(channel))
            plane = carrying(
                config,
                listeners=heard.listeners,
                plugin_lines=heard.plugin_lines,
                refused=start.refused,
                shared=shared,
            )
            carried = await stack.enter_async_context(plane)
            await _carry(carried, orders, channel, stack)
        channel.send(_stats(carried, channel))  # what was written while it drained
    except (Int3rceptorError, OSError) as error:
        channel.send(Failed(str(error)))


async def _carry(
    carried: Carrying,
    orders: _Orders,
    channel: Channel[ToWorker],
    stack: contextlib.AsyncExitStack,
) -> None:
    """Serve until it is to stop."""
    orders.carried, orders.cut = carried, carried.ready.cut
    stack.push_async_callback(orders.aclose)
    orders.watch()
    tasks = Tasks("telling")
    stack.push_async_callback(tasks.close)
    tasks.start(_tell_stats(carried, channel), "stats")
    if carried.journal is not None:
        tasks.start(_give_back_numbers(carried), "numbers")
    ready = carried.ready
    authority = CaPair(str(ready.ca_path), *ready.authority.pair)
    channel.send(Serving(carried.ca, authority, list(ready.notes)))
    await orders.stop.wait()


async def _tell_stats(carried: Carrying, channel: Channel[ToWorker]) -> None:
    while True:
        if not channel.is_behind:
            channel.send(_stats(carried, channel))
        await asyncio.sleep(STATS_S)


def _stats(carried: Carrying, channel: Channel[ToWorker]) -> Stats:
    stats = carried.stats()
    own = {"events_dropped": channel.dropped}
    return msgspec.structs.replace(stats, counters={**stats.counters, **own})


async def _give_back_numbers(carried: Carrying) -> None:
    assert carried.journal is not None
    while True:
        await asyncio.sleep(NUMBERS_S)
        carried.journal.give_back_numbers()


@contextlib.contextmanager
def _logging_to(channel: Channel[ToWorker]) -> Iterator[None]:
    """Send all log records over the link while the context lasts."""
    handler = _ToCrew(channel)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _ToCrew(logging.Handler):
    """Records of any thread, as messages for the process that shows them."""

    def __init__(self, channel: Channel[ToWorker]) -> None:
        super().__init__()
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        logged = logged_of(record)
        self._loop.call_soon_threadsafe(self._channel.offer, logged)


def logged_of(record: logging.LogRecord) -> Logged:
    """A record as it travels: its message, with its exception in a few words."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = str(record.msg)  # a wrong number of arguments must not cost the line
    trace = ""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text}: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error)).rstrip()
    return Logged(record.name, record.levelno, record.created, text, trace)
