"""Small pieces of source text that several languages are written with."""

from collections.abc import Iterable

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.authoring.shapes import Kind, Shape

Lines = list[str]


def camel(name: str) -> str:
    """set_header as setHeader."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def pascal(name: str) -> str:
    """BAD_POINTER as BadPointer."""
    return "".join(word.capitalize() for word in name.lower().split("_"))


def indented(lines: Iterable[str], by: str = "    ") -> Lines:
    """The lines, moved to the right."""
    return [by + line if line else line for line in lines]


def commented(shape: Shape, mark: str) -> Lines:
    """What a wrapper's documentation says, in line comments."""
    return [f"{mark} {line}" for line in shape.about]


def separated(blocks: Iterable[Lines]) -> Lines:
    """The blocks with an empty line between each two."""
    lines: Lines = []
    for block in blocks:
        lines += ["", *block] if lines else block
    return lines


def raw_params(shape: Shape, bytes_type: str, room_type: str, form: str) -> str:
    """The ABI's parameters; `form` puts a name and a type in the language's order."""
    parts: list[str] = []
    for one in shape.parameters:
        if one.kind is Kind.NUMBER:
            parts.append(form.format(one.words[0], "i32"))
            continue
        address, size = one.words
        kind = bytes_type if one.kind is Kind.BYTES else room_type
        parts += [form.format(address, kind), form.format(size, "usize")]
    return ", ".join(parts)


def failures() -> list[Status]:
    """The status codes of a function that did not do it."""
    return [one for one in Status if one is not Status.OK]
