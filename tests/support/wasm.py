"""WebAssembly binaries from their parts: for modules that the text format cannot
say, or says too slowly. Knows the encoding, and nothing of plugins."""

from collections.abc import Sequence

EMPTY = b"\0asm\1\0\0\0"

TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, CODE = 1, 2, 3, 6, 7, 10
HOOK_TYPE = b"\x60\0\1\x7f"
ZERO = b"\x41\0"  # i32.const 0
END = b"\x0b"


def leb(number: int) -> bytes:
    """An unsigned number, as short as it can be."""
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def read_leb(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends; IndexError past the end."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def vector(items: Sequence[bytes]) -> bytes:
    """Their number, and they."""
    return leb(len(items)) + b"".join(items)


def named(name: bytes) -> bytes:
    """A name, with its length."""
    return leb(len(name)) + name


def section(kind: int, content: bytes) -> bytes:
    """A section, with its true length."""
    return bytes([kind]) + leb(len(content)) + content


def sections(data: bytes) -> list[tuple[int, bytes]]:
    """The sections of a module that is in order."""
    found, at = [], len(EMPTY)
    while at < len(data):
        kind = data[at]
        length, start = read_leb(data, at + 1)
        at = start + length
        found.append((kind, data[start:at]))
    return found


def body(code: bytes, locals_: Sequence[bytes] = ()) -> bytes:
    """One function's locals and code, with their length."""
    whole = vector(locals_) + code + END
    return leb(len(whole)) + whole


def hooked(code: bytes, locals_: Sequence[bytes] = (), *, before: bytes = b"") -> bytes:
    """A module whose on_request is this code; `before` comes ahead of its export."""
    return EMPTY + b"".join(
        (
            section(TYPE, vector([HOOK_TYPE])),
            section(FUNCTION, vector([b"\0"])),
            before,
            section(EXPORT, vector([named(b"on_request") + b"\0\0"])),
            section(CODE, vector([body(code, locals_)])),
        )
    )


def empty_functions(count: int) -> bytes:
    """A module of so many empty functions: 50 µs and 6 KB of compiling for each of
    4 bytes."""
    return EMPTY + b"".join(
        (
            section(TYPE, b"\1\x60\0\0"),
            section(FUNCTION, leb(count) + bytes(count)),
            section(CODE, leb(count) + b"\2\0\x0b" * count),
        )
    )
