"""The host functions as Go writes them."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from int3rceptor.plugins.abi.codes import HookCode, LogLevel, Status
from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    camel,
    failures,
    indented,
    pascal,
    separated,
)
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Number, Shape


def sections(shapes: Sequence[Shape]) -> dict[str, Lines]:
    """What fills the places of the prelude."""
    return {
        "codes": [
            "// What a hook returns.",
            *_constants(HookCode, "int32", "Hook"),
            "",
            "// Level is a level of Log.",
            "type Level int32",
            "",
            "// The levels of Log.",
            *_constants(LogLevel, "Level", "Level"),
            "",
            "// Why a host function did not do it.",
            *_constants(failures(), "Status", ""),
            "",
            "var statusNames = map[Status]string{",
            *_aligned(
                (f"{pascal(one.name)}:", f'"{_in_words(one)}",') for one in failures()
            ),
            "}",
        ],
        "imports": separated(map(_import, shapes)),
        "wrappers": separated(map(_wrapper, shapes)),
    }


def _in_words(status: Status) -> str:
    return status.name.lower().replace("_", " ")


def _constants(codes: Iterable[IntEnum], kind: str, prefix: str) -> Lines:
    rows = ((f"{prefix}{pascal(one.name)}", f"{kind} = {one.value}") for one in codes)
    return ["const (", *_aligned(rows), ")"]


def _aligned(rows: Iterable[tuple[str, str]]) -> Lines:
    """Two columns, as gofmt writes them."""
    pairs = list(rows)
    width = max(len(first) for first, _ in pairs)
    return [f"\t{first:<{width}} {second}" for first, second in pairs]


_RESULTS = {
    Answer.DONE: " error",
    Answer.SAID: "",
    Answer.NUMBER: " (int, error)",
    Answer.FILLED: " (string, error)",
    Answer.WIDE: " (int64, error)",
}


def _import(shape: Shape) -> Lines:
    parts: list[str] = []
    for one in shape.parameters:
        if one.kind is Kind.NUMBER:
            parts.append(f"{one.name} int32")
        elif one.kind is Kind.BYTES:
            parts.append(f"{one.name} string")
        else:
            parts += [f"{camel(one.words[0])} unsafe.Pointer", "size uint32"]
    result = "int64" if shape.answer is Answer.WIDE else "int32"
    name = shape.row.name
    return [
        f"//go:wasmimport env {name}",
        f"func {camel(name)}({', '.join(parts)}) {result}",
    ]


def _wrapper(shape: Shape) -> Lines:
    params, values = [], []
    for one in shape.parameters:
        name = one.name
        if one.kind is Kind.NUMBER:
            is_level = one.number is Number.LEVEL
            params.append(f"{name} {'Level' if is_level else 'int'}")
            values.append(f"int32({name})")
        elif one.kind is Kind.BYTES:
            params.append(f"{name} string")
            values.append(name)
        elif shape.answer is Answer.FILLED:
            values += ["at", "size"]
        else:
            params.append("buffer []byte")
            values += [
                "unsafe.Pointer(unsafe.SliceData(buffer))",
                "uint32(len(buffer))",
            ]
    call = f"{camel(shape.row.name)}({', '.join(values)})"
    name = pascal(shape.name)
    first, *rest = shape.about
    about = [f"// {name} {first[0].lower()}{first[1:]}", *(f"// {one}" for one in rest)]
    is_flag = shape.answer is Answer.NUMBER and shape.number is Number.FLAG
    result = " (bool, error)" if is_flag else _RESULTS[shape.answer]
    head = f"func {name}({', '.join(params)}){result} {{"
    return [*about, head, *indented(_body(shape, call), "\t"), "}"]


def _body(shape: Shape, call: str) -> Lines:
    match shape.answer:
        case Answer.DONE:
            return [f"return done({call})"]
        case Answer.SAID:
            return [call]
        case Answer.NUMBER if shape.number is Number.FLAG:
            return [f"return flag({call})"]
        case Answer.NUMBER:
            return [f"return number({call})"]
        case Answer.WIDE:
            return [f"return wide({call})"]
        case Answer.FILLED:
            return [
                "return fill(func(at unsafe.Pointer, size uint32) int32 {",
                f"\treturn {call}",
                "})",
            ]
