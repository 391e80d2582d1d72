"""New versions of plugins: swapped between flows, refused, held back, taken out."""

import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Fail
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.grants import GrantsFile
from int3rceptor.plugins.policy.permissions import parse_all, parse_grants
from int3rceptor.plugins.running.instance import PluginInstance
from tests.plugins.support import (
    LogBook,
    guest,
    make_dispatcher,
    make_flow,
    probe_source,
)
from tests.support.guests import put, sayer, stamper
from tests.support.load import until

REQUEST, CAPTURE = HookPoint.REQUEST, HookPoint.CAPTURE


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


def grant(manager: PluginManager, name: str, *permissions: str) -> None:
    granted = parse_all(permissions)
    manager.grants._all[name] = GrantsFile(None).change(
        name, lambda one: type(one)(granted=granted)
    )


async def version_of(dispatcher: Dispatcher, flow: Flow | None = None) -> str | None:
    flow = flow or make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    return flow.request.headers.get("x-version")


async def test_a_flow_is_asked_by_one_version_to_its_end(
    manager: PluginManager, dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    hooks = ("on_request", "on_capture")
    slot = await manager.load(put(tmp_path, "one", sayer("old", *hooks)))
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    put(tmp_path, "one", sayer("new", *hooks))
    await manager.reload(slot)
    await dispatcher.dispatch(CAPTURE, flow)
    await dispatcher.dispatch(REQUEST, make_flow())
    assert book.texts() == ["old", "old", "new"]
    assert slot.reloads == 1


async def test_an_old_version_goes_with_the_last_flow_that_holds_it(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", sayer("old")))
    assert slot.current is not None
    gone = weakref.ref(slot.current.runner)
    instances = slot.current.runner.instances
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    gc.disable()  # at once, not when the collector happens to look
    try:
        await manager.reload(slot)
        assert gone() is not None
        flow.roster = None
        assert gone() is None
        assert not instances[0].is_up
    finally:
        gc.enable()


async def test_a_plugin_that_failed_goes_at_once_too(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", guest("unreachable")))
    assert slot.current is not None
    gone = weakref.ref(slot.current.runner)
    gc.disable()
    try:
        flow = make_flow()
        await dispatcher.dispatch(REQUEST, flow)
        assert "failed" in flow.changes[-1].what
        del flow
        put(tmp_path, "one", sayer("new"))
        await manager.reload(slot)
        assert gone() is None
    finally:
        gc.enable()


async def test_nothing_stays_of_a_plugin_that_does_not_start(
    manager: PluginManager, tmp_path: Path
) -> None:
    def alive() -> int:
        return sum(isinstance(one, PluginInstance) for one in gc.get_objects())

    gc.collect()
    before = alive()
    gc.disable()
    try:
        with contextlib.suppress(PluginError):  # pytest.raises would keep its frames
            await manager.load(put(tmp_path, "one", guest("start_loops")))
        assert manager.plugins == {}
        await until(lambda: alive() == before)  # its thread lets go of it, too
    finally:
        gc.enable()


BROKEN = {
    "no module": ("(module", "not a usable WebAssembly module"),
    "no hook": ("(module)", "exports no hook"),
    "fails to start": (sayer("x", init=1), "could not be started: plugin_init"),
    "unknown import": (
        """(module (import "env" "x" (func))
          (func (export "on_request") (result i32) (i32.const 0)))""",
        "which this host does not have",
    ),
}


@pytest.mark.parametrize(("source", "why"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_version_leaves_the_old_one_in_service(
    manager: PluginManager,
    dispatcher: Dispatcher,
    tmp_path: Path,
    source: str,
    why: str,
) -> None:
    slot = await manager.load(put(tmp_path, "one", stamper("1")))
    put(tmp_path, "one", source)
    with pytest.raises(PluginError, match=why):
        await manager.reload(slot)
    assert why in slot.problem
    assert await version_of(dispatcher) == "1"
    put(tmp_path, "one", stamper("2"))
    await manager.reload(slot)
    assert slot.problem == ""
    assert await version_of(dispatcher) == "2"


async def test_a_manifest_that_breaks_is_a_broken_version(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", stamper("1")))
    put(tmp_path, "one", stamper("1"), "urgency = 5")
    with pytest.raises(PluginError, match="urgency: no such key"):
        await manager.reload(slot)
    put(tmp_path, "one", stamper("2"), 'name = "two"')
    with pytest.raises(PluginError, match="its name was one and is now two"):
        await manager.reload(slot)
    assert await version_of(dispatcher) == "1"


async def test_a_version_that_asks_for_more_is_held_back_until_it_is_granted(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", sayer("1")))  # as if by --plugin
    put(tmp_path, "one", stamper("2"))
    with pytest.raises(PluginError) as caught:
        await manager.reload(slot)
    assert (
        "plugin one: the new version waits: it asks for more than was granted: "
        "+request.modify +response.modify; grant it (int3rceptor plugins grant one"
    ) in str(caught.value)
    assert set(map(str, slot.lacks)) == {"request.modify", "response.modify"}
    assert await version_of(dispatcher) is None

    grant(manager, "one", "request.modify")
    with pytest.raises(PluginError, match=r"granted: \+response.modify;"):
        await manager.renew(slot)
    grant(manager, "one", "request.modify", "response.modify")
    await manager.renew(slot)
    assert await version_of(dispatcher) == "2"
    assert not slot.lacks


async def test_what_naming_a_file_granted_does_not_grow_with_the_file(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    slot = await manager.load(put(tmp_path, "one", stamper("1")))
    put(tmp_path, "one", probe_source("host_set_status"))  # response.modify: has it
    await manager.reload(slot)
    put(tmp_path, "one", probe_source("host_drop"))
    with pytest.raises(PluginError, match=r"\+connect \+record;"):
        await manager.reload(slot)
    put(tmp_path, "one", stamper("3"))
    await manager.reload(slot)
    assert await version_of(dispatcher) == "3"


async def test_a_scope_that_changes_is_more_too(
    manager: PluginManager, tmp_path: Path
) -> None:
    source = probe_source("host_publish")
    path = put(tmp_path, "one", source, 'permissions = ["topics:a"]')
    slot = await manager.load(path)
    assert slot.current is not None
    assert parse_grants("topics.send:a") <= slot.current.granted
    assert not parse_grants("topics.hear:a") <= slot.current.granted
    assert not slot.current.withheld
    put(tmp_path, "one", source, 'permissions = ["topics:b"]')
    with pytest.raises(PluginError, match=r"granted: \+topics.send:b;"):
        await manager.reload(slot)
    hears = probe_source("host_subscribe")
    put(tmp_path, "one", hears, 'permissions = ["topics:a"]')
    with pytest.raises(PluginError, match=r"granted: \+topics.hear:a;"):
        await manager.reload(slot)


async def test_what_was_withheld_all_along_holds_nothing_back(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    path = put(tmp_path, "one", stamper("1"))
    slot = await manager.load(path, is_trusted=False)
    put(tmp_path, "one", stamper("2"))
    await manager.reload(slot)
    assert slot.reloads == 1
    assert await version_of(dispatcher) is None
    grant(manager, "one", "request.modify")
    await manager.renew(slot)
    assert await version_of(dispatcher) == "2"


async def test_less_counts_at_once_for_flows_under_way_too(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    grant(manager, "one", "request.modify")
    path = put(tmp_path, "one", stamper("1"))
    slot = await manager.load(path, is_trusted=False)
    flow = make_flow()
    assert await version_of(dispatcher, flow) == "1"
    flow.request.headers.remove("x-version")
    grant(manager, "one")
    await manager.curtail(slot)
    assert await version_of(dispatcher, flow) is None
    assert flow.changes[-1].what == "skipped: it was granted less meanwhile"
    assert await version_of(dispatcher) is None
    assert slot.current is not None


async def test_a_guard_that_is_granted_less_refuses_flows_under_way(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    grant(manager, "one", "request.modify", "respond")
    path = put(tmp_path, "one", stamper("1"), 'on_error = "block"')
    slot = await manager.load(path, is_trusted=False)
    flow = make_flow()
    await dispatcher.dispatch(REQUEST, flow)
    grant(manager, "one")
    await manager.curtail(slot)
    verdict = await dispatcher.dispatch(REQUEST, flow)
    assert verdict == Fail("one", "it was granted less meanwhile")


async def test_a_failed_start_aside_does_not_hold_the_loop(
    manager: PluginManager, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    """plugin_init runs in a thread, under the wall clock too."""
    slot = await manager.load(put(tmp_path, "one", stamper("1")))
    endless = """(module (func (export "on_request") (result i32) (i32.const 0))
      (func (export "plugin_init") (result i32) (loop $l (br $l)) (i32.const 0)))"""
    put(tmp_path, "one", endless, "limits = { fuel = 10_000_000_000, wall_s = 0.3 }")
    with pytest.raises(PluginError, match="plugin_init: over the wall clock limit"):
        await manager.reload(slot)
    assert await version_of(dispatcher) == "1"


async def test_many_versions_leave_nothing_behind(
    dispatcher: Dispatcher, book: LogBook, tmp_path: Path
) -> None:
    manager = PluginManager(dispatcher, log=book)
    slot = await manager.load(put(tmp_path, "one", stamper("0")))
    versions = []
    for number in range(20):
        assert slot.current is not None
        versions.append(weakref.ref(slot.current.runner))
        put(tmp_path, "one", stamper(str(number)))
        await manager.reload(slot)
        assert await version_of(dispatcher) == str(number)
    assert [one for one in versions if one() is not None] == []
    manager.unload("one")
    assert not dispatcher.is_heard(REQUEST, make_flow())
    await manager.aclose()
    ours = [one for one in threading.enumerate() if "int3rceptor" in one.name]
    assert ours == []
