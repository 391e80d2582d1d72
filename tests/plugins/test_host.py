"""A call's state: what a fault takes back, and what the last decision is."""

import copy

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Delay, Drop
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.boundary import (
    NO_WINDOW,
    Fault,
    FaultKind,
    Outcome,
    Window,
)
from int3rceptor.plugins.host.host import Host, HostBudget, Surroundings
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.policy.permissions import Grants, Permission, grant_of
from int3rceptor.plugins.running.instance import HOST_ACTS
from tests.plugins.support import make_flow

REQUEST, RESPONSE = HookPoint.REQUEST, HookPoint.RESPONSE
TRAP = Fault(kind=FaultKind.TRAP)


class FakeGuest:
    """A guest that is nothing but memory."""

    def __init__(self, memory: bytes) -> None:
        self.memory = bytearray(memory)
        self.is_stopped = False

    def start(self) -> Fault | None:
        return None

    def call(self, export: str) -> Outcome:
        return len(export)

    def read(self, address: int, length: int) -> bytes | None:
        end = address + length
        return bytes(self.memory[address:end]) if end <= len(self.memory) else None

    def write(self, address: int, data: bytes) -> bool:
        if address + len(data) > len(self.memory):
            return False
        self.memory[address : address + len(data)] = data
        return True

    def memory_bytes(self) -> int:
        return len(self.memory)

    def window(self) -> Window:
        return NO_WINDOW

    def fuel_used(self) -> int:
        return 0

    def stop(self) -> None:
        self.is_stopped = True


def make_host(memory: bytes = b"x" * 64, size: int = 1000) -> tuple[Host, FakeGuest]:
    host = Host(Surroundings(), HostBudget(calls=10, bytes=size), Grants(()))
    guest = FakeGuest(memory)
    host.serve(guest)
    return host, guest


def do(host: Host, name: str, *values: int) -> int:
    act = HOST_ACTS[name]
    return act(host, *values)


CHANGES = [
    ("host_set_header", REQUEST, b"accept*/*", (0, 6, 6, 3)),
    ("host_add_header", RESPONSE, b"accept*/*", (0, 6, 6, 3)),
    ("host_remove_header", REQUEST, b"accept", (0, 6)),
    ("host_set_method", REQUEST, b"PUT", (0, 3)),
    ("host_set_path", REQUEST, b"/new", (0, 4)),
    ("host_set_status", RESPONSE, b"", (500,)),
    ("host_set_body", RESPONSE, b"new", (0, 3)),
    ("host_tag", REQUEST, b"tag", (0, 3)),
    ("host_set_url", REQUEST, b"http://b/", (0, 9)),
    ("host_set_request_header", REQUEST, b"accept*/*", (0, 6, 6, 3)),
    ("host_add_request_header", REQUEST, b"accept*/*", (0, 6, 6, 3)),
    ("host_remove_request_header", REQUEST, b"accept", (0, 6)),
    ("host_set_request_body", REQUEST, b"new", (0, 3)),
    ("host_set_trailer", RESPONSE, b"x-sum1", (0, 5, 5, 1)),
    ("host_add_trailer", RESPONSE, b"x-sum1", (0, 5, 5, 1)),
    ("host_remove_trailer", REQUEST, b"x-sum", (0, 5)),
    ("host_set_request_trailer", REQUEST, b"x-sum1", (0, 5, 5, 1)),
    ("host_add_request_trailer", REQUEST, b"x-sum1", (0, 5, 5, 1)),
    ("host_remove_request_trailer", REQUEST, b"x-sum", (0, 5)),
]


def _body_look(body: Body) -> tuple[object, ...]:
    trailers = list(body.trailers.raw) if body.trailers else []
    return body.content, body.length, body.replaced, body.original, trailers


def looks(flow: Flow) -> tuple[object, ...]:
    request, response = flow.request, flow.response
    assert response is not None
    return (
        *(request.method, request.url, copy.copy(request.headers.raw)),
        request.authority,
        *(response.status, response.reason, copy.copy(response.headers.raw)),
        *(list(flow.tags), list(flow.changes)),
        *map(_body_look, (request.body, response.body)),
    )


@pytest.mark.parametrize(("name", "point", "memory", "values"), CHANGES)
def test_a_fault_takes_back_each_kind_of_change(
    name: str, point: HookPoint, memory: bytes, values: tuple[int, ...]
) -> None:
    host, _ = make_host(memory)
    flow = make_flow()
    before = looks(flow)
    host.begin(point, flow)
    for _ in range(2):  # the second change must not be what is gone back to
        assert do(host, name, *values) >= 0
    assert looks(flow) != before
    assert host.finish(TRAP) == TRAP
    assert looks(flow) == before
    # Nothing of it is left for the next call.
    host.begin(point, flow)
    assert do(host, name, *values) >= 0
    changed = looks(flow)
    assert host.finish(0) is None
    host.begin(point, flow)
    assert host.finish(TRAP) == TRAP
    assert looks(flow) == changed


@pytest.mark.parametrize(("name", "point", "memory", "values"), CHANGES)
def test_without_a_message_nothing_is_changed(
    name: str, point: HookPoint, memory: bytes, values: tuple[int, ...]
) -> None:
    host, _ = make_host(memory)
    host.begin(point, None)
    assert do(host, name, *values) < 0
    assert host.finish(0) is None


def test_before_the_start_there_is_no_memory() -> None:
    host = Host(Surroundings(), HostBudget(calls=1, bytes=1), Grants(()))
    assert host.read(0, 0) is None
    assert host.give(b"", 0, 0) == Status.BAD_POINTER


def test_the_last_decision_counts() -> None:
    host, _ = make_host()
    host.begin(REQUEST, make_flow())
    assert do(host, "host_drop") == Status.OK
    assert do(host, "host_delay", 5) == Status.OK
    assert host.finish(0) == Delay(0.005)
    assert host.finish(0) is None
    host.begin(REQUEST, make_flow())
    assert do(host, "host_delay", 5) == Status.OK
    host.grants = Grants({grant_of(Permission.RESPOND)})
    assert host.finish(2) == Drop()


def test_a_read_outside_costs_nothing() -> None:
    host, guest = make_host(bytes(100), size=50)
    host.begin(REQUEST, make_flow())
    assert host.read(0, 101) is None
    assert host.fault is None
    assert not guest.is_stopped


def test_a_read_over_the_budget_ends_the_call() -> None:
    host, guest = make_host(bytes(100), size=50)
    host.begin(REQUEST, make_flow())
    assert host.read(0, 51) is None
    assert host.fault == Fault(kind=FaultKind.HOST_BUDGET, detail="more than 50 bytes")
    assert guest.is_stopped


def test_a_value_that_does_not_fit_is_not_written() -> None:
    host, guest = make_host(bytes(4))
    host.begin(REQUEST, make_flow())
    answer = host.give(encode_list([b"abc"]), 0, 6)
    assert answer == 7
    assert guest.memory == bytes(4)
    assert host.give(b"abc", 2, 6) == Status.BAD_POINTER


def test_an_answer_in_the_wrong_place_is_a_fault() -> None:
    host, _ = make_host()
    host.begin(REQUEST, make_flow())
    do(host, "host_drop")
    assert host.finish(1) == Fault(kind=FaultKind.BAD_ANSWER)
    assert host.finish(3) == Fault(kind=FaultKind.RETURNED_ERROR, detail="code 3")
