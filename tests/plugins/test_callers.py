"""The fast way proves itself, and one that is wrong in any point is not used."""

import ctypes
import logging

import pytest
from wasmtime import _bindings

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import (
    MakerFactory,
    maker_factory,
    proves_itself,
)
from int3rceptor.plugins.engine.fastcall import FastGuest, FastMaker, has_known_layout
from int3rceptor.plugins.engine.stockcall import StockMaker
from int3rceptor.plugins.host.fields import FIELD_WRITERS
from int3rceptor.plugins.running.instance import PluginInstance
from tests.plugins.support import guest, make_flow, make_instance


def test_both_ways_prove_themselves(factory: MakerFactory) -> None:
    assert proves_itself(factory)


def test_the_fast_way_is_taken() -> None:
    assert has_known_layout()
    assert maker_factory() is FastMaker


@pytest.mark.parametrize("broken", ["read", "write", "call", "memory_bytes"])
def test_a_wrong_answer_fails_the_proof(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"read": b"wrong", "write": True, "call": 0, "memory_bytes": 1}
    monkeypatch.setattr(FastGuest, broken, lambda *_args: answers[broken])
    assert not proves_itself(FastMaker)


def test_what_does_not_fit_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_bindings, "wasmtime_func_t", ctypes.c_uint64)
    with caplog.at_level(logging.WARNING):
        assert maker_factory.__wrapped__() is StockMaker
    assert "stock API" in caplog.text


def test_a_missing_symbol_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_bindings, "wasmtime_func_t")
    assert maker_factory.__wrapped__() is StockMaker


def instance_with_broken_host(
    factory: MakerFactory,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    name: str = "log_flood",
) -> PluginInstance:
    def broken(*_values: int) -> int:
        raise error

    monkeypatch.setattr(
        "int3rceptor.plugins.running.instance.bind", lambda _host, _row, _act: broken
    )
    return make_instance(guest(name), factory)


def test_an_exception_of_a_host_function_does_not_cross_the_engine(
    factory: MakerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = instance_with_broken_host(factory, ValueError("oops"), monkeypatch)
    for _ in range(2):
        result = instance.run(HookPoint.REQUEST, make_flow())
        assert result == Fault(kind=FaultKind.HOST_BUG, detail="ValueError: oops")


@pytest.mark.parametrize("name", ["log_flood", "counter", "start_floods"])
def test_an_interrupt_inside_a_host_function_goes_on_its_way(
    name: str, factory: MakerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = KeyboardInterrupt()
    instance = instance_with_broken_host(factory, error, monkeypatch, name)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            instance.run(HookPoint.REQUEST, make_flow())


def test_an_interrupted_call_leaves_no_change_behind(
    factory: MakerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, untouched = make_flow(), make_flow()
    arguments: tuple[int, ...] = (0, 6, 6, 4)

    def interrupted(*_values: int) -> int:
        host = instance.host
        FIELD_WRITERS["host_set_header"](host, *arguments)
        assert "x-half" in flow.request.headers
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "int3rceptor.plugins.running.instance.bind",
        lambda _host, _row, _act: interrupted,
    )
    instance = make_instance(guest("half_change"), factory)
    with pytest.raises(KeyboardInterrupt):
        instance.run(HookPoint.REQUEST, flow)
    assert flow.request.headers == untouched.request.headers
