"""Open-loop load: when requests are due, and that a slow answer spares nobody."""

import asyncio
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.batches import PacedBatch
from benchmarks.load_h1 import Connection
from benchmarks.pace import Schedule, ticking, wait_again

if not sys.platform.startswith("linux"):
    pytest.skip("the benchmarks use Linux's timers", allow_module_level=True)

BODY = b"body"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + BODY


def test_requests_are_due_one_an_interval() -> None:
    schedule = Schedule(start=100.0, interval_s=0.5, total=4)
    assert schedule.due(100.4) == []
    assert schedule.due(100.5) == [100.5]
    assert schedule.due(100.6) == []
    assert schedule.due(101.7) == [101.0, 101.5]
    assert not schedule.is_over
    assert schedule.due(200.0) == [102.0]
    assert schedule.is_over
    assert schedule.due(300.0) == []


@given(
    interval_s=st.floats(1e-5, 10.0),
    total=st.integers(0, 200),
    steps=st.lists(st.floats(0.0, 30.0), max_size=30),
)
def test_each_request_is_due_once_and_never_before_its_time(
    interval_s: float, total: int, steps: list[float]
) -> None:
    schedule = Schedule(start=5.0, interval_s=interval_s, total=total)
    now, seen = 5.0, []
    for step in steps:
        now += step
        due = schedule.due(now)
        assert all(at <= now + interval_s * 1e-6 for at in due)
        seen += due
    seen += schedule.due(now + interval_s * (total + 1))
    assert schedule.is_over
    assert seen == [5.0 + (number + 1) * interval_s for number in range(total)]


def test_the_alarm_is_readable_when_the_interval_has_passed() -> None:
    before = time.perf_counter()
    with ticking(0.002) as alarm:
        with pytest.raises(BlockingIOError):
            wait_again(alarm)

        async def wait() -> float:
            loop = asyncio.get_running_loop()
            rung = loop.create_future()
            loop.add_reader(alarm, lambda: rung.done() or rung.set_result(None))
            await rung
            loop.remove_reader(alarm)
            return wait_again(alarm)

        assert asyncio.run(wait()) - before >= 0.002


class Wire(asyncio.Transport):
    """Remembers what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += 1

    def abort(self) -> None:
        pass


def connected(wire: Wire) -> Connection:
    connection = Connection(b"GET", BODY)
    connection.connection_made(wire)
    return connection


def batch_of(total: int, *connections: Connection) -> PacedBatch:
    start = time.perf_counter() - 100.0  # long ago: all is due at the first tick
    return PacedBatch(
        schedule=Schedule(start=start, interval_s=0.001, total=total),
        done=asyncio.get_running_loop().create_future(),
        open_connections=len(connections),
        parked=list(connections),
    )


async def test_a_request_that_found_no_free_connection_counts_its_wait() -> None:
    wire = Wire()
    connection = connected(wire)
    batch = batch_of(2, connection)
    batch.tick(batch.schedule.start + 0.0025)
    assert wire.sent == 1
    connection.data_received(ANSWER)
    assert wire.sent == 2
    connection.data_received(ANSWER)
    assert batch.done.done()
    # Both were due a hundred seconds ago, whenever the first answer let them go.
    assert min(batch.latencies_s) > 99.0


async def test_a_slow_answer_does_not_hold_back_the_others() -> None:
    slow, fast = Wire(), Wire()
    batch = batch_of(3, connected(slow), connection := connected(fast))
    batch.tick(batch.schedule.start + 0.0011)
    assert (slow.sent, fast.sent) == (0, 1)
    batch.tick(batch.schedule.start + 0.0021)
    connection.data_received(ANSWER)
    batch.tick(batch.schedule.start + 0.0031)
    assert (slow.sent, fast.sent) == (1, 2)


async def test_a_batch_ends_when_all_connections_are_lost() -> None:
    wires = [Wire(), Wire()]
    connections = [connected(wire) for wire in wires]
    batch = batch_of(10, *connections)
    batch.tick(batch.schedule.start + 0.0025)
    for connection in connections:
        assert not batch.done.done()
        connection.connection_lost(None)
    assert batch.done.done()
    assert len(batch.errors) == 2


async def test_a_batch_without_requests_left_ends_at_the_tick() -> None:
    batch = batch_of(0, connected(Wire()))
    batch.tick(time.perf_counter())
    assert batch.done.done()
