"""The process that compiles one module: the module comes in by standard input, the
compiled one goes out by standard output, behind a byte that says which way it went.

`python -m int3rceptor.plugins.engine.compiler SOURCE`; `compiling` starts it, and may
kill it.
"""

import signal
import sys

from int3rceptor.errors import PluginError
from int3rceptor.plugins.engine.engine import compile_module
from int3rceptor.plugins.policy.manifest import MAX_COMPILE_S, MAX_MODULE_BYTES

MAX_COMPILE_BYTES = 1024 * 1024 * 1024
"""Most memory to compile one module: the largest honest module takes about 700 MiB."""

MAX_COMPILED_BYTES = 128 * 1024 * 1024
"""Largest compiled module: it stays in memory as long as the plugin does. Machine code
is about 14 times the size of its module."""

GRACE_S = 5.0
"""How much later than its parent would the process ends itself: it has lost it."""

DONE, FAILED = b"+", b"-"
"""What an answer begins with: a compiled module follows, or why there is none."""

TOO_MUCH_MEMORY = (
    f"compiling it takes more than {MAX_COMPILE_BYTES >> 20} MiB of memory"
)


def main(source: str) -> None:
    """Read one module, answer, and be done. `source` names it in messages."""
    _limit()
    try:
        answer = DONE + _compiled(sys.stdin.buffer.read(MAX_MODULE_BYTES + 1), source)
    except PluginError as error:
        answer = FAILED + str(error).encode("utf-8", "surrogateescape")
    except MemoryError:
        message = f"{source}: {TOO_MUCH_MEMORY}"
        answer = FAILED + message.encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


def _compiled(data: bytes, source: str) -> bytes:
    compiled = compile_module(data, source).serialize()
    if len(compiled) > MAX_COMPILED_BYTES:
        raise PluginError(f"{source}: larger than {MAX_COMPILED_BYTES} bytes, compiled")
    return bytes(compiled)


def _limit() -> None:
    """Bound this process, as far as the system can."""
    # At once, and not when the compiler has returned to Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "win32":
        return
    import resource

    # What is written to, not what is mapped: an allocator's reserve costs nothing.
    for kind, most in (
        (resource.RLIMIT_DATA, MAX_COMPILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        is_unbounded = hard == resource.RLIM_INFINITY
        resource.setrlimit(kind, (most if is_unbounded else min(most, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, MAX_COMPILE_S + GRACE_S)


if __name__ == "__main__":
    main(sys.argv[1])
