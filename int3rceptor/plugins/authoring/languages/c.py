"""The host functions as C writes them."""

from collections.abc import Sequence
from enum import IntEnum

from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    separated,
)
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Shape
from int3rceptor.plugins.codes import HookCode, LogLevel, Status


def sections(shapes: Sequence[Shape]) -> dict[str, Lines]:
    """What fills the places of the prelude."""
    return {
        "codes": separated(
            [
                _enum("What a hook returns.", HookCode, "I3_"),
                _enum("What a host function answers.", Status, "I3_STATUS_"),
                _enum("The levels of host_log.", LogLevel, "I3_LOG_"),
            ]
        ),
        "imports": separated(map(_import, shapes)),
    }


def _enum(about: str, codes: type[IntEnum], prefix: str) -> Lines:
    members = (f"    {prefix}{one.name} = {one.value}," for one in codes)
    return [f"/* {about} */", "enum {", *members, "};"]


def _import(shape: Shape) -> Lines:
    first, *rest = shape.about_import
    about = [f"/* {first}", *(f" * {line}" for line in rest)]
    about[-1] += " */"
    parts: list[str] = []
    for one in shape.parameters:
        if one.kind is Kind.NUMBER:
            parts.append(f"int32_t {one.name}")
            continue
        constant = "const " if one.kind is Kind.BYTES else ""
        address, size = one.words
        parts += [f"{constant}void *{address}", f"uint32_t {size}"]
    result = "int64_t" if shape.answer is Answer.WIDE else "int32_t"
    name = shape.row.name
    return [*about, f"I3_IMPORT({name}) {result} {name}({', '.join(parts) or 'void'});"]
