"""What starts workers, with workers that misbehave on purpose."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from int3rceptor.app import child, crew, watchdog
from int3rceptor.app.crew import Crew
from int3rceptor.config.model import Config, LimitsConfig
from int3rceptor.errors import WorkerError
from int3rceptor.link.messages import Event, Gap
from int3rceptor.net.loads import new_loads
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually

PROGRAM = "tests.support.fake_worker"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FIRST_RESTART_S", 0.01)
    monkeypatch.setattr(child, "MAX_RESTART_S", 0.01)
    monkeypatch.setattr(crew, "CLOSE_S", 0.2)
    monkeypatch.setenv("FAKE_WORKER", "well")


@contextlib.asynccontextmanager
async def crew_of(folder: Path, workers: int = 2) -> AsyncIterator[Crew]:
    config = Config(data_dir=folder, workers=workers, limits=LimitsConfig(drain_s=0.2))
    with new_loads(workers) as loads:
        made = Crew(config, PROGRAM, [], [], loads)
        try:
            yield made
        finally:
            await made.stop()
    assert running() == []


def running() -> list[psutil.Process]:
    """All workers, dead ones that nobody waited for too."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if PROGRAM not in process.cmdline():
                continue
        found.append(process)
    return found


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == level]


async def test_all_serve_and_end_when_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with crew_of(tmp_path, 3) as made:
        serving = await made.start()
        assert (serving.authority.path, serving.notes) == ("ca of 1", ["a note"])
        assert [one.number for one in made.serving()] == [1, 2, 3]
        assert len(running()) == 3

    assert not told(caplog, logging.WARNING)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("refuse", "^the rules are wrong$"),
        ("crash", "^worker 1 ended with exit code 1: RuntimeError: no such luck$"),
        ("2 crash", "^worker 2 ended with exit code 1: RuntimeError: no such luck$"),
        ("2 refuse", "^the rules are wrong$"),
    ],
)
async def test_one_that_cannot_begin_is_the_end_of_all(
    tmp_path: Path,
    how: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("FAKE_WORKER", how)
    async with crew_of(tmp_path) as made:
        with pytest.raises(WorkerError, match=said):
            await made.start()

    assert not told(caplog, logging.WARNING)


async def test_one_that_is_killed_is_followed_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with crew_of(tmp_path) as made:
        await made.start()
        running()[1].kill()
        await eventually(lambda: made.stats().workers[1].restarts == 1, PATIENT_S)
        await eventually(lambda: len(made.serving()) == 2, PATIENT_S)

    assert told(caplog, logging.WARNING) == [
        "worker 2 was ended by SIGKILL; it is started again in 0.01 s"
    ]
    assert "worker 2 serves again" in told(caplog, logging.INFO)


async def test_one_that_only_spins_is_killed_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "SIGN_S", 0.02)
    monkeypatch.setattr(watchdog, "SILENT_S", 1.0)
    monkeypatch.setenv("FAKE_WORKER", "2 spin")
    async with crew_of(tmp_path) as made:
        await made.start()
        monkeypatch.setenv("FAKE_WORKER", "well")
        await eventually(lambda: made.stats().workers[1].hangs == 1, PATIENT_S)
        await eventually(lambda: len(made.serving()) == 2, PATIENT_S)
        assert made.stats().workers[1].restarts == 1

    assert (
        "worker 2 gave no sign of life for 1 s and was killed; it is started again in"
        " 0.01 s"
    ) in told(caplog, logging.WARNING)


async def test_one_that_is_silent_does_not_count_as_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "SIGN_S", 0.02)
    monkeypatch.setattr(watchdog, "DOUBTFUL_S", 1.0)
    async with crew_of(tmp_path) as made:

        def serving() -> list[bool]:
            return [one.is_serving for one in made.stats().workers]

        await made.start()
        assert serving() == [True, True]
        silent = running()[1]
        silent.suspend()
        await eventually(lambda: serving() == [True, False], PATIENT_S)
        silent.resume()
        await eventually(lambda: serving() == [True, True], PATIENT_S)


async def test_one_that_cannot_begin_later_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with crew_of(tmp_path) as made:
        await made.start()
        monkeypatch.setenv("FAKE_WORKER", "refuse")
        running()[0].kill()
        await eventually(lambda: made.stats().workers[0].restarts == 2, PATIENT_S)

    assert told(caplog, logging.WARNING)[1] == (
        "worker 1 cannot begin: the rules are wrong; it is started again in 0.01 s"
    )


async def test_when_all_are_given_up_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("int3rceptor.app.worker_process.MOST_DEATHS", 2)
    async with crew_of(tmp_path) as made:
        await made.start()
        monkeypatch.setenv("FAKE_WORKER", "crash")
        for one in running():
            one.kill()
        async with asyncio.timeout(PATIENT_S):
            await made.all_gone.wait()
        assert made.serving() == []

    assert len(told(caplog, logging.ERROR)) == 2


async def test_one_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "2 deaf")
    monkeypatch.setattr(child, "STOP_S", 0.2)
    async with crew_of(tmp_path) as made:
        await made.start()

    assert told(caplog, logging.WARNING) == ["worker 2 does not end: it is killed"]


async def test_a_stop_while_they_begin_leaves_nothing(tmp_path: Path) -> None:
    async with crew_of(tmp_path) as made:
        starting = asyncio.create_task(made.start())
        await eventually(lambda: len(running()) == 1, PATIENT_S)
        starting.cancel()


async def test_what_they_say_is_passed_on_and_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "talk")
    seen: list[Event] = []
    async with crew_of(tmp_path) as made:
        made.watcher = seen.append
        await made.start()
        await eventually(lambda: made.stats().counters.get("ended") == 10, PATIENT_S)
        stats = made.stats()
        assert stats.counters["connections"] == 4
        assert stats.problem == "the disk is full"
        assert [one.is_serving for one in stats.workers] == [True, True]
        running()[0].kill()
        # What the dead one did is not forgotten; who was connected to it is gone.
        await eventually(lambda: made.stats().counters["ended"] == 15, PATIENT_S)
        assert made.stats().counters["connections"] == 4
        await eventually(lambda: len(seen) == 3, PATIENT_S)
        made.watcher = None

    assert seen == [Gap(3)] * 3
    said = told(caplog, logging.WARNING)
    assert said.count("alike") == 2  # of two at the start, and of one once more
    assert "worker 2 was ahead of this process: 3 events" in " ".join(said)
