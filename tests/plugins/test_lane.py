"""Turns off the loop: one at a time, in order, bounded, kept through cancellation."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from int3rceptor.errors import LimitExceeded
from int3rceptor.plugins import lane as lane_module
from int3rceptor.plugins.lane import Lane


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


async def test_calls_run_one_at_a_time_in_order(executor: ThreadPoolExecutor) -> None:
    lane = Lane(executor, 5.0)
    running: list[int] = []
    most: list[int] = []
    order: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        order.append(number)
        running.remove(number)
        return number

    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(lane.run(lambda n=number: work(n)))  # type: ignore[misc]
            for number in range(20)
        ]
    assert [job.result() for job in jobs] == list(range(20))
    assert order == list(range(20))
    assert max(most) == 1
    assert not lane.is_taken


async def test_a_full_queue_and_a_long_wait_are_refused(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_WAITING", 1)
    lane = Lane(executor, 0.05)
    gate = threading.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(lane.run(gate.wait))
        await asyncio.sleep(0)
        second = group.create_task(_refused(lane))
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded, match="1 calls wait already"):
            await lane.run(gate.wait)
        assert "waited 0.05 s" in await second
        assert lane.is_taken
        gate.set()
        assert await first
    assert not lane.is_taken


async def _refused(lane: Lane) -> str:
    with pytest.raises(LimitExceeded) as caught:
        await lane.run(lambda: None)
    return str(caught.value)


async def test_the_turn_is_kept_until_a_cancelled_call_ends(
    executor: ThreadPoolExecutor,
) -> None:
    lane = Lane(executor, 5.0)
    gate = threading.Event()
    first = asyncio.create_task(lane.run(gate.wait))
    await asyncio.sleep(0)
    second = asyncio.create_task(lane.run(lambda: "second"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert lane.is_taken
    assert not second.done()
    gate.set()
    assert await second == "second"
    assert not lane.is_taken


async def test_cancelled_while_waiting_gives_the_place_up(
    executor: ThreadPoolExecutor,
) -> None:
    lane = Lane(executor, 5.0)
    gate = threading.Event()
    first = asyncio.create_task(lane.run(gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(lane.run(lambda: 1)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await first
    waiting[1].cancel()  # at the moment when it is given the turn
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[2] == 1
    assert not lane.is_taken


async def test_an_exception_comes_through(executor: ThreadPoolExecutor) -> None:
    lane = Lane(executor, 5.0)
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda: 1 / 0)
    assert not lane.is_taken


async def test_cancelled_at_the_moment_of_its_turn_passes_it_on(
    executor: ThreadPoolExecutor,
) -> None:
    lane = Lane(executor, 5.0)
    lane.is_taken = True
    waiting = asyncio.create_task(lane.run(lambda: 1))
    await asyncio.sleep(0)
    lane._release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not lane.is_taken
    assert await lane.run(lambda: 2) == 2


async def test_an_executor_that_is_gone_gives_the_turn_back() -> None:
    gone = ThreadPoolExecutor(1)
    gone.shutdown()
    lane = Lane(gone, 5.0)
    with pytest.raises(RuntimeError):
        await lane.run(lambda: 1)
    assert not lane.is_taken
