"""The host functions as AssemblyScript writes them."""

from collections.abc import Sequence
from enum import IntEnum

from int3rceptor.plugins.abi.codes import HookCode, LogLevel, Status
from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    camel,
    indented,
    raw_params,
    separated,
)
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Number, Shape


def sections(shapes: Sequence[Shape]) -> dict[str, Lines]:
    """What fills the places of the prelude."""
    return {
        "codes": [
            "/** What a hook returns. */",
            *(f"export const {one.name}: i32 = {one.value};" for one in HookCode),
            "",
            "/** What a host function answers. */",
            *_enum("Status", Status),
            "",
            "/** The levels of `log`. */",
            *_enum("Level", LogLevel),
        ],
        "imports": indented(separated(map(_import, shapes)), "  "),
        "wrappers": separated(map(_wrapper, shapes)),
    }


def _enum(name: str, codes: type[IntEnum]) -> Lines:
    members = (f"  {one.name} = {one.value}," for one in codes)
    return [f"export enum {name} {{", *members, "}"]


def _import(shape: Shape) -> Lines:
    params = raw_params(shape, "usize", "usize", "{}: {}")
    name = shape.row.name
    return [
        f'@external("env", "{name}")',
        f"export declare function {name}({params}): {shape.row.result};",
    ]


_GIVEN = {
    Number.LEVEL: "Level",
    Number.SIGNED: "i32",
    Number.SMALL: "u16",
    Number.COUNT: "u32",
}
"""Types of parameters."""


def _wrapper(shape: Shape) -> Lines:
    params: Lines = []
    generics: Lines = []
    values: Lines = []
    before: Lines = []
    for one in shape.parameters:
        name = one.name
        if one.kind is Kind.NUMBER:
            params.append(f"{name}: {_GIVEN[one.number]}")
            values.append(name)
        elif one.kind is Kind.BYTES:
            kind = f"T{len(generics)}"
            generics.append(kind)
            params.append(f"{name}: {kind}")
            before.append(f"const {name}Bytes = bytes({name});")
            values += [f"address({name}Bytes)", f"{name}Bytes.byteLength"]
        elif shape.answer is Answer.FILLED:
            values += ["address(room)", "room.byteLength"]
        else:
            params.append("buffer: ArrayBuffer")
            values += ["address(buffer)", "buffer.byteLength"]
    call = f"raw.{shape.row.name}({', '.join(values)})"
    result, body = _body(shape, call)
    kinds = f"<{', '.join(generics)}>" if generics else ""
    head = (
        f"export function {camel(shape.name)}{kinds}({', '.join(params)}): {result} {{"
    )
    first, *rest = shape.about
    about = [f"/** {first}", *(f" *  {line}" for line in rest)]
    about[-1] += " */"
    return [*about, head, *indented([*before, *body], "  "), "}"]


def _body(shape: Shape, call: str) -> tuple[str, Lines]:
    match shape.answer:
        case Answer.FILLED:
            lines = [
                f"let answer = {call};",
                f"if (grown(answer)) answer = {call};",
                "return taken(answer);",
            ]
            return "ArrayBuffer | null", lines
        case Answer.SAID:
            return "void", [f"{call};"]
        case Answer.WIDE:
            return "i64", [f"return {call};"]
        case Answer.DONE:
            return "Status", [f"return {call};"]
        case Answer.NUMBER if shape.number is Number.FLAG:
            return "bool", [f"status = {call};", "return status > 0;"]
        case Answer.NUMBER:  # below 0 it is a Status
            return "i32", [f"return {call};"]
