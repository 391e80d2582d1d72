"""The rate of what a plugin logs, what is kept of it, and who looks on."""

import pytest

from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.plugins import lines as lines_module
from int3rceptor.plugins.codes import LogLevel
from int3rceptor.plugins.lines import PluginLog
from int3rceptor.plugins.manifest import Limits
from tests.plugins.support import Clock, LogBook

INFO = LogLevel.INFO
LEFT_OUT = "{} lines left out: more than limits.log_lines or limits.log_bytes"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book() -> LogBook:
    return LogBook()


@pytest.fixture
def log(clock: Clock, book: LogBook) -> PluginLog:
    one = PluginLog("one", book, clock=clock, wall=lambda: 5.0)
    one.limits = Limits(log_lines=3, log_bytes=100)
    return one


def say(log: PluginLog, *texts: str) -> None:
    log.write([(INFO, text) for text in texts])


def test_lines_over_the_rate_are_counted_and_told_of(
    log: PluginLog, book: LogBook, clock: Clock
) -> None:
    say(log, "a", "b")
    say(log, "c", "d", "e")
    assert book.texts() == ["a", "b", "c"]
    clock.now += 1.0
    say(log, "f")
    assert book.texts()[3:] == [LEFT_OUT.format(2), "f"]
    assert (log.written, log.left_out) == (5, 2)


def test_bytes_over_the_rate_are_left_out_until_the_second_is_over(
    log: PluginLog, book: LogBook, clock: Clock
) -> None:
    say(log, "x" * 90)
    say(log, "y" * 11, "z")
    assert book.texts() == ["x" * 90]
    clock.now += 0.9
    say(log, "z")
    log.settle()
    assert book.texts() == ["x" * 90]
    clock.now += 0.2
    log.settle()
    assert book.texts()[1:] == [LEFT_OUT.format(3)]


def test_the_last_lines_left_out_are_told_of_at_the_end(
    log: PluginLog, book: LogBook
) -> None:
    say(log, *"abcd")
    log.close()
    log.close()
    assert book.texts() == [*"abc", LEFT_OUT.format(1)]


def test_a_plugin_may_be_silenced(log: PluginLog, book: LogBook) -> None:
    log.limits = Limits(log_lines=0)
    say(log, "a")
    assert book.texts() == []


def test_the_latest_are_kept(
    log: PluginLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(lines_module.MAX_RECENT_LINES + 2):
        clock.now += 1.0
        say(log, str(number))
    kept = log.recent()
    assert len(kept) == lines_module.MAX_RECENT_LINES
    assert kept[0] == LogLine(time=5.0, plugin="one", level="info", text="2")


def test_viewers_see_lines_as_they_come_until_they_stop(log: PluginLog) -> None:
    say(log, "before")
    seen: list[str] = []
    others: list[LogLine] = []
    stop = log.watch(lambda line: seen.append(line.text))
    log.watch(others.append)
    say(log, "a")
    stop()
    stop()
    say(log, "b")
    assert seen == ["a"]
    assert [line.text for line in others] == ["a", "b"]
