"""Guest calls through wasmtime's own Python API: slower, and free of raw addresses.

The fallback when `fastcall` does not prove itself, and its equal in every test.
"""

from typing import Protocol

from wasmtime import Engine, Func, Linker, Memory, Module, Trap, WasmtimeError

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
from int3rceptor.plugins.engine.stores import fault_of, func_type, open_store

_MASKS = {"i32": 0xFFFF_FFFF, "i64": 0xFFFF_FFFF_FFFF_FFFF}


class _Callback(Protocol):
    def __call__(self, *values: int) -> int | None: ...


class StockMaker:
    """Makes the guests of one module: the linker is built once."""

    def __init__(self, engine: Engine, module: Module, blueprint: Blueprint) -> None:
        self.engine = engine
        self.module = module
        self.blueprint = blueprint
        self.linker = Linker(engine)
        self.guest: StockGuest | None = None
        for one in blueprint.imports:
            function = self._callback(one)
            self.linker.define_func(one.module, one.name, func_type(one), function)

    def new_guest(self) -> "StockGuest":
        """A guest that is not started; host functions now act for it."""
        self.guest = StockGuest(self)
        return self.guest

    def close(self) -> None:
        """Let go of the engine's part. No guest of it is called any more."""
        self.guest = None
        self.linker.close()

    def _callback(self, one: HostImport) -> _Callback:
        has_result, masks = bool(one.result), [_MASKS[kind] for kind in one.params]

        def callback(*values: int) -> int | None:
            result = 0
            try:
                given = zip(values, masks, strict=True)
                result = one.call(tuple(value & mask for value, mask in given))
            except BaseException as error:  # noqa: BLE001  # must not cross the engine
                if self.guest is not None:
                    self.guest.raised = error
                    self.guest.stop()
            return result if has_result else None

        return callback


class StockGuest:
    """One instance in its own store; see `boundary.Guest` for the contract."""

    def __init__(self, maker: StockMaker) -> None:
        self._maker = maker
        self._limits = maker.blueprint.limits
        self._store = open_store(maker.engine, self._limits)
        self._memory: Memory | None = None
        self._exports: dict[str, Func] = {}
        self.raised: BaseException | None = None

    def start(self) -> Fault | None:
        """Instantiate, under the same limits as any call; once, before all else."""
        try:
            instance = self._maker.linker.instantiate(self._store, self._maker.module)
        except (Trap, WasmtimeError) as error:
            return self._caught() or fault_of(error, is_start=True)
        exports = instance.exports(self._store)
        memory = exports.get(MEMORY_EXPORT)
        self._memory = memory if isinstance(memory, Memory) else None
        for name in self._maker.blueprint.exports:
            function = exports[name]
            if isinstance(function, Func):
                self._exports[name] = function
        return self._caught()

    def call(self, export: str) -> Outcome:
        """Run one export with fresh fuel and a fresh deadline; what it returned.

        That means nothing for an export without a result.
        """
        self._store.set_fuel(self._limits.fuel)
        self._store.set_epoch_deadline(self._limits.ticks)
        try:
            result: int | None = self._exports[export](self._store)
        except (Trap, WasmtimeError) as error:
            return self._caught() or fault_of(error)
        return self._caught() or result or 0

    def fuel_used(self) -> int:
        """By the last call."""
        return self._limits.fuel - self._store.get_fuel()

    def read(self, address: int, length: int) -> bytes | None:
        """Copy out of the guest's memory; None outside of it."""
        memory, end = self._memory, address + length
        if memory is None or end > memory.data_len(self._store):
            return None if memory is not None or end else b""
        return bytes(memory.read(self._store, address, end))

    def write(self, address: int, data: bytes) -> bool:
        """Copy into the guest's memory; False, and nothing written, outside of it."""
        memory, end = self._memory, address + len(data)
        if memory is None or end > memory.data_len(self._store):
            return memory is None and not end
        if data:
            memory.write(self._store, data, address)
        return True

    def memory_bytes(self) -> int:
        """The memory's size now."""
        return 0 if self._memory is None else self._memory.data_len(self._store)

    def window(self) -> Window:
        """Nothing: the memory is touched through the engine alone."""
        return NO_WINDOW

    def stop(self) -> None:
        """From a host function: let the guest run no further than its next check."""
        self._store.set_fuel(0)

    def _caught(self) -> Fault | None:
        """What a host function raised; an interrupt goes on its way instead."""
        raised, self.raised = self.raised, None
        if raised is None:
            return None
        if not isinstance(raised, Exception):
            raise raised
        detail = f"{type(raised).__name__}: {raised}"
        return Fault(kind=FaultKind.HOST_BUG, detail=detail)
