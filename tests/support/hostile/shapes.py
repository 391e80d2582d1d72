"""Guests that are no good module, or a strange one."""

from collections.abc import Iterator

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.engine import MAX_EXPORTS, MAX_IMPORTS
from tests.support.hostile.rows import GoesOn, Hostile, Refused, rows
from tests.support.trying import Try, hook, trying
from tests.support.wasm import section

TAKES_A_NUMBER = """(module
  (func (export "on_request") (param i32) (result i32) (local.get 0)))"""


def shapes() -> Iterator[Hostile]:
    log = '(import "env" "host_log" (func (param i32 i32 i32)))'
    drop = '(import "env" "host_drop" (func))'
    exports = "".join(f'(func (export "f{n}"))' for n in range(MAX_EXPORTS))
    unlike = Refused("imports env.host_log as ")
    return rows(
        (
            "wrong_import",
            "imports a function as another",
            unlike,
            hook("", '(import "env" "host_log" (func (param i64)))'),
        ),
        (
            "import_of_float",
            "imports a function that takes a float",
            unlike,
            hook("", '(import "env" "host_log" (func (param i32 i32 f32)))'),
        ),
        (
            "import_as_global",
            "imports a function as a number",
            unlike,
            hook("", '(import "env" "host_log" (global i32))'),
        ),
        (
            "import_of_memory",
            "imports a memory",
            Refused("imports env.memory, which this host does not have"),
            hook("", '(import "env" "memory" (memory 1))'),
        ),
        (
            "import_of_table",
            "imports a table",
            Refused("imports env.t, which this host does not have"),
            hook("", '(import "env" "t" (table 1 funcref))'),
        ),
        (
            "unknown_import",
            "imports what no host has",
            Refused("imports a.b, which this host does not have"),
            hook("", '(import "a" "b" (func))'),
        ),
        (
            "escaping_import",
            "imports a name that drives a terminal, over two lines",
            Refused(r"imports env.\x1b[2J\n\u202etxt, which this host does not have"),
            hook("", '(import "env" "\\1b[2J\\0a\\e2\\80\\aetxt" (func))'),
        ),
        (
            "endless_import",
            "imports a name of 90,000 letters",
            Refused(f"imports env.{'n' * 59}…, which this host does not have"),
            hook("", f'(import "env" "{"n" * 90_000}" (func))'),
        ),
        (
            "many_unknown_imports",
            "imports 256 functions that no host has",
            Refused("; and 252 more"),
            hook(
                "",
                "".join(
                    f'(import "{"n" * 100}" "f{n}" (func))' for n in range(MAX_IMPORTS)
                ),
            ),
        ),
        ("same_import_twice", "imports a function twice", GoesOn(), hook("", drop * 2)),
        (
            "unlike_import_twice",
            "imports a function with and without a result",
            Refused("imports env.host_drop twice"),
            hook("", f'{drop} (import "env" "host_drop" (func (result i32)))'),
        ),
        (
            "many_imports",
            "imports one function 257 times",
            Refused(f"{MAX_IMPORTS + 1} imports and 1 exports, but at most"),
            hook("", drop * (MAX_IMPORTS + 1)),
        ),
        (
            "thousand_exports",
            "exports as much as it may",
            GoesOn(),
            hook("", exports.replace('(func (export "f0"))', "")),
        ),
        (
            "too_many_exports",
            "exports one more",
            Refused(f"0 imports and {MAX_EXPORTS + 1} exports, but at most"),
            hook("", exports),
        ),
        (
            "same_export_twice",
            "exports a hook twice",
            Refused("duplicate export name"),
            hook("", '(func (export "on_request") (result i32) (i32.const 0))'),
        ),
        (
            "escaping_export",
            "exports names that drive a terminal",
            GoesOn(),
            hook("", '(func (export "on_\\1b]0;owned\\07\\0a\\e2\\80\\ae"))'),
        ),
        (
            "hook_with_params",
            "exports a hook that takes an argument",
            Refused("exports on_request as (i32) -> i32; expected () -> i32"),
            TAKES_A_NUMBER,
        ),
        (
            "hook_as_memory",
            "exports a memory as a hook",
            Refused("exports on_request as something that is no function"),
            '(module (memory (export "on_request") 1))',
        ),
        ("no_hook", "exports nothing", Refused("exports no hook"), "(module)"),
        (
            "memory_hidden",
            "exports no memory for the host to write to",
            Refused("imports host_log, which takes addresses, but exports no memory"),
            hook("", f"{log} (memory 1)"),
        ),
        (
            "memory_renamed",
            "exports its memory under another name",
            Refused("imports host_log, which takes addresses, but exports no memory"),
            hook("", f'{log} (memory (export "mem") 1)'),
        ),
        (
            "memory_as_function",
            "exports a function named memory",
            Refused("imports host_log, which takes addresses, but exports no memory"),
            hook("", f'{log} (func (export "memory"))'),
        ),
        (
            "memory_empty",
            "exports a memory of no pages, and has the host read it",
            GoesOn(),
            trying(
                Try("host_log", (1, 0, 1), (-1,)),
                Try("host_random", (0, 1), (Status.BAD_POINTER,)),
                Try("host_random", (0, 0), (0,)),
                pages=0,
            ),
        ),
        (
            "custom_sections",
            "carries three megabytes that nobody asked for",
            GoesOn(),
            _with_custom_sections(),
        ),
    )


def _with_custom_sections() -> bytes:
    """A good module behind sections whose names are no text that anybody prints."""
    from wasmtime import wat2wasm

    name = b"\x05\x1b[2J\n"
    padding = section(0, name + bytes(1 << 20)) * 3
    wasm = bytes(wat2wasm(hook("")))
    return wasm[:8] + padding + wasm[8:]


def proposals() -> Iterator[Hostile]:
    """What plugins do not need is off: the compiler says so."""
    off = {
        "memory64": ("(memory i64 1)", "memory64 must be enabled"),
        "table64": ("(table i64 1 funcref)", "memory64 must be enabled"),
        "shared_memory": ("(memory 1 1 shared)", "threads must be enabled"),
        "two_memories": ("(memory 1) (memory 1)", "multiple memories"),
        "gc": ("(type (struct (field i32)))", "without the gc feature"),
        "exceptions": ("(tag)", "exceptions proposal not enabled"),
        "function_references": (
            "(type $v (func)) (func (param (ref $v)))",
            "function references required",
        ),
        "stack_switching": (
            "(type $f (func)) (type (cont $f))",
            "stack switching is disabled",
        ),
        "page_sizes": ("(memory 1 2 (pagesize 1))", "custom page sizes"),
    }
    for name, (head, line) in off.items():
        yield Hostile(
            name=f"uses_{name}",
            attempts=f"needs a proposal that is off: {name}",
            must=Refused(line),
            source=hook("", head),
        )
    yield from rows(
        (
            "uses_atomics",
            "has an atomic instruction",
            Refused("threads support is not enabled"),
            hook("(drop (i32.atomic.load (i32.const 0)))", "(memory 1)"),
        ),
        (
            "is_component",
            "is a component",
            Refused("component model feature is not enabled"),
            "(component)",
        ),
        (
            "uses_simd",
            "computes with vectors",
            Refused("SIMD support is not enabled"),
            hook("(drop (i8x16.splat (i32.const 1)))"),
        ),
        (
            "import_of_vector",
            "imports a function whose type ends the process that asks for it",
            Refused("SIMD support is not enabled"),
            hook("", '(import "env" "host_log" (func (param v128)))'),
        ),
        (
            "export_of_vector",
            "exports a number that is a vector",
            Refused("SIMD support is not enabled"),
            hook(
                "",
                '(global (export "on_capture") v128 (v128.const i64x2 0 0))',
            ),
        ),
    )
