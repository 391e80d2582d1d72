"""A plugin's state against a plain dict, its quota, and the life of keys."""

from collections.abc import ItemsView

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from int3rceptor.plugins.state import keyvalues
from int3rceptor.plugins.state.keyvalues import (
    MAX_KEY_BYTES,
    MAX_NUMBER,
    MAX_VALUE_BYTES,
    KeyValues,
    OverQuota,
)

QUOTA = 40
KEYS = st.sampled_from([b"a", b"b", b"bb", b"c" * 10])


class Against(RuleBasedStateMachine):
    """Whatever the order, it holds what a dict with ends would, within its quota."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000
        self.state = KeyValues(QUOTA, lambda: self.now)
        self.model: dict[bytes, tuple[bytes, int]] = {}

    def live(self) -> dict[bytes, bytes]:
        return {
            key: data
            for key, (data, ends) in self.model.items()
            if not ends or ends > self.now
        }

    def fits(self, key: bytes, data: bytes) -> bool:
        after = {**self.live(), key: data}
        return sum(len(one) + len(value) for one, value in after.items()) <= QUOTA

    @rule(key=KEYS, data=st.binary(max_size=30))
    def set(self, key: bytes, data: bytes) -> None:
        if self.fits(key, data):
            self.state.set(key, data)
            self.model[key] = (data, 0)
        else:
            with pytest.raises(OverQuota):
                self.state.set(key, data)

    @rule(key=KEYS, delta=st.integers(-5, 5))
    def add(self, key: bytes, delta: int) -> None:
        old = self.live().get(key, b"0")
        if not old.isdigit() or len(old) > 19:
            assert self.state.add(key, delta) is None
            return
        number = max(int(old) + delta, 0)
        if self.fits(key, b"%d" % number):
            assert self.state.add(key, delta) == number
            ends = self.model[key][1] if key in self.live() else 0
            self.model[key] = (b"%d" % number, ends)
        else:
            with pytest.raises(OverQuota):
                self.state.add(key, delta)

    @rule(key=KEYS, life=st.integers(0, 20))
    def expire(self, key: bytes, life: int) -> None:
        is_there = key in self.live()
        assert self.state.expire(key, life) is is_there
        if is_there:
            self.model[key] = (self.model[key][0], self.now + life)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        assert self.state.delete(key) is (key in self.live())
        self.model.pop(key, None)

    @rule(by=st.integers(1, 30))
    def pass_time(self, by: int) -> None:
        self.now += by

    @rule()
    def save_and_restore(self) -> None:
        other = KeyValues(QUOTA, lambda: self.now)
        assert other.restore(self.state.snapshot()) == 0
        self.state = other

    @invariant()
    def is_the_same(self) -> None:
        live = self.live()
        assert self.state.keys(b"") == sorted(live)
        assert self.state.keys(b"b") == sorted(key for key in live if key[:1] == b"b")
        for key, data in live.items():
            assert self.state.get(key) == data


TestAgainst = Against.TestCase


@given(key=st.one_of(st.just(b""), st.just(b"k" * (MAX_KEY_BYTES + 1))))
def test_a_key_has_bounds(key: bytes) -> None:
    state = KeyValues(1 << 20, lambda: 1)
    with pytest.raises(OverQuota):
        state.set(key, b"")
    assert state.keys(b"") == []


def test_a_value_has_bounds() -> None:
    state = KeyValues(1 << 20, lambda: 1)
    state.set(b"k", bytes(MAX_VALUE_BYTES))
    with pytest.raises(OverQuota):
        state.set(b"k", bytes(MAX_VALUE_BYTES + 1))
    assert state.get(b"k") == bytes(MAX_VALUE_BYTES)


def test_the_number_of_keys_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyvalues, "MAX_KEYS", 2)
    state = KeyValues(1 << 20, lambda: 1)
    state.set(b"a", b"")
    state.set(b"b", b"")
    state.set(b"a", b"again")
    with pytest.raises(OverQuota):
        state.set(b"c", b"")


def test_a_number_stays_where_it_can_be_told() -> None:
    state = KeyValues(100, lambda: 1)
    state.set(b"n", b"%d" % (MAX_NUMBER - 1))
    assert state.add(b"n", 5) == MAX_NUMBER
    assert state.add(b"n", -3) == MAX_NUMBER - 3


def test_what_does_not_fit_any_more_is_left_out_and_counted() -> None:
    state = KeyValues(6, lambda: 1)
    assert state.restore([(b"a", b"12", 0), (b"b", b"1234", 0), (b"c", b"3", 0)]) == 1
    assert state.keys(b"") == [b"a", b"c"]


class _Looked(dict[bytes, keyvalues.Value]):
    """Values that count how often all of them were looked at."""

    looks = 0

    def items(self) -> ItemsView[bytes, keyvalues.Value]:
        self.looks += 1
        return super().items()


def test_what_does_not_fit_costs_no_look_at_every_key() -> None:
    # A plugin whose quota is used up comes there with every call.
    now = 1_000
    state = KeyValues(QUOTA, lambda: now)
    for key in (b"a", b"b", b"c"):
        state.set(key, b"v" * 9)
        state.expire(key, 50)
    looked = state._values = _Looked(state._values)
    for _ in range(100):
        with pytest.raises(OverQuota):
            state.set(b"large", b"v" * QUOTA)
    assert looked.looks == 0
    now += 50
    state.set(b"large", b"v" * (QUOTA - 5))
    assert state.keys(b"") == [b"large"]


def test_ends_that_were_moved_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyvalues, "ENDS_SLACK", 4)
    now = 1_000
    state = KeyValues(QUOTA, lambda: now)
    state.set(b"a", b"")
    state.set(b"stays", b"")
    for life in range(100, 0, -1):
        state.expire(b"a", life)
        assert len(state._ends) <= 8
    now += 1
    assert state.keys(b"") == [b"stays"]
