"""The host functions as C writes them."""

from collections.abc import Sequence
from enum import IntEnum

from int3rceptor.plugins.abi.codes import HookCode, LogLevel, Status
from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    separated,
)
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Number, Shape


def sections(shapes: Sequence[Shape]) -> dict[str, Lines]:
    """What fills the places of the prelude."""
    return {
        "codes": separated(
            [
                _enum("What a hook returns.", HookCode, "I3_", "i3_code"),
                _enum(
                    "What a host function answers.", Status, "I3_STATUS_", "i3_status"
                ),
                _enum("The levels of host_log.", LogLevel, "I3_LOG_", "i3_level"),
            ]
        ),
        "imports": separated(map(_import, shapes)),
    }


def _enum(about: str, codes: type[IntEnum], prefix: str, name: str) -> Lines:
    members = (f"    {prefix}{one.name} = {one.value}," for one in codes)
    return [f"/* {about} */", "typedef enum {", *members, f"}} {name};"]


_GIVEN = {
    Number.LEVEL: "i3_level",
    Number.SIGNED: "int32_t",
    Number.SMALL: "uint16_t",
    Number.COUNT: "uint32_t",
}
"""Types of parameters."""

_RESULTS = {
    Answer.DONE: "i3_status",
    Answer.SAID: "i3_status",
    Answer.NUMBER: "int32_t",
    Answer.FILLED: "int32_t",
    Answer.WIDE: "int64_t",
}
"""A number, or a length, is an i3_status when it is below 0."""


def _import(shape: Shape) -> Lines:
    first, *rest = shape.about_import
    about = [f"/* {first}", *(f" * {line}" for line in rest)]
    about[-1] += " */"
    parts: list[str] = []
    for one in shape.parameters:
        if one.kind is Kind.NUMBER:
            parts.append(f"{_GIVEN[one.number]} {one.name}")
            continue
        constant = "const " if one.kind is Kind.BYTES else ""
        address, size = one.words
        parts += [f"{constant}void *{address}", f"uint32_t {size}"]
    result = _RESULTS[shape.answer]
    name = shape.row.name
    return [*about, f"I3_IMPORT({name}) {result} {name}({', '.join(parts) or 'void'});"]
