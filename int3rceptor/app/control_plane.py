"""What the hub shows at its control port, made from what it knows.

Only a hub with a control port loads this, and FastAPI with it.
"""

import json
import shutil
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from int3rceptor import __version__
from int3rceptor.app.keeping import FLOWS_FOLDER
from int3rceptor.app.metrics import families
from int3rceptor.app.plugin_questions import PluginQuestions
from int3rceptor.config.model import Config
from int3rceptor.control.application import build
from int3rceptor.control.events import Events
from int3rceptor.control.exposition import Family
from int3rceptor.control.kept import KeptFlows, NoFlows
from int3rceptor.control.server import serve
from int3rceptor.control.state import HubState, Trouble
from int3rceptor.control.token import load_or_create
from int3rceptor.control.trials import Trials
from int3rceptor.link.messages import Began, Ended, Gap, Hello, Stats
from int3rceptor.link.plugin_asks import PluginAsk, PluginTold, PluginWrote
from int3rceptor.model.message import format_authority
from int3rceptor.store.database.index import Index

if TYPE_CHECKING:
    from pydantic import JsonValue


UPLOADS_FOLDER = "uploads"
"""Of the data directory: modules that the proxy has yet to look at."""

Told = Began | Ended | Gap | Stats | PluginTold | PluginWrote


class ControlPlane:
    """The control port of one hub. `watch` is told whether anyone watches live, `ask`
    takes a question to the proxy."""

    def __init__(
        self,
        hello: Hello,
        config: Config,
        index: Index | None,
        watch: Callable[[bool], None],
        ask: Callable[[PluginAsk], None],
    ) -> None:
        self._hello = hello
        self._config = config
        self._index = index
        self._events = Events(watch)
        self._questions = PluginQuestions(ask)
        self._stats = Stats(counters={})

    def take(self, message: Told) -> None:
        """What the proxy says of its flows, its plugins and itself."""
        match message:
            case Began(flow=flow):
                self._events.began(flow)
            case Ended(flow=flow):
                self._events.ended(flow)
            case Gap(count=count):
                self._events.gap(count)
            case Stats():
                self._stats = message
            case PluginWrote(line=line):
                self._events.wrote(line)
            case PluginTold():
                self._questions.take(message)

    def serve(self, sock: socket.socket) -> Coroutine[object, object, None]:
        """What serves until it is cancelled. ConfigError when the token is unusable."""
        return serve(build(self._state(sock)), sock)

    def _state(self, sock: socket.socket) -> HubState:
        hello, config = self._hello, self._config
        settings: Mapping[str, JsonValue] = json.loads(hello.settings)
        flows_dir = config.data_dir / FLOWS_FOLDER
        # Of a hub that was killed: whose uploads they were has had no answer.
        shutil.rmtree(config.data_dir / UPLOADS_FOLDER, ignore_errors=True)
        return HubState(
            version=__version__,
            token=load_or_create(config.data_dir),
            address=sock.getsockname()[:2],
            settings=config.control_port,
            ca=hello.ca,
            flows=NoFlows() if config.no_store else KeptFlows(flows_dir),
            events=self._events,
            plugins=self._questions,
            uploads=config.data_dir / UPLOADS_FOLDER,
            trials=Trials(config.data_dir),
            proxy=lambda: format_authority(*hello.listen, "proxy"),
            troubles=self._troubles,
            workers=self._workers,
            shown_settings=lambda: settings,
            families=self._families,
        )

    def _workers(self) -> tuple[int, int]:
        """Wanted, serving. One that is alone serves: else there would be no hub."""
        told = self._stats.workers
        wanted = self._config.workers
        return wanted, sum(one.is_serving for one in told) if told else wanted

    def _troubles(self) -> Sequence[Trouble]:
        found = []
        wanted, serving = self._workers()
        if serving < wanted:
            message = f"{serving} of {wanted} workers serve; the proxy's log says why."
            found.append(Trouble(code="workers", message=message))
        if self._stats.problem:
            message = "Flows are not kept as they should be; the proxy's log says why."
            found.append(Trouble(code="journal", message=message))
        if self._index is not None and self._index.problem:
            message = "Flows wait in the journal; the proxy's log says why."
            found.append(Trouble(code="store", message=message))
        return found

    def _families(self) -> Iterable[Family]:
        stored = 0 if self._index is None else self._index.flows
        return families(self._stats, stored)
