"""The hub's own work, in the test's process; as a process it is in e2e/test_planes."""

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor import __version__
from int3rceptor.app import hub as module
from int3rceptor.app import watchdog
from int3rceptor.app.hub import UNFIT, run
from int3rceptor.app.keeping import FLOWS_FOLDER, Watched, journal_of, keeper_of
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.keeper import Ended as Over
from int3rceptor.hooks.points import HookPoint
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    LINK_VERSION,
    Alive,
    Began,
    CaForms,
    Ended,
    Hello,
    Problem,
    Ready,
    ToProxy,
    proxy_decoder,
)
from int3rceptor.link.plugin_asks import PluginWrote
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request
from tests.support.kept import journal_files, kept_targets
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually

CA = CaForms(pem=b"", der=b"", mobileconfig=b"", fingerprint="")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path, control="off")


def hello_of(
    config: Config, *, version: str = __version__, link_version: int = LINK_VERSION
) -> Hello:
    return Hello(
        link_version=link_version,
        version=version,
        listen=("127.0.0.1", 8080),
        ca=CA,
        settings=json.dumps(config.as_table()).encode(),
    )


class Linked:
    """The proxy's end of a hub that runs as a task; it counts signs of life apart."""

    channel: Channel[ToProxy]
    task: asyncio.Task[int]

    def __init__(self) -> None:
        self.said: list[ToProxy] = []
        self.signs = 0
        self.times_it_gave_way = 0

    def take(self, message: ToProxy) -> None:
        if isinstance(message, Alive):
            self.signs += 1
        else:
            self.said.append(message)

    def given_way(self) -> None:
        self.times_it_gave_way += 1

    async def leave(self) -> int:
        """Close the link; the hub's exit code."""
        self.channel.close()
        async with asyncio.timeout(PATIENT_S):
            return await self.task


@contextlib.asynccontextmanager
async def hub_of(hello: Hello | None) -> AsyncIterator[Linked]:
    ours, theirs = socket.socketpair()
    linked = Linked()
    linked.channel = channel = await open_channel(ours, proxy_decoder, linked.take)
    linked.task = asyncio.create_task(run(theirs, None, linked.given_way))
    if hello is not None:
        channel.send(hello)
    try:
        yield linked
    finally:
        channel.abort()
        async with asyncio.timeout(PATIENT_S):
            await asyncio.gather(linked.task, return_exceptions=True)
            await channel.wait_closed()


def keep(config: Config, *targets: bytes, ends: bool = True) -> None:
    """Flows in the journal of a proxy that ended in order, or has not yet."""
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(journal_of(config))
        keeper = keeper_of(journal, config)
        assert keeper is not None
        for target in targets:
            flow = a_flow(target)
            keeper.begin(flow)
            keeper.finish([Over(flow, is_wanted=True)])
        if not ends:
            stack.pop_all()


def a_flow(target: bytes = b"/") -> Flow:
    flow = Flow(
        client=ClientInfo(address=("127.0.0.1", 1)),
        request=Request(
            method="GET",
            scheme="http",
            host="example.com",
            port=80,
            target=target,
            authority="example.com",
            version="HTTP/1.1",
            headers=Headers(),
        ),
    )
    flow.created = time.time()
    return flow


async def test_it_takes_in_what_the_journal_holds(config: Config) -> None:
    keep(config, b"/1", b"/2")
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: Ready() in linked.said, PATIENT_S)
        await eventually(lambda: journal_files(config.data_dir) == [], PATIENT_S)
        keep(config, b"/3")
        await eventually(lambda: journal_files(config.data_dir) == [], PATIENT_S)

    assert kept_targets(config.data_dir) == {b"/1": 1, b"/2": 1, b"/3": 1}


async def test_it_takes_in_what_is_left_when_the_proxy_goes(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("int3rceptor.app.ingesting.PAUSE_S", 60.0)
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: Ready() in linked.said, PATIENT_S)
        keep(config, b"/last")
        assert await linked.leave() == 0

    assert journal_files(config.data_dir) == []
    assert kept_targets(config.data_dir) == {b"/last": 1}


async def test_it_gives_way_once_it_serves_and_goes_on_giving_signs(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "SIGN_S", 0.01)
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: linked.signs > 3, PATIENT_S)
        assert linked.times_it_gave_way == 1
        assert await linked.leave() == 0


async def test_a_proxy_that_goes_without_a_word_ends_it() -> None:
    async with hub_of(None) as linked:
        assert await linked.leave() == 0


async def test_a_proxy_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HELLO_S", 0.01)
    async with hub_of(None) as linked, asyncio.timeout(PATIENT_S):
        assert await linked.task == 0


@pytest.mark.parametrize("change", [{"version": "0.0.0"}, {"link_version": 0}])
async def test_a_proxy_of_another_release_is_told(
    config: Config, change: dict[str, str]
) -> None:
    async with (
        hub_of(hello_of(config, **change)) as linked,  # type: ignore[arg-type]
        asyncio.timeout(PATIENT_S),
    ):
        assert await linked.task == UNFIT

    assert [type(one) for one in linked.said] == [Problem]
    assert "was replaced while it ran" in linked.said[0].text  # type: ignore[union-attr]
    assert not (config.data_dir / FLOWS_FOLDER).exists()


async def test_without_a_store_it_keeps_nothing(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, control="off", no_store=True)
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: Ready() in linked.said, PATIENT_S)
        assert await linked.leave() == 0

    assert not (tmp_path / FLOWS_FOLDER).exists()


async def test_where_nothing_was_kept_it_makes_no_store(config: Config) -> None:
    # Flow numbers of a store without their file would count as lost.
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: Ready() in linked.said, PATIENT_S)
        assert not (config.data_dir / FLOWS_FOLDER).exists()
        keep(config, b"/first")
        await eventually(lambda: journal_files(config.data_dir) == [], PATIENT_S)

    assert linked.said == [Ready()]


async def test_its_warnings_are_the_proxys(config: Config) -> None:
    async with hub_of(hello_of(config)) as linked:
        await eventually(lambda: Ready() in linked.said, PATIENT_S)
        log = logging.getLogger("int3rceptor.store")
        await asyncio.to_thread(log.warning, "odd: %d", 7)
        try:
            raise OSError("gone")
        except OSError:
            log.exception("worse")
        await eventually(lambda: len(linked.said) >= 3, PATIENT_S)

    assert linked.said[1:3] == [Problem("odd: 7"), Problem("worse: OSError: gone")]


async def test_work_that_fails_ends_it(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr("int3rceptor.store.database.index.Index.ingest", broken)
    keep(config, b"/")
    async with hub_of(hello_of(config)) as linked, asyncio.timeout(PATIENT_S):
        with pytest.raises(RuntimeError, match="a bug"):
            await linked.task


def test_flows_are_told_while_someone_watches() -> None:
    told: list[Began | Ended] = []
    watched = Watched(None)
    unseen, seen = a_flow(b"/unseen"), a_flow(b"/seen")
    watched.begin(unseen)
    watched.watcher = told.append
    watched.begin(seen)
    watched.answered(seen)
    seen.error = "the origin closed"
    watched.finish([Over(seen, is_wanted=False)])
    watched.watcher = None
    watched.finish([Over(unseen, is_wanted=True)])

    assert [(type(one), one.flow.target) for one in told] == [
        (Began, b"/seen"),
        (Ended, b""),  # it is not to be kept
    ]
    assert told[1].flow.error == "the origin closed"
    assert (watched.begun, watched.ended, watched.failed) == (2, 2, 1)


def listening(*, only_looks: bool) -> Dispatcher:
    hooks = Dispatcher(sleep=asyncio.sleep)
    listener = Listener(
        name="one", point=HookPoint.CAPTURE, call=print, only_looks=only_looks
    )
    hooks.add(listener)
    return hooks


@pytest.mark.parametrize(
    ("only_looks", "is_wanted", "began", "ended"),
    [
        (True, True, b"/?token=1", b"/?token=1"),
        (False, True, b"", b"/"),  # it was taken out meanwhile
        (False, False, b"", b""),
    ],
    ids=["who listens only looks", "a redactor listens", "and has it not kept"],
)
def test_what_a_redactor_may_take_out_is_not_told_before_it(
    *, only_looks: bool, is_wanted: bool, began: bytes, ended: bytes
) -> None:
    told: list[Began | Ended | PluginWrote] = []
    watched = Watched(None, listening(only_looks=only_looks))
    watched.watcher = told.append
    flow = a_flow(b"/?token=1")
    watched.begin(flow)
    if not only_looks:
        flow.request.target = b"/"
    watched.finish([Over(flow, is_wanted=is_wanted)])
    assert [one.flow.target for one in told if not isinstance(one, PluginWrote)] == [
        began,
        ended,
    ]


def test_a_flow_is_told_when_it_can_be_read(config: Config) -> None:
    with journal_of(config) as journal:
        watched = Watched(keeper_of(journal, config))
        flows = [a_flow(b"/one"), a_flow(b"/two")]
        for flow in flows:
            watched.begin(flow)
        readable: list[dict[bytes, int]] = []
        watched.watcher = lambda _: readable.append(kept_targets(config.data_dir))
        watched.finish([Over(flow, is_wanted=True) for flow in flows])

    assert readable == [{b"/one": 1, b"/two": 1}] * 2
    assert watched.ended == 2


def test_a_flow_that_is_kept_has_the_journals_number(config: Config) -> None:
    with journal_of(config) as journal:
        watched = Watched(keeper_of(journal, config))
        flow = a_flow(b"/kept")
        watched.begin(flow)
        watched.finish([Over(flow, is_wanted=True)])
        refused = a_flow(b"/refused")
        watched.begin(refused)
        watched.finish([Over(refused, is_wanted=False)])

    assert kept_targets(config.data_dir) == {b"/kept": 1}
    assert refused.id == flow.id + 1
