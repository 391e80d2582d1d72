"""`python -m benchmarks.plugin_calls`: what one call of a plugin costs.

In one process, without a proxy: the plugin is asked as the dispatcher asks it, on both
ways of calling a guest, and the way through wasmtime's own Python API is the measure.
The kinds of calls take turns in short batches, and of each the fastest batch counts:
what else runs on the machine can only make a batch slower. An exchange's hooks are the
dispatches that the proxy makes for one request on a kept connection, from on_request to
on_capture: the difference between two rows is what the plugin costs a request.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.fastcall import FastMaker
from int3rceptor.plugins.engine.stockcall import StockMaker
from int3rceptor.plugins.managing.manager import PluginManager

BATCH = 10
BATCHES = 3_000
EXAMPLE_LOGGER = (
    Path(__file__).parents[1] / "guest-plugins/example-logger/example_logger.wasm"
)
POINTS = (HookPoint.REQUEST, HookPoint.RESPONSE, HookPoint.CAPTURE)
FACTORIES: dict[str, MakerFactory] = {"C API": FastMaker, "stock API": StockMaker}

EMPTY = """(module (func (export "on_request") (result i32) (i32.const 0)))"""
THREE_CALLS = """(module
  (import "env" "host_get_header" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_header" (func $set (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "user-agent") (data (i32.const 16) "accept")
  (data (i32.const 32) "x-stamp")
  (func (export "on_request") (result i32) (local $length i32)
    (drop (call $get (i32.const 0) (i32.const 10) (i32.const 256) (i32.const 256)))
    (local.set $length
      (call $get (i32.const 16) (i32.const 6) (i32.const 256) (i32.const 256)))
    (drop (call $set
      (i32.const 32) (i32.const 7) (i32.const 256) (local.get $length)))
    (i32.const 0)))"""
OTHER_HOOK = EMPTY.replace("on_request", "on_response")

FIELDS = [
    (b"Host", b"www.example.com"),
    (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"),
    (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"Accept-Language", b"en-US,en;q=0.5"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"Connection", b"keep-alive"),
    (b"Cookie", b"session=0123456789abcdef"),
    (b"X-Stamp", b"-"),
]
"""A browser's request, which carries the stamp of the call before."""

Batch = Callable[[int], float]
"""Runs so many calls; the seconds that they took."""


def _flow() -> Flow:
    request = Request(
        method="GET",
        scheme="https",
        host="www.example.com",
        port=443,
        target=b"/",
        authority="www.example.com",
        version="HTTP/1.1",
        headers=Headers(FIELDS),
    )
    return Flow(client=ClientInfo(address=("127.0.0.1", 1)), request=request)


async def _listener(folder: Path, source: str, factory: MakerFactory) -> Listener:
    """The listener of a plugin of one hook, as the dispatcher has it."""
    path = folder / "one.wat"
    await asyncio.to_thread(path.write_text, source)
    (listener,) = await _listeners(path, factory)
    return listener


async def _listeners(path: Path, factory: MakerFactory) -> tuple[Listener, ...]:
    hooks = Dispatcher(sleep=asyncio.sleep)
    # Lines wait for others, as they do in a proxy: here for as many as may.
    manager = PluginManager(
        hooks, log=lambda *_: None, factory=factory, later=lambda *_: None
    )
    slot = await manager.load(path)
    if slot.current is None:
        raise SystemExit(slot.problem)
    return slot.current.listeners


def _called(listener: Listener) -> Batch:
    """Calls of a plugin's hook, each with what the host makes of it afterwards."""
    call = listener.call

    def batch(count: int) -> float:
        flows = [_flow() for _ in range(count)]
        started = time.perf_counter_ns()
        for flow in flows:
            if call(flow) is not None:
                raise SystemExit("a call that is measured must be a short one")
        return (time.perf_counter_ns() - started) / 1e9

    return batch


def _dispatched(*listeners: Listener) -> Batch:
    """A whole dispatch of a request, as the proxy has one for each flow."""
    hooks = Dispatcher(sleep=asyncio.sleep)
    hooks.add(*listeners)

    def batch(count: int) -> float:
        flow = _flow()
        started = time.perf_counter_ns()
        for _ in range(count):
            if hooks.ask(HookPoint.REQUEST, flow) is not None:
                raise SystemExit("a dispatch that is measured must not wait")
        return (time.perf_counter_ns() - started) / 1e9

    return batch


def _exchanged(*listeners: Listener) -> Batch:
    """All hooks of an exchange, as the proxy asks for them."""
    hooks = Dispatcher(sleep=asyncio.sleep)
    hooks.add(*listeners)

    def batch(count: int) -> float:
        flows = [_flow() for _ in range(count)]
        for flow in flows:
            flow.response = Response(status=200, headers=Headers(FIELDS))
        started = time.perf_counter_ns()
        for flow in flows:
            for point in POINTS:
                if hooks.ask(point, flow) is not None:
                    raise SystemExit("a dispatch that is measured must not wait")
        return (time.perf_counter_ns() - started) / 1e9

    return batch


async def _kinds(folder: Path) -> dict[str, Batch]:
    kinds: dict[str, Batch] = {}
    for way, factory in FACTORIES.items():
        for what, source in (
            ("an empty hook", EMPTY),
            ("two headers read, one set", THREE_CALLS),
        ):
            kinds[f"{what}, {way}"] = _called(await _listener(folder, source, factory))
    other = await _listener(folder, OTHER_HOOK, FastMaker)
    empty = await _listener(folder, EMPTY, FastMaker)
    kinds["a dispatch, no plugin"] = _dispatched()
    kinds["a dispatch, a plugin of another hook"] = _dispatched(other)
    kinds["a dispatch, a plugin of this hook"] = _dispatched(empty)
    stamp = await _listener(folder, THREE_CALLS, FastMaker)
    logger = await _listeners(EXAMPLE_LOGGER, FastMaker)
    kinds["an exchange's hooks, no plugin"] = _exchanged()
    kinds["an exchange's hooks, two reads, one write"] = _exchanged(stamp)
    kinds["an exchange's hooks, example-logger"] = _exchanged(*logger)
    return kinds


def main() -> None:
    """Print one row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=BATCHES)
    batches = parser.parse_args().batches
    with tempfile.TemporaryDirectory() as folder:
        kinds = asyncio.run(_kinds(Path(folder)))
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(batches):
        for name, batch in kinds.items():
            best[name] = min(best[name], batch(BATCH) / BATCH)
    for name, seconds in best.items():
        print(f"  {name:<42} {seconds * 1e6:7.2f} µs")


if __name__ == "__main__":
    main()
