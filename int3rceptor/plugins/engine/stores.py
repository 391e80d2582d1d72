"""What both ways of calling a guest share: a limited store, import types, faults."""

from wasmtime import Engine, FuncType, Store, Trap, TrapCode, ValType, WasmtimeError

from int3rceptor.plugins.engine.boundary import (
    Fault,
    FaultKind,
    GuestLimits,
    HostImport,
)
from int3rceptor.plugins.wording import shown

MAX_DETAIL_CHARS = 300
"""Of an engine's message: enough for the reason, without a hundred frames after it."""

_TYPES = {"i32": ValType.i32(), "i64": ValType.i64()}
_KINDS = {
    TrapCode.OUT_OF_FUEL: FaultKind.FUEL,
    TrapCode.INTERRUPT: FaultKind.WALL_CLOCK,
    TrapCode.STACK_OVERFLOW: FaultKind.STACK,
    TrapCode.MEMORY_OUT_OF_BOUNDS: FaultKind.MEMORY,
}


def open_store(engine: Engine, limits: GuestLimits) -> Store:
    """A store with every limit set; also its fuel, since start functions run on it."""
    store = Store(engine)
    store.set_limits(
        memory_size=limits.memory_bytes,
        table_elements=limits.table_elements,
        instances=1,
        tables=limits.tables,
        memories=1,
    )
    store.set_fuel(limits.fuel)
    store.set_epoch_deadline(limits.ticks)
    return store


def func_type(one: HostImport) -> FuncType:
    """The import's type, as the module declared it."""
    results = [_TYPES[one.result]] if one.result else []
    return FuncType([_TYPES[kind] for kind in one.params], results)


def fault_of(error: Trap | WasmtimeError, *, is_start: bool = False) -> Fault:
    """The fault behind an error out of the engine."""
    # The engine's frames hold what they raise, and below them are those of the plugin.
    error.__traceback__ = None
    kind, detail = _classify(error)
    if is_start:
        return Fault(kind=FaultKind.START, detail=detail or kind.value)
    return Fault(kind=kind, detail=detail)


def _classify(error: Trap | WasmtimeError) -> tuple[FaultKind, str]:
    if not isinstance(error, Trap):
        return FaultKind.TRAP, _line(str(error))
    code = error.trap_code
    if code is None:
        return FaultKind.TRAP, _line(error.message)
    kind = _KINDS.get(code)
    if kind is None:
        return FaultKind.TRAP, code.name.lower().replace("_", " ")
    return kind, ""


def _line(text: str) -> str:
    return shown(" ".join(text.split()), MAX_DETAIL_CHARS)
