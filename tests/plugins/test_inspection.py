"""Imports and exports that cannot be loaded, and what is said about them."""

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.engine.engine import compile_module
from int3rceptor.plugins.engine.inspection import (
    ModuleInfo,
    inspect_module,
    require_loadable,
)
from int3rceptor.plugins.policy.permissions import Permission
from tests.plugins.support import EXAMPLES

HOOK = '(func (export "on_request") (result i32) (i32.const 0))'
LOG = '(import "env" "host_log" (func (param i32 i32 i32)))'
LOG_TYPE = "(i32, i32, i32) -> i32 or no result"
DROP = '(import "env" "host_drop" (func))'
MEMORY = '(memory (export "memory") 1)'


def inspect(body: str) -> ModuleInfo:
    return inspect_module(compile_module(f"(module {body})".encode(), "x"))


PROBLEMS = [
    (
        f'(import "env" "host_fly" (func)) {HOOK}',
        "imports env.host_fly, which this host does not have",
    ),
    (
        f'(import "wasi_snapshot_preview1" "path_glob" (func)) {HOOK}',
        "imports wasi_snapshot_preview1.path_glob, which this host does not have",
    ),
    (
        f'(import "env" "host_log" (func (param i32 i32))) {MEMORY} {HOOK}',
        f"imports env.host_log as (i32, i32) -> nothing; expected {LOG_TYPE}",
    ),
    (
        f'(import "env" "host_get_port" (func (result i64))) {HOOK}',
        "imports env.host_get_port as () -> i64; expected () -> i32 or no result",
    ),
    (
        f'(import "env" "host_now_ms" (func (result i32))) {HOOK}',
        "imports env.host_now_ms as () -> i32; expected () -> i64 or no result",
    ),
    (
        f'(import "env" "host_log" (global i32)) {MEMORY} {HOOK}',
        "imports env.host_log as something that is no function",
    ),
    (
        f'(import "env" "memory" (memory 1)) {HOOK}',
        "imports env.memory, which this host does not have",
    ),
    (
        f'{DROP} (import "env" "host_drop" (func (result i32))) {HOOK}',
        "imports env.host_drop twice, with and without result",
    ),
    (
        f'(import "env" "host_log" (func (param i32 i32 i32))) {HOOK}',
        "imports host_log, which takes addresses, but exports no memory",
    ),
    (
        f'{LOG} (global (export "memory") i32 (i32.const 0)) {HOOK}',
        "imports host_log, which takes addresses, but exports no memory",
    ),
    (
        '(func (export "on_request") (param i32) (result i32) (i32.const 0))',
        "exports on_request as (i32) -> i32; expected () -> i32",
    ),
    (
        '(func (export "on_request"))',
        "exports on_request as () -> nothing; expected () -> i32",
    ),
    (
        f'(func (export "plugin_init") (result i64) (i64.const 0)) {HOOK}',
        "exports plugin_init as () -> i64; expected () -> i32",
    ),
    (
        '(global (export "on_request") i32 (i32.const 0))',
        "exports on_request as something that is no function",
    ),
    (
        (
            '(import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i32 i32 i32) '
            f"(result i32))) {HOOK}"
        ),
        (
            "imports wasi_snapshot_preview1.fd_seek as (i32, i32, i32, i32) -> i32; "
            "expected (i32, i64, i32, i32) -> i32"
        ),
    ),
    (
        f'(import "wasi_unstable" "fd_close" (func (param i32) (result i32))) {HOOK}',
        "imports wasi_unstable.fd_close, which this host does not have",
    ),
    (
        f'(func (export "_initialize") (result i32) (i32.const 0)) {HOOK}',
        "exports _initialize as () -> i32; expected () -> nothing",
    ),
    (
        '(func (export "_start"))',
        "is a program that runs once and ends (it exports _start)",
    ),
    ("", "exports no hook; it needs at least one of on_connect, on_request,"),
]


@pytest.mark.parametrize(("body", "problem"), PROBLEMS)
def test_a_problem_is_named_with_what_was_found_and_expected(
    body: str, problem: str
) -> None:
    info = inspect(body)
    assert any(one.startswith(problem) for one in info.problems), info.problems
    with pytest.raises(PluginError, match=r"^file\.wasm: "):
        require_loadable(info, "file.wasm")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("has_result", [True, False])
def test_every_function_links_with_and_without_its_result(
    name: str, has_result: bool
) -> None:
    row = FUNCTIONS[name]
    params = " ".join(["i32"] * len(row.params))
    result = f"(result {row.result})" if has_result else ""
    hears = '(func (export "on_message") (result i32) (i32.const 0))'
    info = inspect(
        f'(import "env" "{name}" (func (param {params}) {result}))'
        f" {MEMORY} {HOOK} {hears}"
    )
    assert info.problems == []
    assert info.imports == {name: row.result if has_result else ""}
    assert info.permissions == row.permissions([HookPoint.REQUEST, Extra.MESSAGE])


def test_who_subscribes_must_listen() -> None:
    info = inspect(
        '(import "env" "host_subscribe" (func (param i32 i32) (result i32)))'
        f" {MEMORY} {HOOK}"
    )
    (problem,) = info.problems
    assert problem.startswith("imports host_subscribe, but exports no on_message")


def test_a_misspelt_hook_is_noted() -> None:
    info = inspect(f'{HOOK} (func (export "on_requests") (result i32) (i32.const 0))')
    assert info.problems == []
    assert info.notes == ["exports on_requests, which is no hook and is never called"]


def test_body_functions_ask_for_whole_bodies() -> None:
    assert not inspect(HOOK).needs_body
    body = '(import "env" "host_get_body" (func (param i32 i32) (result i32)))'
    assert inspect(f"{body} {MEMORY} {HOOK}").needs_body


@pytest.mark.parametrize(
    ("function", "params"),
    [("host_get_chunk", 2), ("host_set_chunk", 2), ("host_decode_body", 0)],
)
def test_functions_about_bodies_on_their_way_do_not(function: str, params: int) -> None:
    chunks = HOOK.replace("on_request", "on_request_chunk")
    given = f"(param {' '.join(['i32'] * params)})" if params else ""
    imported = f'(import "env" "{function}" (func {given} (result i32)))'
    info = inspect(f"{imported} {MEMORY} {HOOK} {chunks}")
    assert info.problems == []
    assert info.entries == [HookPoint.REQUEST, Extra.REQUEST_CHUNK]
    assert info.permissions <= {Permission.BODY_READ, Permission.BODY_MODIFY}
    assert info.permissions
    assert not info.needs_body


def test_a_chunk_hook_alone_is_enough() -> None:
    info = inspect(HOOK.replace("on_request", "on_response_chunk"))
    assert info.problems == []
    assert info.hooks == []


def test_the_example_is_read_whole() -> None:
    path = EXAMPLES / "example-logger" / "example_logger.wasm"
    info = inspect_module(compile_module(path.read_bytes(), "x"))
    assert info.has_init
    assert set(info.hooks) == set(HookPoint)
    assert info.permissions == {Permission.BASE}
