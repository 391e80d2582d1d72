"""Modules that are hard on a compiler: small files, much work or much memory.

What becomes of each is for the compiler to say; that it ends is for the tests.
"""

from collections.abc import Callable, Mapping

from tests.support.wasm import (
    CODE,
    EMPTY,
    END,
    EXPORT,
    FUNCTION,
    GLOBAL,
    HOOK_TYPE,
    IMPORT,
    TYPE,
    ZERO,
    body,
    empty_functions,
    hooked,
    leb,
    named,
    section,
    vector,
)

I32, NOP, BLOCK, IF, ADD = b"\x7f", b"\1", b"\2\x40", b"\4\x40", b"\x6a"
ONE, GET, SET, SWITCH = b"\x41\1", b"\x20", b"\x21", b"\x0e"


def _additions(count: int) -> bytes:
    return ZERO + (ONE + ADD) * count


def _nested(opening: bytes, depth: int) -> bytes:
    return opening * depth + END * depth + ZERO


def _switch(targets: int) -> bytes:
    """One br_table whose every entry leads to the same block."""
    return BLOCK + ZERO + SWITCH + vector([b"\0"] * targets) + b"\0" + END + ZERO


def _live_locals(count: int, blocks: int) -> bytes:
    """Values that are all alive over many branches: slow to give registers to."""
    uses = b"".join(
        GET
        + leb(n % count)
        + IF
        + GET
        + leb(n % count)
        + SET
        + leb(n * 7 % count)
        + END
        for n in range(blocks)
    )
    return uses + ZERO + b"".join(GET + leb(n) + ADD for n in range(count))


def _types(count: int, params: int) -> bytes:
    one = b"\x60" + vector([I32] * params) + b"\0"
    return EMPTY + section(TYPE, vector([one] * count))


def _functions(code: bytes, count: int) -> bytes:
    """The same function again and again."""
    return _whole(
        (FUNCTION, leb(count) + bytes(count)), (CODE, leb(count) + body(code) * count)
    )


def _exports(count: int) -> bytes:
    names = [named(b"%x" % number) + b"\0\0" for number in range(count)]
    return _whole(
        (FUNCTION, vector([b"\0"])),
        (EXPORT, vector(names)),
        (CODE, vector([body(ZERO)])),
    )


def _imports(name: bytes, count: int) -> bytes:
    one = named(b"") + named(name) + b"\0\0"
    return _whole((IMPORT, vector([one] * count)))


def _whole(*sections: tuple[int, bytes]) -> bytes:
    """A module with the one type that hooks have."""
    first = section(TYPE, vector([HOOK_TYPE]))
    return EMPTY + first + b"".join(section(*one) for one in sections)


def _globals(count: int) -> bytes:
    made = section(GLOBAL, vector([I32 + b"\0" + ZERO + END] * count))
    return hooked(ZERO, before=made)


def bombs() -> Mapping[str, Callable[[], bytes]]:
    """All of them by name, made when called; each file is small enough to be read."""
    return {
        "empty functions": lambda: empty_functions(900_000),
        "too many functions": lambda: empty_functions(1_500_000),
        "plain functions": lambda: _functions(_additions(60), 40_000),
        "a huge function": lambda: hooked(_additions(500_000)),
        "a function of nops": lambda: hooked(NOP * 7_000_000 + ZERO),
        "50,000 locals": lambda: hooked(ZERO, [leb(50_000) + I32]),
        "4 billion locals": lambda: hooked(ZERO, [leb(0xFFFF_FFFF) + I32]),
        "groups of locals": lambda: hooked(ZERO, [leb(1) + I32] * 49_000),
        "nested blocks": lambda: hooked(_nested(BLOCK, 100_000)),
        "nested ifs": lambda: hooked(_nested(ZERO + IF, 50_000)),
        "a wide switch": lambda: hooked(_switch(1_000_000)),
        "live locals": lambda: hooked(_live_locals(2_000, 5_000), [leb(2_000) + I32]),
        "types": lambda: _types(999_999, 1),
        "wide types": lambda: _types(8_000, 1_000),
        "too wide a type": lambda: _types(1, 100_000),
        "globals": lambda: _globals(1_000_000),
        "exports": lambda: _exports(300_000),
        "imports": lambda: _imports(b"", 300_000),
        "a name of 7 MB": lambda: _imports(b"n" * 7_000_000, 1),
        "a length that is a lie": lambda: EMPTY + b"\x01" + leb(0xFFFF_FFFF),
        "a count that is a lie": lambda: EMPTY + section(TYPE, leb(0xFFFF_FFFF)),
    }
