"""Chooses how guests are called: the fast way once it proves itself, else the stock."""

import functools
import logging
from collections.abc import Callable

from wasmtime import Engine, Module

from int3rceptor.errors import PluginError
from int3rceptor.plugins.abi.codes import IMPORT_MODULE
from int3rceptor.plugins.engine.boundary import (
    Blueprint,
    GuestLimits,
    GuestMaker,
    HostCall,
    HostImport,
)
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.engine import shared_engine

log = logging.getLogger("int3rceptor.plugins")

MakerFactory = Callable[[Engine, Module, Blueprint], GuestMaker]

_PROBE = b"""(module
  (import "env" "wide" (func $wide (param i32 i32 i32) (result i64)))
  (import "env" "mixed" (func $mixed (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1 2) (data (i32.const 7) "probe")
  (func (export "ask") (result i32)
    (i32.wrap_i64 (i64.shr_s
      (call $wide (i32.const 7) (i32.const 5) (i32.const -2)) (i64.const 32))))
  (func (export "mix") (result i32)
    (call $mixed (i32.const -1) (i64.const -2) (i32.const 3)))
  (func (export "trap") (result i32) unreachable))"""
_ANSWER = -0x1234
_MIXED = (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE, 3)


def _probe_import(
    name: str, params: tuple[str, ...], result: str, call: HostCall
) -> HostImport:
    return HostImport(
        module=IMPORT_MODULE, name=name, params=params, result=result, call=call
    )


def proves_itself(factory: MakerFactory, cache: ModuleCache | None = None) -> bool:
    """Run one real module and compare: arguments, an i64, memory both ways, a trap."""
    seen: list[tuple[int, bytes | None]] = []
    mixed: list[tuple[int, ...]] = []

    def wide(values: tuple[int, ...]) -> int:
        address, length, number = values
        seen.append((number, guest.read(address, length)))
        return _ANSWER << 32

    def mix(values: tuple[int, ...]) -> int:
        mixed.append(values)
        return _ANSWER

    imports = (
        _probe_import("wide", ("i32", "i32", "i32"), "i64", wide),
        _probe_import("mixed", ("i32", "i64", "i32"), "i32", mix),
    )
    limits = GuestLimits(
        fuel=10_000, ticks=1 << 32, memory_bytes=1 << 20, tables=1, table_elements=1
    )
    exports = ("ask", "mix", "trap")
    blueprint = Blueprint(imports=imports, exports=exports, limits=limits)
    module = compiled(_PROBE, "self-check", cache)
    guest = factory(shared_engine(), module, blueprint).new_guest()
    if guest.start() is not None or guest.memory_bytes() != 65_536:
        return False
    is_right = guest.call("ask") == _ANSWER and seen == [(0xFFFF_FFFE, b"probe")]
    is_metered = 0 < guest.fuel_used() < limits.fuel
    is_mixed = guest.call("mix") == _ANSWER and mixed == [_MIXED]
    is_written = guest.write(65_535, b"x") and guest.read(65_535, 1) == b"x"
    window = guest.window()
    is_seen = not window.size or window.source[7:12] == b"probe"
    is_written = is_written and is_seen
    is_bounded = guest.read(65_535, 2) is None and not guest.write(65_536, b"x")
    is_trapped = not isinstance(guest.call("trap"), int)
    is_right = is_right and is_mixed
    return is_right and is_metered and is_written and is_bounded and is_trapped


@functools.lru_cache(maxsize=1)
def maker_factory(cache: ModuleCache | None = None) -> MakerFactory:
    """The way to call guests in this process; decided once for each `cache`."""
    try:
        from int3rceptor.plugins.engine.fastcall import FastMaker, has_known_layout

        if has_known_layout() and proves_itself(FastMaker, cache):
            return FastMaker
        reason = "its self-check failed"
    except (ImportError, AttributeError, TypeError, PluginError) as error:
        reason = str(error)
    log.warning(
        "plugins run through wasmtime's stock API, about ten times slower: the fast "
        "call path does not fit this wasmtime (%s)",
        reason,
    )
    from int3rceptor.plugins.engine.stockcall import StockMaker

    return StockMaker
