"""A loaded plugin as the dispatcher sees it: one listener for each hook it exports.

Decides where a call runs (inline while the plugin is quick, else off the loop), and
what a fault leads to. It does not know files, manifests on disk or other plugins.
"""

import functools
import inspect
import logging
import math
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from int3rceptor.errors import LimitExceeded, PluginError
from int3rceptor.hooks.changes import Before, record
from int3rceptor.hooks.dispatcher import Answer, Call, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Delay, Fail, Verdict, describe
from int3rceptor.link.plugin_reports import FaultReport
from int3rceptor.model.flow import Flow, Participant, Upstream
from int3rceptor.plugins.abi.codes import Entry, Extra, LogLevel
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.policy.manifest import Manifest
from int3rceptor.plugins.policy.scope import scope_test
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.running.health import (
    SAMPLED,
    SLOW_CALL_S,
    Pace,
    Quarantine,
    Stats,
)
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.running.lane import Lane
from int3rceptor.plugins.running.lines import PluginLog
from int3rceptor.plugins.running.pins import Pin, Shown, run
from int3rceptor.plugins.streaming.bodies import CHUNKS_OF, FOLLOWERS, follow, followed
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Message

log = logging.getLogger("int3rceptor.plugins")

_IN_QUARANTINE = "in quarantine after repeated faults"

DIGEST_CHARS = 12
"""Of a module's SHA-256 in hexadecimal: 48 bits tell a user's versions apart."""


class _Ran(NamedTuple):
    """One call that is over, with what its instance would forget at the next."""

    result: Verdict | Fault | None
    seconds: float
    fuel: int
    before: Before
    lines: Sequence[tuple[LogLevel, str]]
    fetches: int


class PluginListener:
    """Asks one version of a plugin, and keeps its health.

    `digest` is of its module; flows that it takes part in name it by that.
    `is_heavy`: its calls may be long by right, or wait; none runs in the loop. Its
    instances go when the last flow that may ask it is over: whoever holds a listener
    of it holds it.
    """

    def __init__(
        self,
        manifest: Manifest,
        instances: Sequence[PluginInstance],
        lane: Lane[PluginInstance],
        book: PluginLog,
        clocks: Clocks,
        *,
        digest: str = "",
        is_heavy: bool = False,
    ) -> None:
        self.manifest = manifest
        self._version = manifest.version
        self._digest = digest[:DIGEST_CHARS]
        self.instances = tuple(instances)
        self.stats = Stats()
        self.quarantine = Quarantine()
        self.pace = Pace(is_heavy=is_heavy)
        self._lane = lane
        self._free = lane.free
        self._book = book
        self._clock = clocks.monotonic
        self._wall = clocks.wall
        self._cpu_clock = clocks.cpu
        self.name = manifest.name
        self.fails_closed = manifest.on_error == "block"
        self.changes_chunks = instances[0].changes_chunks
        self.changes_bodies = instances[0].changes_bodies
        self.call_bytes = manifest.limits.host_bytes
        self._away = ""
        self._looked_at = 0
        weakref.finalize(self, _close, self.instances).atexit = False

    def listeners(
        self, entries: list[Entry], *, needs_body: bool, may_redact: bool = True
    ) -> tuple[Listener, ...]:
        """What to register with the dispatcher. What follows a body begins where a hook
        is asked."""
        calls: dict[HookPoint, Call] = {}
        for point in HookPoint:
            if followers := [one for one in FOLLOWERS.get(point, ()) if one in entries]:
                first = point if point in entries else None
                calls[point] = functools.partial(self._follow, first, followers, point)
            elif point in entries:
                calls[point] = self._hook(point)
        scope, is_guard = self.manifest.scope, self.fails_closed
        return tuple(
            Listener(
                name=self.manifest.name,
                point=point,
                call=call,
                priority=self.manifest.priority,
                needs_body=needs_body and point in CHUNKS_OF,
                applies=scope_test(scope, point, is_guard=is_guard),
                on_error=self.manifest.on_error,
                records_itself=True,
                only_looks=point is HookPoint.CAPTURE and not may_redact,
            )
            for point, call in calls.items()
        )

    def retire(self, why: str, *, blocks: bool) -> None:
        """Answer no more, not even to flows that began with it: `why` is what they
        say. `blocks`: a guard's flows are refused, not let pass unguarded."""
        self._away = why
        self.fails_closed &= blocks
        self.quarantine.until = math.inf

    def shows(
        self, entry: Entry, flow: Flow
    ) -> Callable[[Chunk], Answer | Awaitable[Answer]]:
        """What asks about the chunks of one body, all of the same instance."""
        pin = Pin()
        return lambda chunk: self.ask(entry, flow, Shown(chunk, pin))

    def _follow(
        self,
        first: HookPoint | None,
        followers: Sequence[Entry],
        point: HookPoint,
        flow: Flow,
    ) -> Answer | Awaitable[Answer]:
        """The hook first, if it is exported; then let what there is of the message pass
        the guest. One that ends the exchange has nothing that could."""
        if self._is_out():
            missed = first or followed(followers, point, flow)
            return None if missed is None else self._sit_out(missed, flow)
        answer = None if first is None else self.ask(first, flow)
        if inspect.isawaitable(answer):
            return self._follow_after(answer, followers, point, flow)
        return self._follow_unless(answer, followers, point, flow)

    async def _follow_after(
        self,
        asked: Awaitable[Answer],
        followers: Sequence[Entry],
        point: HookPoint,
        flow: Flow,
    ) -> Answer:
        return self._follow_unless(await asked, followers, point, flow)

    def _follow_unless(
        self, answer: Answer, followers: Sequence[Entry], point: HookPoint, flow: Flow
    ) -> Answer:
        if answer is None or isinstance(answer, Delay):
            return follow(self, followers, point, flow) or answer
        return answer

    async def hear(self, letter: Message) -> None:
        """A message of another plugin; nobody waits for what becomes of it."""
        try:
            answer = self.ask(Extra.MESSAGE, None, letter)
            if inspect.isawaitable(answer):
                await answer
        except PluginError as error:
            log.warning(
                "on_message of %s failed on %s from %s: %s",
                *(self.name, letter.topic, letter.sender, error),
            )

    def _hook(self, point: HookPoint) -> Call:
        """`ask` for a hook, with what is the same at each call looked up before."""
        free, pace, quarantine = self._free, self.pace, self.quarantine
        stats, book, ask = self.stats, self._book, self.ask
        put_down = book.outbox.put_down

        def call(flow: Flow) -> Answer | Awaitable[Answer]:
            if quarantine.until or pace.suspicion or pace.is_slow or not free:
                return ask(point, flow)
            instance = free[-1]
            if not instance.is_up:
                return ask(point, flow)
            clock = self._clock
            started = clock()
            result = instance.run(point, flow)
            seconds = clock() - started
            calls = stats.calls = stats.calls + 1
            stats.seconds += seconds
            if seconds > SLOW_CALL_S or calls % SAMPLED == 1:
                self._look_at(instance, seconds, is_cpu=False)
            host = instance.host
            if host.lines:
                put_down(book, host.lines)
                host.lines.clear()
            if result is None and not host.before and not quarantine.faults:
                return None  # as nearly all calls end: nothing is to be told of
            return self._conclude(instance, point, flow, result, seconds)

        return call

    def ask(
        self, point: Entry, flow: Flow | None, shown: Shown | Message | None = None
    ) -> Answer | Awaitable[Answer]:
        """Run one entry. A fault is a PluginError: who asked applies `on_error`."""
        if self._is_out():
            return self._sit_out(point, flow, shown)
        free = shown.pin.among(self._free) if type(shown) is Shown else self._free
        if self.pace.is_slow or not free or not (instance := free[-1]).is_up:
            return self._ask_in_thread(point, flow, shown)
        is_cpu = self.pace.suspicion > 0
        clock = self._cpu_clock if is_cpu else self._clock
        started = clock()
        result = run(instance, point, flow, shown)
        seconds = clock() - started
        self.stats.calls += 1
        self.stats.seconds += seconds
        self._look_at(instance, seconds, is_cpu=is_cpu)
        if instance.host.lines:
            self._book.write(instance.take_lines())
        return self._conclude(instance, point, flow, result, seconds, shown)

    def _look_at(
        self, instance: PluginInstance, seconds: float, *, is_cpu: bool
    ) -> None:
        """Judge the pace by a call and by those before it that were not looked at."""
        calls = self.stats.calls
        if calls % SAMPLED == 1:
            self._measure(instance.fuel_used(), seconds, SAMPLED)
        is_waiting = not is_cpu and seconds > SLOW_CALL_S and instance.did_little()
        count, self._looked_at = calls - self._looked_at, calls
        self.pace.note(0.0 if is_waiting else seconds, is_cpu=is_cpu, calls=count)

    def _conclude(
        self,
        instance: PluginInstance,
        point: Entry,
        flow: Flow | None,
        result: Verdict | Fault | None,
        seconds: float,
        shown: Shown | Message | None = None,
    ) -> Answer:
        """Tell of what a call in this thread did."""
        host = instance.host
        before, host.before = host.before, ()
        if before or result is not None or _is_given(shown):
            self._took_part(point, flow, instance.fuel_used(), seconds)
        return self._settle(point, flow, result, before)

    async def _ask_in_thread(
        self, point: Entry, flow: Flow | None, shown: Shown | Message | None
    ) -> Answer:
        """The long way: calls that may be slow, wait for others, or must first build
        an instance anew, which runs the guest's own start."""

        def timed(instance: PluginInstance) -> _Ran | None:
            if self._is_out():
                return None  # since it waited
            started = self._cpu_clock()
            result = run(instance, point, flow, shown)
            seconds = self._cpu_clock() - started
            fuel, before = instance.fuel_used(), instance.take_before()
            lines, fetches = instance.take_lines(), instance.take_fetches()
            return _Ran(result, seconds, fuel, before, lines, fetches)

        try:
            pinned = shown.pin.instance if type(shown) is Shown else None
            ran = await self._lane.run(timed, pinned)
        except LimitExceeded as error:
            fault = Fault(kind=FaultKind.OVERLOADED, detail=str(error))
            self._count(fault, point, flow)
            raise PluginError(str(fault)) from None
        if ran is None:
            return self._sit_out(point, flow, shown)
        self._measure(ran.fuel, ran.seconds, 1)
        self.stats.calls += 1
        self._looked_at += 1
        self.stats.seconds += ran.seconds
        self.stats.fetches += ran.fetches
        self.pace.note(ran.seconds, is_cpu=True)
        if ran.lines:
            self._book.write(ran.lines)
        if ran.before or ran.result is not None or _is_given(shown):
            self._took_part(point, flow, ran.fuel, ran.seconds)
        return self._settle(point, flow, ran.result, ran.before)

    def _settle(
        self,
        point: Entry,
        flow: Flow | None,
        result: Verdict | Fault | None,
        before: Before,
    ) -> Answer:
        """Record what a call did, judge a fault."""
        if isinstance(result, Fault):
            raise self._failed(result, point, flow)
        # A body's own changes are its stage's to tell; a message is about no flow.
        if flow is not None and type(point) is HookPoint:
            if before:
                record(point, self.name, flow, before)
            if result is not None and not isinstance(result, Delay | Upstream):
                flow.record(point._value_, self.name, describe(result))
        if self.quarantine.faults and not self._away and self.quarantine.succeeded():
            log.warning("plugin %s works again: out of quarantine", self.manifest.name)
        return result

    def _took_part(
        self, point: Entry, flow: Flow | None, fuel: int, seconds: float
    ) -> None:
        """What changed or decided nothing is not told of; a message is of no flow."""
        if flow is None:
            return
        flow.took_part(
            Participant(
                self.name,
                self._version,
                self._digest,
                point._value_,
                1,
                fuel,
                int(seconds * 1_000_000 + 0.5),
            )
        )

    def _measure(self, fuel: int, seconds: float, weight: int) -> None:
        self.stats.fuel.note(fuel, weight)
        self.stats.micros.note(int(seconds * 1_000_000), weight)

    def _count(self, fault: Fault, point: Entry, flow: Flow | None) -> None:
        flow_id = 0 if flow is None else flow.id
        stats = self.stats
        stats.faults[fault.kind] += 1
        stats.latest.append(
            FaultReport(
                time=self._wall(), hook=point.value, flow=flow_id, reason=str(fault)
            )
        )

    def _failed(self, fault: Fault, point: Entry, flow: Flow | None) -> PluginError:
        """Count a fault, and begin a quarantine when it is one too many."""
        self._book.flush()  # what it said before that stands before what is said of it
        self._count(fault, point, flow)
        seconds = self.quarantine.failed(self._clock())
        if seconds:
            self.stats.quarantines += 1
            log.warning(
                "plugin %s is in quarantine for %g s after repeated faults: %s",
                *(self.name, seconds, fault),
            )
        return PluginError(str(fault))

    def _is_out(self) -> bool:
        until = self.quarantine.until
        return bool(until) and self.quarantine.is_on(self._clock())

    def _sit_out(
        self, point: Entry, flow: Flow | None, shown: Shown | Message | None = None
    ) -> Answer:
        """Not be asked. PluginError about what passes: its follower judges that."""
        self.stats.skipped += 1
        name, why = self.manifest.name, self._away or _IN_QUARANTINE
        if type(shown) is Shown:
            raise PluginError(why)
        if self.fails_closed:
            return Fail(author=name, reason=why)
        if flow is not None:
            flow.record(point.value, name, f"skipped: {self._away or 'in quarantine'}")
        return None


def _is_given(shown: Shown | Message | None) -> bool:
    return type(shown) is Shown and shown.is_given


def _close(instances: Sequence[PluginInstance]) -> None:
    for one in instances:
        one.close()
