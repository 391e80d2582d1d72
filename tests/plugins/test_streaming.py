"""Chunk hooks on bodies that come in chunks: real guests, both ways of calling."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int3rceptor.errors import BodyCut, StreamLost
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop, Fail, Verdict
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.plugins.abi.codes import Entry, Extra
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.manifest import Limits, Manifest
from int3rceptor.plugins.policy.permissions import Grant, Permission, grant_of
from int3rceptor.plugins.running.health import QUARANTINE_FAULTS
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.running.listener import PluginListener
from int3rceptor.plugins.streaming.chunks import MAX_CHUNK_BYTES, Chunk
from tests.plugins.support import (
    EVERYTHING,
    FACTORIES,
    Clock,
    LogBook,
    guest,
    make_dispatcher,
    make_flow,
    make_instance,
    runner_of,
)
from tests.support.chunks import Chunks

REQUEST, RESPONSE = HookPoint.REQUEST, HookPoint.RESPONSE
BOTH: list[Entry] = [Extra.REQUEST_CHUNK, Extra.RESPONSE_CHUNK]
Run = Callable[[Entry, Flow | None, Chunk | None], Verdict | Fault | None]
READ_ONLY = EVERYTHING - {grant_of(Permission.BODY_MODIFY)}


class Plugin:
    """One plugin on a dispatcher."""

    def __init__(self, runner: PluginListener, listeners: tuple[Listener, ...]) -> None:
        self.runner = runner
        self.listeners = listeners

    def dispatcher(self, *others: "Plugin") -> Dispatcher:
        made = make_dispatcher()
        for one in (self, *others):
            for listener in one.listeners:
                made.add(listener)
        return made


class Build(Protocol):
    def __call__(
        self,
        name: str,
        *,
        manifest: Manifest | None = None,
        granted: frozenset[Grant] = EVERYTHING,
        entries: list[Entry] = BOTH,
    ) -> Plugin: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book() -> LogBook:
    return LogBook()


@pytest.fixture
def build(factory: MakerFactory, clock: Clock, book: LogBook) -> Iterator[Build]:
    with ThreadPoolExecutor(2) as executor:

        def make(
            name: str,
            *,
            manifest: Manifest | None = None,
            granted: frozenset[Grant] = EVERYTHING,
            entries: list[Entry] = BOTH,
        ) -> Plugin:
            manifest = manifest or Manifest(name=name)
            instance = make_instance(
                guest(name), factory, limits=manifest.limits, granted=granted
            )
            others = [
                make_instance(
                    guest(name), factory, limits=manifest.limits, granted=granted
                )
                for _ in range(manifest.limits.instances - 1)
            ]
            runner = runner_of(manifest, [instance, *others], executor, book, clock)
            return Plugin(runner, runner.listeners(entries, needs_body=False))

        yield make


def answered(*chunks: bytes, length: int | None = None, **more: Headers) -> Flow:
    """A flow whose response comes in these chunks."""
    flow = make_flow()
    assert flow.response is not None
    source = Chunks(*chunks, trailers=more.get("trailers"))
    flow.response.body = Body(source=source, length=length)
    return flow


def body_of(flow: Flow) -> Body:
    assert flow.response is not None
    return flow.response.body


async def passed(dispatcher: Dispatcher, flow: Flow) -> list[bytes]:
    """The chunks of the response that go on."""
    assert await dispatcher.dispatch(RESPONSE, flow) is None
    return [chunk async for chunk in body_of(flow)]


async def test_each_chunk_passes_the_guest(build: Build) -> None:
    flow = answered(b"abc", b"D e")
    assert await passed(build("chunk_upper").dispatcher(), flow) == [b"ABC", b"D E"]
    (change,) = flow.changes
    assert (change.point, change.author) == ("on_response_chunk", "chunk_upper")
    assert change.what == "body replaced by a stream, from byte 0 on"


async def test_a_request_passes_too(build: Build) -> None:
    flow = make_flow(body=b"whole")
    dispatcher = build("chunk_upper").dispatcher()
    assert await dispatcher.dispatch(REQUEST, flow) is None
    assert flow.request.body.content is None
    assert [chunk async for chunk in flow.request.body] == [b"WHOLE"]
    assert flow.request.body.original == b"whole"
    assert flow.changes[0].point == "on_request_chunk"


async def test_one_that_may_change_bodies_takes_their_length(build: Build) -> None:
    flow = answered(b"abc", length=3)
    await passed(build("chunk_upper").dispatcher(), flow)
    assert body_of(flow).length is None


@pytest.mark.parametrize("name", ["chunk_count", "chunk_upper"])
async def test_one_that_only_reads_keeps_the_length(build: Build, name: str) -> None:
    flow = answered(b"abc", length=3)
    plugin = build(name, granted=READ_ONLY)
    assert await passed(plugin.dispatcher(), flow) == [b"abc"]
    assert body_of(flow).length == 3
    assert not body_of(flow).replaced


async def test_a_large_chunk_is_split_and_the_end_is_a_call_of_its_own(
    build: Build, book: LogBook
) -> None:
    data = bytes(3 * MAX_CHUNK_BYTES + 1)
    flow = answered(data)
    plugin = build("chunk_count", granted=READ_ONLY)
    chunks = await passed(plugin.dispatcher(), flow)
    assert list(map(len, chunks)) == [MAX_CHUNK_BYTES] * 3 + [1]
    assert plugin.runner.stats.calls == 5
    assert book.texts() == [f"end {len(data)}"]


async def test_a_small_budget_makes_small_chunks(build: Build) -> None:
    manifest = Manifest(name="small", limits=Limits(host_bytes=400))
    plugin = build("chunk_upper", manifest=manifest)
    chunks = await passed(plugin.dispatcher(), answered(b"a" * 250))
    assert chunks == [b"A" * 100, b"A" * 100, b"A" * 50]


async def test_the_end_is_seen_before_the_last_bytes_of_a_known_length_leave(
    build: Build, book: LogBook
) -> None:
    flow = answered(b"ab", b"c", length=3)
    dispatcher = build("chunk_count").dispatcher()
    await dispatcher.dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"ab"
    assert book.texts() == []
    assert await body_of(flow).chunk() == b"c"
    assert book.texts() == ["end 3"]
    assert await body_of(flow).chunk() == b""
    assert await body_of(flow).chunk() == b""
    assert book.texts() == ["end 3"]


async def test_nothing_is_read_ahead(build: Build) -> None:
    flow = make_flow()
    source = Chunks(b"a", b"b", b"c")
    assert flow.response is not None
    flow.response.body = Body(source=source)
    await build("chunk_upper").dispatcher().dispatch(RESPONSE, flow)
    assert source.asked == 0
    await body_of(flow).chunk()
    assert source.asked == 1


async def test_an_empty_body_has_an_end_and_no_body_has_none(
    build: Build, book: LogBook
) -> None:
    dispatcher = build("chunk_count").dispatcher()
    assert await passed(dispatcher, answered()) == []
    assert book.texts() == ["end 0"]

    empty = make_flow(body=b"")
    empty.request.body = Body(length=0)
    await dispatcher.dispatch(REQUEST, empty)
    assert await empty.request.body.chunk() == b""
    assert book.texts() == ["end 0"] * 2

    none = make_flow(body=b"")
    none.request.body = Body()
    await dispatcher.dispatch(REQUEST, none)
    assert none.request.body.content == b""
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 101)):
        flow = make_flow(body=b"")
        assert flow.response is not None
        flow.request.method, flow.response.status = method, status
        await dispatcher.dispatch(RESPONSE, flow)
        assert flow.response.body.content == b""
    assert book.texts() == ["end 0"] * 2


async def test_bytes_are_kept_back_and_given_at_the_end(build: Build) -> None:
    flow = answered(b"s1", b"keep", b"x2")
    chunks = await passed(build("chunk_moods").dispatcher(), flow)
    assert chunks == [b"keep", b"!", b"#"]
    assert [one.what for one in flow.changes] == [
        "body replaced by a stream, from byte 0 on"
    ]


async def test_trailers_are_there_at_the_end(build: Build) -> None:
    trailers = Headers([(b"X-Sum", b"1")])
    flow = answered(b"keep", trailers=trailers)
    chunks = await passed(build("chunk_moods").dispatcher(), flow)
    assert chunks == [b"keep"]
    assert body_of(flow).trailers == trailers


async def test_plugins_follow_each_other_by_priority(build: Build) -> None:
    first = build("chunk_upper", manifest=Manifest(name="upper", priority=1))
    second = build("chunk_moods", manifest=Manifest(name="moods", priority=2))
    # Upper-cased, it is no mood any more.
    assert await passed(second.dispatcher(first), answered(b"x")) == [b"X", b"#"]
    last = build("chunk_upper", manifest=Manifest(name="upper", priority=3))
    assert await passed(last.dispatcher(second), answered(b"x")) == [b"!", b"#"]


async def test_one_that_needs_it_whole_gets_what_the_chunks_became(
    build: Build,
) -> None:
    seen: list[bytes | None] = []
    flow = answered(b"ab", b"c")
    dispatcher = build("chunk_upper").dispatcher()
    dispatcher.add(
        Listener(
            name="whole",
            point=RESPONSE,
            call=lambda flow: seen.append(body_of(flow).content),
            priority=200,
            needs_body=True,
        )
    )
    assert await passed(dispatcher, flow) == [b"ABC"]
    assert seen == [b"ABC"]


MOODS = [
    (b"t", "trap: unreachable", FaultKind.TRAP),
    (b"l", "out of fuel", FaultKind.FUEL),
    (b"e", "returned an error: code -1", FaultKind.RETURNED_ERROR),
    (b"r", "returned RESPOND without an answer", FaultKind.BAD_ANSWER),
]


@pytest.mark.parametrize(("mood", "reason", "kind"), MOODS)
async def test_after_a_fault_an_unchanged_body_passes_unread(
    build: Build, mood: bytes, reason: str, kind: FaultKind
) -> None:
    plugin = build("chunk_moods")
    flow = answered(b"keep", mood + b"1", b"x", b"d")
    chunks = await passed(plugin.dispatcher(), flow)
    assert chunks == [b"keep", mood + b"1", b"x", b"d"]
    (change,) = flow.changes
    assert reason in change.what
    assert plugin.runner.stats.faults == {kind: 1}
    assert plugin.runner.stats.calls == 2


@pytest.mark.parametrize(("mood", "reason", "kind"), MOODS)
async def test_after_a_fault_a_changed_body_is_cut_off(
    build: Build, mood: bytes, reason: str, kind: FaultKind
) -> None:
    plugin = build("chunk_moods")
    flow = answered(b"x", mood + b"1", b"more")
    assert await plugin.dispatcher().dispatch(RESPONSE, flow) is None
    assert await body_of(flow).chunk() == b"!"
    for _ in range(2):
        with pytest.raises(BodyCut, match=reason) as caught:
            await body_of(flow).chunk()
        assert not caught.value.is_wanted
    assert [one.what for one in flow.changes][1:] == [f"failed: {reason}"]
    assert plugin.runner.stats.faults == {kind: 1}


async def test_a_guard_that_fails_cuts_the_body_off(build: Build) -> None:
    manifest = Manifest(name="guard", on_error="block")
    dispatcher = build("chunk_moods", manifest=manifest).dispatcher()
    flow = answered(b"keep", b"t")
    await dispatcher.dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"keep"
    with pytest.raises(BodyCut, match="guard failed in the middle of a body: trap"):
        await body_of(flow).chunk()


@pytest.mark.parametrize("mood", [b"d", b"h"])
async def test_a_drop_cuts_the_body_off(build: Build, mood: bytes) -> None:
    plugin = build("chunk_moods")
    flow = answered(b"keep", mood, b"more")
    await plugin.dispatcher().dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"keep"
    with pytest.raises(BodyCut, match="chunk_moods cut the body off") as caught:
        await body_of(flow).chunk()
    assert caught.value.is_wanted
    assert [one.what for one in flow.changes] == ["cut the body off"]
    assert not plugin.runner.stats.faults


async def test_a_failed_call_is_logged_with_its_flow(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    flow = answered(b"t")
    with caplog.at_level(logging.WARNING, "int3rceptor.hooks"):
        await passed(build("chunk_moods").dispatcher(), flow)
    (said,) = caplog.messages
    assert said.startswith(f"on_response_chunk of chunk_moods failed on flow {flow.id}")


async def test_an_instance_built_anew_sees_no_middle_of_a_body(build: Build) -> None:
    plugin = build("chunk_moods")
    dispatcher = plugin.dispatcher()
    untouched, changed = answered(b"a", b"b", b"c"), answered(b"x", b"b")
    for flow in (untouched, changed):
        await dispatcher.dispatch(RESPONSE, flow)
        assert await body_of(flow).chunk()
    await passed(dispatcher, answered(b"t"))

    assert [chunk async for chunk in body_of(untouched)] == [b"b", b"c"]
    (change,) = untouched.changes
    reason = "its instance was built anew in the middle of the body"
    assert change.what == f"failed: {reason}"
    with pytest.raises(BodyCut, match=reason):
        await body_of(changed).chunk()


async def test_all_chunks_of_a_body_go_to_one_of_several_instances(
    build: Build,
) -> None:
    manifest = Manifest(name="upper", limits=Limits(instances=2))
    plugin = build("chunk_upper", manifest=manifest)
    dispatcher, lane = plugin.dispatcher(), plugin.runner._lane
    seen: dict[int, list[PluginInstance]] = {}
    for one in plugin.runner.instances:
        one.run = noting(one, seen)  # type: ignore[method-assign,assignment]
    first, second = answered(b"a", b"b", b"c"), answered(b"a", b"b")
    for flow in (first, second):
        await dispatcher.dispatch(RESPONSE, flow)
    gate = threading.Event()

    await body_of(first).chunk()
    busy = asyncio.create_task(lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    await body_of(second).chunk()
    waiting = asyncio.create_task(body_of(first).chunk())
    await asyncio.sleep(0.01)
    assert not waiting.done()  # the other instance is free, and of no use to it
    gate.set()
    assert await busy
    assert await waiting == b"B"
    await body_of(second).chunk()
    await body_of(first).chunk()

    (one, *more), (other, *others) = seen[first.id], seen[second.id]
    assert one is not other
    assert more == [one] * 2
    assert others == [other]


def noting(instance: PluginInstance, seen: dict[int, list[PluginInstance]]) -> Run:
    run = instance.run

    def noted(
        entry: Entry, flow: Flow | None, chunk: Chunk | None = None
    ) -> Verdict | Fault | None:
        assert flow is not None
        seen.setdefault(flow.id, []).append(instance)
        return run(entry, flow, chunk)

    return noted


async def test_a_retired_version_lets_no_more_of_a_changed_body_pass(
    build: Build,
) -> None:
    plugin = build("chunk_moods")
    flow = answered(b"x", b"a")
    await plugin.dispatcher().dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"!"
    plugin.runner.retire("it was switched off", blocks=False)
    with pytest.raises(BodyCut, match="it was switched off"):
        await body_of(flow).chunk()


async def test_quarantine_keeps_it_out_of_bodies(build: Build) -> None:
    plugin = build("chunk_moods")
    dispatcher = plugin.dispatcher()
    running, changed = answered(b"a", b"x"), answered(b"x", b"a")
    for flow in (running, changed):
        await dispatcher.dispatch(RESPONSE, flow)
        await body_of(flow).chunk()
    for _ in range(QUARANTINE_FAULTS):
        await passed(dispatcher, answered(b"e"))
    flow = answered(b"x")

    assert await passed(dispatcher, flow) == [b"x"]
    assert [one.what for one in flow.changes] == ["skipped: in quarantine"]
    assert [chunk async for chunk in body_of(running)] == [b"x"]
    with pytest.raises(BodyCut, match="in quarantine"):
        await body_of(changed).chunk()
    assert plugin.runner.stats.skipped == 3


async def test_a_guard_in_quarantine_refuses(build: Build) -> None:
    manifest = Manifest(name="guard", on_error="block")
    dispatcher = build("chunk_moods", manifest=manifest).dispatcher()
    for _ in range(QUARANTINE_FAULTS):
        flow = answered(b"e")
        await dispatcher.dispatch(RESPONSE, flow)
        with pytest.raises(BodyCut):
            await body_of(flow).chunk()
    assert isinstance(await dispatcher.dispatch(RESPONSE, answered(b"a")), Fail)


async def test_a_slow_one_runs_in_a_thread_and_keeps_the_order(build: Build) -> None:
    plugin = build("chunk_upper")
    plugin.runner.pace.is_slow = True
    threads = set()
    (instance,) = plugin.runner.instances
    run = instance.run

    def seen(*args: object) -> object:
        threads.add(threading.current_thread())
        return run(*args)  # type: ignore[arg-type]

    instance.run = seen  # type: ignore[method-assign,assignment]
    dispatcher = plugin.dispatcher()
    flows = [answered(*(b"%d%c" % (n, 97 + n) for n in range(5))) for _ in range(8)]
    results = await asyncio.gather(*(passed(dispatcher, flow) for flow in flows))
    assert results == [[b"0A", b"1B", b"2C", b"3D", b"4E"]] * 8
    assert threading.main_thread() not in threads


async def test_a_body_whose_reader_left_in_the_middle_of_a_call_is_broken(
    build: Build,
) -> None:
    plugin = build("chunk_upper")
    gate = threading.Event()
    busy = asyncio.create_task(plugin.runner._lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    flow = answered(b"a", b"b")
    await plugin.dispatcher().dispatch(RESPONSE, flow)
    reading = asyncio.create_task(body_of(flow).chunk())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    gate.set()
    assert await busy
    with pytest.raises(BodyCut, match="an earlier call did not end"):
        await body_of(flow).chunk()


async def test_an_error_of_the_source_passes(build: Build, book: LogBook) -> None:
    flow = make_flow()
    assert flow.response is not None
    flow.response.body = Body(source=Chunks(b"a", error=StreamLost("gone")))
    await build("chunk_count").dispatcher().dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"a"
    with pytest.raises(StreamLost):
        await body_of(flow).chunk()
    assert book.texts() == []


async def test_no_chunks_after_a_hook_that_ends_the_exchange(build: Build) -> None:
    plugin = build("returns_drop", entries=[REQUEST, Extra.REQUEST_CHUNK])
    flow = make_flow()
    assert await plugin.dispatcher().dispatch(REQUEST, flow) == Drop()
    assert flow.request.body.content == b"body"


BOTH_WAYS = b"""(module
  (import "env" "host_set_body" (func $set (param i32 i32) (result i32)))
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "whole")
  (global $matches (mut i32) (i32.const 0))
  (func (export "on_response") (result i32) (call $set (i32.const 0) (i32.const 5)))
  (func (export "on_response_chunk") (result i32)
    (if (i32.eqz (call $get (i32.const 64) (i32.const 64))) (then
      (return (i32.sub (global.get $matches) (i32.const 1)))))
    (global.set $matches (i64.eq
      (i64.load32_u (i32.const 64)) (i64.load32_u (i32.const 0))))
    (i32.const 0)))"""


async def test_the_hook_with_the_whole_body_comes_before_its_chunks(
    factory: MakerFactory, clock: Clock, book: LogBook
) -> None:
    with ThreadPoolExecutor(1) as executor:
        instance = make_instance(BOTH_WAYS, factory)
        runner = runner_of(Manifest(name="both"), [instance], executor, book, clock)
        entries: list[Entry] = [RESPONSE, Extra.RESPONSE_CHUNK]
        plugin = Plugin(runner, runner.listeners(entries, needs_body=True))
        flow = answered(b"in", b" pieces")
        assert await passed(plugin.dispatcher(), flow) == [b"whole"]
    assert [one.what for one in flow.changes] == ["body replaced by 5 bytes"]
    assert not runner.stats.faults


async def test_what_is_given_for_the_end_follows_a_whole_body(build: Build) -> None:
    flow = make_flow(body=b"abc")
    assert await passed(build("chunk_moods").dispatcher(), flow) == [b"abc", b"#"]


@pytest.mark.parametrize("caller", FACTORIES)
@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.binary(min_size=1, max_size=40_000), max_size=5))
def test_a_reader_changes_nothing_whatever_passes(
    caller: str, chunks: list[bytes]
) -> None:
    async def run() -> bytes:
        with ThreadPoolExecutor(1) as executor:
            instance = make_instance(guest("chunk_count"), FACTORIES[caller])
            manifest = Manifest(name="count")
            runner = runner_of(manifest, [instance], executor, LogBook(), Clock())
            plugin = Plugin(runner, runner.listeners(BOTH, needs_body=False))
            flow = answered(*chunks)
            return b"".join(await passed(plugin.dispatcher(), flow))

    assert asyncio.run(run()) == b"".join(chunks)
