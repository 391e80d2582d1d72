"""What several workers say alike is said once."""

import logging

import pytest

from int3rceptor.app import worker_log
from int3rceptor.app.worker import logged_of
from int3rceptor.app.worker_log import ALIKE_S, WorkerLog
from int3rceptor.link.messages import Logged


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workers(clock: Clock) -> WorkerLog:
    return WorkerLog(clock)


def said(text: str, level: int = logging.WARNING) -> Logged:
    return Logged("int3rceptor.rules", level, 5.0, text)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


def test_the_same_of_others_is_told_once(
    workers: WorkerLog, caplog: pytest.LogCaptureFixture
) -> None:
    for worker in (1, 2, 3):
        workers.take(worker, said("a mistake"))
    workers.take(2, said("another"))

    assert told(caplog) == ["a mistake", "another"]
    assert (caplog.records[0].name, caplog.records[0].created) == (
        "int3rceptor.rules",
        5.0,
    )


def test_what_one_says_again_is_told_again(
    workers: WorkerLog, caplog: pytest.LogCaptureFixture
) -> None:
    for worker in (1, 2, 1, 2):
        workers.take(worker, said("it happened"))

    assert told(caplog) == ["it happened"] * 2


def test_what_others_say_much_later_is_news(
    workers: WorkerLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    workers.take(1, said("it happened"))
    clock.now += ALIKE_S
    workers.take(2, said("it happened"))

    assert told(caplog) == ["it happened"] * 2


def test_only_so_many_lines_are_remembered(
    workers: WorkerLog,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_log, "MAX_REMEMBERED", 2)
    for text in ("one", "two", "three"):
        workers.take(1, said(text))
    for text in ("three", "two", "one"):
        workers.take(2, said(text))

    assert told(caplog) == ["one", "two", "three", "one"]


def test_levels_that_nobody_wants_are_left_out(
    workers: WorkerLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "int3rceptor.rules")
    workers.take(1, said("detail", logging.DEBUG))
    workers.take(1, said("news", logging.INFO))

    assert told(caplog) == ["news"]


def test_an_error_travels_in_a_few_words_and_whole(
    workers: WorkerLog, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise OSError("gone")
    except OSError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("int3rceptor", 40, "", 0, "odd: %d", (7,), info)
    logged = logged_of(record)
    workers.take(1, logged)

    assert logged.text == "odd: 7: OSError: gone"
    assert logged.trace.startswith("Traceback")
    assert caplog.records[0].exc_text == logged.trace


def test_a_wrong_number_of_arguments_does_not_cost_the_line() -> None:
    record = logging.LogRecord("int3rceptor", 40, "", 0, "odd: %d %d", (7,), None)

    assert logged_of(record).text == "odd: %d %d"
