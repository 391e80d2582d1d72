"""When a process counts as one that hangs, by turns of the loop that watches it."""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from int3rceptor.app.watchdog import (
    DOUBTFUL_S,
    SIGN_S,
    SILENT_S,
    STARTING_S,
    Watchdog,
    is_traced,
)

PTRACE_SEIZE = 0x4206

START_TURNS = round(STARTING_S / SIGN_S)
TURNS = round(SILENT_S / SIGN_S)


class Turns:
    """Sleeps that end when the test says so: it decides what a turn is."""

    def __init__(self) -> None:
        self._sleeping: list[asyncio.Future[None]] = []

    async def sleep(self, seconds: float) -> None:
        assert seconds == SIGN_S
        sleeper = asyncio.get_running_loop().create_future()
        self._sleeping.append(sleeper)
        await sleeper

    async def pass_(self, turns: int) -> None:
        for _ in range(turns):
            sleeping, self._sleeping = self._sleeping, []
            for one in sleeping:
                one.set_result(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    made = Turns()
    monkeypatch.setattr("int3rceptor.app.watchdog.sleep", made.sleep)
    return made


@contextlib.asynccontextmanager
async def watching(dog: Watchdog) -> AsyncIterator["asyncio.Task[str]"]:
    task = asyncio.create_task(dog.bites())
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_that_serves_and_says_nothing_is_bitten(turns: Turns) -> None:
    dog = Watchdog()
    dog.serves()
    async with watching(dog) as task:
        await turns.pass_(TURNS - 1)
        assert not task.done()
        await turns.pass_(1)
        assert task.result() == "gave no sign of life for 90 s and was killed"
    assert dog.has_bitten


async def test_one_that_is_silent_is_doubtful_first(turns: Turns) -> None:
    dog = Watchdog()
    dog.serves()
    async with watching(dog):
        await turns.pass_(round(DOUBTFUL_S / SIGN_S) - 1)
        assert not dog.is_doubtful
        await turns.pass_(1)
        assert dog.is_doubtful
        dog.heard()
        assert not dog.is_doubtful


async def test_whatever_it_says_counts(turns: Turns) -> None:
    dog = Watchdog()
    dog.serves()
    async with watching(dog) as task:
        for _ in range(3):
            await turns.pass_(TURNS - 1)
            dog.heard()
        assert not task.done()
    assert not dog.has_bitten


async def test_a_start_may_take_longer(turns: Turns) -> None:
    dog = Watchdog()
    async with watching(dog) as task:
        await turns.pass_(START_TURNS - 1)
        assert not task.done()
        await turns.pass_(1)
        assert task.result() == "gave no sign of life for 600 s and was killed"


async def test_the_time_that_all_were_stopped_for_does_not_count(
    monkeypatch: pytest.MonkeyPatch, turns: Turns
) -> None:
    dog = Watchdog()
    dog.serves()
    async with watching(dog) as task:
        await turns.pass_(TURNS - 2)
        # A machine that slept for a day: the clocks jump, the loop turns once.
        monkeypatch.setattr("time.monotonic", lambda: 1e9)
        monkeypatch.setattr("time.time", lambda: 2e9)
        await turns.pass_(1)
        assert not task.done()


async def test_one_that_a_debugger_holds_need_say_nothing(turns: Turns) -> None:
    held = True
    dog = Watchdog(lambda: held)
    dog.serves()
    async with watching(dog) as task:
        await turns.pass_(2 * TURNS)
        assert not task.done()
        held = False
        await turns.pass_(TURNS - round(DOUBTFUL_S / SIGN_S))
        assert not task.done()
        await turns.pass_(round(DOUBTFUL_S / SIGN_S))
        assert task.done()


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_a_debugger_is_seen(sleeper: "subprocess.Popen[bytes]") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert not is_traced(sleeper.pid)
    if libc.ptrace(PTRACE_SEIZE, sleeper.pid, None, None) == -1:
        pytest.skip(f"no debugger may: {os.strerror(ctypes.get_errno())}")
    assert is_traced(sleeper.pid)


def test_one_that_is_gone_has_no_debugger(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    assert not is_traced(sleeper.pid)
