"""Keys that workers share: by several of them in one process, and by real processes."""

import contextlib
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from int3rceptor.errors import PluginError
from int3rceptor.files.unnamed import unnamed_file
from int3rceptor.plugins.state import shared as module
from int3rceptor.plugins.state.keyvalues import KeyValues, OverQuota, Unreachable
from int3rceptor.plugins.state.shared import SharedFile, SharedKeyValues
from tests.support.patience import PATIENT_S
from tests.support.sharer import KEY, PAD, PAD_VALUE, joined, sharer

NOW = 1_000


@pytest.fixture
def file() -> Iterator[int]:
    # What maps it holds it open: its pages are given back when the test process ends.
    with unnamed_file() as descriptor:
        yield descriptor


def keys_in(
    descriptor: int,
    name: str = "demo",
    fill: Callable[[KeyValues], None] = lambda _: None,
    *,
    quota: int = 1_000,
    now_ms: Callable[[], int] = lambda: NOW,
) -> SharedKeyValues:
    return SharedFile(descriptor).join(name, quota, now_ms, fill)


def test_what_one_does_the_other_sees(file: int) -> None:
    one, other = keys_in(file), keys_in(file)
    one.set(b"k", b"v")
    assert other.get(b"k") == b"v"
    assert other.add(b"n", 5) == 5
    assert one.add(b"n", 5) == 10
    assert other.expire(b"k", 5)
    assert one.snapshot() == [(b"k", b"v", NOW + 5), (b"n", b"10", 0)]
    assert one.delete(b"k")
    assert other.get(b"k") is None
    assert not other.delete(b"k")
    assert other.keys(b"") == [b"n"]


def test_plugins_do_not_see_each_others(file: int) -> None:
    one, other = keys_in(file, "one"), keys_in(file, "other")
    one.set(b"k", b"v")
    assert other.get(b"k") is None
    assert keys_in(file, "one").get(b"k") == b"v"


def test_the_quota_is_that_of_all(file: int) -> None:
    one, other = keys_in(file, quota=10), keys_in(file, quota=10)
    one.set(b"k", b"v" * 9)
    with pytest.raises(OverQuota):
        other.set(b"x", b"")
    assert other.delete(b"k")
    other.set(b"x", b"v" * 9)
    assert one.get(b"x") == b"v" * 9


def test_a_key_that_ended_is_gone_for_all(file: int) -> None:
    now = [NOW]
    one = keys_in(file, now_ms=lambda: now[0])
    other = keys_in(file, now_ms=lambda: now[0])
    one.set(b"k", b"v")
    one.expire(b"k", 5)
    assert other.get(b"k") == b"v"
    now[0] += 5
    assert other.get(b"k") is None
    assert one.get(b"k") is None
    assert one.add(b"k", 1) == 1
    assert other.get(b"k") == b"1"


def test_what_ended_for_all_makes_room_in_each(file: int) -> None:
    now = NOW

    def now_ms() -> int:
        return now

    one, other = (keys_in(file, quota=10, now_ms=now_ms) for _ in range(2))
    one.set(b"k", b"v" * 9)
    one.expire(b"k", 5)
    now += 5
    other.set(b"x", b"v" * 9)
    assert one.keys(b"") == [b"x"]


def test_the_first_puts_in_what_there_was(file: int) -> None:
    filled = []

    def fill(state: KeyValues) -> None:
        filled.append(state.restore([(b"k", b"v", 0)]))

    assert keys_in(file, fill=fill).get(b"k") == b"v"
    other = keys_in(file, fill=fill)
    assert other.get(b"k") == b"v"
    assert filled == [0]
    other.clear()
    assert keys_in(file, fill=fill).keys(b"") == []
    assert filled == [0]


def test_one_that_was_away_for_long_catches_up(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_SLACK_BYTES", 100)
    one, away = keys_in(file), keys_in(file)
    away.set(b"old", b"v")
    assert one.delete(b"old")
    for number in range(100):
        one.set(b"%d" % (number % 7), b"v" * number)
        if number % 33 == 0:
            assert away.snapshot() == one.snapshot()
    assert away.get(b"old") is None
    assert sorted(away.snapshot()) == sorted(one.snapshot())
    # The log did not grow beyond what it comes to: it was begun anew now and then.
    assert one.changes & module._TAIL < 5_000
    assert one.changes >> module._TAIL_BITS > 1


def test_there_is_a_most_of_plugins(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SHARING", 2)
    keys_in(file, "a")
    keys_in(file, "b")
    keys_in(file, "a")
    with pytest.raises(PluginError, match=r"^plugin c: 2 plugins share keys between"):
        keys_in(file, "c")


def test_no_lock_is_left_after_what_does_not_fit(file: int) -> None:
    one = keys_in(file, quota=5)
    with pytest.raises(OverQuota):
        one.set(b"k", b"v" * 9)
    with sharer(file, "add", "1") as other:
        assert other.wait(PATIENT_S) == 0
    assert one.get(KEY) == b"1"


class SharingMachine(RuleBasedStateMachine):
    """Whatever several do in whatever order: the same as one would alone."""

    replicas = Bundle("replicas")
    names = st.sampled_from([b"a", b"b", b"c", b"dd"])

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._file = self._stack.enter_context(unnamed_file())
        self._now = NOW
        self._model = KeyValues(60, self._clock)
        self._last: SharedKeyValues | None = None
        self._slack, module.LOG_SLACK_BYTES = module.LOG_SLACK_BYTES, 80

    def teardown(self) -> None:
        module.LOG_SLACK_BYTES = self._slack
        self._stack.close()

    def _clock(self) -> int:
        return self._now

    @rule(target=replicas)
    def join(self) -> SharedKeyValues:
        self._last = keys_in(self._file, quota=60, now_ms=self._clock)
        return self._last

    @rule(replica=replicas, name=names, size=st.integers(0, 40))
    def set(self, replica: SharedKeyValues, name: bytes, size: int) -> None:
        for one in (replica, self._model):
            with contextlib.suppress(OverQuota):
                one.set(name, b"7" * size)

    @rule(replica=replicas, name=names, delta=st.integers(-9, 99))
    def add(self, replica: SharedKeyValues, name: bytes, delta: int) -> None:
        sums: list[int | None] = []
        for one in (replica, self._model):
            try:
                sums.append(one.add(name, delta))
            except OverQuota:
                sums.append(-1)
        assert sums[0] == sums[1]

    @rule(replica=replicas, name=names, ms=st.integers(0, 20))
    def expire(self, replica: SharedKeyValues, name: bytes, ms: int) -> None:
        assert replica.expire(name, ms) == self._model.expire(name, ms)

    @rule(replica=replicas, name=names)
    def delete(self, replica: SharedKeyValues, name: bytes) -> None:
        assert replica.delete(name) == self._model.delete(name)

    @rule(replica=replicas, name=names)
    def get(self, replica: SharedKeyValues, name: bytes) -> None:
        assert replica.get(name) == self._model.get(name)

    @rule(ms=st.integers(1, 20))
    def pass_(self, ms: int) -> None:
        self._now += ms

    @invariant()
    def same(self) -> None:
        if self._last is not None:
            assert sorted(self._last.snapshot()) == sorted(self._model.snapshot())


TestSharing = SharingMachine.TestCase


# Real processes


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where processes do nothing but steps, on cores that have much else to do."""
    monkeypatch.setattr(module, "STEP_WAIT_S", PATIENT_S)


@pytest.mark.usefixtures("patiently")
def test_no_addition_of_any_process_is_lost(file: int) -> None:
    with sharer(file, "add", "3000") as one, sharer(file, "add", "3000") as other:
        own = joined(file)
        for _ in range(1000):
            own.add(KEY, 1)
        assert one.wait(PATIENT_S) == other.wait(PATIENT_S) == 0
    assert own.get(KEY) == b"7000"


@pytest.mark.usefixtures("patiently")
def test_whoever_is_killed_when_the_others_go_on_from_whole_steps(file: int) -> None:
    own = joined(file)
    highest = 0
    for _ in range(20):
        with sharer(file, "add") as one, sharer(file, "add") as other:
            for each in (one, other):
                assert each.stdout is not None
                highest = max(highest, int(each.stdout.readline()))
            one.kill()
            before = own.add(KEY, 1)
            assert before is not None
            assert before > highest
            assert own.get(PAD) == PAD_VALUE
            highest = before
            other.kill()
            one.wait()
            other.wait()
    assert own.get(KEY) == str(own.add(KEY, 0)).encode()


def test_one_that_is_stopped_in_a_step_holds_the_others_only_once(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = joined(file)
    own.set(b"k", b"v")
    with sharer(file, "stop") as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "stopped\n"
        with pytest.raises(Unreachable):
            own.add(KEY, 1)
        # What nobody has changed since can be read; and nobody waits a second time.
        assert own.get(b"k") == b"v"
        with monkeypatch.context() as patched:
            patched.setattr("time.sleep", pytest.fail)
            for _ in range(3):
                with pytest.raises(Unreachable):
                    own.set(b"k", b"w")
        with pytest.raises(Unreachable):
            own.keys(b"")
        stopped.send_signal(signal.SIGKILL)
        stopped.wait()
    assert own.add(KEY, 1) == 1
    assert own.get(b"k") == b"v"


def test_a_plugin_that_cannot_join_in_time_says_so(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_WAIT_S", 0.05)
    with sharer(file, "stop joining") as stopped:
        assert stopped.stdout is not None
        stopped.stdout.readline()
        with pytest.raises(PluginError, match=r"^plugin demo: other workers hold the"):
            joined(file)
        stopped.kill()
        stopped.wait()
    # It had not told of anything: the next one is the first.
    assert keys_in(file, fill=lambda state: state.set(b"k", b"v")).get(b"k") == b"v"


def test_one_process_at_a_time_writes_to_the_disk(file: int) -> None:
    own = joined(file)
    with sharer(file, "keep") as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not own.keeper.is_had()
    assert own.keeper.is_had()
    assert own.keeper.is_had()
