"""Serving on a socket that was handed over, and stopping."""

import asyncio
import contextlib
import signal
import threading
from pathlib import Path

import httpx
import pytest

from int3rceptor.config.model import ControlConfig
from int3rceptor.control import server
from int3rceptor.control.application import build
from tests.support.control import (
    AUTHORISED,
    FlowsInMemory,
    Hub,
    api_client,
    connection,
    listening,
)
from tests.support.patience import PATIENT_S


async def start(flows: FlowsInMemory) -> tuple[asyncio.Task[None], str]:
    sock = listening()
    port = sock.getsockname()[1]
    app = build(Hub().state(flows, ControlConfig(), port))
    task = asyncio.get_running_loop().create_task(server.serve(app, sock))
    url = f"http://127.0.0.1:{port}"
    async with api_client() as client:
        assert (await client.get(f"{url}/api/health")).status_code == 200
    return task, url


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Waiting(FlowsInMemory):
    """Whose answer comes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def row(self, flow_id: int) -> None:
        self.asked.set()
        self.go_on.wait(10)


async def test_an_answer_under_way_is_finished() -> None:
    flows = Waiting()
    task, url = await start(flows)
    async with api_client(headers=AUTHORISED) as client:
        asked = asyncio.ensure_future(client.get(f"{url}/api/flows/1"))
        await asyncio.to_thread(flows.asked.wait)
        task.cancel()
        flows.go_on.set()
        assert (await asked).status_code == 404
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/api/health")


async def test_a_client_that_holds_on_does_not_hold_up_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DRAIN_S", 0.2)
    task, url = await start(FlowsInMemory())
    port = int(url.rsplit(":", 1)[1])
    waiting = (
        "PUT /api/flows/1/mark HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        f"Authorization: {AUTHORISED['Authorization']}\r\n\r\n"
    )
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(PATIENT_S):
        held, answers = [], []
        for sent in (b"", b"GET / HT", waiting.encode()):
            reader, writer = await stack.enter_async_context(connection(port))
            writer.write(sent)
            held.append(reader)
        await stop(task)
        for reader in held:
            with contextlib.suppress(ConnectionError):
                answers.append(await reader.read())
    assert [one for one in answers if one and b'"the hub is stopping"' not in one] == []


async def test_the_signals_are_left_alone() -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    task, _ = await start(FlowsInMemory())
    during = {one: signal.getsignal(one) for one in before}
    await stop(task)

    assert during == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts by /proc")
async def test_nothing_is_left_open() -> None:
    task, _ = await start(FlowsInMemory())
    await stop(task)
    before = descriptors()
    tasks = asyncio.all_tasks()
    for _ in range(3):
        task, _ = await start(FlowsInMemory())
        await stop(task)

    assert descriptors() <= before
    assert asyncio.all_tasks() == tasks


def test_it_serves_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def once() -> None:
        task, _ = await start(FlowsInMemory())
        await stop(task)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(once())
