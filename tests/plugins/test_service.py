"""What can be done with the plugins of a running proxy, on real files."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import pytest

from int3rceptor.errors import PluginError
from int3rceptor.files.reading import listing
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Fail
from int3rceptor.link.plugin_reports import LogLine, PluginState
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.managing.service import PluginService
from int3rceptor.plugins.managing.upkeep import Places, Upkeep
from int3rceptor.plugins.policy.grants import FILE_NAME
from int3rceptor.plugins.running.health import QUARANTINE_FAULTS
from tests.plugins.support import (
    LogBook,
    guest,
    make_dispatcher,
    make_flow,
    module_with,
)
from tests.support.guests import put, sayer, stamper
from tests.support.trying import Try, trying

if TYPE_CHECKING:
    from int3rceptor.plugins.policy.manifest import Settings

REQUEST = HookPoint.REQUEST
CHANGES = ["request.modify", "response.modify"]


class Running:
    """A service over a data directory, with what it serves."""

    def __init__(self, data_dir: Path, *named: Path) -> None:
        self.folder = data_dir / "plugins"
        self.grants = data_dir / FILE_NAME
        self.hooks = make_dispatcher()
        self.book = LogBook()
        places = Places(data_dir=data_dir, named=named)
        settings: dict[str, Settings] = {
            "set": {"config": {"below": 1, "both": 1}},
            "guard": {"on_error": "block"},
        }
        self.upkeep = Upkeep(self.hooks, places, log=self.book, settings=settings)
        self.service = PluginService(self.upkeep)

    async def version(self, flow: Flow | None = None) -> str | None:
        flow = flow or make_flow()
        flow.request.headers.remove("x-version")
        await self.hooks.dispatch(REQUEST, flow)
        return flow.request.headers.get("x-version")

    async def look(self) -> None:
        """Twice: a change counts when two looks agree."""
        await self.upkeep.look()
        await self.upkeep.look()

    def state(self, name: str) -> PluginState:
        (state,) = (one.state for one in self.service.list() if one.name == name)
        return state


class Start(Protocol):
    """Starts a service, as after a restart if there was one before."""

    def __call__(self, *named: Path) -> Awaitable[Running]: ...


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Running] = []

    async def begin(*named: Path) -> Running:
        for one in started:
            await one.upkeep.aclose()
        one = Running(tmp_path / "data", *named)
        started.append(one)
        await one.upkeep.start()
        return one

    yield begin
    for one in started:
        await one.upkeep.aclose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "plugins"


# --- what is told ---------------------------------------------------------------------


async def test_nothing_is_loaded_where_there_is_nothing(start: Start) -> None:
    running = await start()
    assert running.service.list() == []
    for ask in (running.service.details, running.service.recent_lines):
        with pytest.raises(PluginError, match="there is no plugin named x"):
            ask("x")


async def test_a_plugin_in_a_list_and_in_full(start: Start, folder: Path) -> None:
    manifest = """version = "1.2"
description = "says so"
permissions = ["context:a"]
[scope]
hosts = ["*.example.com"]
[limits]
fuel = 5_000_000"""
    put(folder, "one", stamper("1"), manifest)
    running = await start()
    await running.hooks.dispatch(REQUEST, make_flow())
    (brief,) = running.service.list()
    assert (brief.name, brief.state, brief.in_service) == (
        "one",
        PluginState.RUNNING,
        True,
    )
    assert (brief.version, brief.description) == ("1.2", "says so")
    assert brief.withheld == ["context:a", "request.modify", "response.modify"]
    assert brief.hooks == ["on_request", "on_response"]
    assert len(brief.digest) == 64
    full = running.service.details("one")
    assert full.summary == brief
    assert full.imports == ["host_set_header"]
    assert [(one.grant, one.by) for one in full.permissions] == [
        ("context:a", ""),
        ("request.modify", ""),
        ("response.modify", ""),
    ]
    assert full.limits["fuel"] == 5_000_000
    assert full.hosts == ["*.example.com"]
    assert not full.in_loop  # it may compute for longer than the loop can wait
    assert full.size_bytes == (folder / "one.wat").stat().st_size


async def test_who_granted_what(start: Start, folder: Path, tmp_path: Path) -> None:
    named = put(tmp_path, "named", stamper("1"))
    put(folder, "one", stamper("1"))
    running = await start(named)
    await running.service.grant("one", ["request.modify"])
    given = {
        name: {one.grant: one.by for one in running.service.details(name).permissions}
        for name in ("named", "one")
    }
    assert given == {
        "named": dict.fromkeys(CHANGES, "command line"),
        "one": {"request.modify": "at run time", "response.modify": ""},
    }


async def test_faults_and_costs_are_counted(start: Start, folder: Path) -> None:
    put(folder, "bad", guest("unreachable"))
    put(folder, "good", guest("counter"))
    running = await start()
    flow = make_flow()
    await running.hooks.dispatch(REQUEST, flow)
    bad, good = (running.service.details(name) for name in ("bad", "good"))
    (fault,) = bad.faults
    assert (fault.hook, fault.flow, fault.reason) == (
        "on_request",
        flow.id,
        "trap: unreachable",
    )
    assert bad.counters.faults == {"trap": 1}
    assert good.counters.calls == 1
    assert good.fuel.count == 16  # one call in sixteen is measured, and stands for all
    assert 0 < good.fuel.p50 <= good.fuel.most < 1_000
    assert good.counters.lines == 2


async def test_what_it_fetched_is_counted_whether_it_came_or_not(
    start: Start, folder: Path
) -> None:
    request = encode_list([b"GET", b"http://example.com/", b""])
    tries = [Try("host_http_fetch", (request, 0, 64), (Status.UNREACHABLE,))] * 2
    put(folder, "one", trying(*tries), 'permissions = ["network:example.com"]')
    running = await start()
    await running.service.grant("one", ["network:example.com"])
    await running.hooks.dispatch(REQUEST, make_flow())
    counters = running.service.details("one").counters
    assert (counters.calls, counters.fetches, counters.faults) == (1, 2, {})


async def test_lines_recent_and_live_go_on_over_a_reload(
    start: Start, folder: Path
) -> None:
    put(folder, "one", sayer("old"))
    running = await start()
    seen: list[LogLine] = []
    stop = running.service.watch_lines("one", seen.append)
    await running.hooks.dispatch(REQUEST, make_flow())
    put(folder, "one", sayer("new"))
    await running.service.reload("one")
    await running.hooks.dispatch(REQUEST, make_flow())
    stop()
    await running.hooks.dispatch(REQUEST, make_flow())
    assert [line.text for line in seen] == ["old", "new"]
    recent = [line.text for line in running.service.recent_lines("one")]
    assert recent == ["old", "new", "new"]


# --- on and off -----------------------------------------------------------------------


async def test_off_counts_at_once_and_after_a_restart(
    start: Start, folder: Path
) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    await running.service.grant("one", CHANGES)
    flow = make_flow()
    assert await running.version(flow) == "1"
    told = await running.service.disable("one")
    assert (told.state, told.in_service) == (PluginState.DISABLED, False)
    assert await running.version(flow) is None
    assert flow.changes[-1].what == "skipped: it was switched off"
    put(folder, "one", stamper("2"))
    await running.look()  # a new file does not switch it on
    assert running.state("one") is PluginState.DISABLED

    running = await start()
    assert running.state("one") is PluginState.DISABLED
    assert await running.version() is None
    assert (await running.service.enable("one")).state is PluginState.RUNNING
    assert await running.version() == "2"
    assert await (await start()).version() == "2"


async def test_a_damaged_file_brings_none_back_that_was_off(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    put(folder, "off", stamper("off"))
    named = put(tmp_path, "named", stamper("named"))
    one = await start(named)
    await one.service.disable("off")
    await one.service.disable("named")
    one.grants.write_bytes(b"[off")
    for _ in range(2):  # at each start
        one = await start(named)
        assert one.state("off") is one.state("named") is PluginState.DISABLED
        assert await one.version() is None
    await one.service.enable("named")
    one = await start(named)
    assert await one.version() == "named"
    assert one.state("off") is PluginState.DISABLED


async def test_switched_off_a_guard_lets_flows_pass(start: Start, folder: Path) -> None:
    put(folder, "one", stamper("1"), 'on_error = "block"')
    running = await start()
    await running.service.grant("one", ["respond"])
    flow = make_flow()
    await running.hooks.dispatch(REQUEST, flow)
    await running.service.disable("one")
    assert await running.hooks.dispatch(REQUEST, flow) is None


async def test_failing_ends_no_flow_where_nothing_may_be_ended(
    start: Start, folder: Path
) -> None:
    put(folder, "one", guest("returns_error"), 'on_error = "block"')
    put(folder, "two", guest("returns_error"))
    running = await start()
    assert await running.hooks.dispatch(REQUEST, make_flow()) is None
    assert [one.withheld for one in running.service.list()] == [["respond"], []]
    put(folder, "two", guest("returns_error"), 'on_error = "block"')
    await running.look()
    assert running.state("two") is PluginState.HELD_BACK
    assert await running.hooks.dispatch(REQUEST, make_flow()) is None
    await running.service.grant("two", ["respond"])
    assert isinstance(await running.hooks.dispatch(REQUEST, make_flow()), Fail)
    await running.service.revoke("two", ["respond"])
    assert await running.hooks.dispatch(REQUEST, make_flow()) is None


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "by the config"])
async def test_the_user_says_that_failing_ends_flows(
    is_named: bool, start: Start, folder: Path, tmp_path: Path
) -> None:
    """By naming the file, or in the config, which needs no grant beside it."""
    error = guest("returns_error")
    if is_named:
        running = await start(put(tmp_path, "one", error, 'on_error = "block"'))
    else:
        put(folder, "guard", error)
        running = await start()
    assert [one.withheld for one in running.service.list()] == [[]]
    assert isinstance(await running.hooks.dispatch(REQUEST, make_flow()), Fail)


@pytest.mark.parametrize("way", ["enable", "reload"])
async def test_a_quarantine_is_seen_and_ended_by_hand(
    start: Start, folder: Path, way: str
) -> None:
    put(folder, "one", guest("unreachable"))
    running = await start()
    for _ in range(QUARANTINE_FAULTS):
        await running.hooks.dispatch(REQUEST, make_flow())
    (brief,) = running.service.list()
    assert brief.state is PluginState.QUARANTINED
    assert brief.until > 1_700_000_000
    await getattr(running.service, way)("one")
    (brief,) = running.service.list()
    assert (brief.state, brief.until) == (PluginState.RUNNING, 0.0)


# --- grants ---------------------------------------------------------------------------


async def test_a_grant_counts_at_once_and_after_a_restart(
    start: Start, folder: Path
) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    assert await running.version() is None
    told = await running.service.grant("one", ["request.modify"])
    assert told.withheld == ["response.modify"]
    assert await running.version() == "1"
    running = await start()
    assert await running.version() == "1"
    flow = make_flow()
    await running.version(flow)
    await running.service.revoke("one", ["request.modify"])
    assert await running.version(flow) is None
    assert await (await start()).version() is None


@pytest.mark.parametrize(
    ("permission", "why"),
    [
        ("all", "'all': no such permission"),
        ("topics", "'topics': topics must say"),
        ("respond", "plugin one does not ask for respond"),
    ],
)
async def test_a_grant_that_means_nothing_is_refused(
    start: Start, folder: Path, permission: str, why: str
) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    with pytest.raises(PluginError, match=why):
        await running.service.grant("one", [permission])
    assert not running.grants.exists()


async def test_a_short_name_grants_what_of_it_is_asked_for(
    start: Start, folder: Path
) -> None:
    asks = 'permissions = ["topics:news", "topics.hear:alerts"]'
    put(folder, "one", guest("counter_of_news"), asks)
    put(folder, "two", guest("teller"), asks)
    running = await start()

    def given(name: str) -> list[str]:
        told = running.service.details(name).permissions
        return [one.grant for one in told if one.by == "at run time"]

    await running.service.grant("two", ["topics:news"])
    assert given("two") == ["topics.send:news"]
    with pytest.raises(PluginError, match=r"does not ask for topics\.hear:alerts"):
        await running.service.grant("two", ["topics.hear:alerts"])
    await running.service.revoke("two", ["topics:news"])
    assert given("two") == []


async def test_what_others_granted_is_taken_back_where_it_was(
    start: Start, tmp_path: Path
) -> None:
    running = await start(put(tmp_path, "one", stamper("1")))
    with pytest.raises(PluginError, match=r"request\.modify was not granted at run"):
        await running.service.revoke("one", ["request.modify"])
    assert await running.version() == "1"


async def test_a_grant_puts_a_version_into_service_that_waited(
    start: Start, folder: Path
) -> None:
    put(folder, "one", sayer("1"))
    running = await start()
    put(folder, "one", stamper("2"))
    await running.look()
    (brief,) = running.service.list()
    assert (brief.state, brief.in_service) == (PluginState.HELD_BACK, True)
    assert brief.asks_more == CHANGES
    assert "+request.modify +response.modify" in brief.why
    told = await running.service.grant("one", CHANGES)
    assert (told.state, told.asks_more) == (PluginState.RUNNING, [])
    assert await running.version() == "2"


async def test_a_version_that_waits_is_granted_step_by_step_and_back(
    start: Start, folder: Path
) -> None:
    one, other = CHANGES
    put(folder, "one", sayer("1"))
    running = await start()
    put(folder, "one", stamper("2"))
    await running.look()
    told = await running.service.grant("one", [one])
    assert (told.state, told.asks_more) == (PluginState.HELD_BACK, [other])
    told = await running.service.revoke("one", [one])
    assert (told.state, told.asks_more) == (PluginState.HELD_BACK, CHANGES)
    assert "+request.modify +response.modify" in told.why
    for permission in CHANGES:
        told = await running.service.grant("one", [permission])
    assert (told.state, told.asks_more) == (PluginState.RUNNING, [])
    assert await running.version() == "2"


async def test_decisions_of_another_process_count(start: Start, folder: Path) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    running.grants.write_text('[one]\ngrant = ["request.modify"]\n')
    await running.upkeep.look()
    assert await running.version() == "1"
    running.grants.write_text("[one]\nenabled = false\n")
    await running.upkeep.look()
    assert await running.version() is None
    running.grants.unlink()
    await running.upkeep.look()
    assert running.state("one") is PluginState.RUNNING


# --- files ----------------------------------------------------------------------------


async def test_what_cannot_be_loaded_is_seen_and_followed(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "a", "garbage")
    put(folder, "b", sayer("b"))
    with caplog.at_level(logging.ERROR, "int3rceptor.plugins"):
        running = await start()
        await running.look()
    assert len(caplog.messages) == 1
    assert running.state("a") is PluginState.BROKEN
    assert "not a usable" in running.service.details("a").summary.why
    put(folder, "a", sayer("a"))
    await running.look()
    assert running.state("a") is PluginState.RUNNING
    (folder / "a.wat").unlink()
    await running.look()
    assert [one.name for one in running.service.list()] == ["b"]


async def test_two_files_of_one_name(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "a", sayer("a"))
    put(folder, "b", sayer("b"), 'name = "a"')
    running = await start()
    assert "a plugin named a is loaded already, from" in caplog.text
    assert [(one.name, one.state.value) for one in running.service.list()] == [
        ("a", "running"),
        ("b", "broken"),
    ]
    put(folder, "b", sayer("b"), 'name = "c"')
    await running.look()
    assert [one.name for one in running.service.list()] == ["a", "c"]


async def test_a_file_that_comes_first_does_not_take_the_name_of_another(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    await running.service.grant("one", CHANGES)
    (folder / "ONE.wasm").write_bytes(module_with('name = "one"'))
    running = await start()
    assert await running.version() == "1"
    assert "ONE.wasm: it calls itself one, which is the name of " in caplog.text
    assert running.state("ONE") is PluginState.BROKEN


async def test_a_file_that_is_left_out_does_not_take_the_place_of_a_plugin(
    start: Start, folder: Path
) -> None:
    put(folder, "a", sayer("a"))
    put(folder, "a.wasm", stamper("1"))
    running = await start()
    await running.service.grant("a.wasm", CHANGES)
    (folder / "a.wasm").write_bytes(module_with(""))  # there are an a and an a.wasm
    await running.look()
    assert running.state("a.wasm") is PluginState.RUNNING
    assert running.state(str(folder / "a.wasm")) is PluginState.BROKEN
    await running.service.disable("a.wasm")
    assert await running.version() is None


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
async def test_a_file_of_an_unspeakable_name_is_told_of(
    start: Start, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "fine", sayer("x"))
    for name in (b"\xff\x1b[31m", b"my plugin"):
        put(folder, os.fsdecode(name), sayer("x"))
    running = await start()
    told = [msgspec.json.encode(one).decode() for one in running.service.list()]
    assert len(told) == 3
    assert all("\\u001b" not in one for one in told)
    assert "my plugin.wat: name: 'my plugin': not a plugin's name" in caplog.text
    details = running.service.details("my plugin")
    assert details.summary.state is PluginState.BROKEN


async def test_a_broken_manifest_alone_is_noticed_when_it_is_mended(
    start: Start, folder: Path
) -> None:
    put(folder, "a", sayer("a"), "oops")
    running = await start()
    assert running.state("a") is PluginState.BROKEN
    put(folder, "a", sayer("a"), "priority = 1")
    await running.look()
    assert running.state("a") is PluginState.RUNNING


async def test_a_named_file_that_goes_leaves_its_version_in_service(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(tmp_path, "one", stamper("1"))
    running = await start(path)
    path.unlink()
    await running.look()
    await running.look()
    assert await running.version() == "1"
    assert running.state("one") is PluginState.BROKEN
    assert len(caplog.messages) == 1
    put(tmp_path, "one", stamper("2"))
    await running.look()
    assert await running.version() == "2"


async def test_an_upload_is_looked_at_and_not_run(start: Start) -> None:
    running = await start()
    told = await running.service.upload("one", sayer("hi", init=1).encode())
    assert (told.state, told.in_service) == (PluginState.DISABLED, False)
    assert running.book.texts() == []
    assert (running.folder / "one.wat").stat().st_mode & 0o777 == 0o600
    with pytest.raises(PluginError, match="could not be started: plugin_init"):
        await running.service.enable("one")  # now it runs
    running = await start()
    assert running.state("one") is PluginState.BROKEN  # it was switched on


UPLOADS = {
    "path": ("../one", sayer("x"), "not a plugin's name"),
    "hidden": (".one", sayer("x"), "not a plugin's name"),
    "empty name": ("", sayer("x"), "not a plugin's name"),
    "no module": ("one", "garbage", "not a usable WebAssembly module"),
    "no hook": ("one", "(module)", "exports no hook"),
    "too large": ("one", ";" * (8 * 1024 * 1024 + 1), "larger than 8388608 bytes"),
}


@pytest.mark.parametrize(("name", "source", "why"), UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_that_cannot_be_used_leaves_nothing(
    start: Start, name: str, source: str, why: str
) -> None:
    running = await start()
    with pytest.raises(PluginError, match=why):
        await running.service.upload(name, source.encode())
    assert running.service.list() == []
    assert not running.folder.exists()
    assert not running.grants.exists()


@pytest.mark.parametrize("name", ["my-one", "MY_ONE"])
async def test_an_upload_that_calls_itself_otherwise_is_refused(
    name: str, start: Start, folder: Path
) -> None:
    """It would run without being switched on, or take what another was granted."""
    data = module_with('name = "my_one"')
    running = await start()
    with pytest.raises(PluginError, match=f"it calls itself my_one, not {name}"):
        await running.service.upload(name, data)
    assert listing(folder, (".wasm",)) == ()
    told = await running.service.upload("my_one", data)
    assert told.state is PluginState.DISABLED
    with pytest.raises(PluginError, match="it calls itself my-one, not my_one"):
        await running.service.upload(
            "my_one", module_with('name = "my-one"'), replaces=True
        )
    assert (folder / "my_one.wasm").read_bytes() == data


async def test_an_upload_over_a_plugin_is_a_new_version_of_it(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    put(folder, "one", stamper("1"))
    running = await start(put(tmp_path, "named", sayer("x")))
    await running.service.grant("one", CHANGES)
    two = stamper("2").encode()
    with pytest.raises(PluginError, match="there is a plugin named one already"):
        await running.service.upload("one", two)
    with pytest.raises(PluginError, match="named was named at the start"):
        await running.service.upload("named", two, replaces=True)
    await running.service.upload("one", two, replaces=True)
    assert await running.version() == "2"
    with pytest.raises(PluginError, match="not a usable"):
        await running.service.upload("one", b"garbage", replaces=True)
    assert (folder / "one.wat").read_bytes() == two


async def test_a_deleted_plugin_leaves_nothing(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    put(folder, "one", stamper("1"), 'state = { keep = "disk" }')
    running = await start(put(tmp_path, "named", sayer("x")))
    await running.service.grant("one", CHANGES)
    flow = make_flow()
    await running.version(flow)
    await running.service.delete("one")
    assert await running.version(flow) is None
    assert listing(folder, ("",)) == ()
    assert "one" not in running.grants.read_text()
    with pytest.raises(PluginError, match="named at the start"):
        await running.service.delete("named")


async def test_settings_are_read_and_written(start: Start, folder: Path) -> None:
    put(folder, "set", sayer("x"), "config = { first = 1 }")
    running = await start()
    assert running.service.config("set") == {"first": 1, "below": 1, "both": 1}
    await running.service.set_config("set", {"both": 2, "new": [1]})
    everything = {"first": 1, "below": 1, "both": 2, "new": [1]}
    assert running.service.config("set") == everything
    running = await start()
    assert running.service.config("set") == everything
    await running.service.set_config("set", {})
    assert running.service.config("set") == {"first": 1, "below": 1, "both": 1}


async def test_changes_at_once_wait_for_each_other(start: Start, folder: Path) -> None:
    put(folder, "one", stamper("1"))
    running = await start()
    await asyncio.gather(
        running.service.grant("one", CHANGES),
        running.service.disable("one"),
        running.service.reload("one"),
        running.service.enable("one"),
        running.upkeep.reload_all(),
    )
    assert running.state("one") is PluginState.RUNNING
    assert await running.version() == "1"
