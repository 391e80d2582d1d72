"""Starts the hub beside the proxy, talks to it, and has it started again when it dies.

Nothing here knows what a hub does.
"""

import json
import logging
import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from int3rceptor import __version__
from int3rceptor.app.child import STOP_S, Child
from int3rceptor.app.control_socket import Control
from int3rceptor.config.model import Config
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    LINK_VERSION,
    CaForms,
    Event,
    Hello,
    Problem,
    Ready,
    Stats,
    ToProxy,
    Watch,
    proxy_decoder,
)
from int3rceptor.link.plugin_asks import PluginAsk, PluginTold
from int3rceptor.net.listening import Address
from int3rceptor.net.tasks import Tasks

log = logging.getLogger("int3rceptor.hub")

STATS_S = 1.0
"""How often the hub is told the counters."""

MODULE = "int3rceptor.app.hub"

Watcher = Callable[[Event], None]


class Watched(Protocol):
    """What tells `watcher` of the flows that pass, while there is one."""

    watcher: Watcher | None


class Supervisor:
    """One hub, alive from `start` to `stop`: one that dies is started again.

    `control` is the control port, if there is one: each hub gets its socket, and it is
    announced when the first hub serves. Flows come from `watched` while a hub watches,
    counters from `stats`; `on_ask` takes what it asks about plugins, and how to answer.
    """

    def __init__(
        self,
        hello: Hello,
        control: Control | None,
        watched: Watched,
        *,
        on_ask: Callable[[PluginAsk, Callable[[PluginTold], None]], None],
        stats: Callable[[], Stats],
    ) -> None:
        self._hello = hello
        self._watched = watched
        self._on_ask = on_ask
        self._stats = stats
        self._control = control
        self._is_known = False
        handed = [] if control is None else [control.sock.fileno()]
        self._child = Child("the hub", MODULE, handed, self._talk)
        self._channel: Channel[ToProxy] | None = None
        self._tasks = Tasks("hub")
        self._dropped = 0

    @property
    def restarts(self) -> int:
        """How often a dead hub was followed by another."""
        return self._child.restarts

    @property
    def hangs(self) -> int:
        """How often a hub was ended because it gave no sign of life."""
        return self._child.hangs

    @property
    def dropped_events(self) -> int:
        """Events left out because a hub was slow."""
        return self._dropped + (self._channel.dropped if self._channel else 0)

    def start(self) -> None:
        """Start the hub, and go on doing so."""
        self._tasks.start(self._child.run(), "supervisor")
        self._tasks.start(self._tell_stats(), "stats")

    async def stop(self) -> None:
        """Let the hub finish, for at most STOP_S; then nothing of it is left."""
        self._send_stats()
        self._child.stop()
        if self._channel is not None:
            self._channel.close()
        await self._tasks.wait(2 * STOP_S)
        await self._tasks.close()

    async def _talk(self, sock: socket.socket) -> str:
        """Until the link is over."""
        channel = await open_channel(sock, proxy_decoder, self._take)
        self._channel = channel
        try:
            channel.send(self._hello)
            self._send_stats()
            if self._child.is_stopping:
                channel.close()
            await channel.wait_closed()
        finally:
            channel.abort()
            self._channel = None
            self._watched.watcher = None
            self._dropped += channel.dropped
        return ""

    def _take(self, message: ToProxy) -> None:
        self._child.heard()
        match message:
            case Ready():
                self._child.serves()
                if self._is_known:
                    log.info("the hub serves again")
                elif self._control is not None:
                    self._control.announce()
                self._is_known = True
            case Watch(is_on=is_on):
                channel = self._channel
                self._watched.watcher = channel.offer if channel and is_on else None
            case PluginAsk() if self._channel is not None:
                # A hub that has gone meanwhile gets nothing: its channel drops it.
                self._on_ask(message, self._channel.send)
            case Problem(text=text):
                log.warning("%s", text)

    async def _tell_stats(self) -> None:
        while not await self._child.stopped_within(STATS_S):
            self._send_stats()

    def _send_stats(self) -> None:
        channel = self._channel
        if channel is not None and not channel.is_behind:
            channel.send(self._all_stats())

    def _all_stats(self) -> Stats:
        stats = self._stats()
        dropped = stats.counters.get("events_dropped", 0) + self.dropped_events
        own = {
            "hub_restarts": self.restarts,
            "hub_hangs": self.hangs,
            "events_dropped": dropped,
        }
        return msgspec.structs.replace(stats, counters={**stats.counters, **own})


def hello(config: Config, listen: Address, ca: CaForms) -> Hello:
    """What a hub has to know of its proxy."""
    return Hello(
        link_version=LINK_VERSION,
        version=__version__,
        listen=listen,
        ca=ca,
        settings=json.dumps({**config.as_table(), "plugins": {}}).encode(),
    )
