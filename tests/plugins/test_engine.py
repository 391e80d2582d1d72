"""The compiler's refusals and the epoch ticker."""

import threading

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.plugins.engine import engine
from int3rceptor.plugins.engine.engine import (
    MIN_TICKS,
    EpochTicker,
    compile_module,
    shared_engine,
    ticks_for,
)
from int3rceptor.plugins.policy.manifest import MAX_MODULE_BYTES


def tickers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "int3rceptor-epochs"]


def test_a_module_that_is_too_large_is_not_even_parsed() -> None:
    with pytest.raises(PluginError, match=f"larger than {MAX_MODULE_BYTES} bytes"):
        compile_module(b"\0asm" + bytes(MAX_MODULE_BYTES), "big.wasm")


def test_binary_and_text_are_told_apart() -> None:
    assert compile_module(b"(module)", "a.wat").exports == []
    assert compile_module(b"\0asm\1\0\0\0", "a.wasm").exports == []
    with pytest.raises(PluginError, match="neither a WebAssembly binary"):
        compile_module(b"\x80\x81", "a.wasm")


def test_the_ticker_runs_while_someone_holds_it() -> None:
    ticker = EpochTicker(shared_engine())
    before = len(tickers())
    ticker.acquire()
    ticker.acquire()
    assert len(tickers()) == before + 1
    ticker.release()
    assert len(tickers()) == before + 1
    ticker.release()
    assert len(tickers()) == before
    ticker.acquire()
    assert len(tickers()) == before + 1
    ticker.release()


def test_a_wall_clock_limit_is_never_a_single_tick() -> None:
    assert ticks_for(0.001) == MIN_TICKS
    assert ticks_for(5.0) == round(5.0 / engine.TICK_S)
