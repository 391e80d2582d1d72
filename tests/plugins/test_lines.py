"""The rate of what a plugin logs, what is kept of it, and who looks on."""

from collections.abc import Callable

import pytest

from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.running import lines as lines_module
from int3rceptor.plugins.running.lines import Outbox, PluginLog
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


class Later:
    """A loop's `call_later`, whose time comes when a test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, seconds: float, act: Callable[[], None]) -> None:
        assert seconds == lines_module.PUT_DOWN_S
        self.due.append(act)

    def come(self) -> None:
        due, self.due = self.due, []
        for act in due:
            act()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def pair(later: Later, clock: Clock, book: LogBook) -> tuple[PluginLog, PluginLog]:
    """The logs of two plugins, whose lines wait together."""
    outbox = Outbox(later)
    return (
        PluginLog("one", book, clock, lambda: 5.0, outbox),
        PluginLog("two", book, clock, lambda: 5.0, outbox),
    )


def test_lines_of_all_plugins_are_passed_on_together_and_in_order(
    pair: tuple[PluginLog, PluginLog], later: Later, book: LogBook
) -> None:
    one, two = pair
    say(one, "a", "b")
    say(two, "c")
    say(one, "d")
    assert (book.lines, len(later.due)) == ([], 1)
    later.come()
    assert [(name, text) for name, _, text in book.lines] == [
        *(("one", "a"), ("one", "b"), ("two", "c"), ("one", "d"))
    ]
    say(two, "e")
    assert len(later.due) == 1
    later.come()
    assert book.texts() == [*"abcde"]


def test_what_a_log_is_asked_about_includes_what_waits(
    pair: tuple[PluginLog, PluginLog], book: LogBook
) -> None:
    one, _ = pair
    say(one, "a")
    assert [line.text for line in one.recent()] == ["a"]
    say(one, "b")
    seen: list[str] = []
    stop = one.watch(lambda line: seen.append(line.text))
    say(one, "c")
    stop()
    say(one, "d")
    one.close()
    assert seen == ["c"]
    assert book.texts() == [*"abcd"]


def test_what_waits_is_counted_against_the_rate_and_told_of(
    pair: tuple[PluginLog, PluginLog], later: Later, book: LogBook, clock: Clock
) -> None:
    one, _ = pair
    one.limits = Limits(log_lines=2)
    say(one, *"ab")
    say(one, *"cd")
    later.come()
    clock.now += 1.0
    one.settle()
    assert book.texts() == ["a", "b", LEFT_OUT.format(2)]


@pytest.mark.parametrize("writers", [1, 2])
def test_no_more_wait_than_the_limit(
    pair: tuple[PluginLog, PluginLog], later: Later, book: LogBook, writers: int
) -> None:
    one = pair[0]
    for log in pair:
        log.limits = Limits(log_lines=10_000)
    for number in range(lines_module.MAX_PUT_DOWN):
        say(pair[number % writers], str(number))
    assert book.texts() == []
    say(one, "over")
    assert len(book.texts()) == lines_module.MAX_PUT_DOWN + 1
    later.come()
    assert book.texts()[-1] == "over"


def test_a_call_that_logs_much_is_passed_on_at_once(
    pair: tuple[PluginLog, PluginLog], book: LogBook
) -> None:
    one, two = pair
    say(two, "first")
    one.limits = Limits(log_lines=10_000)
    say(one, *map(str, range(lines_module.MAX_PUT_DOWN)))
    assert len(book.texts()) == lines_module.MAX_PUT_DOWN + 1
    assert book.texts()[0] == "first"
