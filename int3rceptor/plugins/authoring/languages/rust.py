"""The host functions as Rust writes them."""

from collections.abc import Sequence

from int3rceptor.plugins.abi.codes import HookCode, LogLevel
from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    commented,
    failures,
    indented,
    pascal,
    raw_params,
    separated,
)
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Number, Shape


def sections(shapes: Sequence[Shape]) -> dict[str, Lines]:
    """What fills the places of the prelude."""
    failed = failures()
    return {
        "codes": [
            "/// What a hook returns.",
            *(f"pub const {one.name}: i32 = {one.value};" for one in HookCode),
            "",
            "/// The levels of [`log`].",
            "#[derive(Clone, Copy)]",
            "pub enum Level {",
            *(f"    {pascal(one.name)} = {one.value}," for one in LogLevel),
            "}",
        ],
        "failures": [f"    {pascal(one.name)}," for one in failed],
        "statuses": [
            f"            {one.value} => Failure::{pascal(one.name)}," for one in failed
        ],
        "imports": indented(map(_import, shapes), " " * 8),
        "wrappers": separated(map(_wrapper, shapes)),
    }


def _import(shape: Shape) -> str:
    params = raw_params(shape, "*const u8", "*mut u8", "{}: {}")
    return f"pub fn {shape.row.name}({params}) -> {shape.row.result};"


_GIVEN = {
    Number.LEVEL: ("Level", "{} as i32"),
    Number.SIGNED: ("i32", "{}"),
    Number.SMALL: ("u16", "i32::from({})"),
    Number.COUNT: ("u32", "{} as i32"),
}
"""Types of parameters, and how the import is given them."""

_NUMBERS = {
    Number.SMALL: (" -> Result<u16, Failure>", "number({}).map(|one| one as u16)"),
    Number.COUNT: (" -> Result<u32, Failure>", "number({})"),
    Number.FLAG: (" -> Result<bool, Failure>", "number({}).map(|one| one != 0)"),
}
_RESULTS = {
    Answer.DONE: (" -> Result<(), Failure>", "done({})"),
    Answer.SAID: ("", "let _ = {};"),
    Answer.FILLED: (" -> Result<&'b [u8], Failure>", "filled(buffer, answer)"),
    Answer.WIDE: (" -> Result<u64, Failure>", "wide({})"),
}


def _wrapper(shape: Shape) -> Lines:
    params, values, before = [], [], []
    for one in shape.parameters:
        name = one.name
        if one.kind is Kind.NUMBER:
            kind, value = _GIVEN[one.number]
            params.append(f"{name}: {kind}")
            values.append(value.format(name))
        elif one.kind is Kind.BYTES:
            params.append(f"{name}: impl AsRef<[u8]>")
            before.append(f"let {name} = {name}.as_ref();")
            values += [f"{name}.as_ptr()", f"{name}.len()"]
        else:
            lives = "&'b mut" if shape.answer is Answer.FILLED else "&mut"
            params.append(f"buffer: {lives} [u8]")
            values += ["buffer.as_mut_ptr()", "buffer.len()"]
    result, given = _RESULTS.get(shape.answer) or _NUMBERS[shape.number]
    call = f"unsafe {{ raw::{shape.row.name}({', '.join(values)}) }}"
    if shape.answer is Answer.FILLED:
        before.append(f"let answer = {call};")
    lives = "<'b>" if shape.answer is Answer.FILLED else ""
    return [
        *commented(shape, "///"),
        f"pub fn {shape.name}{lives}({', '.join(params)}){result} {{",
        *indented([*before, given.format(call)]),
        "}",
    ]
