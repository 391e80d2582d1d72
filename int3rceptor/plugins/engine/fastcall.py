"""Guest calls through wasmtime's C API: prebuilt buffers, no conversion, no lookup.

The only file that deals in raw addresses. A hook costs 1.5 to 2 µs here against 13 to
36 µs through the stock API (docs/adr). What keeps it safe: guest memory is touched
only through an array of its size, which is bounds-checked; host functions never raise
into the engine; and `callers` runs one real module before any plugin does, so that a
changed struct or symbol in a new wasmtime selects `stockcall` instead.
"""

import ctypes
import struct
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    PYFUNCTYPE,
    addressof,
    c_char,
    c_char_p,
    c_size_t,
    c_uint64,
    c_void_p,
    cast,
)
from typing import Protocol

from wasmtime import (
    Engine,
    Func,
    Linker,
    Memory,
    Module,
    Trap,
    WasmtimeError,
)
from wasmtime import _bindings as raw
from wasmtime._ffi import dll

from int3rceptor.plugins.abi.codes import MEMORY_EXPORT
from int3rceptor.plugins.engine.boundary import (
    NO_WINDOW,
    Blueprint,
    Fault,
    FaultKind,
    HostImport,
    Outcome,
    Window,
)
from int3rceptor.plugins.engine.engine import shared_ticker
from int3rceptor.plugins.engine.stores import fault_of, func_type, open_store

_SLOTS = 4
"""A wasmtime_val_raw_t is 16 bytes: four u32, of which an i32 uses the first."""

MAX_SLOT_PLACES = 64
"""Addresses of slots remembered for one function: each thread and each depth of calls
in the guest has its own; a guest that recurses starts over at each 64th."""

_WIDE_SLOTS = 2
"""The same as u64, for functions that take an i64."""


class _CFunction(Protocol):
    def __call__(self, *values: object) -> int: ...


class _Kind(Protocol):
    def from_param(self, value: int, /) -> object: ...


def _bind(name: str, result: type | None, *, keeps_gil: bool = False) -> _CFunction:
    """A C function that takes prepared arguments: see `_prepared`.

    `keeps_gil` is for what returns at once: to let go of the lock costs more.
    """
    prototype = PYFUNCTYPE if keeps_gil else CFUNCTYPE
    bound: _CFunction = prototype(result)((name, dll))
    return bound


def _prepared(kind: _Kind, value: int) -> object:
    """An argument as ctypes passes it on: made once, it need not be converted, nor its
    type looked up, at each call, which is half of what a call costs."""
    return kind.from_param(value)


_call = _bind("wasmtime_func_call_unchecked", c_void_p)
# It returns an error when the engine counts no fuel: ours does.
_set_fuel = _bind("wasmtime_context_set_fuel", None, keeps_gil=True)
_get_fuel = _bind("wasmtime_context_get_fuel", None, keeps_gil=True)
_set_deadline = _bind("wasmtime_context_set_epoch_deadline", None, keeps_gil=True)
_NO_FUEL = _prepared(c_uint64, 0)
_ONE_SLOT = _prepared(c_size_t, 1)
_Callback = Callable[[object, object, int, int], int]
_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_host_callback = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_void_p, c_size_t)
_NO_FINALIZER = CFUNCTYPE(None, c_void_p)()


class _SlotsAt(dict[int, ctypes.Array[ctypes.c_uint32]]):
    """The slots at an address. The engine keeps them on its stack, at few addresses:
    what reads and writes there is made once for each, and used while it is given."""

    def __init__(self, kind: type[ctypes.Array[ctypes.c_uint32]]) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, address: int) -> ctypes.Array[ctypes.c_uint32]:
        if len(self) >= MAX_SLOT_PLACES:
            self.clear()
        slots = self[address] = self._kind.from_address(address)
        return slots


def has_known_layout() -> bool:
    """Whether the structs that this file walks are as large as it thinks."""
    value, function = raw.wasmtime_val_raw_t, raw.wasmtime_func_t
    return (ctypes.sizeof(value), ctypes.sizeof(function)) == (4 * _SLOTS, 16)


class FastMaker:
    """Makes the guests of one module: linker and callbacks are built once."""

    def __init__(self, engine: Engine, module: Module, blueprint: Blueprint) -> None:
        self.engine = engine
        self.module = module
        self.blueprint = blueprint
        self.linker = Linker(engine)
        self.guest: FastGuest | None = None
        self._keep: list[object] = []
        for one in blueprint.imports:
            self._define(one)

    def new_guest(self) -> "FastGuest":
        """A guest that is not started; host functions now act for it."""
        self.guest = FastGuest(self)
        return self.guest

    def close(self) -> None:
        """Let go of the engine's part. No guest of it is called any more."""
        self.guest = None
        self.linker.close()
        self._keep.clear()

    def _define(self, one: HostImport) -> None:
        plain, kind = _host_callback(self._callback_for(one)), func_type(one)
        # By its address: ctypes.cast would make `plain` hold itself, and all of us.
        address = c_void_p.from_buffer(plain).value or 0
        callback = raw.wasmtime_func_unchecked_callback_t(address)
        self._keep += [plain, kind]
        module, name = one.module.encode(), one.name.encode()
        error = raw.wasmtime_linker_define_func_unchecked(
            self.linker.ptr(),
            *(cast(c_char_p(module), POINTER(c_char)), len(module)),
            *(cast(c_char_p(name), POINTER(c_char)), len(name)),
            *(kind.ptr(), callback, None, _NO_FINALIZER),
        )
        if cast(error, c_void_p).value:
            raise WasmtimeError._from_ptr(error)

    def _callback_for(self, one: HostImport) -> _Callback:
        return self._wide_callback(one) if "i64" in one.params else self._callback(one)

    def _callback(self, one: HostImport) -> _Callback:
        """A C callback that reads its arguments, calls, and stores the result.

        It always returns 0, no trap: a guest that must stop is left without fuel, and
        whatever a host function might raise is kept for after the call, because an
        exception must not cross the engine's frames.
        """
        function = one.call
        slots_at = _SlotsAt(ctypes.c_uint32 * (_SLOTS * max(len(one.params), 1)))
        # As large as the slots: `unpack_from` takes longer for its own arguments.
        numbers = struct.Struct("=" + ("I12x" * len(one.params) or "16x")).unpack
        has_result, is_wide = bool(one.result), one.result == "i64"

        def callback(_env: object, _caller: object, args: int, _n: int) -> int:
            try:
                slots = slots_at[args]
                result = function(numbers(slots))
                if has_result:
                    slots[0] = result
                    if is_wide:
                        slots[1] = result >> 32
            except BaseException as error:  # noqa: BLE001  # must not cross the engine
                self._caught(error)
            return 0

        return callback

    def _wide_callback(self, one: HostImport) -> _Callback:
        """The same for a function with an i64 among its parameters; rare, so simpler.

        What an i32 leaves of its slot is not defined, and is cut off.
        """
        masks = [_U64 if kind == "i64" else _U32 for kind in one.params]
        end, function, has_result = _WIDE_SLOTS * len(masks), one.call, bool(one.result)
        at_slots = (ctypes.c_uint64 * end).from_address

        def callback(_env: object, _caller: object, args: int, _n: int) -> int:
            try:
                slots = at_slots(args)
                given = zip(slots[0:end:_WIDE_SLOTS], masks, strict=True)
                result = function(tuple(value & mask for value, mask in given))
                if has_result:
                    slots[0] = result & _U64
            except BaseException as error:  # noqa: BLE001  # must not cross the engine
                self._caught(error)
            return 0

        return callback

    def _caught(self, error: BaseException) -> None:
        if self.guest is not None:
            self.guest.raised = error
            self.guest.stop()


class FastGuest:
    """One instance in its own store; see `boundary.Guest` for the contract."""

    def __init__(self, maker: FastMaker) -> None:
        limits = maker.blueprint.limits
        self._maker = maker
        self._fuel = limits.fuel
        self._store = open_store(maker.engine, limits)
        context = cast(self._store._context(), c_void_p).value or 0
        self._context = _prepared(c_void_p, context)
        self._ticker = shared_ticker()
        self._epoch = -1
        self._refuel = (self._context, _prepared(c_uint64, limits.fuel))
        self._rewind = (self._context, _prepared(c_uint64, limits.ticks))
        self._memory: Memory | None = None
        self._window = NO_WINDOW
        self._calls: dict[str, tuple[object, ...]] = {}
        self._functions: list[Func] = []
        self._values = (ctypes.c_uint32 * _SLOTS)()
        self._result = ctypes.c_int32.from_buffer(self._values)
        self._fuel_left = c_uint64()
        self._fuel_left_at = _prepared(c_void_p, addressof(self._fuel_left))
        self._trap = c_void_p()
        self.raised: BaseException | None = None

    def start(self) -> Fault | None:
        """Instantiate, under the same limits as any call; once, before all else."""
        try:
            instance = self._maker.linker.instantiate(self._store, self._maker.module)
        except (Trap, WasmtimeError) as error:
            self._raise_caught()
            return fault_of(error, is_start=True)
        exports = instance.exports(self._store)
        memory = exports.get(MEMORY_EXPORT)
        if isinstance(memory, Memory):
            self._memory = memory
            self.window()
        for name in self._maker.blueprint.exports:
            function = exports[name]
            if isinstance(function, Func):
                self._functions.append(function)
                self._calls[name] = self._arguments(function)
        return None

    def _arguments(self, function: Func) -> tuple[object, ...]:
        """Those of `_call` for one export."""
        function_at, values_at = addressof(function._func), addressof(self._values)
        return (
            self._context,
            _prepared(c_void_p, function_at),
            _prepared(c_void_p, values_at),
            _ONE_SLOT,
            _prepared(c_void_p, addressof(self._trap)),
        )

    def call(self, export: str) -> Outcome:
        """Run one export with fresh fuel and a fresh deadline; what it returned.

        That means nothing for an export without a result.
        """
        _set_fuel(*self._refuel)
        epoch = self._ticker.epoch
        if epoch != self._epoch:  # else the deadline of the call before is as fresh
            _set_deadline(*self._rewind)
            self._epoch = epoch
        error = _call(*self._calls[export])
        if error or self._trap.value or self.raised is not None:
            return self._failure(error)
        return self._result.value

    def fuel_used(self) -> int:
        """By the last call."""
        _get_fuel(self._context, self._fuel_left_at)
        return self._fuel - self._fuel_left.value

    def read(self, address: int, length: int) -> bytes | None:
        """Copy out of the guest's memory; None outside of it."""
        end = address + length
        if end > self._window.size and end > self.memory_bytes():
            return None
        return self._window.source[address:end]

    def write(self, address: int, data: bytes) -> bool:
        """Copy into the guest's memory; False, and nothing written, outside of it."""
        end = address + len(data)
        if end > self._window.size and end > self.memory_bytes():
            return False
        self._window.target[address:end] = data
        return True

    def memory_bytes(self) -> int:
        """The memory's size now."""
        return self.window().size

    def window(self) -> Window:
        """All of the memory: it grows, but never shrinks or moves."""
        memory = self._memory
        if memory is None:
            return NO_WINDOW
        size = memory.data_len(self._store)
        if size != self._window.size:
            base = addressof(memory.data_ptr(self._store).contents) if size else 0
            if base:
                self._window = self._window_of(base, size)
        return self._window

    def _window_of(self, base: int, size: int) -> Window:
        area = (c_char * size).from_address(base)
        # Who holds a window holds what is under it, whatever becomes of this guest.
        area.store = self._store  # type: ignore[attr-defined]  # of no declared field
        # A slice of characters is bytes at once; of a view, a view.
        return Window(size, area, memoryview(area).cast("B"))  # type: ignore[arg-type]

    def stop(self) -> None:
        """From a host function: let the guest run no further than its next check."""
        _set_fuel(self._context, _NO_FUEL)

    def _failure(self, error: int) -> Fault:
        trap, self._trap.value = self._trap.value, None
        fault = Fault(kind=FaultKind.TRAP)
        if trap:  # both calls take over what the pointer owns, and free it
            fault = fault_of(Trap._from_ptr(cast(trap, POINTER(raw.wasm_trap_t))))
        if error:
            pointer = cast(error, POINTER(raw.wasmtime_error_t))
            fault = fault_of(WasmtimeError._from_ptr(pointer))
        self._raise_caught()
        if self.raised is not None:
            detail = f"{type(self.raised).__name__}: {self.raised}"
            self.raised = None
            return Fault(kind=FaultKind.HOST_BUG, detail=detail)
        return fault

    def _raise_caught(self) -> None:
        """Let an interrupt that arrived inside a host function go on its way."""
        raised = self.raised
        if raised is not None and not isinstance(raised, Exception):
            self.raised = None
            raise raised
