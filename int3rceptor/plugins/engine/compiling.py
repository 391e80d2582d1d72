"""Compiles modules in a process beside this one, and keeps what came out.

The compiler has no limit of its own: a small module can keep it busy for minutes. A
process can be bounded and killed, and what it used goes with it. All of it blocks: call
it in a thread.
"""

import hashlib
import logging
import signal
import subprocess
import sys

from wasmtime import Module, WasmtimeError

from int3rceptor.errors import PluginError
from int3rceptor.net import children
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.compiler import DONE, FAILED, TOO_MUCH_MEMORY
from int3rceptor.plugins.engine.engine import (
    compile_module,
    identity,
    require_size,
    shared_engine,
)
from int3rceptor.plugins.policy.manifest import MAX_COMPILE_S

log = logging.getLogger("int3rceptor.plugins")

COMPILER = "int3rceptor.plugins.engine.compiler"

_FORMAT = 1
"""Counts how what is kept is made up; another number finds nothing of the old."""


def compiled(
    data: bytes,
    source: str,
    cache: ModuleCache | None = None,
    *,
    limit_s: float = MAX_COMPILE_S,
) -> Module:
    """The module in `data` (binary or text), from `cache` if it is there.

    `source` names the file in the message of a PluginError, which it is when compiling
    takes longer than `limit_s`. Where no process can be
    started, the module is compiled in this one, with a line in the log.
    """
    require_size(data, source)
    name = _name(data)
    kept = None if cache is None else cache.load(name)
    if cache is not None and kept is not None:
        try:
            return Module.deserialize(shared_engine(), kept)
        except WasmtimeError:
            cache.discard(name, "it was compiled for another machine")
    made = _compiled_outside(data, source, limit_s)
    if made is None:
        return compile_module(data, source)
    try:
        module = Module.deserialize(shared_engine(), made)
    except WasmtimeError as error:
        reason = " ".join(str(error).split())
        raise PluginError(f"{source}: its compiler answered nonsense: {reason}") from (
            None
        )
    if cache is not None:
        cache.store(name, made)
    return module


def _name(data: bytes) -> str:
    """What a compiled module is kept as: it differs if anything about it does."""
    parts = hashlib.sha256(f"{_FORMAT} {identity()}\n".encode())
    parts.update(data)
    return parts.hexdigest()


def _compiled_outside(data: bytes, source: str, limit_s: float) -> bytes | None:
    """The compiled module; None where there can be no process to do it."""
    if not sys.executable or hasattr(sys, "frozen"):
        _tell(source, "there is no Python interpreter to start")
        return None
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            children.command(COMPILER, source),
            input=data,
            capture_output=True,
            timeout=limit_s,
            check=False,
            env=children.environment(),
        )
    except OSError as error:
        _tell(source, f"no process can be started: {error.strerror}")
        return None
    except subprocess.TimeoutExpired:
        raise PluginError(f"{source}: {_too_slow(limit_s)}") from None
    if done.returncode < 0:
        raise PluginError(f"{source}: {_end(-done.returncode, done.stderr)}")
    answer, rest = done.stdout[:1], done.stdout[1:]
    if answer == FAILED:
        raise PluginError(rest.decode("utf-8", "surrogateescape"))
    if answer != DONE:
        said = _last_line(done.stderr)
        _tell(source, f"its compiler did not start: {said}")
        return None
    return rest


def _tell(source: str, why: str) -> None:
    log.warning("%s is compiled in the proxy's own process, unbounded: %s", source, why)


def _too_slow(limit_s: float) -> str:
    return f"compiling it takes longer than {limit_s:g} s (limits.compile_s)"


def _end(number: int, said: bytes) -> str:
    """Why a compiler that was ended by a signal was."""
    if number == signal.SIGALRM:
        return _too_slow(MAX_COMPILE_S)
    if number == signal.SIGABRT and b"memory allocation" in said:
        return TOO_MUCH_MEMORY
    what = f"its compiler was ended by signal {number}"
    if number == signal.SIGKILL:
        return f"{what} (is the system out of memory?)"
    line = _last_line(said)
    return f"{what}: {line}" if line else what


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]
