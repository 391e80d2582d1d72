"""Loading, granting, ordering and unloading, through a real dispatcher."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import (
    RESULT_AT,
    LogBook,
    guest,
    make_dispatcher,
    make_flow,
    probe_source,
)

REQUEST = HookPoint.REQUEST


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


def put(folder: Path, name: str, source: bytes, manifest: str = "") -> Path:
    path = folder / f"{name}.wat"
    path.write_bytes(source)
    if manifest:
        (folder / f"{name}.toml").write_text(manifest)
    return path


def sayer(text: str, hook: str = "on_request") -> bytes:
    return f"""(module
      (import "env" "host_log" (func $log (param i32 i32 i32)))
      (memory (export "memory") 1) (data (i32.const 0) "{text}")
      (func (export "{hook}") (result i32)
        (call $log (i32.const 1) (i32.const 0) (i32.const {len(text)}))
        (i32.const 0)))""".encode()


async def test_a_loaded_plugin_is_asked_until_it_is_unloaded(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", sayer("hi")))
    assert slot.name == "one"
    assert dispatcher.is_heard(REQUEST, make_flow())
    assert not dispatcher.is_heard(
        HookPoint.RESPONSE, make_flow()
    )  # not exported: no cost
    await dispatcher.dispatch(REQUEST, make_flow())
    manager.unload("one")
    assert not dispatcher.is_heard(REQUEST, make_flow())
    assert manager.plugins == {}
    assert [(name, text) for name, _, text in book.lines] == [("one", "hi")]


async def test_plugins_run_by_priority_then_name(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    await manager.load(put(tmp_path, "c", sayer("c"), "priority = 5"))
    await manager.load(put(tmp_path, "b", sayer("b")))
    await manager.load(put(tmp_path, "a", sayer("a")))
    await dispatcher.dispatch(REQUEST, make_flow())
    assert book.texts() == ["c", "a", "b"]


async def test_one_that_fails_does_not_stop_the_others(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    await manager.load(put(tmp_path, "a", guest("endless_loop")))
    await manager.load(put(tmp_path, "b", sayer("b")))
    await dispatcher.dispatch(REQUEST, make_flow())
    assert book.texts() == ["b"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("init_fails", "plugin init_fails: could not be started: plugin_init"),
        ("start_loops", "plugin start_loops: could not be started"),
        ("huge_memory", "plugin huge_memory: could not be started"),
    ],
)
async def test_a_plugin_that_does_not_start_is_refused(
    name: str, message: str, manager: PluginManager, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match=message):
        await manager.load(put(tmp_path, name, guest(name)))
    assert manager.plugins == {}


async def test_two_of_one_name_are_refused(
    manager: PluginManager, tmp_path: Path
) -> None:
    await manager.load(put(tmp_path, "a", sayer("a")))
    with pytest.raises(PluginError, match="a plugin named a is loaded already"):
        await manager.load(put(tmp_path, "b", sayer("b"), 'name = "a"'))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.wasm", "cannot be read: No such file"),
        ("folder.wasm", "not a file"),
        ("module.txt", "its name ends neither"),
    ],
)
async def test_what_is_no_plugin_file_is_refused(
    name: str, message: str, manager: PluginManager, tmp_path: Path
) -> None:
    (tmp_path / "folder.wasm").mkdir()
    with pytest.raises(PluginError, match=message):
        await manager.load(tmp_path / name)


async def answer_of(
    manager: PluginManager, dispatcher: Dispatcher, name: str
) -> tuple[int, bool]:
    """The probe's status, and whether the header was set."""
    flow = make_flow()
    runner = manager.plugins[name].runner
    running = runner.instances[0]._guest
    assert running is not None
    assert running.write(1024, b"x-a1")
    numbers = (1024, 3, 1027, 1)
    assert running.write(0, b"".join(n.to_bytes(4, "little") for n in numbers))
    await dispatcher.dispatch(REQUEST, flow)
    data = running.read(RESULT_AT, 4)
    assert data is not None
    return int.from_bytes(data, "little", signed=True), "x-a" in flow.request.headers


async def test_a_dropped_in_module_reads_and_waits_for_a_grant(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    path = put(tmp_path, "probe", probe_source("host_add_header"))
    await manager.load(path, is_trusted=False)
    assert manager.plugins["probe"].withheld == {
        grant_of(Permission.REQUEST_MODIFY),
        grant_of(Permission.RESPONSE_MODIFY),
        grant_of(Permission.RECORD),
    }
    assert await answer_of(manager, dispatcher, "probe") == (
        Status.NO_PERMISSION,
        False,
    )
    assert dispatcher.is_heard(HookPoint.CAPTURE, make_flow())
    assert not dispatcher.may_change(HookPoint.CAPTURE, make_flow())


async def test_a_grant_of_the_users_config_is_enough(
    dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    path = put(tmp_path, "probe", probe_source("host_add_header"))
    manager = PluginManager(
        dispatcher,
        log=book,
        settings={"probe": {"grant": ["request.modify", "response.modify", "record"]}},
    )
    await manager.load(path, is_trusted=False)
    assert manager.plugins["probe"].withheld == frozenset()
    assert await answer_of(manager, dispatcher, "probe") == (Status.OK, True)
    await manager.aclose()


async def test_naming_a_file_grants_what_it_imports(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    await manager.load(put(tmp_path, "probe", probe_source("host_add_header")))
    assert await answer_of(manager, dispatcher, "probe") == (Status.OK, True)
    assert dispatcher.may_change(HookPoint.CAPTURE, make_flow())


async def test_reading_bodies_makes_them_whole_in_message_hooks_only(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    await manager.load(put(tmp_path, "probe", probe_source("host_get_body")))
    heard = {one for one in HookPoint if dispatcher.needs_body(one, make_flow())}
    assert heard == {REQUEST, HookPoint.RESPONSE}


async def test_closing_leaves_no_thread(
    dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    before = {one for one in threading.enumerate() if "int3rceptor" in one.name}
    manager = PluginManager(dispatcher, log=book)
    await manager.load(put(tmp_path, "a", sayer("a")))
    manager.plugins["a"].runner.pace.is_slow = True
    await dispatcher.dispatch(REQUEST, make_flow())
    during = {one for one in threading.enumerate() if "int3rceptor" in one.name}
    assert len(during - before) == 2  # the ticker and one worker
    await manager.aclose()
    after = {one for one in threading.enumerate() if "int3rceptor" in one.name}
    assert after == before
    assert not dispatcher.is_heard(REQUEST, make_flow())


async def test_only_a_named_file_may_drop_without_a_grant(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    path = put(tmp_path, "one", guest("returns_drop"))
    slot = await manager.load(path, is_trusted=False)
    assert await dispatcher.dispatch(REQUEST, make_flow()) is None
    assert slot.current is not None
    assert slot.current.withheld == frozenset()
    manager.unload("one")
    await manager.load(path)
    assert await dispatcher.dispatch(REQUEST, make_flow()) == Drop()
