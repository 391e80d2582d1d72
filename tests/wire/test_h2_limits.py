"""Budgets: what abuse spends, and what time and work bring back."""

import pytest

from int3rceptor.wire.h2.faults import ConnectionFault
from int3rceptor.wire.h2.limits import (
    BYTES_PER_WINDOW_UPDATE,
    CONTROL_BURST,
    CONTROL_PER_DATA_FRAME,
    CONTROL_PER_STREAM,
    MAX_SENT_FRAME_BYTES,
    RESET_BURST,
    AbuseMeter,
    Budget,
)


def spend(budget: Budget, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        budget.spend(now)


def test_a_burst_is_free_and_one_more_is_not() -> None:
    budget = Budget("things", 10, 1.0)
    spend(budget, 10)
    with pytest.raises(ConnectionFault, match="too many things") as calm:
        spend(budget, 1)
    assert calm.value.code == 11


def test_time_refills_up_to_the_burst_only() -> None:
    budget = Budget("things", 10, 2.0)
    spend(budget, 10, now=100.0)
    spend(budget, 4, now=102.0)
    with pytest.raises(ConnectionFault):
        spend(budget, 1, now=102.0)
    budget = Budget("things", 10, 2.0)
    with pytest.raises(ConnectionFault):
        spend(budget, 11, now=1e9)


def test_a_clock_that_goes_back_refills_nothing() -> None:
    budget = Budget("things", 2, 1.0)
    spend(budget, 2, now=50.0)
    with pytest.raises(ConnectionFault):
        spend(budget, 1, now=10.0)


def test_work_pays_for_control_frames() -> None:
    meter = AbuseMeter()
    for _ in range(CONTROL_BURST * 3):
        meter.control.spend(0.0)
        meter.control.spend(0.0)
        meter.data_sent(1)
    for _ in range(RESET_BURST * 3):
        meter.resets.spend(0.0)
        meter.stream_finished()


def test_what_work_brought_is_spent_once() -> None:
    meter = AbuseMeter()
    spend(meter.resets, RESET_BURST)
    spend(meter.control, CONTROL_BURST)
    meter.stream_finished()
    spend(meter.resets, 1)
    spend(meter.control, int(CONTROL_PER_STREAM))
    meter.data_sent(2 * MAX_SENT_FRAME_BYTES)  # the end of a stream is a frame, too
    window_updates = 2 * MAX_SENT_FRAME_BYTES // BYTES_PER_WINDOW_UPDATE
    spend(meter.control, 3 * int(CONTROL_PER_DATA_FRAME) + window_updates)
    for budget in (meter.resets, meter.control):
        with pytest.raises(ConnectionFault):
            spend(budget, 1)
