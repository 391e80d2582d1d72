"""Quarantine and pace: pure, with a time that is passed in."""

from int3rceptor.plugins.running.health import (
    MAX_QUARANTINE_S,
    MAX_SLOW_CALLS,
    PACE_WINDOW,
    QUARANTINE_FAULTS,
    QUARANTINE_S,
    SLOW_CALL_S,
    Pace,
    Quarantine,
)

SLOW, QUICK = SLOW_CALL_S * 2, SLOW_CALL_S / 2


def test_faults_in_a_row_begin_a_quarantine() -> None:
    one = Quarantine()
    seconds = [one.failed(100.0) for _ in range(QUARANTINE_FAULTS)]
    assert seconds == [0.0] * (QUARANTINE_FAULTS - 1) + [QUARANTINE_S]
    assert one.is_on(100.0)
    assert one.is_on(100.0 + QUARANTINE_S - 0.1)
    assert not one.is_on(100.0 + QUARANTINE_S)


def test_a_good_call_breaks_the_row() -> None:
    one = Quarantine()
    for _ in range(3):
        for _ in range(QUARANTINE_FAULTS - 1):
            assert one.failed(0.0) == 0.0
        assert one.succeeded() is False


def test_each_quarantine_in_a_row_is_twice_as_long_up_to_the_cap() -> None:
    one = Quarantine()
    for _ in range(QUARANTINE_FAULTS - 1):
        one.failed(0.0)
    lengths = [one.failed(one.until) for _ in range(8)]
    assert lengths[:3] == [QUARANTINE_S, 2 * QUARANTINE_S, 4 * QUARANTINE_S]
    assert lengths[-2:] == [MAX_QUARANTINE_S] * 2


def test_what_fails_in_a_quarantine_does_not_make_it_longer() -> None:
    # Calls that ran already when it began.
    one = Quarantine()
    for _ in range(QUARANTINE_FAULTS):
        one.failed(0.0)
    assert [one.failed(QUARANTINE_S - 1) for _ in range(10)] == [0.0] * 10
    assert one.until == QUARANTINE_S
    assert one.failed(QUARANTINE_S) == 2 * QUARANTINE_S


def test_the_first_good_call_after_a_quarantine_says_so_once() -> None:
    one = Quarantine()
    for _ in range(QUARANTINE_FAULTS):
        one.failed(0.0)
    assert one.succeeded() is True
    assert one.succeeded() is False
    assert one.failed(0.0) == 0.0  # counted from the beginning again


def test_pace_leaves_one_percent_alone() -> None:
    pace = Pace()
    for _ in range(3):
        for number in range(PACE_WINDOW):
            pace.note(SLOW if number < MAX_SLOW_CALLS else QUICK, is_cpu=True)
            assert not pace.is_slow


def test_one_slow_call_too_many_counts_at_once_until_a_quick_window() -> None:
    pace = Pace()
    for _ in range(MAX_SLOW_CALLS + 1):
        pace.note(SLOW, is_cpu=True)
    assert pace.is_slow
    for _ in range(PACE_WINDOW - MAX_SLOW_CALLS - 1):
        pace.note(QUICK, is_cpu=True)
    assert pace.is_slow
    for _ in range(PACE_WINDOW - 1):
        pace.note(QUICK, is_cpu=True)
        assert pace.is_slow
    pace.note(QUICK, is_cpu=True)
    assert not pace.is_slow
