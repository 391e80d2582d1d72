"""A process that is kept alive, up to a point."""

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

import pytest

from int3rceptor.app import child as module
from int3rceptor.app.child import Child

if TYPE_CHECKING:
    import subprocess

SOON_S = 20.0


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RESTART_S", 0.01)
    monkeypatch.setattr(module, "MAX_RESTART_S", 0.01)
    monkeypatch.setenv("FAKE_HUB", "brief")


async def listened_to(sock: socket.socket) -> str:
    """Wait for the other end; it says nothing of interest."""
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    with sock:
        while await loop.sock_recv(sock, 4096):
            pass
    return "has had its say"


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == level]


async def test_one_that_dies_too_often_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    child = Child("worker 2", "tests.support.fake_hub", [], listened_to, most=3)
    async with asyncio.timeout(SOON_S):
        await child.run()

    assert child.restarts == 2
    assert (
        told(caplog, logging.WARNING)
        == ["worker 2 has had its say; it is started again in 0.01 s"] * 2
    )
    (given_up,) = told(caplog, logging.ERROR)
    assert given_up.startswith(
        "worker 2 has had its say; it is not started again after 3 deaths in a row: "
    )


async def test_one_that_was_well_for_long_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STEADY_S", 0.0)
    child = Child("it", "tests.support.fake_hub", [], listened_to, most=2)
    running = asyncio.create_task(child.run())
    async with asyncio.timeout(SOON_S):
        while child.restarts < 3:  # noqa: ASYNC110  # a number tells nobody
            await asyncio.sleep(0.01)
        child.stop()
        await running


class Held:
    """A process that the system does not let go of for some looks after its death."""

    returncode: int | None = None

    def __init__(self) -> None:
        self.looks = 0
        self.is_killed = False

    def poll(self) -> int | None:
        self.looks += self.is_killed
        if self.looks > 20:
            self.returncode = -9
        return self.returncode

    def kill(self) -> None:
        self.is_killed = True


async def test_one_that_the_system_holds_is_waited_for_without_holding_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.01)
    monkeypatch.setattr(module, "KILL_S", 0.02)
    process = cast("subprocess.Popen[bytes]", Held())
    ending = asyncio.create_task(module._ended(process, "the hub", is_hung=False))
    turns = 0
    while not ending.done():
        turns += 1
        await asyncio.sleep(0.001)

    assert await ending == -9
    assert turns > 20
    assert told(caplog, logging.WARNING) == ["the hub does not end: it is killed"]
    (line,) = told(caplog, logging.ERROR)
    assert line.startswith("the hub cannot be killed, since the system does not let go")


async def test_who_started_it_may_want_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ends: list[str] = []

    def enough(how: str) -> bool:
        ends.append(how)
        return False

    child = Child("it", "tests.support.fake_hub", [], listened_to, may_return=enough)
    async with asyncio.timeout(SOON_S):
        await child.run()

    assert ends == ["has had its say"]
    assert caplog.records == []
