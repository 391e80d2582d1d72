"""Seven defects that an earlier plugin system of this kind had; none may come back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Respond
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.managing.manager import PluginManager
from tests.plugins.support import (
    EXAMPLES,
    ORIGINAL_SIX,
    LogBook,
    Probe,
    guest,
    make_dispatcher,
    make_flow,
    make_instance,
)


@pytest.fixture
def dispatcher() -> Dispatcher:
    return make_dispatcher()


@pytest.fixture
def book() -> LogBook:
    return LogBook()


@pytest.fixture
async def manager(
    dispatcher: Dispatcher, book: LogBook
) -> AsyncIterator[PluginManager]:
    one = PluginManager(dispatcher, log=book)
    yield one
    await one.aclose()


async def test_1_all_five_hooks_are_called(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook
) -> None:
    await manager.load(EXAMPLES / "example-logger" / "example_logger.wasm")
    for point in HookPoint:
        await dispatcher.dispatch(point, make_flow())
    assert book.texts()[1:] == [point.value for point in HookPoint]


async def test_2_a_plugin_sees_the_message_and_its_changes_and_verdicts_count(
    manager: PluginManager, dispatcher: Dispatcher
) -> None:
    await manager.load(EXAMPLES / "header-stamp" / "header_stamp.wasm")
    flow = make_flow()
    await dispatcher.dispatch(HookPoint.RESPONSE, flow)
    assert flow.response is not None
    assert flow.response.headers["x-int3rceptor"] == "header-stamp"
    await manager.load(EXAMPLES / "block-list" / "block_list.wasm")
    flow = make_flow()
    read = Probe("host_get_body")
    for point in (HookPoint.REQUEST, HookPoint.RESPONSE):
        assert read.call(4096, 99, point=point, flow=flow) == 4
        assert read.read(4096, 4) == b"body"
    flow.request.host = "www.blocked.example"
    assert isinstance(await dispatcher.dispatch(HookPoint.REQUEST, flow), Respond)


def test_3_plugin_init_has_fuel(factory: MakerFactory) -> None:
    instance = make_instance(guest("counter"), factory)
    instance.run(HookPoint.REQUEST, make_flow())
    assert instance.take_lines()[0][1] == "I"


def test_4_limits_hold_during_the_call(factory: MakerFactory) -> None:
    # The wall clock: test_guests.test_the_wall_clock_ends_what_fuel_does_not.
    looping = make_instance(guest("endless_loop"), factory)
    result = looping.run(HookPoint.REQUEST, make_flow())
    assert isinstance(result, Fault)
    assert result.kind is FaultKind.FUEL
    instance = make_instance(guest("memory_grow"), factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None
    assert instance._guest is not None
    assert instance._guest.memory_bytes() <= 16 * 1024 * 1024


async def test_5_priority_counts_and_repeated_headers_are_kept(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    for name, priority in (("a", 2), ("b", 1)):
        (tmp_path / f"{name}.wat").write_bytes(guest("original_three"))
        (tmp_path / f"{name}.toml").write_text(f"priority = {priority}")
        await manager.load(tmp_path / f"{name}.wat")
    flow = make_flow()
    await dispatcher.dispatch(HookPoint.REQUEST, flow)
    authors = [change.author for change in flow.changes]
    assert authors == ["b", "b"]  # "a" came second and found its change made
    assert flow.request.headers.get_all("ACCEPT") == ["text/html", "text/plain"]
    assert Probe("host_get_header").call(b"aCCEPT", 4096, 99, flow=flow) == 9


async def test_5_a_permission_that_was_not_granted_is_not_there(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    (tmp_path / "a.wat").write_bytes(guest("original_three"))
    await manager.load(tmp_path / "a.wat", is_trusted=False)
    flow, untouched = make_flow(), make_flow()
    await dispatcher.dispatch(HookPoint.REQUEST, flow)
    assert flow.request.headers == untouched.request.headers
    assert flow.changes == []


def test_6_state_lives_between_calls_and_unchanged_is_unchanged(
    factory: MakerFactory,
) -> None:
    flow, untouched = make_flow(), make_flow()
    instance = make_instance(guest("counter"), factory)
    for _ in range(3):
        instance.run(HookPoint.REQUEST, flow)
    assert [text for _, text in instance.take_lines()] == ["I", "1", "2", "3"]
    assert flow.request.headers == untouched.request.headers


async def test_6_a_call_that_changes_nothing_is_not_told_of(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    (tmp_path / "a.wat").write_bytes(guest("counter"))
    await manager.load(tmp_path / "a.wat")
    flow = make_flow()
    for point in HookPoint:
        await dispatcher.dispatch(point, flow)
    assert (flow.changes, flow.plugins) == ([], [])


async def test_7_a_plugin_can_be_loaded_again_and_names_are_no_paths(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("founding_with_result"))
    await manager.load(path, is_trusted=False)
    manager.unload("a")
    await manager.load(path, is_trusted=False)
    await dispatcher.dispatch(HookPoint.REQUEST, make_flow())
    assert book.texts() == ["hello", "ABORT: hello"]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", "..", "a\\\\b", ""])
async def test_7_a_name_is_no_path(
    name: str, manager: PluginManager, tmp_path: Path
) -> None:
    # Names of uploads: tests/control/test_plugins.py. Files that change by themselves,
    # and switching on again: test_reloading and test_service.
    (tmp_path / "a.wat").write_bytes(guest("founding_with_result"))
    (tmp_path / "a.toml").write_text(f'name = "{name}"')
    with pytest.raises(PluginError, match="not a plugin's name"):
        await manager.load(tmp_path / "a.wat")


@pytest.mark.parametrize("with_result", range(1 << 6))
def test_modules_of_old_run_however_they_declare_the_functions(
    with_result: int, factory: MakerFactory
) -> None:
    imports, calls = "", ""
    for place, (name, count) in enumerate(ORIGINAL_SIX.items()):
        params = f"(param {'i32 ' * count})" if count else ""
        call = f"(call ${name} {'(i32.const 0) ' * count})"
        is_given = with_result >> place & 1
        result = "(result i32)" if is_given else ""
        imports += f'(import "env" "{name}" (func ${name} {params} {result}))\n'
        calls += f"(drop {call})" if is_given else call
    module = f"""(module {imports} (memory (export "memory") 1)
      (func (export "on_request") (result i32) {calls} (i32.const 0)))"""
    instance = make_instance(module.encode(), factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None
    assert [text for _, text in instance.take_lines()] == ["", "ABORT: "]
