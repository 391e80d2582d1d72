"""A custom section out of a WebAssembly binary, read from the bytes alone. Pure.

The module comes from a stranger and is not compiled yet: every length is checked, and
nothing but the one section is copied.
"""

from int3rceptor.errors import PluginError

MAX_SECTIONS = 4_096
"""Of one module: the format has 13 kinds, compilers add some custom ones, debugging
information a few dozen."""

_PREAMBLE = b"\0asm\1\0\0\0"
_CUSTOM = 0
_MAX_LEB_BYTES = 5
"""Of a u32 in LEB128 (WebAssembly, 5.2.2)."""


def custom_section(module: bytes, name: str, source: str) -> bytes | None:
    """The contents of the custom section of that name; None when there is none, or when
    this is no WebAssembly binary. PluginError, with `source`, when its sections do not
    add up or two have the name."""
    if not module.startswith(_PREAMBLE):
        return None
    found: bytes | None = None
    wanted, at = name.encode(), len(_PREAMBLE)
    for _ in range(MAX_SECTIONS):
        if at == len(module):
            return found
        kind, start = module[at], at + 1
        size, start = _u32(module, start, len(module), source)
        at = start + size
        if at > len(module):
            raise _broken(source, "a section is longer than the file")
        if kind != _CUSTOM:
            continue
        length, start = _u32(module, start, at, source)
        if start + length > at:
            raise _broken(source, "a section's name is longer than the section")
        if length == len(wanted) and module.startswith(wanted, start):
            if found is not None:
                raise _broken(source, f"two sections are named {name!r}")
            found = module[start + length : at]
    raise _broken(source, f"more than {MAX_SECTIONS} sections")


def _u32(data: bytes, at: int, end: int, source: str) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    value = 0
    for place in range(_MAX_LEB_BYTES):
        if at >= end:
            raise _broken(source, "it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            if value > 0xFFFF_FFFF:
                break
            return value, at
    raise _broken(source, "a length is larger than 32 bits")


def _broken(source: str, why: str) -> PluginError:
    return PluginError(f"{source}: not a usable WebAssembly module: {why}")
