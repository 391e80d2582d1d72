"""A worker's own work, in the test's process; e2e/test_workers has it as a process."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor import __version__
from int3rceptor.app import worker as module
from int3rceptor.app.worker import REPLACED, Voice, work
from int3rceptor.config.model import Config, LimitsConfig
from int3rceptor.files.unnamed import unnamed_file
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    LINK_VERSION,
    Alive,
    Began,
    Ended,
    Failed,
    FromWorker,
    Logged,
    Reload,
    Serving,
    Start,
    Stats,
    Stop,
    Watch,
    crew_decoder,
)
from int3rceptor.link.plugin_asks import PluginAct, PluginAsk, PluginTold
from int3rceptor.net.listening import bind, own_address
from int3rceptor.net.loads import new_loads
from tests.support.clients import raw
from tests.support.h1_peer import H1Peer, response
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually
from tests.support.workers import ask


class Linked:
    """The other end of a worker's link."""

    def __init__(self, folder: Path, address: tuple[str, int]) -> None:
        self.address = address
        self.ca = folder / "ca.pem"
        self.said: list[FromWorker] = []
        self.channel: Channel[FromWorker]
        self.task: asyncio.Task[None]
        self._folder = folder

    def start(self, version: str = __version__, rules: Path | None = None) -> None:
        config = Config(
            data_dir=self._folder,
            workers=2,
            no_store=True,
            rules=[] if rules is None else [rules],
            limits=LimitsConfig(drain_s=600.0),
        )
        settings = json.dumps(config.as_table()).encode()
        self.channel.send(Start(LINK_VERSION, version, settings, 2, 2, []))

    def of(self, kind: type[FromWorker]) -> list[FromWorker]:
        return [one for one in self.said if isinstance(one, kind)]

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENT_S):
            await self.task
            await self.channel.wait_closed()


@contextlib.asynccontextmanager
async def linked(folder: Path) -> AsyncIterator[Linked]:
    ours, theirs = socket.socketpair()
    listening = bind("127.0.0.1", 0)
    there = Linked(folder, own_address(listening))
    there.channel = await open_channel(ours, crew_decoder, there.said.append)
    with new_loads(2) as loads, unnamed_file() as keys, listening:
        there.task = asyncio.create_task(
            work(theirs, listening, loads.descriptor, keys, voice)
        )
        try:
            yield there
        finally:
            there.channel.abort()
            async with asyncio.timeout(PATIENT_S):
                await asyncio.gather(there.task, return_exceptions=True)
                await there.channel.wait_closed()


def voice(config: Config) -> Voice:
    return Voice(listeners=(), plugin_lines=lambda *_: None)


async def test_it_serves_and_tells_of_it(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.channel.send(Watch(True))
        there.start()
        await eventually(lambda: bool(there.of(Serving)), PATIENT_S)
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            raw(there) as client,
        ):
            assert (await ask(client, origin.netloc)).text == "kept"
        assert there.of(Alive)
        assert there.said.index(Alive()) < there.said.index(there.of(Serving)[0])
        logging.getLogger("int3rceptor").warning("odd: %d", 7)
        there.channel.send(PluginAsk(5, PluginAct.LIST))
        await eventually(lambda: bool(there.of(PluginTold)), PATIENT_S)
        there.channel.send(Watch(False))
        there.channel.send(Reload())
        there.channel.send(Stop())
        await there.ended()

    assert len(there.of(Began)) == len(there.of(Ended)) == 1
    assert there.of(PluginTold) == [PluginTold(5, b'{"plugins":[]}')]
    assert "odd: 7" in [one.text for one in there.said if isinstance(one, Logged)]
    last = there.of(Stats)[-1]
    assert isinstance(last, Stats)
    assert (last.counters["begun"], last.counters["ended"]) == (1, 1)


async def test_an_urgent_stop_waits_for_nobody(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.read_to_end()

    async with linked(tmp_path) as there:
        there.start()
        await eventually(lambda: bool(there.of(Serving)), PATIENT_S)
        async with ScriptedOrigin(silent) as origin, raw(there) as client:
            head = f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n"
            await client.send(head.encode())
            await asked.wait()
            there.channel.send(Stop())
            there.channel.send(Stop(is_urgent=True))
            await there.ended()


async def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.start(rules=tmp_path / "none.toml")
        await there.ended()

    (failed,) = there.of(Failed)
    assert isinstance(failed, Failed)
    assert failed.why.startswith(f"{tmp_path / 'none.toml'}:1: cannot be read")


async def test_one_of_another_release_is_told(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.start(version="0.0.0")
        await there.ended()

    assert there.said == [Failed(REPLACED)]


async def test_a_link_that_closes_before_the_start_ends_it(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.channel.close()
        await there.ended()

    assert there.said == []


async def test_a_start_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_S", 0.01)
    async with linked(tmp_path) as there:
        with pytest.raises(TimeoutError):
            await there.ended()


async def test_a_stop_before_it_serves_ends_it(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.channel.send(Stop())
        there.start()
        await there.ended()

    assert there.of(Serving) == []


async def test_the_end_of_the_link_is_a_stop(tmp_path: Path) -> None:
    async with linked(tmp_path) as there:
        there.start()
        await eventually(lambda: bool(there.of(Serving)), PATIENT_S)
        there.channel.close()
        await there.ended()
