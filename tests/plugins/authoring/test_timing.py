"""Times of a module's hooks: exact fuel, ordered spreads, faults named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.authoring.timing import MADE_UP, spread, time_entries
from int3rceptor.plugins.authoring.trial import Trial
from tests.plugins.support import EXAMPLES, guest

LOGGER = EXAMPLES / "example-logger" / "example_logger.wasm"


@given(values=st.lists(st.floats(min_value=0, max_value=1e9), min_size=1))
def test_a_spread_is_made_of_its_values_in_order(values: list[float]) -> None:
    found = spread(values)
    assert min(values) == found.least <= found.median <= found.p99 <= max(values)
    assert {found.median, found.p99} <= set(values)


@pytest.mark.parametrize("count", [1, 25])
def test_every_hook_is_timed_and_fuel_is_exact(count: int) -> None:
    with Trial(LOGGER) as trial:
        timings = time_entries(trial, count)
        assert [one.entry for one in timings] == trial.info.entries
    for one in timings:
        assert one.fuel.least == one.fuel.p99 > 0
        assert 0 < one.us.least <= min(one.halves_us)
        assert one.fault == ""


def test_messages_are_timed_on_a_topic_that_it_listens_to(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("counter_of_news"))
    path.with_suffix(".toml").write_text('permissions = ["topics:news"]')
    with Trial(path) as trial:
        assert trial.topics == ["news"]
        (one,) = time_entries(trial, 3)
    assert one.entry is Extra.MESSAGE
    assert one.fuel.least > 0
    assert one.fault == ""


def test_messages_that_nobody_listens_to_are_not_timed(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    hooks = '(export "on_message") (export "on_request")'
    path.write_text(f"(module (func {hooks} (result i32) (i32.const 0)))")
    with Trial(path) as trial:
        (one,) = time_entries(trial, 1)
    assert one.entry is HookPoint.REQUEST


def test_chunks_are_timed_on_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("chunk_upper"))
    with Trial(path) as trial:
        timings = time_entries(trial, 2)
    assert {one.entry for one in timings} == {Extra.REQUEST_CHUNK, Extra.RESPONSE_CHUNK}
    assert all(one.fuel.least > len(MADE_UP) for one in timings)


def test_events_are_timed_on_an_event(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("event_moods"))
    with Trial(path) as trial:
        (one,) = time_entries(trial, 2)
    assert one.entry is Extra.SSE_EVENT
    assert one.fault == ""


def test_a_hook_that_fails_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("unreachable"))
    with Trial(path) as trial:
        (one,) = time_entries(trial, 3)
    assert one.fault == "failed: trap: unreachable"
