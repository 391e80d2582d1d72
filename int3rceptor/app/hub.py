"""The hub process: takes flows into the store and serves the control port, for as long
as its proxy lives. Whoever started it may kill it at any instant.

`python -m int3rceptor.app.hub LINK [CONTROL]` gets its sockets by their numbers.
"""

import asyncio
import contextlib
import functools
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from int3rceptor import __version__
from int3rceptor.app.child import heed_no_signal
from int3rceptor.app.collector import collect_seldom
from int3rceptor.app.ingesting import ingesting
from int3rceptor.app.keeping import FLOWS_FOLDER
from int3rceptor.app.watchdog import give_signs
from int3rceptor.config.model import Config
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    LINK_VERSION,
    Hello,
    Problem,
    Ready,
    ToHub,
    Watch,
    hub_decoder,
)
from int3rceptor.link.plugin_asks import PluginAsk
from int3rceptor.net.allocator import keep_freed_memory
from int3rceptor.net.tasks import Tasks
from int3rceptor.store.database.index import Index

if TYPE_CHECKING:
    from int3rceptor.app.control_plane import ControlPlane

HELLO_S = 10.0
"""How long the proxy may take to say hello; it does so at once."""

NICENESS = 5
"""What the hub does can wait: the proxy's clients cannot. Not so its start: the user
waits for the control port, and beside eight busy programs on one core it took a minute
at this level, and 24 s without."""

UNFIT = 3
"""Exit code of a hub that cannot work with this proxy."""

DAY_S = 86_400.0


class Hub:
    """The hub's end of the link, and who hears what comes over it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.hello: asyncio.Future[Hello] = self._loop.create_future()
        self.control: ControlPlane | None = None
        self.channel: Channel[ToHub] | None = None

    def take(self, message: ToHub) -> None:
        """One message of the proxy."""
        match message:
            case Hello() if not self.hello.done():
                self.hello.set_result(message)
            case Hello() | Problem():
                pass
            case _ if self.control is not None:
                self.control.take(message)

    def tell(self, line: str) -> None:
        """Show the user a line: the proxy does, since the terminal is its own."""
        if self.channel is not None:
            self.channel.send(Problem(line))

    def tell_soon(self, line: str) -> None:
        """As `tell`, from any thread."""
        self._loop.call_soon_threadsafe(self.tell, line)

    def ask(self, question: PluginAsk) -> None:
        """Ask the proxy about its plugins."""
        if self.channel is not None:
            self.channel.send(question)

    def watch(self, is_on: bool) -> None:
        """Ask for events, or for no more of them."""
        if self.channel is not None:
            self.channel.send(Watch(is_on))


class _ToProxy(logging.Handler):
    """Warnings of any thread, as lines that the proxy shows."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(logging.WARNING)
        self._hub = hub

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line = f"{line}: {type(error).__name__}: {error}"
        self._hub.tell_soon(line)


async def run(
    link: socket.socket,
    control: socket.socket | None,
    give_way: Callable[[], object] = lambda: None,
) -> int:
    """Be the hub of the proxy at the other end of `link`; the exit code. It calls
    `give_way` once it serves."""
    hub = Hub()
    hub.channel = channel = await open_channel(link, hub_decoder, hub.take)
    handler = _ToProxy(hub)
    logging.getLogger().addHandler(handler)
    try:
        hello = await _greeted(hub, channel)
        if hello is None:
            return 0
        if (hello.link_version, hello.version) != (LINK_VERSION, __version__):
            hub.tell("int3rceptor was replaced while it ran: stop it, start it again")
            return UNFIT
        await _work(hub, hello, channel, control, give_way)
        return 0
    finally:
        channel.close()
        await channel.wait_closed()
        logging.getLogger().removeHandler(handler)


async def _greeted(hub: Hub, channel: Channel[ToHub]) -> Hello | None:
    """The proxy's hello; None when it went before it said any."""
    tasks = Tasks("greeting")
    gone = tasks.spawn(channel.wait_closed(), "gone")
    waiting: set[asyncio.Future[Hello] | asyncio.Task[None]] = {hub.hello, gone}
    try:
        await asyncio.wait(
            waiting, timeout=HELLO_S, return_when=asyncio.FIRST_COMPLETED
        )
        return hub.hello.result() if hub.hello.done() else None
    finally:
        await tasks.close()


async def _work(
    hub: Hub,
    hello: Hello,
    channel: Channel[ToHub],
    control: socket.socket | None,
    give_way: Callable[[], object],
) -> None:
    """Until the proxy is gone; what fails here ends the hub, and it is started anew."""
    config = Config.of(json.loads(hello.settings))
    flows_dir = config.data_dir / FLOWS_FOLDER
    index = None if config.no_store else _index(config, flows_dir, hub)
    link, serving = Tasks("link"), Tasks("control")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(link.close)
        link.start(give_signs(channel), "signs of life")
        works = [link.spawn(channel.wait_closed(), "closed")]
        if index is not None:
            task = await stack.enter_async_context(ingesting(index, flows_dir))
            works.append(task)
        # Before the journal's end is taken in: whoever starts a proxy in place of one
        # that died wants the port at once.
        stack.push_async_callback(serving.close)
        if control is not None:
            # Takes most of a start, and of the memory: only for those who use it.
            from int3rceptor.app.control_plane import ControlPlane

            hub.control = ControlPlane(hello, config, index, hub.watch, hub.ask)
            works.append(serving.spawn(hub.control.serve(control), "server"))
        collect_seldom()
        channel.send(Ready())
        give_way()
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


def _index(config: Config, flows_dir: Path, hub: Hub) -> Index:
    return Index(
        flows_dir,
        on_problem=hub.tell_soon,
        max_bytes=config.store.max_bytes,
        max_age_s=config.store.max_age_days * DAY_S,
    )


def main(arguments: Sequence[str]) -> int:
    """Run with the sockets of these numbers."""
    heed_no_signal()
    keep_freed_memory()
    sockets = [socket.socket(fileno=int(number)) for number in arguments]
    for one in sockets:
        one.set_inheritable(False)
    link, *control = sockets
    give_way = functools.partial(os.nice, NICENESS)
    return asyncio.run(run(link, control[0] if control else None, give_way))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
