"""What a slot is, as the values that people and programs are told."""

import dataclasses

from int3rceptor.link.plugin_reports import (
    Counters,
    PermissionReport,
    PluginDetails,
    PluginState,
    PluginSummary,
    Spread,
)
from int3rceptor.plugins.managing.loading import LoadedPlugin, Prepared, why_off_loop
from int3rceptor.plugins.managing.manager import Slot
from int3rceptor.plugins.policy.grants import Decisions
from int3rceptor.plugins.policy.permissions import GRANTED_UNASKED, Grant
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.wording import printable


def summary(slot: Slot, decided: Decisions, clocks: Clocks) -> PluginSummary:
    """One plugin, as it stands in a list."""
    state, why = _state(slot, decided, clocks)
    shown = _shown(slot)
    current = slot.current
    stats = None if current is None else current.runner.stats
    withheld = frozenset() if current is None else current.withheld
    return PluginSummary(
        name=slot.name,
        state=state,
        in_service=current is not None,
        source=printable(str(slot.source)),
        why=printable(why),
        until=_quarantined_until(slot, clocks),
        asks_more=[*map(str, sorted(slot.lacks))],
        version="" if shown is None else shown.manifest.version,
        description="" if shown is None else shown.manifest.description,
        digest="" if shown is None else shown.digest,
        priority=100 if shown is None else shown.manifest.priority,
        hooks=[] if shown is None else [one.value for one in shown.info.entries],
        withheld=[*map(str, sorted(withheld))],
        calls=0 if stats is None else stats.calls,
        faults=0 if stats is None else stats.faults.total(),
    )


def details(slot: Slot, decided: Decisions, clocks: Clocks) -> PluginDetails:
    """Everything that is told of one plugin."""
    brief = summary(slot, decided, clocks)
    shown = _shown(slot)
    if shown is None:
        return PluginDetails(summary=brief, named_at_start=slot.is_named)
    manifest, current = shown.manifest, slot.current
    numbers = dataclasses.asdict(manifest.limits)
    stats = None if current is None else current.runner.stats
    granted = frozenset() if current is None else current.granted
    return PluginDetails(
        summary=brief,
        on_error=(current.runner.manifest if current else manifest).on_error,
        hosts=list(manifest.scope.hosts),
        imports=list(shown.info.imports),
        permissions=_permissions(slot, shown, decided),
        limits={name: float(value) for name, value in numbers.items()},
        counters=_counters(slot, current),
        fuel=stats.fuel.spread() if stats else Spread(),
        micros=stats.micros.spread() if stats else Spread(),
        faults=list(stats.latest) if stats else [],
        size_bytes=shown.size_bytes,
        loaded_at=0.0 if current is None else current.loaded_at,
        reloads=slot.reloads,
        instances=manifest.limits.instances,
        in_loop=not why_off_loop(manifest.limits, shown.info, granted),
        named_at_start=slot.is_named,
    )


def _shown(slot: Slot) -> Prepared | None:
    """The version in service, else the newest that could be read."""
    return slot.prepared if slot.current is None else slot.current.prepared


def _state(slot: Slot, decided: Decisions, clocks: Clocks) -> tuple[PluginState, str]:
    if not decided.is_enabled:
        return PluginState.DISABLED, "it is switched off"
    if slot.lacks:
        return PluginState.HELD_BACK, slot.problem
    if slot.problem or slot.current is None:
        return PluginState.BROKEN, slot.problem
    if slot.current.runner.quarantine.is_on(clocks.monotonic()):
        return PluginState.QUARANTINED, "repeated faults"
    return PluginState.RUNNING, ""


def _quarantined_until(slot: Slot, clocks: Clocks) -> float:
    if slot.current is None:
        return 0.0
    quarantine, now = slot.current.runner.quarantine, clocks.monotonic()
    if not quarantine.is_on(now):
        return 0.0
    return clocks.wall() + quarantine.until - now


def _permissions(
    slot: Slot, shown: Prepared, decided: Decisions
) -> list[PermissionReport]:
    """What it asks for, and what it was granted without asking."""
    granted = shown.manifest.granted | decided.granted
    return [
        PermissionReport(
            grant=str(one),
            words=one.in_words(),
            by=_granted_by(one, slot, shown, decided),
        )
        for one in sorted(shown.asked | granted)
    ]


def _granted_by(one: Grant, slot: Slot, shown: Prepared, decided: Decisions) -> str:
    if one.permission in GRANTED_UNASKED:
        return "everyone has it"
    if one in shown.manifest.granted:
        return "config"
    if one in decided.granted:
        return "at run time"
    if one in slot.trusted:
        return "command line"
    return ""


def _counters(slot: Slot, current: LoadedPlugin | None) -> Counters:
    book = slot.book
    if current is None:
        return Counters(lines=book.written, lines_left_out=book.left_out)
    stats, instances = current.runner.stats, current.runner.instances
    return Counters(
        calls=stats.calls,
        seconds=stats.seconds,
        skipped=stats.skipped,
        quarantines=stats.quarantines,
        rebuilds=sum(one.starts for one in instances) - len(instances),
        fetches=stats.fetches,
        lines=book.written,
        lines_left_out=book.left_out,
        faults={kind.value: count for kind, count in stats.faults.items()},
    )
