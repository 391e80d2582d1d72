"""on_sse_event on streams of events: real guests, both ways of calling."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import brotli
import pytest
import zstandard

from int3rceptor.errors import BodyCut
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Fail
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.server_events import MAX_EVENT_BYTES, MAX_FIELD_BYTES, Event
from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.manifest import Limits, Manifest, Scope
from int3rceptor.plugins.policy.permissions import Grant, Permission, grant_of
from int3rceptor.plugins.running.health import QUARANTINE_FAULTS
from int3rceptor.plugins.running.listener import PluginListener
from int3rceptor.plugins.streaming.chunks import BUDGET_SHARE, Chunk
from tests.plugins.support import (
    DATA_AT,
    EVERYTHING,
    PAGE,
    Clock,
    LogBook,
    Probe,
    guest,
    make_dispatcher,
    make_flow,
    make_instance,
    runner_of,
)
from tests.support.chunks import Chunks

RESPONSE = HookPoint.RESPONSE
READ_ONLY = EVERYTHING - {grant_of(Permission.BODY_MODIFY)}


class Plugin:
    def __init__(self, runner: PluginListener, dispatcher: Dispatcher) -> None:
        self.runner = runner
        self.dispatcher = dispatcher


class Build(Protocol):
    def __call__(
        self, manifest: Manifest | None = None, granted: frozenset[Grant] = EVERYTHING
    ) -> Plugin: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(factory: MakerFactory, clock: Clock) -> Iterator[Build]:
    with ThreadPoolExecutor(1) as executor:

        def make(
            manifest: Manifest | None = None, granted: frozenset[Grant] = EVERYTHING
        ) -> Plugin:
            manifest = manifest or Manifest(name="moods")
            instance = make_instance(
                guest("event_moods"), factory, limits=manifest.limits, granted=granted
            )
            runner = runner_of(manifest, [instance], executor, LogBook(), clock)
            dispatcher = make_dispatcher()
            dispatcher.add(*runner.listeners([Extra.SSE_EVENT], needs_body=False))
            return Plugin(runner, dispatcher)

        yield make


GUARD = Manifest(name="guard", on_error="block")


def streamed(*chunks: bytes, coding: str = "", length: int | None = None) -> Flow:
    flow = make_flow()
    assert flow.response is not None
    flow.response.headers = Headers([(b"Content-Type", b"text/event-stream")])
    if coding:
        flow.response.headers["content-encoding"] = coding
    flow.response.body = Body(source=Chunks(*chunks), length=length)
    return flow


def body_of(flow: Flow) -> Body:
    assert flow.response is not None
    return flow.response.body


async def passed(plugin: Plugin, flow: Flow) -> list[bytes]:
    assert await plugin.dispatcher.dispatch(RESPONSE, flow) is None
    return [chunk async for chunk in body_of(flow)]


def told(flow: Flow) -> list[str]:
    return [one.what for one in flow.changes]


async def test_events_pass_one_by_one(build: Build) -> None:
    plugin = build()
    flow = streamed(b"data: a\n\n: ping\n\nda", b"ta: b\r\n\r\ndata: c", b"\n\ndata: z")
    assert await passed(plugin, flow) == [
        *(b"data: a\n\n", b": ping\n\n", b"data: b\r\n\r\n", b"data: c\n\n"),
        b"data: z",
    ]
    assert plugin.runner.stats.calls == 3
    assert told(flow) == []
    assert flow.plugins == []


async def test_an_event_is_changed_and_told_of_once(build: Build) -> None:
    flow = streamed(
        b"data: a\n\nevent: e\ndata: x\nid: 4\n\ndata: i\n\n", b"data: x\n\n"
    )
    assert await passed(build(), flow) == [
        b"data: a\n\n",
        b"event: e\ndata: !\ndata: ?\nid: 4\n\n",
        b"id: 9\ndata: i\n\n",
        b"data: !\ndata: ?\n\n",
    ]
    assert told(flow) == ["events changed, from event 2 on"]
    assert flow.changes[0][:2] == ("on_sse_event", "moods")
    (participant,) = flow.plugins
    assert (participant.hook, participant.calls) == ("on_sse_event", 3)


async def test_its_fields_are_read(build: Build) -> None:
    flow = streamed(b"event: kind\ndata: y\n\n")
    assert await passed(build(), flow) == [b"event: kind\ndata: kind\n\n"]


@pytest.mark.parametrize("mood", [b"d", b"h"])
async def test_a_dropped_event_alone_does_not_go_on(build: Build, mood: bytes) -> None:
    plugin = build()
    flow = streamed(
        b"data: a\n\ndata: %b\n\n" % mood, b"data: %b\n\ndata: b\n\n" % mood
    )
    assert await passed(plugin, flow) == [b"data: a\n\n", b"data: b\n\n"]
    assert told(flow) == ["events dropped, from event 2 on"]
    assert not plugin.runner.stats.faults


MOODS = [
    (b"t", "trap: unreachable", FaultKind.TRAP),
    (b"l", "out of fuel", FaultKind.FUEL),
    (b"e", "returned an error: code -1", FaultKind.RETURNED_ERROR),
]


@pytest.mark.parametrize(("mood", "reason", "kind"), MOODS)
async def test_after_a_fault_the_event_passes_and_the_next_is_seen(
    build: Build, mood: bytes, reason: str, kind: FaultKind
) -> None:
    plugin = build()
    bad, good = b"data: %b\n\n" % mood, b"data: x\n\n"
    flow = streamed(good + bad + good, bad)
    new = b"data: !\ndata: ?\n\n"
    assert await passed(plugin, flow) == [new, bad, new, bad]
    assert plugin.runner.stats.faults == {kind: 2}
    assert told(flow) == ["events changed, from event 1 on", f"failed: {reason}"]


@pytest.mark.parametrize(("mood", "reason"), [one[:2] for one in MOODS])
async def test_a_guard_that_fails_cuts_the_stream_off(
    build: Build, mood: bytes, reason: str
) -> None:
    flow = streamed(b"data: a\n\ndata: %b\n\n" % mood, b"data: b\n\n")
    await build(GUARD).dispatcher.dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"data: a\n\n"
    for _ in range(2):
        with pytest.raises(BodyCut, match=reason) as caught:
            await body_of(flow).chunk()
        assert not caught.value.is_wanted
    assert told(flow) == [f"failed: {reason}"]


async def test_in_quarantine_events_pass_unseen_until_it_is_over(
    build: Build, clock: Clock
) -> None:
    plugin = build()
    flow = streamed(
        *([b"data: t\n\n"] * QUARANTINE_FAULTS), b"data: x\n\n", b"data: x\n\n"
    )
    await plugin.dispatcher.dispatch(RESPONSE, flow)
    for _ in range(QUARANTINE_FAULTS):
        assert await body_of(flow).chunk() == b"data: t\n\n"
    assert await body_of(flow).chunk() == b"data: x\n\n"
    assert told(flow)[-1] == "failed: in quarantine after repeated faults"
    clock.now += 31
    assert await body_of(flow).chunk() == b"data: !\ndata: ?\n\n"


async def test_one_built_anew_for_another_stream_sees_the_rest(build: Build) -> None:
    plugin = build()
    flow = streamed(b"data: a\n\n", b"data: x\n\n", b"data: x\n\n")
    await plugin.dispatcher.dispatch(RESPONSE, flow)
    assert await body_of(flow).chunk() == b"data: a\n\n"
    await passed(plugin, streamed(b"data: t\n\n"))
    assert await body_of(flow).chunk() == b"data: x\n\n"
    reason = "its instance was built anew in the middle of the body"
    assert told(flow) == [f"failed: {reason}"]
    assert await body_of(flow).chunk() == b"data: !\ndata: ?\n\n"


@pytest.mark.parametrize("budget", [4000, 16 * 1024 * 1024])
async def test_a_large_event_passes_unseen_and_the_next_is_seen(
    build: Build, budget: int
) -> None:
    limit = min(budget // BUDGET_SHARE, MAX_EVENT_BYTES)
    manifest = Manifest(name="m", limits=Limits(host_bytes=budget, fuel=10**8))
    large = b"data: x" + b"y" * limit + b"\n\n"
    flow = streamed(large, b"data: a\n\n", large)
    plugin = build(manifest)
    assert b"".join(await passed(plugin, flow)) == large + b"data: a\n\n" + large
    assert told(flow) == [f"not seen: an event of more than {limit} bytes"]
    assert plugin.runner.stats.calls == 1
    guarded = streamed(b"data: a\n\n", large)
    guard = Manifest(name="m", limits=manifest.limits, on_error="block")
    await build(guard).dispatcher.dispatch(RESPONSE, guarded)
    assert await body_of(guarded).chunk() == b"data: a\n\n"
    with pytest.raises(BodyCut, match="an event of more than"):
        await body_of(guarded).chunk()


async def test_a_reader_changes_nothing_and_keeps_the_length(build: Build) -> None:
    plugin = build(granted=READ_ONLY)
    flow = streamed(b"data: x\n\ndata: i\n\n", length=18)
    assert b"".join(await passed(plugin, flow)) == b"data: x\n\ndata: i\n\n"
    assert body_of(flow).length == 18
    changing = streamed(b"data: a\n\n", length=9)
    await passed(build(), changing)
    assert body_of(changing).length is None


async def test_to_drop_an_event_needs_the_grant_to_change_bodies(build: Build) -> None:
    plugin = build(granted=READ_ONLY)
    flow = streamed(b"data: d\n\n", b"data: h\n\n")
    assert await passed(plugin, flow) == [b"data: d\n\n", b"data: h\n\n"]
    assert told(flow) == ["failed: returned what it was not granted: DROP, body.modify"]


@pytest.mark.parametrize(
    ("method", "status", "kind"),
    [
        ("HEAD", 200, "text/event-stream"),
        ("GET", 204, "text/event-stream"),
        ("GET", 200, "text/plain"),
    ],
)
async def test_other_responses_have_no_events(
    build: Build, method: str, status: int, kind: str
) -> None:
    plugin = build()
    flow = streamed(b"data: x\n\n")
    assert flow.response is not None
    flow.request.method, flow.response.status = method, status
    flow.response.headers["content-type"] = kind
    assert await passed(plugin, flow) == [b"data: x\n\n"]
    assert plugin.runner.stats.calls == 0


async def test_scope_is_as_of_on_response(build: Build) -> None:
    plugin = build(Manifest(name="m", scope=Scope(hosts=("other.example",))))
    assert await passed(plugin, streamed(b"data: x\n\n")) == [b"data: x\n\n"]
    assert plugin.runner.stats.calls == 0


# --- coded streams --------------------------------------------------------------------


async def test_coded_events_pass_unseen_with_a_mark(build: Build) -> None:
    coded = gzip.compress(b"data: x\n\n")
    flow = streamed(coded, coding="gzip")
    plugin = build()
    assert await passed(plugin, flow) == [coded]
    assert told(flow) == ["events not seen: they are coded (gzip)"]
    answer = await build(GUARD).dispatcher.dispatch(
        RESPONSE, streamed(coded, coding="gzip")
    )
    assert answer == Fail(author="guard", reason=told(flow)[0])


def deflated(wbits: int) -> Callable[[bytes], bytes]:
    engine = zlib.compressobj(wbits=wbits)
    return lambda data: engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH)


def brotlied() -> Callable[[bytes], bytes]:
    engine = brotli.Compressor()
    return lambda data: engine.process(data) + engine.flush()


def zstandardised() -> Callable[[bytes], bytes]:
    engine = zstandard.ZstdCompressor().compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return lambda data: engine.compress(data) + engine.flush(flush)


CODERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": lambda: deflated(31),
    "deflate": lambda: deflated(15),
    "br": brotlied,
    "zstd": zstandardised,
}


@pytest.mark.parametrize("coding", CODERS)
async def test_decoded_events_are_seen_as_they_are_flushed(
    build: Build, coding: str
) -> None:
    code = CODERS[coding]()
    events = [b"data: %d\n\n" % number for number in range(3)]
    source = Chunks(*map(code, events))
    flow = streamed(coding=coding)
    assert flow.response is not None
    flow.response.body = Body(source=source)
    flow.response.decode()
    plugin = build()
    await plugin.dispatcher.dispatch(RESPONSE, flow)
    for number, event in enumerate(events, 1):
        assert await body_of(flow).chunk() == event
        assert source.asked == number
        assert plugin.runner.stats.calls == number


# --- host functions -------------------------------------------------------------------


def on(probe: Probe, *args: int | bytes, raw: bytes) -> tuple[int, Event]:
    event = Event(raw)
    chunk = Chunk(data=event.data, event=event)
    result = probe.run(*args, point=Extra.SSE_EVENT, flow=make_flow(), chunk=chunk)
    assert not isinstance(result, Fault), result
    return probe.status(), event


RAW = b"event: kind\ndata: a\n\n"


def test_a_field_is_read(factory: MakerFactory) -> None:
    probe = Probe("host_get_event_field", factory)
    assert on(probe, b"event", DATA_AT, 2, raw=RAW)[0] == 4
    assert on(probe, b"event", DATA_AT, 64, raw=RAW)[0] == 4
    assert probe.read(DATA_AT, 4) == b"kind"
    assert on(probe, b"id", DATA_AT, 64, raw=RAW)[0] == Status.NOT_FOUND
    assert on(probe, b"data", DATA_AT, 64, raw=RAW)[0] == Status.BAD_ARGUMENT
    assert on(probe, b"event", PAGE - 2, 64, raw=RAW)[0] == Status.BAD_POINTER


def test_a_field_is_set(factory: MakerFactory) -> None:
    limits = Limits(host_bytes=4 * MAX_FIELD_BYTES)
    probe = Probe("host_set_event_field", factory, limits=limits)
    status, event = on(probe, b"id", b"7", raw=RAW)
    assert (status, event.id) == (Status.OK, "7")
    assert on(probe, b"id", b"7\n", raw=RAW)[0] == Status.BAD_ARGUMENT
    assert on(probe, b"retry", b"soon", raw=RAW)[0] == Status.BAD_ARGUMENT
    assert on(probe, b"data", b"b", raw=RAW)[0] == Status.BAD_ARGUMENT
    assert on(probe, b"id", PAGE - 2, 64, raw=RAW)[0] == Status.BAD_POINTER
    too_long = on(probe, b"id", 0, MAX_FIELD_BYTES + 1, raw=RAW)
    assert too_long[0] == Status.TOO_LARGE
    assert not too_long[1].is_changed


@pytest.mark.parametrize("name", ["host_get_event_field", "host_set_event_field"])
def test_elsewhere_there_is_no_event(name: str, factory: MakerFactory) -> None:
    probe = Probe(name, factory)
    for point in (*HookPoint, Extra.RESPONSE_CHUNK, Extra.SSE_EVENT):
        status = probe.call(b"id", 0, 0, point=point, flow=make_flow())
        assert status == Status.WRONG_HOOK


def test_to_set_a_field_needs_a_grant(factory: MakerFactory) -> None:
    probe = Probe("host_set_event_field", factory, granted=READ_ONLY)
    status, event = on(probe, b"id", b"7", raw=RAW)
    assert status == Status.NO_PERMISSION
    assert not event.is_changed
