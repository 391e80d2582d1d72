"""What the fast way remembers between calls; both ways answer alike."""

import gc
import weakref

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import shared_ticker
from int3rceptor.plugins.engine.fastcall import MAX_SLOT_PLACES, FastGuest, FastMaker
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.running.instance import PluginInstance
from tests.plugins.support import PAGE, make_flow, make_instance

REQUEST = HookPoint.REQUEST

GROWS = b"""(module
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "first")
  (func (export "on_request") (result i32) (local $page i32)
    (drop (call $log (i32.const 1) (i32.const 0) (i32.const 5)))
    (local.set $page (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
    (memory.copy (local.get $page) (i32.const 0) (i32.const 5))
    (i32.store8 (local.get $page) (i32.const 70))
    (drop (call $log (i32.const 1) (local.get $page) (i32.const 5)))
    (memory.copy
      (i32.add (local.get $page) (i32.const 65531)) (i32.const 0) (i32.const 5))
    (call $log (i32.const 1)
      (i32.add (local.get $page) (i32.const 65531)) (i32.const 5))))"""

TRAPS = b"""(module
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "kept")
  (func (export "on_request") (result i32)
    (drop (call $log (i32.const 1) (i32.const 0) (i32.const 4)))
    (i32.store8 (i32.const 0) (i32.const 75))
    unreachable))"""

DEEP = b"""(module
  (import "env" "host_get_header" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-bytesacceptnone")
  (func $down (param $left i32) (result i32) (local $sum i32)
    (if (i32.eqz (local.get $left)) (then (return (i32.const 0))))
    (local.set $sum
      (call $get (i32.const 0) (i32.const 7) (i32.const 64) (i32.const 99)))
    (local.set $sum (i32.add (local.get $sum)
      (call $down (i32.sub (local.get $left) (i32.const 1)))))
    (i32.add (local.get $sum)
      (call $get (i32.const 7) (i32.const 6) (i32.const 64) (i32.const 99))))
  (func (export "on_request") (result i32) (call $down (i32.const 200))))"""

ENDLESS = b"""(module (global $calls (mut i32) (i32.const 0))
  (func (export "on_request") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.gt_u (global.get $calls) (i32.const 3)) (then (loop $l (br $l))))
    (i32.const 0)))"""


def texts(instance: PluginInstance) -> list[str]:
    return [text for _, text in instance.take_lines()]


def test_memory_that_grew_in_a_call_is_seen_at_once_and_to_its_end(
    factory: MakerFactory,
) -> None:
    instance = make_instance(GROWS, factory)
    for _ in range(3):
        assert instance.run(REQUEST, make_flow()) is None
        assert texts(instance) == ["first", "First", "first"]
    assert instance._guest is not None
    assert instance._guest.memory_bytes() == 4 * PAGE


def test_a_new_guest_is_read_in_its_own_memory(factory: MakerFactory) -> None:
    instance = make_instance(TRAPS, factory)
    for _ in range(3):
        result = instance.run(REQUEST, make_flow())
        assert isinstance(result, Fault)
        assert result.kind is FaultKind.TRAP
        assert texts(instance) == ["kept"]


def test_slots_at_every_depth_of_the_guests_stack(factory: MakerFactory) -> None:
    depth = 200
    assert depth > MAX_SLOT_PLACES
    limits = Limits(host_calls=1000)
    instance = make_instance(DEEP, factory, limits=limits)
    for _ in range(2):
        result = instance.run(REQUEST, make_flow())
        # 4 bytes of X-Bytes and 9 of Accept at each depth.
        assert str(result) == f"returned an error: code {13 * depth}"


def test_an_endless_call_ends_after_quick_ones_of_the_same_epoch(
    factory: MakerFactory, request: pytest.FixtureRequest
) -> None:
    limits = Limits(fuel=10**10, wall_s=0.2)
    instance = make_instance(ENDLESS, factory, limits=limits)
    for _ in range(3):
        assert instance.run(REQUEST, make_flow()) is None
    request.getfixturevalue("ticking")  # only now does the epoch move
    assert instance.run(REQUEST, make_flow()) == Fault(kind=FaultKind.WALL_CLOCK)


def test_a_deadline_is_set_anew_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    set_at: list[int] = []
    ticker = shared_ticker()
    monkeypatch.setattr(ticker, "epoch", ticker.epoch)
    monkeypatch.setattr(
        "int3rceptor.plugins.engine.fastcall._set_deadline",
        lambda *_args: set_at.append(ticker.epoch),
    )
    instance = make_instance(ENDLESS, FastMaker)
    first = ticker.epoch
    for epoch in (first, first, first + 1):
        ticker.epoch = epoch
        assert instance.run(REQUEST, make_flow()) is None
    assert set_at == [first, first + 1]


def test_who_holds_a_window_holds_the_memory_under_it() -> None:
    instance = make_instance(GROWS, FastMaker)
    guest = instance.start()
    assert isinstance(guest, FastGuest)
    store = weakref.ref(guest._store)
    window = guest.window()
    instance.close()
    del guest
    gc.collect()
    assert store() is not None
    assert window.source[0:5] == b"first"
    del window
    gc.collect()
    assert store() is None


def test_what_is_closed_keeps_no_memory() -> None:
    instance = make_instance(GROWS, FastMaker)
    assert instance.run(REQUEST, make_flow()) is None
    guest = instance._guest
    assert isinstance(guest, FastGuest)
    store = weakref.ref(guest._store)
    del guest
    instance.close()
    gc.collect()
    assert store() is None
