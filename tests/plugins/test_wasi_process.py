"""Output, arguments, clocks, randomness and exits of a guest built for WASI."""

import struct
from collections.abc import ItemsView

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.abi.wasi import GROUPS, WASI
from int3rceptor.plugins.abi.wasi_codes import Errno
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.host import MAX_LOG_LINE_BYTES, Surroundings
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.wasi.functions import WASI_ACTS
from tests.plugins.support import make_flow, make_instance
from tests.plugins.wasi_support import DATA_AT, MEMORY, OUT_AT, RESULT_AT, Console

MS = 1_000_000


class Watch:
    """Clocks that a test moves, in milliseconds."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1 << 40, 5_000

    def surroundings(self) -> Surroundings:
        return Surroundings(
            args=("name", "--flag", "ä"),
            env={"MODE": "test", "EMPTY": ""},
            now_ms=lambda: self.wall,
            monotonic_ms=lambda: self.monotonic,
            random=lambda size: b"r" * size,
        )


def subscription(
    tag: int, which: int, timeout: int = 0, *, flags: int = 0, userdata: int = 7
) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, tag, which, timeout, 0, flags)


def events(console: Console) -> list[tuple[int, int, int]]:
    """User data, errno and type of what poll_oneoff answered."""
    data = console.read(RESULT_AT + 1024, 32 * console.u32())
    return [one[:3] for one in struct.iter_unpack("<QHB5xQ8x", data)]


def poll(console: Console, *subscriptions: bytes) -> int:
    assert console.guest.write(DATA_AT, b"".join(subscriptions))
    count = len(subscriptions)
    return console.call("poll_oneoff", DATA_AT, RESULT_AT + 1024, count, OUT_AT)


def test_every_function_has_a_row_an_act_and_plain_words() -> None:
    assert set(WASI_ACTS) == set(WASI)
    assert len(WASI) == 46
    assert {name for names in GROUPS.values() for name in names} <= set(WASI)


class _Read(dict[str, str]):
    """Variables that count how often they were looked at."""

    looks = 0

    def items(self) -> ItemsView[str, str]:
        self.looks += 1
        return super().items()


def test_what_a_program_is_started_with_is_made_once() -> None:
    # It may be a megabyte, and be asked for a thousand times in a call.
    env = _Read({"MODE": "x" * 1000})
    console = Console(surroundings=Surroundings(env=env))
    for _ in range(3):
        assert console.call("environ_sizes_get", RESULT_AT, OUT_AT) == 0
        assert console.u32() == len("MODE=") + 1001
    assert env.looks == 1


def test_lines_go_to_the_log_as_they_end(factory: MakerFactory) -> None:
    console = Console(factory)
    assert console.write(1, b"one\ntwo\r\n\nth") == 0
    assert console.u32() == 12
    assert console.lines() == [
        (LogLevel.INFO, "one"),
        (LogLevel.INFO, "two"),
        (LogLevel.INFO, "th"),  # the call is over
    ]
    assert console.write(2, b"a \x1b[31m \xff warning") == 0
    assert console.lines() == [(LogLevel.WARN, "a \\x1b[31m � warning")]


def test_a_long_line_goes_on_in_the_next() -> None:
    console = Console()
    data = b"x" * (2 * MAX_LOG_LINE_BYTES + 5)
    assert console.write(1, data + b"\nend\n") == 0
    lengths = [len(text) for _, text in console.lines()]
    assert lengths == [MAX_LOG_LINE_BYTES, MAX_LOG_LINE_BYTES, 5, 3]


@pytest.mark.parametrize("data", [b"\n" * 50, b"x" * (12 * MAX_LOG_LINE_BYTES)])
def test_each_line_costs_a_host_call(data: bytes) -> None:
    console = Console(limits=Limits(host_calls=10))
    at = DATA_AT + 64
    assert console.guest.write(at, data)
    assert console.guest.write(DATA_AT, struct.pack("<II", at, len(data)))
    fault = console.run("fd_write", 1, DATA_AT, 1, OUT_AT)
    assert fault is not None
    assert str(fault) == (
        "over the host work budget: more than 10 host calls and log lines"
    )
    assert len(console.lines()) <= 10


def test_a_write_takes_from_the_budget_and_is_cut(factory: MakerFactory) -> None:
    console = Console(factory, limits=Limits(host_bytes=1000))
    assert console.write(1, b"x" * 900) == 0
    fault = console.run("fd_write", 1, DATA_AT, 1, OUT_AT)
    assert fault is None
    assert console.guest.write(DATA_AT, struct.pack("<II", 0, 200_000))
    fault = console.run("fd_write", 1, DATA_AT, 1, OUT_AT)
    assert fault is not None
    assert fault.kind is FaultKind.HOST_BUDGET


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=40) | st.just(b"\n"), max_size=12),
)
def test_nothing_that_is_printed_is_lost_or_unprintable(pieces: list[bytes]) -> None:
    console = PRINTING
    written = b""
    said: list[str] = []
    for piece in pieces:
        assert console.write(1, piece) == 0
        written += piece + b"\n"  # each is a call of its own
        said += [text for _, text in console.lines()]
    wanted = [one.removesuffix(b"\r") for one in written.split(b"\n")]
    assert len(said) <= len(wanted)
    assert all(text.isprintable() for text in said)
    assert len(said) == len([one for one in written.split(b"\n") if one])


PRINTING = Console()


def test_arguments_and_environment_are_the_manifests(factory: MakerFactory) -> None:
    console = Console(factory, surroundings=Watch().surroundings())
    assert console.call("args_sizes_get", OUT_AT, OUT_AT + 4) == 0
    assert (console.u32(), console.u32(OUT_AT + 4)) == (3, 15)
    assert console.call("args_get", OUT_AT, DATA_AT) == 0
    assert console.read(DATA_AT, 15) == b"name\0--flag\0\xc3\xa4\0"
    pointers = struct.unpack("<3I", console.read(OUT_AT, 12))
    assert pointers == (DATA_AT, DATA_AT + 5, DATA_AT + 12)
    assert console.call("environ_sizes_get", OUT_AT, OUT_AT + 4) == 0
    assert (console.u32(), console.u32(OUT_AT + 4)) == (2, 17)
    assert console.call("environ_get", OUT_AT, DATA_AT) == 0
    assert console.read(DATA_AT, 17) == b"MODE=test\0EMPTY=\0"


def test_without_arguments_there_is_nothing_to_store() -> None:
    console = Console()
    assert console.call("environ_sizes_get", OUT_AT, OUT_AT + 4) == 0
    assert console.u32() == 0
    assert console.call("environ_get", 0, 0) == 0


def test_clocks_come_from_the_surroundings(factory: MakerFactory) -> None:
    watch = Watch()
    console = Console(factory, surroundings=watch.surroundings())
    assert console.call("clock_time_get", 0, 1, OUT_AT) == 0
    assert console.u64() == watch.wall * MS
    assert console.call("clock_time_get", 1, 1 << 63, OUT_AT) == 0
    assert console.u64() == watch.monotonic * MS
    assert console.call("clock_res_get", 1, OUT_AT) == 0
    assert console.u64() == MS
    for clock in (2, 3, 4, (1 << 32) - 1):
        assert console.call("clock_time_get", clock, 1, OUT_AT) == Errno.NOTSUP
        assert console.call("clock_res_get", clock, OUT_AT) == Errno.NOTSUP


def test_random_bytes_come_from_the_surroundings(factory: MakerFactory) -> None:
    console = Console(factory, surroundings=Watch().surroundings())
    assert console.call("random_get", DATA_AT, 8) == 0
    assert console.read(DATA_AT, 9) == b"rrrrrrrr\0"
    assert console.call("random_get", MEMORY - 4, 8) == Errno.FAULT
    assert console.call("sched_yield") == 0


def test_a_sleep_is_over_at_once_and_moves_the_clock(factory: MakerFactory) -> None:
    watch = Watch()
    console = Console(factory, surroundings=watch.surroundings())
    hour = 3_600_000 * MS
    assert poll(console, subscription(0, 1, hour), subscription(0, 1, 2 * hour)) == 0
    assert events(console) == [(7, 0, 0)]
    assert console.call("clock_time_get", 1, 0, OUT_AT) == 0
    assert console.u64() == watch.monotonic * MS + hour
    # It stands there until the real one has caught up, and never goes back.
    watch.monotonic += 3_600_001
    assert console.call("clock_time_get", 1, 0, OUT_AT) == 0
    assert console.u64() == watch.monotonic * MS
    # A time that is over moves nothing; the wall clock never moves.
    past = subscription(0, 0, watch.wall * MS - 1, flags=1)
    assert poll(console, past) == 0
    assert console.call("clock_time_get", 1, 0, OUT_AT) == 0
    assert console.u64() == watch.monotonic * MS
    assert console.call("clock_time_get", 0, 0, OUT_AT) == 0
    assert console.u64() == watch.wall * MS


def test_a_sleep_for_ever_leaves_a_clock_that_can_be_read() -> None:
    console = Console()
    assert poll(console, subscription(0, 1, (1 << 64) - 1)) == 0
    assert poll(console, subscription(0, 1, (1 << 64) - 1)) == 0
    assert console.call("clock_time_get", 1, 0, OUT_AT) == 0
    assert console.u64() < (1 << 63) + 2 * MS


def test_descriptors_are_always_ready() -> None:
    console = Console()
    wanted = [
        subscription(2, 1, userdata=1),
        subscription(1, 0, userdata=2),
        subscription(1, 99, userdata=3),
        subscription(9, 1, userdata=4),
        subscription(0, 9, userdata=5),
        subscription(0, 1, 10**12, userdata=6),
    ]
    assert poll(console, *wanted) == 0
    assert events(console) == [
        (1, 0, 2),
        (2, 0, 1),
        (3, Errno.BADF, 1),
        (4, Errno.INVAL, 9),
        (5, Errno.NOTSUP, 0),
    ]


@pytest.mark.parametrize("count", [0, 257, (1 << 32) - 1])
def test_a_poll_of_nothing_or_too_much_is_refused(count: int) -> None:
    console = Console()
    assert console.call("poll_oneoff", 0, 0, count, OUT_AT) == Errno.INVAL


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_ends_the_call_and_nothing_else(
    code: int, factory: MakerFactory
) -> None:
    source = f"""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
      (import "env" "host_set_path" (func $path (param i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "/left")
      (func (export "on_request") (result i32)
        (drop (call $path (i32.const 0) (i32.const 5)))
        (call $exit (i32.const {code}))
        (drop (call $log (i32.const 1) (i32.const 0) (i32.const 5)))
        (loop $on (br $on)) (i32.const 0)))""".encode()
    instance = make_instance(source, factory)
    for starts in (1, 2):
        flow = make_flow()
        result = instance.run(HookPoint.REQUEST, flow)
        assert isinstance(result, Fault)
        assert str(result) == f"ended itself: proc_exit({code})"
        assert flow.request.target == make_flow().request.target
        assert instance.take_lines() == []  # what follows an exit does not happen
        assert instance.starts == starts


def test_initialize_runs_before_plugin_init(factory: MakerFactory) -> None:
    source = b"""(module
      (global $seen (mut i32) (i32.const 9))
      (func (export "_initialize") (global.set $seen (i32.const 0)))
      (func (export "plugin_init") (result i32) (global.get $seen))
      (func (export "on_request") (result i32) (global.get $seen)))"""
    instance = make_instance(source, factory)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None


def test_an_initialize_that_does_not_end_is_told_with_the_limit(
    factory: MakerFactory,
) -> None:
    source = b"""(module
      (func (export "_initialize") (loop $on (br $on)))
      (func (export "on_request") (result i32) (i32.const 0)))"""
    fault = make_instance(source, factory, limits=Limits(fuel=5000)).start()
    assert str(fault) == (
        "could not be started: _initialize: out of fuel (limits.fuel is 5000)"
    )


@pytest.mark.parametrize("name", WASI)
@settings(max_examples=20, deadline=None)
@given(
    numbers=st.lists(
        st.sampled_from([0, 1, 3, 64, MEMORY - 4, MEMORY, (1 << 32) - 1, (1 << 64) - 1])
        | st.integers(0, (1 << 64) - 1),
        min_size=9,
        max_size=9,
    )
)
def test_any_numbers_give_an_errno(name: str, numbers: list[int]) -> None:
    if name == "proc_exit":
        return
    fault = ANYTHING.run(name, *numbers[: len(WASI[name].params)])
    if fault is None:
        assert 0 <= ANYTHING.u32(RESULT_AT) <= max(Errno)
    else:
        assert fault.kind is FaultKind.HOST_BUDGET


ANYTHING = Console()
