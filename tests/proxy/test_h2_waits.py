"""Waits of one connection: each has its own deadline, all have one timer."""

import asyncio

import pytest

from int3rceptor.errors import StreamTimeout
from int3rceptor.proxy.h2_waits import Wait, Waits
from tests.support.streams import turns

SOON_S = 0.02


class Timers:
    """A loop's timers, counted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.armed = 0

    def __getattr__(self, name: str) -> object:
        if name == "call_at":
            self.armed += 1
        return getattr(self._loop, name)


@pytest.fixture
async def waits() -> Waits:
    return Waits(asyncio.get_running_loop())


async def test_a_second_waiter_takes_nothing_from_the_first(waits: Waits) -> None:
    wait = Wait(waits)
    waiting = asyncio.create_task(wait.wait(SOON_S))
    # In the same turn of the loop: no deadline passes between them.
    second = asyncio.create_task(wait.wait(10))
    with pytest.raises(RuntimeError):
        await second

    with pytest.raises(StreamTimeout):
        await waiting


async def test_each_has_its_own_deadline(waits: Waits) -> None:
    late, early, later = Wait(waits), Wait(waits), Wait(waits)
    others = [asyncio.create_task(one.wait(10)) for one in (late, later)]
    await turns()

    with pytest.raises(StreamTimeout):
        await early.wait(SOON_S)
    with pytest.raises(StreamTimeout):
        await early.wait(SOON_S)

    assert not any(task.done() for task in others)
    late.open()
    later.open()
    await asyncio.gather(*others)


async def test_a_timer_that_fires_early_is_armed_for_who_waits(waits: Waits) -> None:
    gone, waiting = Wait(waits), Wait(waits)
    first = asyncio.create_task(gone.wait(SOON_S / 2))
    asyncio.get_running_loop().call_soon(gone.open)  # before the loop looks at timers
    await first

    with pytest.raises(StreamTimeout):
        await waiting.wait(SOON_S)


async def test_many_waits_arm_one_timer() -> None:
    loop = Timers(asyncio.get_running_loop())
    waits = Waits(loop)  # type: ignore[arg-type]  # what is used of a loop is there
    for _ in range(50):
        wait = Wait(waits)
        waiting = asyncio.create_task(wait.wait(10))
        await turns()
        wait.open()
        await waiting

    assert loop.armed == 1
    waits.close()


async def test_the_timer_goes_when_the_last_waiter_of_a_closed_one_does() -> None:
    waits = Waits(asyncio.get_running_loop())
    wait = Wait(waits)
    waiting = asyncio.create_task(wait.wait(SOON_S))

    async def close() -> None:
        waits.close()
        assert waits._timer is not None

    await asyncio.create_task(close())  # before the loop looks at timers
    with pytest.raises(StreamTimeout):
        await waiting
    assert waits._timer is None
    with pytest.raises(StreamTimeout):
        await wait.wait(SOON_S)
    assert waits._timer is None
