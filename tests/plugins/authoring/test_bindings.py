"""The bindings against the table: fresh copies, every row compiled in each language."""

import re
from pathlib import Path

import pytest
from wasmtime import FuncType

from int3rceptor.plugins.abi.codes import HookCode, LogLevel, Status
from int3rceptor.plugins.abi.rows import ALL_HOOKS, READ, HostFunction, row
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.authoring.bindings import BINDINGS, COPIES, binding
from int3rceptor.plugins.authoring.languages.text import camel, pascal
from int3rceptor.plugins.authoring.shapes import Answer, Kind, Shape, shape_of
from int3rceptor.plugins.engine.engine import compile_module
from tests.plugins.support import EXAMPLES
from tests.support.toolchains import compile_guest

LANGUAGES = pytest.mark.parametrize("language", BINDINGS)

ODD_ROWS = (
    row("host_odd_wide", "key_ptr key_len n", READ, ALL_HOOKS, "a", "b", result="i64"),
    row("host_odd_two", "a_ptr a_len b_ptr b_max", READ, ALL_HOOKS, "c", "the length"),
    row("host_odd_named", "drop_ptr drop_len log", READ, ALL_HOOKS, "takes names"),
)
"""Rows that the table does not have yet; the last has parameters named as functions."""

ROWS = (*FUNCTIONS.values(), *ODD_ROWS)


@LANGUAGES
def test_the_sdks_hold_what_the_table_gives(language: str) -> None:
    copy = EXAMPLES / COPIES[language]
    assert copy.read_text("utf-8") == binding(language), "run `make guests`"


@LANGUAGES
def test_every_code_is_in_the_binding(language: str) -> None:
    text = binding(language)
    for codes in (Status, HookCode, LogLevel):
        for one in codes:
            names = {one.name, pascal(one.name), one.name.lower(), "err"}
            assert any(name in text for name in names), (language, one)
    assert not re.search(r"^@\w+@$", text, re.MULTILINE)


NATURAL = {
    "rust": (
        "pub fn set_status(status: u16) -> Result<(), Failure> {",
        "pub fn get_port() -> Result<u16, Failure> {",
        "pub fn delay(ms: u32) -> Result<(), Failure> {",
        "pub fn is_last_chunk() -> Result<bool, Failure> {",
    ),
    "zig": (
        "pub fn setStatus(status: u16) Failure!void {",
        "pub fn getPort() Failure!u16 {",
        "pub fn delay(ms: u32) Failure!void {",
        "pub fn isLastChunk() Failure!bool {",
    ),
    "assemblyscript": (
        "export function setStatus(status: u16): Status {",
        "export function delay(ms: u32): Status {",
        "export function isLastChunk(): bool {",
    ),
    "go": (
        "func SetStatus(status int) error {",
        "func IsLastChunk() (bool, error) {",
    ),
    "c": (
        "i3_status host_set_status(uint16_t status);",
        "i3_status host_delay(uint32_t ms);",
        "i3_status host_log(i3_level level, const void *ptr, uint32_t len);",
    ),
}


@LANGUAGES
def test_numbers_have_the_languages_own_types(language: str) -> None:
    text = binding(language)
    assert not [one for one in NATURAL[language] if one not in text]


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_a_shape_stands_for_every_parameter_once(one: HostFunction) -> None:
    shape = shape_of(one)
    words = [word for parameter in shape.parameters for word in parameter.words]
    assert tuple(words) == one.params
    names = [parameter.name for parameter in shape.parameters]
    assert len(set(names)) == len(names)
    assert all("{" not in line for line in shape.about)


@pytest.mark.parametrize("one", FUNCTIONS.values(), ids=lambda one: one.name)
def test_what_answers_a_length_has_a_room_to_fill(one: HostFunction) -> None:
    shape = shape_of(one)
    is_read = one.returns.startswith(("the length", "a list"))
    assert is_read == (shape.answer is Answer.FILLED)


def arguments(shape: Shape, *, level: str, number: str, text: str, room: str) -> str:
    """An argument for each parameter; no room where the wrapper has none."""
    given = []
    for one in shape.parameters:
        if one.kind is Kind.NUMBER:
            given.append(level if one.name == "level" else number)
        elif one.kind is Kind.BYTES:
            given.append(text)
        elif room:
            given.append(room)
    return ", ".join(given)


def c_source(shapes: list[Shape]) -> tuple[str, str]:
    calls = []
    for shape in shapes:
        given = arguments(shape, level="1", number="1", text='I3("x")', room="I3_ROOM")
        given = given.replace("I3_ROOM", "room, sizeof room")
        calls.append(f"sum += {shape.row.name}({given});")
    body = "\n".join(calls)
    return "all.c", (
        '#include "int3rceptor.h"\nI3_HOOK(on_request) {\n'
        f"uint8_t room[8]; int64_t sum = 0;\n{body}\nreturn (int32_t)sum;\n}}\n"
    )


def rust_source(shapes: list[Shape]) -> tuple[str, str]:
    calls = []
    for shape in shapes:
        given = arguments(
            shape, level="Level::Info", number="1", text='"x"', room="&mut room"
        )
        calls.append(f"let _ = {shape.name}({given});")
    body = "\n".join(calls)
    return "all.rs", (
        "#![no_std]\n#[allow(dead_code)]\nmod int3rceptor;\nuse int3rceptor::*;\n"
        '#[no_mangle]\npub extern "C" fn on_request() -> i32 {\n'
        f"let mut room = [0u8; 8];\n{body}\nCONTINUE\n}}\n"
    )


def zig_source(shapes: list[Shape]) -> tuple[str, str]:
    calls = []
    for shape in shapes:
        given = arguments(shape, level=".info", number="1", text='"x"', room="&room")
        is_said = shape.answer is Answer.SAID
        discard, caught = ("", "") if is_said else ("_ = ", " catch return host.ERROR")
        calls.append(f"{discard}host.{camel(shape.name)}({given}){caught};")
    body = "\n".join(calls)
    return "all.zig", (
        'const std = @import("std");\nconst host = @import("int3rceptor.zig");\n'
        "pub const panic = std.debug.no_panic;\nexport fn on_request() i32 {\n"
        f"var room: [8]u8 = undefined;\n{body}\nreturn host.CONTINUE;\n}}\n"
    )


def assemblyscript_source(shapes: list[Shape]) -> tuple[str, str]:
    calls = []
    for shape in shapes:
        room = "" if shape.answer is Answer.FILLED else "room"
        given = arguments(
            shape, level="host.Level.INFO", number="1", text='"x"', room=room
        )
        calls.append(f"host.{camel(shape.name)}({given});")
    body = "\n".join(calls)
    return "all.ts", (
        'import * as host from "./int3rceptor";\nexport function on_request(): i32 {\n'
        f"const room = new ArrayBuffer(8);\n{body}\nreturn room.byteLength;\n}}\n"
    )


def go_source(shapes: list[Shape]) -> tuple[str, str]:
    calls = []
    for shape in shapes:
        room = "" if shape.answer is Answer.FILLED else "room"
        given = arguments(
            shape, level="host.LevelInfo", number="1", text='"x"', room=room
        )
        calls.append(f"host.{pascal(shape.name)}({given})")
    body = "\n".join(calls)
    return "main.go", (
        'package main\nimport host "every/int3rceptor"\n//go:wasmexport on_request\n'
        f"func onRequest() int32 {{\nroom := make([]byte, 8)\n{body}\n"
        "return int32(len(room))\n}\nfunc main() {}\n"
    )


SOURCES = {
    "c": c_source,
    "rust": rust_source,
    "zig": zig_source,
    "assemblyscript": assemblyscript_source,
    "go": go_source,
}


@pytest.mark.guests
@pytest.mark.slow
@pytest.mark.timeout(300)
@LANGUAGES
def test_every_row_compiles_to_its_own_import(language: str, tmp_path: Path) -> None:
    name, source = SOURCES[language]([shape_of(one) for one in ROWS])
    file, _ = BINDINGS[language]
    (tmp_path / name).write_text(source)
    copy = tmp_path / ("int3rceptor" if language == "go" else "") / file
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(binding(language, ROWS))
    if language == "go":
        (tmp_path / "go.mod").write_text("module every\n\ngo 1.24\n")

    module = compile_guest(language, tmp_path / name, tmp_path / "all.wasm")

    compiled = compile_module(module.read_bytes(), "all.wasm")
    found = {
        one.name: ([str(kind) for kind in one.type.params], str(one.type.results[0]))
        for one in compiled.imports
        if one.module == "env" and isinstance(one.type, FuncType)
    }
    assert found == {one.name: (["i32"] * len(one.params), one.result) for one in ROWS}
