"""Turns off the loop: one at a time, in order, bounded, kept through cancellation."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from int3rceptor.errors import LimitExceeded
from int3rceptor.plugins.running import lane as lane_module
from int3rceptor.plugins.running.lane import Lane
from tests.support.patience import PATIENT_S

SEAT = "a seat"


def one_seat(executor: Executor, wait_s: float = 5.0) -> Lane[str]:
    return Lane([SEAT], executor, wait_s)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


async def test_calls_run_one_at_a_time_in_order(executor: ThreadPoolExecutor) -> None:
    lane = one_seat(executor)
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
            group.create_task(lane.run(lambda _, n=number: work(n)))  # type: ignore[misc]
            for number in range(20)
        ]
    assert [job.result() for job in jobs] == list(range(20))
    assert order == list(range(20))
    assert max(most) == 1
    assert lane.free == [SEAT]


async def test_a_full_queue_and_a_long_wait_are_refused(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "MAX_WAITING", 1)
    lane = one_seat(executor, 0.05)
    gate = threading.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(lane.run(lambda _: gate.wait()))
        await asyncio.sleep(0)
        second = group.create_task(_refused(lane))
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded, match="1 calls wait already"):
            await lane.run(lambda _: gate.wait())
        assert "waited 0.05 s" in await second
        assert lane.free == []
        gate.set()
        assert await first
    assert lane.free == [SEAT]


async def _refused(lane: Lane[str]) -> str:
    with pytest.raises(LimitExceeded) as caught:
        await lane.run(lambda _: None)
    return str(caught.value)


async def test_the_turn_is_kept_until_a_cancelled_call_ends(
    executor: ThreadPoolExecutor,
) -> None:
    lane = one_seat(executor)
    gate = threading.Event()
    first = asyncio.create_task(lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    second = asyncio.create_task(lane.run(lambda _: "second"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert lane.free == []
    assert not second.done()
    gate.set()
    assert await second == "second"
    assert lane.free == [SEAT]


async def test_cancelled_while_waiting_gives_the_place_up(
    executor: ThreadPoolExecutor,
) -> None:
    lane = one_seat(executor)
    gate = threading.Event()
    first = asyncio.create_task(lane.run(lambda _: gate.wait()))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(lane.run(lambda _: 1)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await first
    waiting[1].cancel()  # at the moment when it is given the turn
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[2] == 1
    assert lane.free == [SEAT]


async def test_an_exception_comes_through(executor: ThreadPoolExecutor) -> None:
    lane = one_seat(executor)
    with pytest.raises(ZeroDivisionError):
        await lane.run(lambda _: 1 / 0)
    assert lane.free == [SEAT]


async def test_cancelled_at_the_moment_of_its_turn_passes_it_on(
    executor: ThreadPoolExecutor,
) -> None:
    lane = one_seat(executor)
    lane.free.clear()
    waiting = asyncio.create_task(lane.run(lambda _: 1))
    await asyncio.sleep(0)
    lane._release(SEAT)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert lane.free == [SEAT]
    assert await lane.run(lambda _: 2) == 2


async def test_an_executor_that_is_gone_gives_the_turn_back() -> None:
    gone = ThreadPoolExecutor(1)
    gone.shutdown()
    lane = one_seat(gone)
    with pytest.raises(RuntimeError):
        await lane.run(lambda _: 1)
    assert lane.free == [SEAT]


async def test_seats_work_side_by_side_and_each_alone(
    executor: ThreadPoolExecutor,
) -> None:
    seats = ["a", "b", "c"]
    lane = Lane(seats, executor, 5.0)
    busy: list[str] = []
    clashes: list[str] = []
    met = threading.Barrier(3, timeout=PATIENT_S)

    def work(seat: str) -> None:
        clashes.extend(one for one in busy if one == seat)
        busy.append(seat)
        met.wait()  # three at once, or it breaks
        busy.remove(seat)

    await asyncio.gather(*(lane.run(work) for _ in range(9)))
    assert clashes == []
    assert sorted(lane.free) == seats


async def test_the_first_seat_is_used_first(executor: ThreadPoolExecutor) -> None:
    lane = Lane(["a", "b"], executor, 5.0)
    assert lane.free[-1] == "a"
    assert await lane.run(lambda seat: seat) == "a"
    assert await lane.run(lambda seat: seat) == "a"


async def test_threads_that_are_all_busy_are_waited_for_within_the_deadline() -> None:
    """Another plugin's burning calls must not hold this one's exchanges for ever."""
    with ThreadPoolExecutor(1) as executor:
        gate = threading.Event()
        other = asyncio.create_task(one_seat(executor).run(lambda _: gate.wait()))
        await asyncio.sleep(0)
        lane = one_seat(executor, 0.05)
        with pytest.raises(LimitExceeded, match=r"waited 0.05 s for a thread"):
            await lane.run(lambda _: 1)
        gate.set()
        assert await other
        await asyncio.sleep(0)
        assert lane.free == [SEAT]
        assert await lane.run(lambda _: 2) == 2


async def test_cancelled_while_it_waits_for_a_thread_it_never_runs() -> None:
    with ThreadPoolExecutor(1) as executor:
        gate = threading.Event()
        other = asyncio.create_task(one_seat(executor).run(lambda _: gate.wait()))
        await asyncio.sleep(0)
        lane, ran = one_seat(executor), threading.Event()
        waiting = asyncio.create_task(lane.run(lambda _: ran.set()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        assert await other
        await asyncio.sleep(0)
        assert lane.free == [SEAT]
    assert not ran.is_set()


async def test_a_wanted_seat_is_waited_for_and_others_do_not_wait_behind_it(
    executor: ThreadPoolExecutor,
) -> None:
    lane = Lane(["a", "b"], executor, 5.0)
    gate = threading.Event()
    busy = asyncio.create_task(lane.run(lambda _: gate.wait(), "a"))
    await asyncio.sleep(0)
    assert lane.free == ["b"]
    wanting = asyncio.create_task(lane.run(str.upper, "a"))
    await asyncio.sleep(0)
    assert lane.free == ["b"]
    assert await lane.run(str.upper) == "B"
    assert not wanting.done()
    gate.set()
    assert await busy
    assert await wanting == "A"
    assert sorted(lane.free) == ["a", "b"]


async def test_who_wants_another_seat_is_passed_over(
    executor: ThreadPoolExecutor,
) -> None:
    lane = Lane(["a", "b"], executor, 5.0)
    gates = {seat: threading.Event() for seat in "ab"}
    busy = [
        asyncio.create_task(lane.run(lambda seat: gates[seat].wait(), seat))
        for seat in "ab"
    ]
    await asyncio.sleep(0)
    wants_a = asyncio.create_task(lane.run(str.upper, "a"))
    wants_any = asyncio.create_task(lane.run(str.upper))
    await asyncio.sleep(0)
    gates["b"].set()
    assert await wants_any == "B"
    assert not wants_a.done()
    gates["a"].set()
    assert await wants_a == "A"
    assert await asyncio.gather(*busy) == [True, True]
