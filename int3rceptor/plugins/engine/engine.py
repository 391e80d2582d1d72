"""The process's one wasmtime engine: its settings, its compiler, its clock.

It knows modules and epochs; it does not know host functions or flows.
"""

import functools
import threading
from collections.abc import Mapping

from wasmtime import Config, Engine, FuncType, Module, WasmtimeError, wat2wasm
from wasmtime._ffi import filename

from int3rceptor.errors import PluginError
from int3rceptor.plugins.policy.manifest import MAX_MODULE_BYTES
from int3rceptor.plugins.wording import shown

MAX_STACK_BYTES = 256 * 1024
"""Guest stack. Python threads on macOS have 512 KiB; the rest is for the host."""

MAX_REASON_CHARS = 500
"""Of the compiler's message: it may quote the module."""

MAX_IMPORTS = 256
"""Imports listed by one module; the table of host functions is far shorter."""

MAX_EXPORTS = 1024
"""Exports of one module: each is looked up when an instance is built, at 20 µs."""

TICK_S = 0.1
"""Length of an epoch: how precise wall clock limits are. The ticker wakes this often
while plugins are loaded: ten times a second is nothing beside the traffic."""

MIN_TICKS = 2
"""The first tick may come at once: one alone could end a call that just began."""

_WASM_MAGIC = b"\0asm"
_OFF = (
    "wasm_threads",
    "shared_memory",
    "wasm_memory64",
    "wasm_multi_memory",
    "wasm_exceptions",
    "wasm_gc",
    "wasm_function_references",
    "wasm_custom_page_sizes",
    "wasm_stack_switching",
    "wasm_component_model",
    "wasm_relaxed_simd",
    "wasm_simd",
)
"""Proposals that plugins do not need: each is attack surface. Threads would let a guest
change memory while the host reads it, memory64 breaks the i32 addresses, and a vector
in the type of an import or export ends the process: the C API knows no name for it. No
compiler of the supported languages uses vectors unless it is told to."""


_SETTINGS: Mapping[str, bool | int] = {
    "consume_fuel": True,
    "epoch_interruption": True,
    # The host keeps a view of each memory; a memory that moves would leave it dangling.
    "memory_may_move": False,
    "max_wasm_stack": MAX_STACK_BYTES,
    **dict.fromkeys(_OFF, False),
}


@functools.cache
def shared_engine() -> Engine:
    """The engine, built at the first call."""
    config = Config()
    for name, value in _SETTINGS.items():
        setattr(config, name, value)
    return Engine(config)


def identity() -> str:
    """What compiled modules depend on: the settings, and which build of wasmtime it is.

    The library's file rather than its version: nothing has to be imported to ask, and
    it tells two builds of one version apart.
    """
    library = filename.stat()
    return f"{_SETTINGS} {library.st_size} {library.st_mtime_ns}"


def require_size(data: bytes, source: str) -> None:
    """PluginError when a module's file is larger than any that is compiled."""
    if len(data) > MAX_MODULE_BYTES:
        raise PluginError(f"{source}: larger than {MAX_MODULE_BYTES} bytes")


def compile_module(data: bytes, source: str) -> Module:
    """Compile a binary or text module in this process, without a limit of time or
    memory; `compiling` does it in another.

    `source` names the file in the message of a PluginError.
    """
    require_size(data, source)
    try:
        wasm = (
            data if data.startswith(_WASM_MAGIC) else wat2wasm(_as_text(data, source))
        )
        module = Module(shared_engine(), bytes(wasm))
    except WasmtimeError as error:
        reason = shown(" ".join(str(error).split()), MAX_REASON_CHARS)
        raise PluginError(
            f"{source}: not a usable WebAssembly module: {reason}"
        ) from None
    _look_at(module, source)
    return module


def _look_at(module: Module, source: str) -> None:
    """What everybody looks at later, here, where a process of its own may be lost: to
    list 300,000 exports takes seconds and 300 MB, and wasmtime has ended its process
    over the name of a type."""
    imports, exports = module.imports, module.exports
    if len(imports) > MAX_IMPORTS or len(exports) > MAX_EXPORTS:
        raise PluginError(
            f"{source}: {len(imports)} imports and {len(exports)} exports, but at most "
            f"{MAX_IMPORTS} and {MAX_EXPORTS} are allowed"
        )
    for kind in [one.type for one in imports] + [one.type for one in exports]:
        if isinstance(kind, FuncType):
            spell_types(kind)


def spell_types(kind: FuncType) -> tuple[list[str], list[str]]:
    """A function's parameters and results, as they are written."""
    return [str(one) for one in kind.params], [str(one) for one in kind.results]


def _as_text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise PluginError(
            f"{source}: neither a WebAssembly binary (it would begin with \\0asm) "
            "nor WebAssembly text"
        ) from None


def ticks_for(seconds: float) -> int:
    """The epochs that make up a wall clock limit."""
    return max(MIN_TICKS, round(seconds / TICK_S))


class EpochTicker:
    """Moves the engine's epoch on, in a thread that otherwise only sleeps.

    It runs while someone holds it: each `acquire` needs one `release`. `epoch` is how
    often it did, or one less for a moment: a deadline that was set at the same number
    is as good as a new one, but for the one tick that may always come at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._holders = 0
        self.epoch = 0
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def acquire(self) -> None:
        """Start ticking, if nobody did yet."""
        with self._lock:
            self._holders += 1
            if self._thread is None:
                self._stopped = threading.Event()
                self._thread = threading.Thread(
                    target=self._run,
                    args=(self._stopped,),
                    name="int3rceptor-epochs",
                    daemon=True,
                )
                self._thread.start()

    def release(self) -> None:
        """Stop ticking and wait for the thread, if this was the last holder."""
        with self._lock:
            self._holders -= 1
            if self._holders or self._thread is None:
                return
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(TICK_S):
            self._engine.increment_epoch()
            self.epoch += 1


@functools.cache
def shared_ticker() -> EpochTicker:
    """The ticker of the shared engine."""
    return EpochTicker(shared_engine())
