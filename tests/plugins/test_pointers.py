"""Every host function of the table with whatever a guest may pass: it never crashes."""

import functools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.headers import Headers
from int3rceptor.model.server_events import Event
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.abi.codes import ENTRIES, Entry, Extra, Status
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.streaming.chunks import Chunk, message_chunk
from tests.plugins.support import FACTORIES, PAGE, Probe, make_flow

EDGES = (0, 1, 4, PAGE - 1, PAGE, PAGE + 1, 1 << 31, (1 << 32) - 1)
NUMBERS = st.one_of(
    st.sampled_from(EDGES), st.integers(0, 2 * PAGE), st.integers(0, (1 << 32) - 1)
)
PLAIN_STATUS = range(min(Status), 1)
WITH_POINTERS = [name for name, row in FUNCTIONS.items() if row.needs_memory]


@functools.cache
def probe(name: str, caller: str) -> Probe:
    # Without budgets in the way, so that the pointers themselves are judged.
    limits = Limits(host_calls=1_000_000, host_bytes=256 * 1024 * 1024)
    return Probe(name, FACTORIES[caller], limits=limits, config={"": b"{}", "a": b"b"})


def chunk_at(point: Entry) -> Chunk | None:
    if point is Extra.SSE_EVENT:
        event = Event(b"event: kind\ndata: an event\n\n")
        return Chunk(data=event.data, event=event)
    if point is Extra.WEBSOCKET_MESSAGE:
        message = WebSocketMessage(data=b"hi", is_text=True, is_from_client=True)
        return message_chunk(message)
    is_there = point in (Extra.REQUEST_CHUNK, Extra.RESPONSE_CHUNK)
    return Chunk(data=b"a chunk", is_last=True) if is_there else None


@pytest.mark.parametrize("caller", FACTORIES)
@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=25)
@given(
    numbers=st.lists(NUMBERS, min_size=5, max_size=5), point=st.sampled_from(ENTRIES)
)
@example(numbers=[0, (1 << 32) - 1, 0, (1 << 32) - 1, 0], point=HookPoint.REQUEST)
@example(numbers=[(1 << 32) - 1] * 5, point=HookPoint.RESPONSE)
def test_any_argument_gives_a_status(
    name: str, caller: str, numbers: list[int], point: Entry
) -> None:
    row = FUNCTIONS[name]
    one = probe(name, caller)
    flow = make_flow()
    args = numbers[: len(row.params)]
    result = one.run(*args, point=point, flow=flow, chunk=chunk_at(point))
    if isinstance(result, Fault):
        assert result.kind is FaultKind.HOST_BUDGET
        return
    status = one.status()
    assert status >= min(Status)
    assert status in PLAIN_STATUS or status > 0


@pytest.mark.parametrize("caller", FACTORIES)
@pytest.mark.parametrize("name", WITH_POINTERS)
def test_each_pointer_outside_of_memory_is_refused(name: str, caller: str) -> None:
    row = FUNCTIONS[name]
    one = probe(name, caller)
    wanted = Status.NOT_FOUND if row.legacy else Status.BAD_POINTER
    flow = make_flow()
    flow.request.body.trailers = Headers([(b"accept", b"x")])
    flow.tag("x")
    for index, param in enumerate(row.params):
        if not param.endswith("ptr"):
            continue
        numbers = [0] * len(row.params)
        numbers[index], numbers[index + 1] = PAGE, 4096
        point = row.hooks[0] if row.hooks else HookPoint.REQUEST
        args = _with_name(name, row.params, index, numbers)
        result = one.run(*args, point=point, flow=flow, chunk=chunk_at(point))
        assert not isinstance(result, Fault), (name, param, result)
        assert one.status() == wanted, (name, param)


def _with_name(
    name: str, params: tuple[str, ...], index: int, numbers: list[int]
) -> list[int | bytes]:
    """Name something that exists, so that the buffer behind it is what is judged."""
    args: list[int | bytes] = list(numbers)
    if params and params[0] in EXISTING and index > 0:
        args[:2] = [_NAMES.get(name) or EXISTING[params[0]]]
    return args


_NAMES = {
    "host_get_fact": b"flow.kind",
    "host_get_event_field": b"event",
    "host_set_event_field": b"event",
}

EXISTING = {
    "name_ptr": b"accept",
    "key_ptr": b"a",
    "topic_ptr": b"a",
    "request_ptr": encode_list([b"GET", b"http://example.com/", b""]),
}


def test_a_span_that_ends_exactly_at_the_end_is_inside() -> None:
    for caller in FACTORIES:
        one = probe("host_random", caller)
        assert one.call(PAGE - 16, 16, flow=make_flow()) == Status.OK
        assert one.read(PAGE - 16, 16) == b"r" * 16
        assert one.call(PAGE, 0, flow=make_flow()) == Status.OK
        assert one.call(PAGE - 16, 17, flow=make_flow()) == Status.BAD_POINTER
