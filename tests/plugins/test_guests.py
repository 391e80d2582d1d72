"""How single guests fare, on both ways of calling: limits to the unit, old modules,
what is kept and what is undone. `test_hostile` has the whole set."""

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import compile_module
from int3rceptor.plugins.host.host import MAX_LOG_LINE_BYTES
from int3rceptor.plugins.policy.manifest import MAX_FUEL, Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.running.instance import PluginInstance
from tests.plugins.support import RESULT_AT, guest, make_flow, make_instance


def fault_of(instance: PluginInstance) -> Fault:
    result = instance.run(HookPoint.REQUEST, make_flow())
    assert isinstance(result, Fault), result
    return result


@pytest.mark.usefixtures("ticking")
def test_the_wall_clock_ends_what_fuel_does_not(factory: MakerFactory) -> None:
    limits = Limits(fuel=MAX_FUEL, wall_s=0.3)
    instance = make_instance(guest("endless_loop"), factory, limits=limits)
    assert fault_of(instance).kind is FaultKind.WALL_CLOCK


def test_an_instance_that_cannot_be_rebuilt_is_a_fault(factory: MakerFactory) -> None:
    instance = make_instance(guest("init_loops"), factory)
    assert fault_of(instance).detail == (
        "plugin_init: out of fuel (limits.fuel is 1000000)"
    )
    assert fault_of(instance).kind is FaultKind.START


def test_memory_ends_at_the_limit(factory: MakerFactory) -> None:
    instance = make_instance(guest("memory_grow"), factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None
    assert instance._guest is not None
    assert instance._guest.memory_bytes() <= Limits().memory_bytes
    pages = instance._guest.read(RESULT_AT, 4)
    assert pages is not None
    assert 200 < int.from_bytes(pages, "little") <= 256
    # The host sees the memory that was grown, and not one byte more.
    size = instance._guest.memory_bytes()
    assert instance._guest.read(size - 1, 1) is not None
    assert instance._guest.read(size, 1) is None


def test_host_budget_counts_calls(factory: MakerFactory) -> None:
    limits = Limits(host_calls=7)
    instance = make_instance(guest("log_flood"), factory, limits=limits)
    assert fault_of(instance).detail == "more than 7 host calls"
    assert [text for _, text in instance.take_lines()] == ["flood"] * 7


def test_host_budget_counts_bytes_and_cuts_lines(factory: MakerFactory) -> None:
    instance = make_instance(guest("giant_log"), factory)
    assert fault_of(instance).detail == "more than 1048576 bytes"
    lines = [text for _, text in instance.take_lines()]
    assert len(lines) == 2
    assert all(len(text) < MAX_LOG_LINE_BYTES + 50 for text in lines)


def test_abort_writes_a_line_and_stops_nothing(factory: MakerFactory) -> None:
    instance = make_instance(guest("abort"), factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None
    assert instance.take_lines() == [(LogLevel.ERROR, "ABORT: assertion failed")]


@pytest.mark.parametrize("name", ["founding_with_result", "founding_without_result"])
def test_the_founding_three_load_in_both_signatures(
    name: str, factory: MakerFactory
) -> None:
    instance = make_instance(guest(name), factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None
    assert instance.take_lines() == [
        (LogLevel.WARN, "hello"),
        (LogLevel.ERROR, "ABORT: hello"),
    ]


def test_the_originals_three_work(factory: MakerFactory) -> None:
    flow = make_flow()
    instance = make_instance(guest("original_three"), factory)
    assert instance.run(HookPoint.REQUEST, flow) is None
    assert flow.request.headers["x-copy"] == "text/html"
    assert flow.request.headers["x-method"] == "POST"


def test_state_lives_between_calls_and_ends_with_a_trap(factory: MakerFactory) -> None:
    instance = make_instance(guest("counter"), factory)
    results = [instance.run(HookPoint.REQUEST, make_flow()) for _ in range(6)]
    assert [isinstance(one, Fault) for one in results] == [
        *(False, False, False, True),
        *(False, False),
    ]
    said = "".join(text for _, text in instance.take_lines())
    assert said == "I1234" + "I12"
    assert instance.starts == 2


def test_an_error_code_keeps_the_instance(factory: MakerFactory) -> None:
    instance = make_instance(guest("returns_error"), factory)
    assert str(fault_of(instance)) == "returned an error: code 77"
    fault_of(instance)
    assert instance.starts == 1


@pytest.mark.parametrize("point", [HookPoint.REQUEST, HookPoint.RESPONSE])
def test_a_fault_takes_back_what_the_call_changed(
    point: HookPoint, factory: MakerFactory
) -> None:
    flow, untouched = make_flow(), make_flow()
    instance = make_instance(guest("half_change"), factory)
    assert isinstance(instance.run(point, flow), Fault)
    assert flow.request.headers == untouched.request.headers
    assert flow.response is not None
    assert untouched.response is not None
    assert flow.response.headers == untouched.response.headers


def test_the_code_drop_needs_what_the_function_needs(factory: MakerFactory) -> None:
    granted = frozenset({grant_of(Permission.CONNECT)})
    instance = make_instance(guest("returns_drop"), factory, granted=granted)
    assert str(instance.run(HookPoint.REQUEST, make_flow())) == (
        "returned what it was not granted: DROP, respond"
    )
    assert instance.is_up


@pytest.mark.parametrize(
    "data",
    [
        b"\0asm\x01\0\0\0\xff\xff\xff",
        b"\0asm",
        b"(module",
        b"\xff\xfe\x00 garbage",
        b"just text",
        b"(module (memory i64 1))",
        b"(module (memory 1 1 shared))",
        b"(module (memory 1) (memory 1))",
        b"(component)",
        b"(module (tag))",
    ],
)
def test_what_is_no_usable_module_is_refused_with_one_line(data: bytes) -> None:
    with pytest.raises(PluginError, match=r"^bad\.wasm: ") as caught:
        compile_module(data, "bad.wasm")
    assert "\n" not in str(caught.value)
