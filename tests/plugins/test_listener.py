"""Faults, quarantine, scope and the way off the loop, through a real dispatcher."""

import asyncio
import inspect
import itertools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Fail, Verdict
from int3rceptor.model.flow import MAX_PARTICIPANTS, Flow, Participant
from int3rceptor.plugins.abi.codes import Entry
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.inspection import ModuleInfo
from int3rceptor.plugins.managing.loading import MAX_INLINE_FUEL, why_off_loop
from int3rceptor.plugins.policy.manifest import Limits, Manifest
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.running import lane as lane_module
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.running.health import (
    MAX_SLOW_CALLS,
    PACE_WINDOW,
    QUARANTINE_FAULTS,
    QUARANTINE_S,
)
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.running.lane import Lane
from int3rceptor.plugins.running.lines import PluginLog
from int3rceptor.plugins.running.listener import PluginListener
from int3rceptor.plugins.streaming.chunks import Chunk
from tests.plugins.support import (
    Clock,
    LogBook,
    guest,
    make_dispatcher,
    make_flow,
    make_instance,
)
from tests.support.guests import stamper
from tests.support.patience import PATIENT_S

REQUEST = HookPoint.REQUEST
DIGEST = "3fa9c01b77de" + "0" * 52


class Build(Protocol):
    """Makes a plugin of a kept module, and a dispatcher that asks it."""

    def __call__(
        self, name: str, *, manifest: Manifest | None = None, is_heavy: bool = False
    ) -> tuple[PluginListener, Dispatcher]: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cpu_clock() -> Clock:
    return Clock()


@pytest.fixture
def book() -> LogBook:
    return LogBook()


@pytest.fixture
def build(clock: Clock, cpu_clock: Clock, book: LogBook) -> Iterator[Build]:
    with ThreadPoolExecutor(4) as executor:

        def make(
            name: str, *, manifest: Manifest | None = None, is_heavy: bool = False
        ) -> tuple[PluginListener, Dispatcher]:
            manifest = manifest or Manifest(name=name)
            source = stamper("1").encode() if name == "stamper" else guest(name)
            instances = [
                make_instance(source, limits=manifest.limits)
                for _ in range(manifest.limits.instances)
            ]
            for instance in instances:
                instance.start()
            clocks = Clocks(monotonic=clock, cpu=cpu_clock)
            log = PluginLog(manifest.name, book, clock=clock)
            lane = Lane(instances, executor, 5.0)
            one = PluginListener(
                manifest,
                instances,
                lane,
                log,
                clocks,
                digest=DIGEST,
                is_heavy=is_heavy,
            )
            dispatcher = make_dispatcher()
            for listener in one.listeners([REQUEST], needs_body=False):
                dispatcher.add(listener)
            return one, dispatcher

        yield make


async def test_a_fault_is_recorded_and_the_flow_goes_on(build: Build) -> None:
    one, dispatcher = build("unreachable")
    flow = make_flow()
    assert await dispatcher.dispatch(REQUEST, flow) is None
    (change,) = flow.changes
    assert change.author == "unreachable"
    assert change.what.endswith("trap: unreachable")
    assert one.stats.faults == {FaultKind.TRAP: 1}
    assert one.stats.calls == 1


async def test_who_changes_or_decides_something_is_told_with_what_it_took(
    build: Build, clock: Clock
) -> None:
    stamp = Manifest(name="stamp", version="1.2")
    _, dispatcher = build("original_three", manifest=stamp)
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    (told,) = flow.plugins
    assert (told.name, told.version, told.digest) == ("stamp", "1.2", DIGEST[:12])
    assert (told.hook, told.calls) == ("on_request", 1)
    assert told.fuel > 0
    first = told.fuel
    flow.request.headers.remove("x-seen")
    flow.request.headers["Accept"] = "again"
    await dispatcher.dispatch(REQUEST, flow)
    assert flow.plugins == [told]
    assert told.calls == 2
    assert told.fuel > first


@pytest.mark.parametrize("is_slow", [True, False])
async def test_what_does_nothing_is_not_told_of_and_what_fails_is(
    is_slow: bool, build: Build
) -> None:
    for name, count in (("counter", 0), ("unreachable", 1), ("returns_drop", 1)):
        one, dispatcher = build(name)
        one.pace.is_slow = is_slow
        flow = make_flow()
        await dispatcher.dispatch(REQUEST, flow)
        assert [told.name for told in flow.plugins] == [name] * count


def test_a_flow_names_a_limited_number_of_plugins() -> None:
    flow = make_flow()
    for number in range(MAX_PARTICIPANTS + 1):
        who = Participant(name=str(number), version="", digest="", hook="x", calls=1)
        flow.took_part(who)
    assert len(flow.plugins) == MAX_PARTICIPANTS
    assert flow.plugins[-1].name == str(MAX_PARTICIPANTS - 1)


async def test_a_guard_that_fails_refuses_the_flow(build: Build) -> None:
    manifest = Manifest(name="guard", on_error="block")
    _, dispatcher = build("unreachable", manifest=manifest)
    verdict = await dispatcher.dispatch(REQUEST, make_flow())
    assert isinstance(verdict, Fail)
    assert verdict.author == "guard"


async def test_repeated_faults_end_in_quarantine_and_it_ends(
    build: Build, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    one, dispatcher = build("unreachable")
    with caplog.at_level(logging.WARNING, "int3rceptor.plugins"):
        for _ in range(QUARANTINE_FAULTS + 3):
            await dispatcher.dispatch(REQUEST, make_flow())
    assert one.stats.calls == QUARANTINE_FAULTS
    assert one.stats.skipped == 3
    said = [one.message for one in caplog.records if "quarantine" in one.message]
    wanted = "plugin unreachable is in quarantine for 30 s after repeated faults: "
    assert said == [wanted + "trap: unreachable"]
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    assert [change.what for change in flow.changes] == ["skipped: in quarantine"]
    clock.now += QUARANTINE_S
    await dispatcher.dispatch(REQUEST, make_flow())
    assert one.stats.calls == QUARANTINE_FAULTS + 1
    assert one.quarantine.until == clock.now + 2 * QUARANTINE_S


async def test_a_guard_in_quarantine_still_refuses(build: Build) -> None:
    manifest = Manifest(name="guard", on_error="block")
    one, dispatcher = build("unreachable", manifest=manifest)
    for _ in range(QUARANTINE_FAULTS):
        await dispatcher.dispatch(REQUEST, make_flow())
    verdict = await dispatcher.dispatch(REQUEST, make_flow())
    assert verdict == Fail("guard", "in quarantine after repeated faults")
    assert one.stats.skipped == 1


async def test_log_lines_pass_on_in_order_even_of_a_call_that_failed(
    build: Build, book: LogBook
) -> None:
    _, dispatcher = build("counter")
    for _ in range(4):
        await dispatcher.dispatch(REQUEST, make_flow())
    assert book.texts() == ["I", "1", "2", "3", "4"]


async def test_a_quick_plugin_is_called_inline(build: Build) -> None:
    one, _ = build("counter")
    assert one.ask(REQUEST, make_flow()) is None


@pytest.mark.parametrize(("name", "is_suspected"), [("counter", False), ("slow", True)])
async def test_a_call_that_was_not_let_run_is_not_suspected(
    build: Build, monkeypatch: pytest.MonkeyPatch, name: str, is_suspected: bool
) -> None:
    manifest = Manifest(name=name, limits=Limits(fuel=100_000_000))
    one, dispatcher = build(name, manifest=manifest)
    seconds = itertools.count()
    monkeypatch.setattr(one, "_clock", lambda: next(seconds))
    await dispatcher.dispatch(REQUEST, make_flow())
    assert (one.pace.suspicion > 0) is is_suspected


async def test_a_slow_plugin_leaves_the_loop_and_comes_back(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest(name="slow", limits=Limits(fuel=100_000_000))
    one, dispatcher = build("slow", manifest=manifest)
    for _ in range(MAX_SLOW_CALLS + 1):
        one.pace.note(1.0, is_cpu=True)
    threads: list[str] = []
    run = one.instances[0].run

    def seen(
        point: Entry, flow: Flow, chunk: Chunk | None = None
    ) -> Verdict | Fault | None:
        threads.append(threading.current_thread().name)
        return run(point, flow, chunk)

    monkeypatch.setattr(one.instances[0], "run", seen)
    await dispatcher.dispatch(REQUEST, make_flow())
    assert threads != [threading.main_thread().name]
    one.pace.is_slow = False
    await dispatcher.dispatch(REQUEST, make_flow())
    assert threads[1:] == [threading.main_thread().name]
    assert one.stats.calls == 2


async def test_an_inline_call_never_meets_one_in_a_thread(build: Build) -> None:
    one, _ = build("counter")
    gate = threading.Event()
    busy = asyncio.create_task(one._lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    answer = one.ask(REQUEST, make_flow())
    assert inspect.isawaitable(answer)
    gate.set()
    assert await busy
    assert await answer is None


async def test_an_overloaded_plugin_fails_the_call_and_not_itself(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_WAITING", 0)
    one, dispatcher = build("counter")
    gate = threading.Event()
    busy = asyncio.create_task(one._lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    for _ in range(QUARANTINE_FAULTS + 1):
        flow = make_flow()
        assert await dispatcher.dispatch(REQUEST, flow) is None
        assert "too many calls were waiting for it" in flow.changes[0].what
    assert one.stats.faults == {FaultKind.OVERLOADED: QUARANTINE_FAULTS + 1}
    assert not one.quarantine.until
    gate.set()
    assert await busy


async def test_a_call_that_waits_when_a_quarantine_begins_is_not_made(
    build: Build, clock: Clock
) -> None:
    one, dispatcher = build("counter")
    gate = threading.Event()
    busy = asyncio.create_task(one._lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    flow = make_flow()
    waiting = asyncio.create_task(dispatcher.dispatch(REQUEST, flow))
    await asyncio.sleep(0)
    for _ in range(QUARANTINE_FAULTS):
        one.quarantine.failed(clock.now)
    gate.set()
    assert await busy
    assert await waiting is None
    assert [change.what for change in flow.changes] == ["skipped: in quarantine"]
    assert (one.stats.calls, one.stats.skipped) == (0, 1)


async def test_the_loop_runs_on_while_a_plugin_computes(build: Build) -> None:
    limits = Limits(fuel=2_000_000_000, wall_s=10.0)
    one, _ = build("endless_loop", manifest=Manifest(name="x", limits=limits))
    one.pace.is_slow = True
    beats = 0
    answer = one.ask(REQUEST, make_flow())
    assert inspect.isawaitable(answer)

    async def ask() -> None:
        await answer

    job = asyncio.create_task(ask())
    while not job.done():
        beats += 1
        await asyncio.sleep(0.005)
    assert isinstance(job.exception(), Exception)
    assert beats > 20


# --- off the loop, and side by side ---------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(), ""),
        (Limits(fuel=MAX_INLINE_FUEL), ""),
        (Limits(fuel=MAX_INLINE_FUEL + 1), "limits.fuel is above"),
        (Limits(host_calls=1_000_000), "limits.host_calls is above"),
        (Limits(host_bytes=256 * 1024 * 1024), "limits.host_bytes is above"),
    ],
)
def test_what_may_be_long_by_right_never_runs_in_the_loop(
    limits: Limits, why: str
) -> None:
    told = why_off_loop(limits, ModuleInfo(), frozenset())
    assert told.startswith(why)
    assert bool(told) is bool(why)


def test_what_may_wait_never_runs_in_the_loop() -> None:
    fetching = ModuleInfo(imports={"host_http_fetch": "i32"})
    reading = ModuleInfo(imports={"fd_read": "i32"})
    folder = frozenset({grant_of(Permission.FILES, "/srv:ro")})
    why = why_off_loop(Limits(), fetching, frozenset())
    assert why == "host_http_fetch may wait"
    assert why_off_loop(Limits(), reading, folder) == "a disk may be slow"
    assert why_off_loop(Limits(), reading, frozenset()) == ""
    assert why_off_loop(Limits(), ModuleInfo(), folder) == ""


async def test_a_heavy_plugin_runs_in_a_thread_from_its_first_call_on(
    build: Build,
) -> None:
    one, _ = build("stamper", is_heavy=True)
    for _ in range(PACE_WINDOW + 2):
        answer = one.ask(REQUEST, make_flow())
        assert inspect.isawaitable(answer)
        await answer


async def test_an_instance_is_built_anew_off_the_loop(build: Build) -> None:
    """What it runs then, its start function and plugin_init, may be long."""
    one, dispatcher = build("unreachable")
    await dispatcher.dispatch(REQUEST, make_flow())
    assert not one.instances[0].is_up
    answer = one.ask(REQUEST, make_flow())
    assert inspect.isawaitable(answer)
    with pytest.raises(PluginError, match="trap: unreachable"):
        await answer
    assert one.instances[0].starts == 2


async def test_seats_serve_side_by_side_and_heal_alone(
    build: Build, book: LogBook
) -> None:
    manifest = Manifest(name="counter", limits=Limits(instances=3))
    one, dispatcher = build("counter", manifest=manifest, is_heavy=True)
    met = threading.Barrier(3, timeout=PATIENT_S)
    for instance in one.instances:
        meet_in(instance, met)
    await asyncio.gather(*(dispatcher.dispatch(REQUEST, make_flow()) for _ in range(6)))
    assert one.stats.calls == 6
    assert not one.stats.faults
    # Three starts, and each counts for itself.
    assert sorted(book.texts()) == ["1"] * 3 + ["2"] * 3 + ["I"] * 3


def meet_in(instance: PluginInstance, met: threading.Barrier) -> None:
    """Let no call of this instance begin before all have."""
    run = instance.run

    def together(point: Entry, flow: Flow | None) -> Verdict | Fault | None:
        met.wait()
        return run(point, flow)

    instance.run = together  # type: ignore[method-assign]


async def test_what_a_call_changed_is_recorded_before_the_next_has_the_seat(
    build: Build,
) -> None:
    """The next call begins in its thread while the last is still being settled."""
    one, dispatcher = build("stamper", is_heavy=True)
    flows = [make_flow() for _ in range(20)]
    await asyncio.gather(*(dispatcher.dispatch(REQUEST, flow) for flow in flows))
    for flow in flows:
        assert [change.what for change in flow.changes] == ["+ x-version: 1"]
    assert one.stats.calls == 20


async def test_who_was_taken_out_stays_out_whatever_ends_later(build: Build) -> None:
    one, dispatcher = build("counter", is_heavy=True)
    one.quarantine.failed(0.0)
    running = asyncio.create_task(dispatcher.dispatch(REQUEST, make_flow()))
    await asyncio.sleep(0)
    one.retire("it was switched off", blocks=False)
    await running
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    assert [change.what for change in flow.changes] == ["skipped: it was switched off"]
