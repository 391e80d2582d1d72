"""The host functions as Zig writes them."""

from collections.abc import Sequence

from int3rceptor.plugins.abi.codes import HookCode, LogLevel
from int3rceptor.plugins.authoring.languages.text import (
    Lines,
    camel,
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
    # A parameter cannot have the name of a declaration of the file.
    taken = {camel(one.name) for one in shapes}
    return {
        "codes": [
            "/// What a hook returns.",
            *(f"pub const {one.name}: i32 = {one.value};" for one in HookCode),
            "",
            "/// The levels of `log`.",
            "pub const Level = enum(i32) {",
            *(f"    {_LEVELS[one]} = {one.value}," for one in LogLevel),
            "};",
        ],
        "failures": [f"    {pascal(one.name)}," for one in failed],
        "statuses": [
            f"        {one.value} => Failure.{pascal(one.name)}," for one in failed
        ],
        "imports": indented(map(_import, shapes)),
        "wrappers": separated(_wrapper(one, taken) for one in shapes),
    }


def _import(shape: Shape) -> str:
    params = raw_params(shape, "[*]const u8", "[*]u8", "{}: {}")
    params = params.replace("level: i32", "level: Level")
    return f'pub extern "env" fn {shape.row.name}({params}) {shape.row.result};'


# As in std.log; `error` is a word of the language.
_LEVELS = {
    LogLevel.DEBUG: "debug",
    LogLevel.INFO: "info",
    LogLevel.WARN: "warn",
    LogLevel.ERROR: "err",
}

_GIVEN = {
    Number.LEVEL: ("Level", "{}"),
    Number.SIGNED: ("i32", "{}"),
    Number.SMALL: ("u16", "{}"),
    Number.COUNT: ("u32", "@bitCast({})"),
}
"""Types of parameters, and how the import is given them."""

_NUMBERS = {
    Number.SMALL: ("Failure!u16", "return @intCast(try number({}))"),
    Number.COUNT: ("Failure!u32", "return number({})"),
    Number.FLAG: ("Failure!bool", "return try number({}) != 0"),
}
_RESULTS = {
    Answer.DONE: ("Failure!void", "return done({})"),
    Answer.SAID: ("void", "_ = {}"),
    Answer.FILLED: ("Failure![]u8", "return filled(buffer, {})"),
    Answer.WIDE: ("Failure!u64", "return wide({})"),
}


def _wrapper(shape: Shape, taken: set[str]) -> Lines:
    params, values = [], []
    for one in shape.parameters:
        name = f"the_{one.name}" if one.name in taken else one.name
        if one.kind is Kind.NUMBER:
            kind, value = _GIVEN[one.number]
            params.append(f"{name}: {kind}")
            values.append(value.format(name))
            continue
        constant = "const " if one.kind is Kind.BYTES else ""
        params.append(f"{name}: []{constant}u8")
        values += [f"{name}.ptr", f"{name}.len"]
    result, given = _RESULTS.get(shape.answer) or _NUMBERS[shape.number]
    call = given.format(f"raw.{shape.row.name}({', '.join(values)})")
    return [
        *commented(shape, "///"),
        f"pub fn {camel(shape.name)}({', '.join(params)}) {result} {{",
        f"    {call};",
        "}",
    ]
