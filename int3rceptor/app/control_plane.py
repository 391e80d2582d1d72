"""What the hub shows at its control port, made from what it knows.

Only a hub with a control port loads this, and FastAPI with it.
"""

import json
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from int3rceptor import __version__
from int3rceptor.app.keeping import FLOWS_FOLDER
from int3rceptor.app.metrics import families
from int3rceptor.config.model import Config
from int3rceptor.control.application import build
from int3rceptor.control.events import Events
from int3rceptor.control.exposition import Family
from int3rceptor.control.kept import KeptFlows, NoFlows
from int3rceptor.control.server import serve
from int3rceptor.control.state import HubState, Trouble
from int3rceptor.control.token import load_or_create
from int3rceptor.link.messages import Began, Ended, Gap, Hello, Stats
from int3rceptor.model.message import format_authority
from int3rceptor.store.index import Index

if TYPE_CHECKING:
    from pydantic import JsonValue


class ControlPlane:
    """The control port of one hub. `watch` is told whether anyone watches live."""

    def __init__(
        self,
        hello: Hello,
        config: Config,
        index: Index | None,
        watch: Callable[[bool], None],
    ) -> None:
        self._hello = hello
        self._config = config
        self._index = index
        self._events = Events(watch)
        self._stats = Stats(counters={})

    def take(self, message: Began | Ended | Gap | Stats) -> None:
        """What the proxy says of its flows and of itself."""
        match message:
            case Began(flow=flow):
                self._events.began(flow)
            case Ended(flow=flow):
                self._events.ended(flow)
            case Gap(count=count):
                self._events.gap(count)
            case Stats():
                self._stats = message

    async def serve(self, sock: socket.socket) -> None:
        """Serve until cancelled. ConfigError when the token is unusable."""
        await serve(build(self._state(sock)), sock)

    def _state(self, sock: socket.socket) -> HubState:
        hello, config = self._hello, self._config
        settings: Mapping[str, JsonValue] = json.loads(hello.settings)
        flows_dir = config.data_dir / FLOWS_FOLDER
        return HubState(
            version=__version__,
            token=load_or_create(config.data_dir),
            address=sock.getsockname()[:2],
            settings=config.control_port,
            ca=hello.ca,
            flows=NoFlows() if config.no_store else KeptFlows(flows_dir),
            events=self._events,
            proxy=lambda: format_authority(*hello.listen, "proxy"),
            troubles=self._troubles,
            shown_settings=lambda: settings,
            families=self._families,
        )

    def _troubles(self) -> Sequence[Trouble]:
        found = []
        if self._stats.problem:
            message = "Flows are not kept as they should be; the proxy's log says why."
            found.append(Trouble(code="journal", message=message))
        if self._index is not None and self._index.problem:
            message = "Flows wait in the journal; the proxy's log says why."
            found.append(Trouble(code="store", message=message))
        return found

    def _families(self) -> Iterable[Family]:
        stored = 0 if self._index is None else self._index.flows
        return families(self._stats.counters, stored)
