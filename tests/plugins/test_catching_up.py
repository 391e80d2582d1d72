"""What one worker does with a plugin, another one does after it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.link.plugin_asks import PluginAct
from int3rceptor.link.plugin_reports import PluginState
from int3rceptor.plugins.managing.service import PluginService
from int3rceptor.plugins.managing.upkeep import Places, Upkeep
from int3rceptor.plugins.running.health import QUARANTINE_FAULTS
from tests.plugins.support import LogBook, guest, make_dispatcher, make_flow
from tests.support.guests import put, stamper

REQUEST = HookPoint.REQUEST


class Worker:
    """The plugins of one worker over a data directory."""

    def __init__(self, data_dir: Path, number: int) -> None:
        self.hooks = make_dispatcher()
        places = Places(data_dir=data_dir, worker=number)
        self.upkeep = Upkeep(self.hooks, places, log=LogBook())
        self.service = PluginService(self.upkeep)

    async def version(self) -> str | None:
        flow = make_flow()
        await self.hooks.dispatch(REQUEST, flow)
        return flow.request.headers.get("x-version")

    def states(self) -> dict[str, PluginState]:
        return {one.name: one.state for one in self.service.list()}


@contextlib.asynccontextmanager
async def two_workers(data_dir: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    first, second = Worker(data_dir, 1), Worker(data_dir, 2)
    async with contextlib.AsyncExitStack() as stack:
        for one in (first, second):
            stack.push_async_callback(one.upkeep.aclose)
            await one.upkeep.start()
        yield first, second


async def test_each_change_is_followed_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = put(tmp_path, "one", stamper("1")).read_bytes()
    newer = put(tmp_path, "one", stamper("2")).read_bytes()
    async with two_workers(tmp_path / "data") as (first, second):
        do, follow = first.service, second.service.follow
        await do.upload("one", module)
        await follow("one", PluginAct.UPLOAD)
        assert second.states() == {"one": PluginState.DISABLED}
        await do.enable("one")
        await follow("one", PluginAct.ENABLE)
        assert second.states() == {"one": PluginState.RUNNING}
        assert await second.version() is None
        await do.grant("one", ["request.modify"])
        await follow("one", PluginAct.GRANT)
        assert await second.version() == "1"
        await do.upload("one", newer, replaces=True)
        await follow("one", PluginAct.UPLOAD)
        assert await second.version() == "2"
        await do.set_config("one", {"a": 1})
        await follow("one", PluginAct.WRITE_CONFIG)
        assert second.service.config("one") == {"a": 1}
        await do.revoke("one", ["request.modify"])
        await follow("one", PluginAct.REVOKE)
        assert await second.version() is None
        await do.disable("one")
        await follow("one", PluginAct.DISABLE)
        assert second.states() == {"one": PluginState.DISABLED}
        await do.delete("one")
        await follow("one", PluginAct.DELETE)
        assert second.states() == {}
        # What it had seen by itself before it is asked to follow is as good.
        await second.upkeep.look()
        await follow("one", PluginAct.DELETE)

    assert [one for one in caplog.records if one.levelno > logging.WARNING] == []


async def test_a_reload_is_followed_and_what_fails_is_said(tmp_path: Path) -> None:
    path = put(tmp_path / "data" / "plugins", "one", stamper("1"))
    async with two_workers(tmp_path / "data") as (_, second):
        await second.service.follow("one", PluginAct.RELOAD)
        assert second.service.details("one").reloads == 1
        path.write_text("no module")
        with pytest.raises(PluginError, match=r"one\.wat"):
            await second.service.follow("one", PluginAct.RELOAD)


async def test_a_quarantine_ends_where_it_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "data" / "plugins", "bad", guest("unreachable"))
    async with two_workers(tmp_path / "data") as (first, second):
        for _ in range(QUARANTINE_FAULTS):
            await second.version()
        assert second.states() == {"bad": PluginState.QUARANTINED}
        await first.service.enable("bad")
        await second.service.follow("bad", PluginAct.ENABLE)
        assert second.states() == {"bad": PluginState.RUNNING}


async def test_a_deleted_plugins_state_is_not_written_once_more(tmp_path: Path) -> None:
    put(tmp_path / "data" / "plugins", "one", stamper("1"))
    async with two_workers(tmp_path / "data") as (first, second):
        state = second.upkeep.states.open("one", 1_000, is_on_disk=True, carries=False)
        state.set(b"k", b"v")
        await first.service.delete("one")
        await second.service.follow("one", PluginAct.DELETE)
        await asyncio.to_thread(second.upkeep.states.save)

    assert [*(tmp_path / "data").rglob("*.state")] == []
