"""Host functions about state and about what is left on a flow, from inside a guest."""

import dataclasses
from collections.abc import Callable
from typing import cast

import pytest

from int3rceptor.model.flow import MAX_CONTEXT_KEYS
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.host.state import LOOK_COST
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.state.keyvalues import KeyValues, Unreachable
from tests.plugins.support import Probe, make_flow

BUFFER = 4096


def state_of(probe: Probe) -> KeyValues:
    return probe.instance.host.surroundings.state


def test_state_is_read(factory: MakerFactory) -> None:
    probe = Probe("host_kv_get", factory)
    assert probe.call(b"a", BUFFER, 99, flow=make_flow()) == 1
    assert probe.read(BUFFER, 2) == b"1\0"
    assert probe.call(b"none", BUFFER, 99, flow=make_flow()) == Status.NOT_FOUND
    assert probe.call(b"a", BUFFER, 0, flow=make_flow()) == 1


def test_state_is_set_and_stays_through_a_fault(factory: MakerFactory) -> None:
    probe = Probe("host_kv_set", factory)
    assert probe.call(b"k", b"\xff\0", flow=make_flow()) == Status.OK
    assert probe.call(b"", b"v", flow=make_flow()) == Status.BAD_ARGUMENT
    assert probe.call(b"k" * 257, b"v", flow=make_flow()) == Status.BAD_ARGUMENT
    assert probe.call(b"k", b"v" * 5000, flow=make_flow()) == Status.TOO_LARGE
    assert state_of(probe).get(b"k") == b"\xff\0"
    spent = Probe("host_kv_set", factory, limits=Limits(host_bytes=1))
    assert isinstance(spent.run(b"kk", b"v", flow=make_flow()), Fault)


def test_numbers_are_added_up(factory: MakerFactory) -> None:
    probe = Probe("host_kv_add", factory)
    assert probe.call(b"a", 41, flow=make_flow()) == 42
    assert probe.call(b"a", -100, flow=make_flow()) == 0
    assert probe.call(b"new", 1, flow=make_flow()) == 1
    state_of(probe).set(b"word", b"x")
    assert probe.call(b"word", 1, flow=make_flow()) == Status.BAD_ARGUMENT
    assert probe.call(b"", 1, flow=make_flow()) == Status.BAD_ARGUMENT
    state_of(probe).set(b"large", b"1" * 4080)
    assert probe.call(b"one more", 1, flow=make_flow()) == Status.TOO_LARGE


def test_keys_end(factory: MakerFactory) -> None:
    probe = Probe("host_kv_expire", factory)
    assert probe.call(b"a", 0, flow=make_flow()) == Status.OK
    assert state_of(probe).get(b"a") is None
    assert probe.call(b"a", 1000, flow=make_flow()) == Status.NOT_FOUND


def test_keys_are_deleted_and_listed(factory: MakerFactory) -> None:
    probe = Probe("host_kv_delete", factory)
    assert probe.call(b"a", flow=make_flow()) == Status.OK
    assert probe.call(b"a", flow=make_flow()) == Status.NOT_FOUND
    listing = Probe("host_kv_list", factory)
    state_of(listing).set(b"ab", b"")
    state_of(listing).set(b"b", b"")
    expected = encode_list([b"a", b"ab"])
    assert listing.call(b"a", BUFFER, 99, flow=make_flow()) == len(expected)
    assert listing.read(BUFFER, len(expected)) == expected


@pytest.mark.parametrize(("room", "is_enough"), [(0, True), (-1, False)])
def test_a_list_costs_its_making_where_it_does_not_fit(
    room: int, *, is_enough: bool
) -> None:
    # A hundred keys are looked at, and two are told; else a thousand calls for the
    # length alone would take seconds.
    keys = [b"x%03d" % number for number in range(98)] + [b"y1", b"y2"]
    cost = LOOK_COST * len(keys) + len(b"y") + len(encode_list(keys[-2:]))
    probe = Probe("host_kv_list", limits=Limits(host_bytes=cost + room))
    state_of(probe).delete(b"a")
    for key in keys:
        state_of(probe).set(key, b"")
    answer = probe.run(b"y", BUFFER, 0, flow=make_flow())
    assert isinstance(answer, Fault) is not is_enough


def test_a_list_of_headers_costs_its_making_where_it_does_not_fit() -> None:
    flow = make_flow()
    count = Probe("host_list_headers").call(BUFFER, 0, flow=flow)
    for limit, is_enough in ((count, True), (count - 1, False)):
        probe = Probe("host_list_headers", limits=Limits(host_bytes=limit))
        answer = probe.run(BUFFER, 0, flow=flow)
        assert isinstance(answer, Fault) is not is_enough


def test_what_was_left_on_a_flow_is_read(factory: MakerFactory) -> None:
    probe = Probe("host_context_get", factory)
    assert probe.call(b"a", BUFFER, 99, flow=make_flow()) == 4
    assert probe.read(BUFFER, 4) == b"left"
    assert probe.call(b"b", BUFFER, 99, flow=make_flow()) == Status.NOT_FOUND


def test_values_are_left_on_a_flow(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_context_set", factory)
    assert probe.call("ü".encode(), b"\0", flow=flow) == Status.OK
    assert flow.context == {"a": b"left", "ü": b"\0"}
    for key in (b"", b"\xff", b"a\nb", b"k" * 257):
        assert probe.call(key, b"", flow=flow) == Status.BAD_ARGUMENT


def test_a_flow_holds_so_many_keys_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("int3rceptor.model.flow.MAX_CONTEXT_BYTES", 400)
    flow = make_flow()
    probe = Probe("host_context_set")
    assert probe.call(b"a", b"v" * 400, flow=flow) == Status.TOO_LARGE
    assert probe.call(b"a", b"v" * 399, flow=flow) == Status.OK
    flow.context.clear()
    flow.context.update({str(number): b"" for number in range(MAX_CONTEXT_KEYS)})
    assert probe.call(b"one more", b"", flow=flow) == Status.TOO_LARGE
    assert probe.call(b"1", b"v", flow=flow) == Status.OK


def test_a_fault_takes_back_what_was_left(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_context_set", factory)
    host = probe.instance.host
    host.save("earlier", lambda: None)
    probe.instance.start()
    running = probe.instance._guest
    assert running is not None
    original = running.call

    def failing(export: str) -> int:
        original(export)
        return -1

    running.call = failing  # type: ignore[method-assign]
    assert isinstance(probe.run(b"a", b"new", flow=flow), Fault)
    assert flow.context == {"a": b"left"}


@pytest.mark.parametrize("name", ["host_context_get", "host_context_set"])
@pytest.mark.parametrize(
    ("scopes", "is_allowed"), [(("a*", "b.*"), True), (("b.*", "ab"), False)]
)
def test_keys_are_granted_by_glob(
    name: str, scopes: tuple[str, ...], is_allowed: bool
) -> None:
    granted = frozenset(grant_of(Permission.CONTEXT, one) for one in scopes)
    probe = Probe(name, granted=granted)
    last = (BUFFER, 99) if name.endswith("get") else (b"v",)
    status = probe.call(b"abc", *last, flow=make_flow())
    assert (status != Status.NO_PERMISSION) is is_allowed


def test_without_the_permission_nothing_is_kept() -> None:
    probe = Probe("host_kv_set", granted=frozenset())
    assert probe.call(b"k", b"v", flow=make_flow()) == Status.NO_PERMISSION
    assert state_of(probe).get(b"k") is None


class _Held:
    """Keys that other workers do not let go of."""

    count = 1

    def __getattr__(self, name: str) -> Callable[..., object]:
        def refuse(*_: object) -> object:
            raise Unreachable

        return refuse


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("host_kv_get", (b"a", BUFFER, 99)),
        ("host_kv_set", (b"a", b"1")),
        ("host_kv_add", (b"a", 1)),
        ("host_kv_expire", (b"a", 1)),
        ("host_kv_delete", (b"a",)),
        ("host_kv_list", (b"", BUFFER, 99)),
    ],
)
def test_keys_that_others_hold_are_told_of(
    function: str, arguments: tuple[bytes | int, ...], factory: MakerFactory
) -> None:
    probe = Probe(function, factory)
    host = probe.instance.host
    held = cast("KeyValues", _Held())
    host.surroundings = dataclasses.replace(host.surroundings, state=held)
    assert probe.call(*arguments, flow=make_flow()) == Status.UNREACHABLE
