"""The plugins in service: brings versions in, swaps them, takes them out.

One change at a time; what reads, compiles or runs a guest's start does so in a thread.
It decides nothing about files and users: `service` does.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from int3rceptor.errors import PluginError
from int3rceptor.files.reading import Watched, listing
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import EpochTicker, shared_ticker
from int3rceptor.plugins.host.host import wall_ms
from int3rceptor.plugins.managing.loading import (
    SUFFIXES,
    LoadedPlugin,
    Loader,
    Prepared,
    granted_to,
    imported,
)
from int3rceptor.plugins.network.outbound import Fetcher, offline
from int3rceptor.plugins.policy.grants import GrantsFile
from int3rceptor.plugins.policy.manifest import Settings, read_manifest
from int3rceptor.plugins.policy.permissions import Grant
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.running.lines import Later, LogSink, Outbox, PluginLog
from int3rceptor.plugins.state.kept import PluginStates
from int3rceptor.plugins.topics.topics import Topics
from int3rceptor.plugins.wording import printable

log = logging.getLogger("int3rceptor.plugins")

MAX_THREADS = 8
"""Slow plugins that run at the same time. They compute without the GIL, but each
finished call takes it for a moment; more threads would only queue for the cores."""

MAX_WAITING_THREADS = 32
"""Plugins that wait for the network or a disk at the same time: they compute little,
and must not keep those from their turn that only compute."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """One plugin by its file, with the version in service, if any.

    `prepared` is the newest version that could be read. `problem` is why the file as it
    is now is not in service, `lacks` what it waits for if that is a grant. `trusted` is
    what naming its file on the command line granted.
    """

    name: str
    source: Path
    book: PluginLog
    is_named: bool = False
    trusted: frozenset[Grant] = frozenset()
    watched: Watched = field(default_factory=Watched)
    prepared: Prepared | None = None
    current: LoadedPlugin | None = None
    problem: str = ""
    lacks: frozenset[Grant] = frozenset()
    reloads: int = 0


class PluginManager:
    """The plugins of one proxy. `settings` gives the [plugins.NAME] tables by name.

    `later` is the loop's: what plugins log is passed on together; without, at once.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        log: LogSink,
        grants: GrantsFile | None = None,
        states: PluginStates | None = None,
        settings: Mapping[str, Settings] | None = None,
        clocks: Clocks | None = None,
        factory: MakerFactory | None = None,
        cache: ModuleCache | None = None,
        fetch: Fetcher = offline,
        later: Later | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._sink = log
        self._outbox = Outbox(later) if later else Outbox()
        self.clocks = clocks or Clocks()
        self._settings = settings or {}
        self.grants = grants or GrantsFile(None)
        self.states = states or PluginStates(None, wall_ms)
        self._executor = ThreadPoolExecutor(MAX_THREADS, "int3rceptor-plugin")
        self._topics = Topics()
        self._waiting = ThreadPoolExecutor(MAX_WAITING_THREADS, "int3rceptor-waiting")
        self._loader = Loader(
            executor=self._executor,
            states=self.states,
            publish=self._topics.publish,
            clocks=self.clocks,
            factory=factory,
            cache=cache,
            waiting=self._waiting,
            fetch=fetch,
        )
        self._ticker: EpochTicker | None = None
        self.slots: dict[str, Slot] = {}

    @property
    def plugins(self) -> dict[str, LoadedPlugin]:
        """Those in service, by name."""
        return {
            name: slot.current
            for name, slot in self.slots.items()
            if slot.current is not None
        }

    async def load(
        self, path: Path, *, is_trusted: bool = True, watched: Watched | None = None
    ) -> Slot:
        """Load one module that is not loaded yet, and put it into service.

        `is_trusted` (named on the command line) grants all that it imports now. A
        PluginError says what is wrong with which file; nothing is left of it but what
        `watched` has seen.
        """
        watched = watched or Watched()
        prepared = await self._prepare(path, watched)
        name = prepared.manifest.name
        self._require_free(name, path)
        if not is_trusted:
            _require_own(name, path)
        slot = self._new_slot(name, path)
        slot.is_named, slot.watched = is_trusted, watched
        if is_trusted:
            slot.trusted = imported(prepared)
        slot.prepared = prepared
        await self._take_in(slot, prepared)
        self.slots[name] = slot
        return slot

    def keep_broken(self, path: Path, error: PluginError, watched: Watched) -> None:
        """A slot for a file that cannot be used, so that it is seen and followed."""
        names = map(printable, (path.stem, path.name, str(path)))
        name = next(one for one in names if one not in self.slots)
        slot = self._new_slot(name, path)
        slot.problem, slot.watched = str(error), watched
        self.slots[name] = slot

    async def reload(self, slot: Slot) -> None:
        """Bring the slot's file, as it is now, into service: read, compile, start it
        aside, and swap it in between two flows.

        PluginError, also in `slot.problem`, when it cannot be used or waits for a
        grant: the version in service, if any, serves on.
        """
        slot.watched = Watched()
        try:
            prepared = await self._prepare(slot.source, slot.watched)
            self._require_same_name(slot, prepared)
        except PluginError as error:
            slot.problem, slot.lacks = str(error), frozenset()
            raise
        slot.prepared = prepared
        await self.renew(slot)

    async def renew(self, slot: Slot) -> None:
        """The newest version that was read, with what is granted and set now: it was
        granted more, or switched on. As `reload`, but the file is not read again."""
        if slot.prepared is None:
            raise PluginError(slot.problem)
        slot.problem, slot.lacks = "", frozenset()
        try:
            await self._take_in(slot, slot.prepared)
        except PluginError as error:
            slot.problem = str(error)
            raise

    async def curtail(self, slot: Slot) -> None:
        """The version in service, with less: flows that began with it must not go on
        with it as it was. If it cannot start like that it goes out of service."""
        old = slot.current
        if old is None:
            return
        why, lacks = "it was granted less meanwhile", slot.lacks
        try:
            await self._take_in(slot, old.prepared)
        except PluginError as error:
            slot.problem = str(error)
            self.take_out(slot, why, blocks=True)
            raise
        newer = slot.prepared
        if lacks and newer is not None:  # it waits, and for what was taken back too
            granted = granted_to(newer, slot.trusted, self.grants.of(slot.name).granted)
            slot.lacks = _news(slot.current, newer) - granted
            slot.problem = _held_back(slot.name, slot.lacks)
        old.runner.retire(why, blocks=True)

    def take_out(self, slot: Slot, why: str = "", *, blocks: bool = False) -> None:
        """Out of service. Flows that began with it end with it, unless `why` says why
        they must not."""
        current, slot.current = slot.current, None
        if current is None:
            return
        self._dispatcher.remove(*current.listeners)
        self._topics.leave(slot.name)
        if why:
            current.runner.retire(why, blocks=blocks)

    def unload(self, name: str, why: str = "") -> None:
        """Take a plugin out, and forget it."""
        slot = self.slots.pop(name)
        self.take_out(slot, why)
        slot.book.close()

    async def aclose(self) -> None:
        """Unload all, and wait for calls in threads: each ends by its own limits."""
        for name in list(self.slots):
            self.unload(name)
        await self._topics.aclose()
        await asyncio.to_thread(self._executor.shutdown)
        await asyncio.to_thread(self._waiting.shutdown)
        await asyncio.to_thread(self.states.close)
        if self._ticker is not None:
            await asyncio.to_thread(self._ticker.release)
            self._ticker = None

    async def examine(self, path: Path, data: bytes, name: str) -> None:
        """PluginError unless these bytes could be loaded if they were that file, under
        that name: what was decided, and is, is about a name."""

        def look() -> None:
            settings = self.grants.over(self._settings)
            manifest = read_manifest(path, settings, data)
            if manifest.name != name:
                raise PluginError(
                    f"{path}: it calls itself {manifest.name}, not {name}: give it one "
                    "name"
                )
            self._loader.examine(path, data, manifest)

        await asyncio.to_thread(look)

    async def _prepare(self, path: Path, watched: Watched) -> Prepared:
        settings = self.grants.over(self._settings)
        return await asyncio.to_thread(self._loader.prepare, path, settings, watched)

    async def _take_in(self, slot: Slot, prepared: Prepared) -> None:
        """Into service, unless it is switched off or must wait for a grant."""
        decided = self.grants.of(slot.name)
        if not decided.is_enabled:
            self.take_out(slot, "it was switched off")
            return
        granted = granted_to(prepared, slot.trusted, decided.granted)
        slot.lacks = _news(slot.current, prepared) - granted
        if slot.lacks:
            raise PluginError(_held_back(slot.name, slot.lacks))
        self._hold_ticker()
        loaded = await asyncio.to_thread(
            self._loader.build, prepared, granted, slot.book
        )
        slot.book.limits = prepared.manifest.limits
        for one in loaded.runner.instances:
            slot.book.write(one.take_lines())
        old, slot.current = slot.current, loaded
        slot.reloads += old is not None
        self._dispatcher.replace(old.listeners if old else (), loaded.listeners)
        self._topics.join(loaded.mailbox, loaded.runner.hear)

    def _new_slot(self, name: str, path: Path) -> Slot:
        book = PluginLog(
            *(name, self._sink, self.clocks.monotonic, self.clocks.wall, self._outbox)
        )
        return Slot(name=name, source=path, book=book)

    def _require_free(self, name: str, path: Path) -> None:
        if name in self.slots:
            raise PluginError(
                f"{path}: a plugin named {name} is loaded already, from "
                f"{self.slots[name].source}"
            )

    def _require_same_name(self, slot: Slot, prepared: Prepared) -> None:
        name = prepared.manifest.name
        if name == slot.name:
            return
        if slot.current is not None or slot.prepared is not None:
            raise PluginError(
                f"{slot.source}: its name was {slot.name} and is now {name}: keep the "
                "name, or remove the file and put it back"
            )
        self._require_free(name, slot.source)
        # It was broken so far, and went by the name of its file.
        del self.slots[slot.name]
        fresh = self._new_slot(name, slot.source)
        slot.name, slot.book = name, fresh.book
        self.slots[name] = slot

    def _hold_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = shared_ticker()
            self._ticker.acquire()


def _require_own(name: str, path: Path) -> None:
    """PluginError when another file of the folder is called so: of the two, whichever
    comes first would have what the user decided about that name."""
    files = {f"{name}{suffix}" for suffix in SUFFIXES} - {path.name}
    for one in listing(path.parent, SUFFIXES):
        if path.stem != name and one.name in files:
            raise PluginError(
                f"{path}: it calls itself {name}, which is the name of {one}"
            )


def _news(current: LoadedPlugin | None, prepared: Prepared) -> frozenset[Grant]:
    """What a version asks for that the one in service does not. The first in service
    runs with what it was granted, and knows that the rest is withheld."""
    return prepared.asked - current.prepared.asked if current else frozenset()


def _held_back(name: str, lacks: frozenset[Grant]) -> str:
    difference = " ".join(f"+{one}" for one in sorted(lacks))
    return (
        f"plugin {name}: the new version waits: it asks for more than was granted: "
        f"{difference}; grant it (int3rceptor plugins grant {name} …, or [plugins."
        f"{name}] in the config), or the old one serves on"
    )
