"""What starts hubs, with hubs that misbehave on purpose."""

import asyncio
import contextlib
import errno
import logging
import operator
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from int3rceptor.app import child as child_module
from int3rceptor.app import supervisor as module
from int3rceptor.app import watchdog
from int3rceptor.app.control_socket import Control, ControlReady
from int3rceptor.app.keeping import Watched
from int3rceptor.app.supervisor import Supervisor
from int3rceptor.link.messages import CaForms, Hello, Stats
from int3rceptor.link.plugin_asks import PluginTold
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually

CA = CaForms(pem=b"", der=b"", mobileconfig=b"", fingerprint="")
CONTROL = ControlReady(address=("127.0.0.1", 1), token="t", token_path=Path("t"))
HELLO = Hello(
    link_version=1, version="1.0", listen=("127.0.0.1", 1), ca=CA, settings=b"{}"
)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODULE", "tests.support.fake_hub")
    monkeypatch.setattr(child_module, "FIRST_RESTART_S", 0.01)
    monkeypatch.setattr(child_module, "MAX_RESTART_S", 0.02)
    monkeypatch.setattr(module, "STATS_S", 0.01)
    monkeypatch.setenv("FAKE_HUB", "well")


class Watching:
    """A supervisor, its watched flows, and how often it said that a hub serves."""

    def __init__(self) -> None:
        self.ready = 0
        self.watched = Watched(None)
        self.control = Control(
            sock=socket.socket(), ready=CONTROL, on_ready=self._on_ready
        )
        self.supervisor = Supervisor(
            HELLO,
            self.control,
            self.watched,
            on_ask=lambda ask, tell: tell(PluginTold(ask.number)),
            stats=lambda: Stats(counters={"begun": 1.0}),
        )

    def _on_ready(self, ready: ControlReady) -> None:
        assert ready is CONTROL
        self.ready += 1


@contextlib.asynccontextmanager
async def supervised() -> AsyncIterator[Watching]:
    watching = Watching()
    watching.supervisor.start()
    try:
        yield watching
    finally:
        await watching.supervisor.stop()
        watching.control.sock.close()
        assert hubs() == []


def hubs() -> list[psutil.Process]:
    """All children that are hubs, dead ones that nobody waited for too."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if module.MODULE not in child.cmdline():
                continue
        found.append(child)
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]


async def test_a_hub_gets_ready_watches_and_ends_when_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervised() as watching:
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)
        assert watching.ready == 1

    assert watching.watched.watcher is None
    assert watching.supervisor.restarts == 0
    assert warnings(caplog) == []


async def test_one_that_is_killed_is_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervised() as watching:
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)
        hubs()[0].kill()
        await eventually(lambda: watching.watched.watcher is None, PATIENT_S)
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)
        assert watching.ready == 1
        assert watching.supervisor.restarts == 1

    assert warnings(caplog) == [
        "the hub was ended by SIGKILL; it is started again in 0.01 s"
    ]


async def test_what_a_crash_printed_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_HUB", "crash")
    async with supervised() as watching:
        await eventually(lambda: watching.supervisor.restarts == 2, PATIENT_S)

    why = "the hub ended with exit code 1: RuntimeError: no such luck"
    assert warnings(caplog)[:2] == [
        f"{why}; it is started again in 0.01 s",
        f"{why}; it is started again in 0.02 s",
    ]


async def test_one_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with supervised() as watching:
        await eventually(lambda: watching.supervisor.restarts == 3, PATIENT_S)

    assert warnings(caplog)[0] == (
        "the hub cannot be started: No such file or directory; "
        "it is started again in 0.01 s"
    )


async def test_one_for_which_there_is_no_socket_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def out_of_files() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as clients_took_all:
        clients_took_all.setattr(socket, "socketpair", out_of_files)
        async with supervised() as watching:
            await eventually(lambda: watching.supervisor.restarts == 2, PATIENT_S)
            clients_took_all.undo()
            await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)

    assert warnings(caplog)[0] == (
        "the hub cannot be started: Too many open files; it is started again in 0.01 s"
    )


async def test_one_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_HUB", "deaf")
    monkeypatch.setattr(child_module, "STOP_S", 0.2)
    async with supervised() as watching:
        await eventually(lambda: watching.supervisor.restarts == 1, PATIENT_S)

    assert "the hub does not end: it is killed" in warnings(caplog)


@pytest.fixture
def impatiently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "SIGN_S", 0.02)
    monkeypatch.setattr(watchdog, "SILENT_S", 1.0)


@pytest.mark.usefixtures("impatiently")
async def test_one_that_only_spins_is_killed_and_prints_where_it_stood(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_HUB", "spin")
    caplog.set_level(logging.DEBUG)
    async with supervised() as watching:
        await eventually(lambda: watching.ready == 1, PATIENT_S)
        monkeypatch.setenv("FAKE_HUB", "well")
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)
        assert watching.supervisor.hangs == 1
        assert watching.supervisor.restarts == 1

    (line,) = warnings(caplog)
    assert line == (
        "the hub gave no sign of life for 1 s and was killed; it is started again in"
        " 0.01 s"
    )
    (printed,) = [one for one in caplog.messages if one.startswith("the hub printed:")]
    assert "in spin" in printed


@pytest.mark.usefixtures("impatiently")
async def test_one_that_was_stopped_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    async with supervised() as watching:
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)
        hubs()[0].suspend()
        await eventually(lambda: watching.supervisor.hangs == 1, PATIENT_S)
        await eventually(lambda: watching.watched.watcher is not None, PATIENT_S)

    assert warnings(caplog)[0].startswith("the hub gave no sign of life for 1 s")


async def test_what_it_says_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_HUB", "talk")
    async with supervised() as watching:
        await eventually(lambda: watching.ready == 1, PATIENT_S)

    assert warnings(caplog) == ["the disk is full"]


async def test_a_stop_right_after_the_start_leaves_nothing() -> None:
    async with supervised():
        pass


async def test_a_stop_before_the_next_start_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_HUB", "brief")
    monkeypatch.setattr(child_module, "FIRST_RESTART_S", 60.0)
    async with asyncio.timeout(PATIENT_S), supervised() as watching:
        await eventually(lambda: watching.ready == 1, PATIENT_S)
        await eventually(lambda: hubs() == [], PATIENT_S)


async def test_restarts_leave_no_descriptor_and_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_HUB", "brief")
    monkeypatch.setattr(child_module, "MAX_RESTART_S", 0.0)
    async with supervised() as watching:
        await eventually(lambda: watching.supervisor.restarts >= 1, PATIENT_S)
    # What an event loop opens once is open by now.
    before = footprint()
    async with supervised() as watching:
        await eventually(lambda: watching.supervisor.restarts >= 20, PATIENT_S)

    await eventually(lambda: all(map(operator.le, footprint(), before)))


def footprint() -> tuple[int, int]:
    """Open files and threads."""
    return psutil.Process().num_fds(), threading.active_count()
