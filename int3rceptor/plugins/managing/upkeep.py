"""Keeps the plugins of a proxy as its files say, from start to end.

The work is done by `manager`, which is loaded with the WebAssembly engine when the
first plugin is: many proxies have none, and the engine takes 0.2 s.
"""

import asyncio
import importlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from int3rceptor.errors import PluginError
from int3rceptor.files.reading import Watched
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.plugins.host.host import wall_ms
from int3rceptor.plugins.managing.following import POLL_S, Following
from int3rceptor.plugins.network.outbound import Fetcher, offline
from int3rceptor.plugins.policy.grants import FILE_NAME, GrantsFile
from int3rceptor.plugins.policy.manifest import Settings
from int3rceptor.plugins.policy.permissions import Grant
from int3rceptor.plugins.running.lines import Later, LogSink
from int3rceptor.plugins.state.kept import PluginStates

if TYPE_CHECKING:
    from int3rceptor.plugins.managing.manager import PluginManager, Slot

log = logging.getLogger("int3rceptor.plugins")

SUFFIXES = (".wasm", ".wat")


@dataclass(slots=True, frozen=True, kw_only=True)
class Places:
    """Where the plugins of a proxy are and what is kept about them.

    Of several workers each has its number in `worker`, and states of its own; `sharing`
    is the number of the file for those that they share.
    """

    data_dir: Path
    named: Sequence[Path] = ()
    worker: int = 1
    sharing: int | None = None

    @property
    def folder(self) -> Path:
        """Modules that are loaded without being named."""
        return self.data_dir / "plugins"

    @property
    def states(self) -> Path:
        """What plugins keep under keys."""
        return self.data_dir / "plugin-state"


class Upkeep:
    """The plugins of one proxy, from `start` to `aclose`.

    One change at a time: who makes one holds `changing`. All of it belongs to the event
    loop that it was started in.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        places: Places,
        *,
        log: LogSink,
        settings: Mapping[str, Settings] | None = None,
        fetcher: Fetcher = offline,
        later: Later | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self.places = places
        self._sink = log
        self._later = later
        self._settings = settings or {}
        self._fetcher = fetcher
        self.grants = GrantsFile(places.data_dir / FILE_NAME)
        self.states = PluginStates(
            places.states, wall_ms, worker=places.worker, sharing=places.sharing
        )
        self._following = Following(places.folder, SUFFIXES)
        self.changing = asyncio.Lock()
        self._manager: PluginManager | None = None

    async def start(self) -> list[str]:
        """Load what was named and what lies in the folder; a line for the user each.

        PluginError for a named module that cannot be used: it was asked for. One in
        the folder that cannot be used is told of, and left out.
        """
        async with self.changing:
            await asyncio.to_thread(self.grants.load)
            notes = []
            for path in self.places.named:
                manager = await self.loaded_manager()
                notes.append(_note(await manager.load(path)))
            for path in self._following.in_folder():
                notes += await self._take_up(path)
            return notes

    async def aclose(self) -> None:
        """Take all out of service, and save their states."""
        async with self.changing:
            if self._manager is not None:
                await self._manager.aclose()
                self._manager = None

    async def follow_forever(self) -> None:
        """Act on what happens to the files, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.look()

    async def look(self) -> None:
        """Act on what has happened to the files since the last look."""
        slots = self.slots()
        for slot in slots:
            slot.book.settle()
        is_decided = self.grants.has_changed()
        seen = self._following.look((slot.source, slot.watched) for slot in slots)
        if not (is_decided or seen.appeared or seen.changed):
            return
        async with self.changing:
            if is_decided:
                await self.decided_elsewhere()
            for slot in self.slots():
                if slot.source in seen.changed:
                    await self._changed(slot)
            for path in seen.appeared:
                for note in await self._take_up(path):
                    log.info("%s", note)

    async def reload_all(self) -> None:
        """Read everything again, changed or not; problems are logged, once."""
        async with self.changing:
            await self.decided_elsewhere()
            for slot in self.slots():
                await self._changed(slot)
            await self.take_up_folder()

    @staticmethod
    def is_gone(slot: "Slot") -> bool:
        """Whether its file was taken out of the folder."""
        return not slot.is_named and not slot.source.exists()

    def slots(self) -> Sequence["Slot"]:
        """All plugins, whether in service or not."""
        return () if self._manager is None else [*self._manager.slots.values()]

    def slot(self, name: str) -> "Slot":
        """One by its name; PluginError when there is none."""
        for slot in self.slots():
            if slot.name == name:
                return slot
        raise PluginError(f"there is no plugin named {name}")

    def manager(self) -> "PluginManager":
        """What does the work, for who has a slot of it."""
        assert self._manager is not None, "there is a slot, so there is a manager"
        return self._manager

    async def loaded_manager(self) -> "PluginManager":
        """What does the work, and the engine with it."""
        if self._manager is None:
            await asyncio.to_thread(
                importlib.import_module, "int3rceptor.plugins.managing.reporting"
            )
            from int3rceptor.plugins.engine.cache import ModuleCache
            from int3rceptor.plugins.managing.manager import PluginManager

            self._manager = PluginManager(
                self._dispatcher,
                log=self._sink,
                grants=self.grants,
                states=self.states,
                settings=self._settings,
                cache=ModuleCache(self.places.data_dir),
                fetch=self._fetcher,
                later=self._later,
            )
        return self._manager

    async def take_up_folder(self) -> None:
        """Load what lies in the folder and is not known."""
        known = {slot.source for slot in self.slots()}
        for path in self._following.in_folder():
            if path not in known:
                for note in await self._take_up(path):
                    log.info("%s", note)

    async def _take_up(self, path: Path) -> list[str]:
        """A file of the folder that is not known: loaded, or told of. The line for the
        user that the log has not had yet, if there is one."""
        manager = await self.loaded_manager()
        if any(slot.source == path for slot in self.slots()):
            return []
        watched = Watched()
        try:
            slot = await manager.load(path, is_trusted=False, watched=watched)
        except PluginError as error:
            log.error("%s", error)
            manager.keep_broken(path, error, watched)
            return []
        if _is_waiting(slot):
            log.warning("%s", _note(slot))
            return []
        return [_note(slot)]

    async def _changed(self, slot: "Slot") -> None:
        """The slot's file is not what it was."""
        manager = self.manager()
        if self.is_gone(slot):
            manager.unload(slot.name)
            log.info("plugin %s unloaded: its file is gone", slot.name)
            return
        try:
            await manager.reload(slot)
        except PluginError as error:
            is_told = slot.current is None or slot.lacks
            log.error(
                "%s%s", error, "" if is_told else "; the version of before serves on"
            )
        else:
            _tell_reloaded(slot)

    async def decided_elsewhere(self) -> set[str]:
        """Someone else wrote the file of decisions; the plugins that this was about."""
        before = {slot.name: self.grants.of(slot.name) for slot in self.slots()}
        await asyncio.to_thread(self.grants.load)
        renewed = set()
        for slot in self.slots():
            was, now = before[slot.name], self.grants.of(slot.name)
            if was == now or self.is_gone(slot):
                continue
            renewed.add(slot.name)
            manager = self.manager()
            try:
                if was.granted - now.granted:
                    await manager.curtail(slot)
                await manager.reload(slot)
            except PluginError as error:
                log.error("%s", error)
            else:
                _tell_reloaded(slot)
        return renewed


def _tell_reloaded(slot: "Slot") -> None:
    level = logging.WARNING if _is_waiting(slot) else logging.INFO
    log.log(level, "%s", _note(slot, "reloaded"))


def _is_waiting(slot: "Slot") -> bool:
    """Whether it does less than it asks for, until someone grants that."""
    return slot.current is not None and bool(slot.current.withheld)


def _note(slot: "Slot", what: str = "loaded") -> str:
    """What a plugin is now, for the user."""
    name, current = slot.name, slot.current
    if current is None:
        return f"plugin {name} is switched off"
    if not current.withheld:
        return f"plugin {name} {what}"
    return (
        f"plugin {name} {what} without what it asks for: {spell(current.withheld)}; "
        f"grant it in [plugins.{name}]"
    )


def spell(grants: Iterable[Grant]) -> str:
    """Grants in one line."""
    return ", ".join(map(str, sorted(grants)))
