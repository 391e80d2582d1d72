"""What can be done with the plugins of a running proxy: the door for API and people.

Every error is a PluginError of one line.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from int3rceptor.config.tables import JsonValue
from int3rceptor.errors import PluginError
from int3rceptor.files.writing import write_private
from int3rceptor.link.plugin_asks import PluginAct
from int3rceptor.link.plugin_reports import LogLine, PluginDetails, PluginSummary
from int3rceptor.plugins.managing.catching_up import catch_up
from int3rceptor.plugins.managing.following import MAX_MODULES
from int3rceptor.plugins.managing.upkeep import SUFFIXES, Upkeep, spell
from int3rceptor.plugins.policy.grants import Decisions, with_grants
from int3rceptor.plugins.policy.manifest import checked_name
from int3rceptor.plugins.policy.permissions import Grant, parse_grants
from int3rceptor.plugins.running.lines import Viewer

if TYPE_CHECKING:
    from int3rceptor.plugins.managing.manager import Slot


class PluginService:
    """Asks and changes what `upkeep` keeps, one change at a time, in its event loop."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    # What is told

    def list(self) -> list[PluginSummary]:
        """All plugins, also those that are not in service, by name."""
        slots = sorted(self._upkeep.slots(), key=lambda slot: slot.name)
        return [self._summary(slot) for slot in slots]

    def details(self, name: str) -> PluginDetails:
        """Everything about one."""
        from int3rceptor.plugins.managing.reporting import details

        slot = self._upkeep.slot(name)
        return details(
            slot, self._upkeep.grants.of(name), self._upkeep.manager().clocks
        )

    def config(self, name: str) -> dict[str, JsonValue]:
        """The settings that the guest reads, from all places. They may be secret."""
        prepared = self._upkeep.slot(name).prepared
        return {} if prepared is None else dict(prepared.manifest.config)

    def recent_lines(self, name: str) -> Sequence[LogLine]:
        """What it logged last, the newest last."""
        return self._upkeep.slot(name).book.recent()

    def watch_lines(self, name: str, viewer: Viewer) -> Callable[[], None]:
        """Call `viewer` with each line of its log, until the result is called. A plugin
        that is reloaded goes on in the same log."""
        return self._upkeep.slot(name).book.watch(viewer)

    # What is done

    async def enable(self, name: str) -> PluginSummary:
        """Into service; ends a quarantine at once. Kept over restarts."""
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            if not self._upkeep.grants.of(name).is_enabled:
                await self._decide(name, lambda one: replace(one, is_enabled=True))
            if slot.current is None:
                await self._upkeep.manager().renew(slot)
            else:
                slot.current.runner.quarantine.lift()
            return self._summary(slot)

    async def disable(self, name: str) -> PluginSummary:
        """Out of service at once, also for flows under way. Kept over restarts."""
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            await self._decide(name, lambda one: replace(one, is_enabled=False))
            self._upkeep.manager().take_out(slot, "it was switched off")
            return self._summary(slot)

    async def reload(self, name: str) -> PluginSummary:
        """Its file, as it is now; ends a quarantine. PluginError when the file cannot
        be used or waits for a grant: what served serves on."""
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            await self._upkeep.manager().reload(slot)
            return self._summary(slot)

    async def grant(self, name: str, permissions: Iterable[str]) -> PluginSummary:
        """Allow it more; a version that waited for this comes into service."""
        named = _grants_of(permissions)
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            asked = slot.prepared.asked if slot.prepared else frozenset()
            if beyond := [one for one in named if not one & asked]:
                words = spell(frozenset().union(*beyond))
                raise PluginError(f"plugin {name} does not ask for {words}")
            more = asked & frozenset().union(*named)
            await self._decide(name, lambda one: with_grants(one, more, asked=asked))
            try:
                await self._upkeep.manager().renew(slot)
            except PluginError:
                if not slot.lacks:
                    raise
                # It waits for more still; what was granted now is kept.
            return self._summary(slot)

    async def revoke(self, name: str, permissions: Iterable[str]) -> PluginSummary:
        """Take back what was granted at run time, also for flows under way."""
        named = _grants_of(permissions)
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            granted = self._upkeep.grants.of(name).granted
            if others := [one for one in named if not one & granted]:
                words = spell(frozenset().union(*others))
                raise PluginError(
                    f"plugin {name}: {words} was not granted at run time; what "
                    "the config or the command line grants is taken back there"
                )
            less = frozenset().union(*named)
            await self._decide(
                name, lambda one: replace(one, granted=one.granted - less)
            )
            await self._upkeep.manager().curtail(slot)
            return self._summary(slot)

    async def set_config(
        self, name: str, settings: Mapping[str, JsonValue]
    ) -> PluginSummary:
        """Settings over those of its manifest and the config, key by key, instead of
        those that were set so before; the plugin is reloaded with them."""
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            await self._decide(name, lambda one: replace(one, config=dict(settings)))
            await self._upkeep.manager().reload(slot)
            return self._summary(slot)

    async def upload(
        self, name: str, data: bytes, *, replaces: bool = False
    ) -> PluginSummary:
        """Put a module into the folder; it is looked at, and not run before `enable`.

        `replaces` takes the file of a plugin of the folder in its place, as if it had
        been written there: it comes into service unless it asks for more.
        """
        try:
            checked_name(name)
        except ValueError as error:
            raise PluginError(f"{name!r}: {error}") from None
        async with self._upkeep.changing:
            manager = await self._upkeep.loaded_manager()
            slot = manager.slots.get(name)
            if slot is not None and not replaces:
                raise PluginError(f"there is a plugin named {name} already")
            if slot is None and len(manager.slots) >= MAX_MODULES:
                raise PluginError(f"there are {MAX_MODULES} plugins: delete one first")
            path = self._place_of(name, slot, data)
            await manager.examine(path, data, name)
            if slot is None:
                await self._decide(name, lambda one: replace(one, is_enabled=False))
            await asyncio.to_thread(_write, path, data)
            if slot is None:
                slot = await manager.load(path, is_trusted=False)
            else:
                await manager.reload(slot)
            return self._summary(slot)

    async def delete(self, name: str) -> None:
        """Out of service, and its files with all that is kept of it off the disk."""
        async with self._upkeep.changing:
            slot = self._upkeep.slot(name)
            self._require_in_folder(slot)
            await asyncio.to_thread(_remove, slot.source)
            self._upkeep.manager().unload(name, "it was deleted")
            await asyncio.to_thread(self._upkeep.grants.forget, name)
            await asyncio.to_thread(self._upkeep.states.forget, name)

    async def follow(self, name: str, act: PluginAct) -> None:
        """Another worker did this, and kept it: do as it did."""
        await catch_up(self._upkeep, name, act)

    # Inside

    def _summary(self, slot: "Slot") -> PluginSummary:
        from int3rceptor.plugins.managing.reporting import summary

        return summary(
            slot, self._upkeep.grants.of(slot.name), self._upkeep.manager().clocks
        )

    async def _decide(self, name: str, edit: Callable[[Decisions], Decisions]) -> None:
        await asyncio.to_thread(self._upkeep.grants.change, name, edit)

    def _require_in_folder(self, slot: "Slot") -> None:
        if slot.is_named or slot.source.parent != self._upkeep.places.folder:
            raise PluginError(
                f"plugin {slot.name} was named at the start: {slot.source} is yours to "
                "change"
            )

    def _place_of(self, name: str, slot: "Slot | None", data: bytes) -> Path:
        suffix = SUFFIXES[not data.startswith(b"\0asm")]
        if slot is None:
            return self._upkeep.places.folder / f"{name}{suffix}"
        self._require_in_folder(slot)
        if slot.source.suffix != suffix:
            raise PluginError(
                f"plugin {name} is a {slot.source.suffix} file: delete it first"
            )
        return slot.source


def _grants_of(permissions: Iterable[str]) -> list[frozenset[Grant]]:
    """What each of them stands for."""
    found = []
    for text in permissions:
        try:
            found.append(parse_grants(text))
        except ValueError as error:
            raise PluginError(f"{text!r}: {error}") from None
    return found


def _write(path: Path, data: bytes) -> None:
    try:
        write_private(path, data)
    except OSError as error:
        raise PluginError(f"{path}: cannot be written: {error.strerror}") from None


def _remove(module: Path) -> None:
    try:
        module.unlink(missing_ok=True)
        module.with_suffix(".toml").unlink(missing_ok=True)
    except OSError as error:
        raise PluginError(f"{module}: cannot be removed: {error.strerror}") from None
