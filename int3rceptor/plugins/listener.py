"""A loaded plugin as the dispatcher sees it: one listener for each hook it exports.

Decides where a call runs (inline while the plugin is quick, else off the loop), and
what a fault leads to. It does not know files, manifests on disk or other plugins.
"""

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate

from int3rceptor.errors import LimitExceeded, PluginError
from int3rceptor.hooks.changes import record
from int3rceptor.hooks.dispatcher import Answer, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Delay, Fail, Verdict, describe
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.boundary import Fault, FaultKind
from int3rceptor.plugins.codes import LogLevel
from int3rceptor.plugins.health import Pace, Quarantine, Stats
from int3rceptor.plugins.instance import PluginInstance
from int3rceptor.plugins.lane import Lane
from int3rceptor.plugins.manifest import Manifest

log = logging.getLogger("int3rceptor.plugins")

LogSink = Callable[[str, LogLevel, str], None]
"""Takes a plugin's log line: the plugin's name, the level, the text."""

_NEVER = "(?!)"
_BODY_POINTS = (HookPoint.REQUEST, HookPoint.RESPONSE)


@dataclass(slots=True, frozen=True, kw_only=True)
class Outlets:
    """Where log lines go, and two clocks in seconds.

    `clock` is monotonic; `cpu_clock` counts what the calling thread computes.
    """

    log: LogSink
    clock: Callable[[], float]
    cpu_clock: Callable[[], float]


class PluginListener:
    """Asks one plugin, and keeps its health."""

    def __init__(
        self, manifest: Manifest, instance: PluginInstance, lane: Lane, outlets: Outlets
    ) -> None:
        self.manifest = manifest
        self.stats = Stats()
        self.quarantine = Quarantine()
        self.pace = Pace()
        self._instance = instance
        self._lane = lane
        self._log = outlets.log
        self._clock = outlets.clock
        self._cpu_clock = outlets.cpu_clock
        self._fails_closed = manifest.on_error == "block"

    def listeners(
        self, points: list[HookPoint], *, needs_body: bool
    ) -> tuple[Listener, ...]:
        """What to register with the dispatcher."""
        applies = scope_test(self.manifest.scope.hosts, is_guard=self._fails_closed)
        return tuple(
            Listener(
                name=self.manifest.name,
                point=point,
                call=functools.partial(self.ask, point),
                priority=self.manifest.priority,
                needs_body=needs_body and point in _BODY_POINTS,
                applies=applies,
                on_error=self.manifest.on_error,
                records_itself=True,
            )
            for point in points
        )

    def ask(self, point: HookPoint, flow: Flow) -> Answer | Awaitable[Answer]:
        """Run the hook. A fault is a PluginError: the dispatcher applies `on_error`."""
        if self.quarantine.until and self.quarantine.is_on(self._clock()):
            return self._sit_out(point, flow)
        if self.pace.is_slow or self._lane.is_taken:
            return self._ask_in_thread(point, flow)
        is_cpu = self.pace.suspicion > 0
        clock = self._cpu_clock if is_cpu else self._clock
        started = clock()
        result = self._instance.run(point, flow)
        seconds = clock() - started
        return self._settle(point, flow, result, seconds, is_cpu=is_cpu)

    async def _ask_in_thread(self, point: HookPoint, flow: Flow) -> Answer:
        def timed() -> tuple[Verdict | Fault | None, float]:
            started = self._cpu_clock()
            result = self._instance.run(point, flow)
            return result, self._cpu_clock() - started

        try:
            result, seconds = await self._lane.run(timed)
        except LimitExceeded as error:
            self.stats.faults[FaultKind.OVERLOADED] += 1
            fault = Fault(kind=FaultKind.OVERLOADED, detail=str(error))
            raise PluginError(str(fault)) from None
        return self._settle(point, flow, result, seconds, is_cpu=True)

    def _settle(
        self,
        point: HookPoint,
        flow: Flow,
        result: Verdict | Fault | None,
        seconds: float,
        *,
        is_cpu: bool,
    ) -> Answer:
        """Count the call, pass its log lines on, record what it did, judge a fault."""
        stats = self.stats
        stats.calls += 1
        stats.seconds += seconds
        self.pace.note(seconds, is_cpu=is_cpu)
        self.flush()
        if isinstance(result, Fault):
            raise self._failed(result)
        if before := self._instance.take_before():
            record(point, self.manifest.name, flow, before)
        if result is not None and not isinstance(result, Delay):
            flow.record(point.value, self.manifest.name, describe(result))
        if self.quarantine.succeeded():
            log.warning("plugin %s works again: out of quarantine", self.manifest.name)
        return result

    def flush(self) -> None:
        """Pass on the log lines that the guest wrote."""
        for level, text in self._instance.take_lines():
            self._log(self.manifest.name, level, text)

    def _failed(self, fault: Fault) -> PluginError:
        """Count a fault, and begin a quarantine when it is one too many."""
        self.stats.faults[fault.kind] += 1
        seconds = self.quarantine.failed(self._clock())
        if seconds:
            self.stats.quarantines += 1
            log.warning(
                "plugin %s is in quarantine for %g s after repeated faults: %s",
                self.manifest.name,
                seconds,
                fault,
            )
        return PluginError(str(fault))

    def _sit_out(self, point: HookPoint, flow: Flow) -> Answer:
        self.stats.skipped += 1
        name = self.manifest.name
        if self._fails_closed:
            return Fail(author=name, reason="in quarantine after repeated faults")
        flow.record(point.value, name, "skipped: in quarantine")
        return None


def scope_test(
    globs: Sequence[str], *, is_guard: bool
) -> Callable[[Flow], bool] | None:
    """Whether a flow is in scope, by every name it goes by; None: every flow is.

    A flow can go by several names (CONNECT, SNI, Host). A plugin that blocks when it
    fails is a guard: one name in scope is enough, so that no other name slips past it.
    Any other plugin sees only flows whose names are all in scope.
    """
    if "*" in globs:
        return None
    pattern = "|".join(translate(one) for one in globs) or _NEVER
    match = re.compile(pattern, re.IGNORECASE).match
    decide = any if is_guard else all

    def applies(flow: Flow) -> bool:
        return decide(match(name.rstrip(".")) is not None for name in flow.hosts())

    return applies
