import asyncio

import pytest

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net.gate import Gate
from tests.support.patience import PATIENT_S
from tests.support.streams import stuck, turns

SOON_S = 0.02


@pytest.fixture
async def gate() -> Gate:
    return Gate(asyncio.get_running_loop())


def waits(gate: Gate, timeout_s: float) -> asyncio.Task[None]:
    async def wait() -> None:
        await gate.wait(timeout_s)

    return asyncio.create_task(wait())


async def test_open_lets_the_waiter_go(gate: Gate) -> None:
    waiting = waits(gate, 10)
    await turns()
    assert gate.is_awaited
    gate.open()
    gate.open()
    gate.fail(StreamLost("too late"))

    await waiting
    assert not gate.is_awaited


async def test_fail_makes_the_waiter_raise(gate: Gate) -> None:
    waiting = waits(gate, 10)
    await turns()
    gate.fail(StreamLost("gone"))
    gate.open()

    with pytest.raises(StreamLost, match="gone"):
        await waiting


async def test_nothing_is_kept_for_who_comes_later(gate: Gate) -> None:
    gate.open()
    gate.fail(StreamLost("gone"))

    with pytest.raises(StreamTimeout):
        await gate.wait(SOON_S)


async def test_a_second_waiter_is_a_mistake(gate: Gate) -> None:
    waiting = waits(gate, 10)
    await turns()

    with pytest.raises(RuntimeError):
        await gate.wait(10)

    gate.open()
    await waiting


async def test_the_deadline_is_that_of_the_wait_under_way(gate: Gate) -> None:
    loop = asyncio.get_running_loop()
    # Leaves a timer that fires in the middle of the next wait.
    waiting = gate.wait(3 * SOON_S)
    gate.open()
    await waiting

    start = loop.time()
    with pytest.raises(StreamTimeout):
        await gate.wait(6 * SOON_S)

    # uvloop counts in whole milliseconds, from the start of the turn.
    assert loop.time() - start >= 5 * SOON_S


async def test_a_shorter_deadline_is_not_late(gate: Gate) -> None:
    waiting = waits(gate, 3600)
    await turns()
    gate.open()
    await waiting

    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(StreamTimeout):
            await gate.wait(SOON_S)


async def test_a_timer_without_a_waiter_is_harmless(gate: Gate) -> None:
    for _ in range(3):
        waiting = gate.wait(SOON_S)
        gate.open()
        await waiting
        await asyncio.sleep(2 * SOON_S)

    assert await stuck(gate.wait(10), SOON_S)


async def test_a_cancelled_wait_leaves_room_for_the_next(gate: Gate) -> None:
    waiting = waits(gate, 10)
    await turns()
    waiting.cancel()
    await asyncio.wait([waiting])

    assert not gate.is_awaited
    with pytest.raises(StreamTimeout):
        await gate.wait(SOON_S)


async def test_a_closed_gate_can_still_be_waited_at(gate: Gate) -> None:
    gate.close()
    gate.close()
    with pytest.raises(StreamTimeout):
        await gate.wait(SOON_S)
