"""One plugin's instance: kept between calls, rebuilt after a trap, never shared.

It turns a hook into a verdict or a fault. It does not know the event loop, the
dispatcher or what a fault leads to.
"""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wasmtime import Module

from int3rceptor.hooks.changes import Before
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import (
    INIT_EXPORT,
    INITIALIZE_EXPORT,
    WASI_MODULE,
    Entry,
    Extra,
    LogLevel,
)
from int3rceptor.plugins.abi.table import ROWS
from int3rceptor.plugins.engine.boundary import (
    Blueprint,
    Fault,
    FaultKind,
    Guest,
    GuestLimits,
    GuestMaker,
    HostImport,
)
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import shared_engine, ticks_for
from int3rceptor.plugins.engine.inspection import ModuleInfo
from int3rceptor.plugins.host.body import BODIES
from int3rceptor.plugins.host.facts import FACT_READERS
from int3rceptor.plugins.host.host import (
    Host,
    HostAct,
    HostBudget,
    Surroundings,
    bind,
)
from int3rceptor.plugins.host.net import NETWORKERS
from int3rceptor.plugins.host.read import READERS
from int3rceptor.plugins.host.routing import ROUTERS
from int3rceptor.plugins.host.state import STATE
from int3rceptor.plugins.host.tags import TAGGERS
from int3rceptor.plugins.host.topics import TALKERS
from int3rceptor.plugins.host.write import WRITERS
from int3rceptor.plugins.network.outbound import Outbound
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Grant, Grants, Permission, grant_of
from int3rceptor.plugins.running.health import LITTLE_BYTES, LITTLE_CALLS, LITTLE_FUEL
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Message

if TYPE_CHECKING:
    from int3rceptor.plugins.wasi.state import Wasi

HOST_ACTS: Mapping[str, HostAct] = {
    **READERS,
    **FACT_READERS,
    **WRITERS,
    **BODIES,
    **ROUTERS,
    **TAGGERS,
    **STATE,
    **TALKERS,
    **NETWORKERS,
}

_INTACT = frozenset(
    {FaultKind.RETURNED_ERROR, FaultKind.BAD_ANSWER, FaultKind.NOT_GRANTED}
)
"""Faults after which the guest's own state is still what it made it."""


@dataclass(slots=True, frozen=True, kw_only=True)
class PluginCode:
    """A compiled module, what was read from it, and what it was granted."""

    module: Module
    info: ModuleInfo
    granted: frozenset[Grant]


class PluginInstance:
    """Runs the hooks of one plugin, one call at a time.

    `is_up`: a call finds a guest, and need not build one first. `host` has what the
    last call did beside its verdict.
    """

    def __init__(
        self,
        code: PluginCode,
        limits: Limits,
        surroundings: Surroundings,
        factory: MakerFactory,
    ) -> None:
        budget = HostBudget(calls=limits.host_calls, bytes=limits.host_bytes)
        self.host = Host(surroundings, budget, Grants(code.granted))
        self.host.wants_whole = code.info.needs_body
        self._fuel = limits.fuel
        self._has_init = code.info.has_init
        self._has_initialize = code.info.has_initialize
        self.changes_bodies = grant_of(Permission.BODY_MODIFY) in code.granted
        self.changes_chunks = code.info.changes_chunks and self.changes_bodies
        if code.info.waits_for:
            self.host.outbound = Outbound(
                count=limits.fetches,
                max_bytes=limits.fetch_bytes,
                seconds=limits.fetch_s,
                wall_s=limits.wall_s,
            )
        self._wasi = self._program(code, limits)
        blueprint = Blueprint(
            imports=_link(self.host, self._wasi, code),
            exports=code.info.exports,
            limits=GuestLimits(
                fuel=limits.fuel,
                ticks=ticks_for(limits.wall_s),
                memory_bytes=limits.memory_bytes,
                tables=limits.tables,
                table_elements=limits.table_elements,
            ),
        )
        self._maker: GuestMaker | None = factory(
            shared_engine(), code.module, blueprint
        )
        self._guest: Guest | None = None
        self.is_up = False
        self.starts = 0

    def read_message(self, letter: Message) -> Fault | None:
        """Run on_message; there is nothing that it could decide."""
        self.host.letter = letter
        try:
            result = self.run(Extra.MESSAGE, None)
        finally:
            self.host.letter = None
        return result if isinstance(result, Fault) else None

    def _program(self, code: PluginCode, limits: Limits) -> "Wasi | None":
        """What a program built for WASI has beside what every plugin has."""
        if not code.info.uses_wasi:
            return None
        # Half a megabyte, for those who have such a plugin.
        from int3rceptor.plugins.wasi.state import Wasi, granted_folders

        host = self.host
        wasi = Wasi(host, granted_folders(host.grants), limits.file_bytes)
        weakref.finalize(self, wasi.descriptors.close_all)
        return wasi

    def close(self) -> None:
        """Let the engine's memory go; nothing runs here any more.

        Guest, host and linker hold each other: the collector would find that they are
        of no use, but only when it looks, and it does not see what they weigh.
        """
        self._drop()
        self.host.serve(None)
        if self._wasi is not None:
            self._wasi.descriptors.close_all()
        if self._maker is not None:
            self._maker.close()
            self._maker = None

    def run(
        self, point: Entry, flow: Flow | None, chunk: Chunk | None = None
    ) -> Verdict | Fault | None:
        """Run one entry: its verdict, None to continue, or why it lost its turn."""
        guest = self._guest
        if guest is None:
            started = self.start()
            if isinstance(started, Fault):
                return started
            guest = started
        host = self.host
        host.begin(point, flow, chunk)
        try:
            outcome = guest.call(point._value_)  # .value is a slow property
        except BaseException:
            self._interrupted()
            raise
        if outcome == 0 and not host.is_marked:  # the usual end: nothing to see to
            host.point = host.flow = host.message = host.chunk = None
            return None
        result = host.finish(outcome)
        if type(result) is Fault and result.kind not in _INTACT:
            self._drop()
        return result

    def start(self) -> Guest | Fault:
        """Build the instance and run plugin_init; called by `run` when it is needed."""
        host, maker = self.host, self._maker
        assert maker is not None, "closed"
        if self._wasi is not None and (problem := self._wasi.begin()):
            return Fault(kind=FaultKind.START, detail=problem)
        guest = maker.new_guest()
        host.serve(guest)
        host.begin(None, None)
        try:
            stage = "start function"
            result = host.finish(guest.start() or 0)
            if result is None and self._has_initialize:
                stage = INITIALIZE_EXPORT
                host.begin(None, None)
                outcome = guest.call(INITIALIZE_EXPORT)
                # It returns nothing: whatever came back is no code.
                result = host.finish(outcome if isinstance(outcome, Fault) else 0)
            if result is None and self._has_init:
                stage = INIT_EXPORT
                host.begin(None, None)
                result = host.finish(guest.call(INIT_EXPORT))
        except BaseException:
            self._interrupted()
            raise
        if isinstance(result, Fault):
            detail = result.detail
            if result.kind is not FaultKind.START:
                detail = f"{stage}: {result}"
                if result.kind is FaultKind.FUEL:
                    detail += f" (limits.fuel is {self._fuel})"
            return Fault(kind=FaultKind.START, detail=detail)
        self.starts += 1
        self._guest, self.is_up = guest, True
        return guest

    def _interrupted(self) -> None:
        """An interrupt stopped the guest half-way: neither it nor its changes stay."""
        self.host.finish(Fault(kind=FaultKind.TRAP, detail="interrupted"))
        self._drop()

    def _drop(self) -> None:
        self._guest, self.is_up = None, False

    def fuel_used(self) -> int:
        """By the last call, however it ended."""
        guest = self.host.guest
        return 0 if guest is None else guest.fuel_used()

    def did_little(self) -> bool:
        """Whether the last call computed little and had little done for it."""
        host = self.host
        calls = host.budget.calls - host.calls_left
        count = host.budget.bytes - host.bytes_left
        has_asked_much = calls > LITTLE_CALLS or count > LITTLE_BYTES
        return not has_asked_much and self.fuel_used() <= LITTLE_FUEL

    def take_before(self) -> Before:
        """What tells what the last call changed; () if it was nothing."""
        before, self.host.before = self.host.before, ()
        return before

    def take_fetches(self) -> int:
        """How many it has sent since the last time."""
        outbound = self.host.outbound
        if outbound is None:
            return 0
        count, outbound.total = outbound.total, 0
        return count

    def take_lines(self) -> Sequence[tuple[LogLevel, str]]:
        """The log lines since the last time, oldest first."""
        return self.host.take_lines()


def _link(host: Host, wasi: "Wasi | None", code: PluginCode) -> tuple[HostImport, ...]:
    """Satisfy each import as the module declared it."""
    linked: list[HostImport] = []
    for name, result in code.info.imports.items():
        row = ROWS[name]
        if wasi is not None and row.module == WASI_MODULE:
            from int3rceptor.plugins.wasi.functions import bound

            call = bound(wasi, name)
        else:
            call = bind(host, row, HOST_ACTS[name])
        one = HostImport(
            module=row.module, name=name, params=row.types, result=result, call=call
        )
        linked.append(one)
    return tuple(linked)
