"""What `plugins check` tells about a file, without running any of it."""

from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.plugins.authoring.description import describe
from tests.plugins.support import EXAMPLES, guest, probe_source


def test_a_good_module_is_told_in_plain_words() -> None:
    path = EXAMPLES / "block-list" / "block_list.wasm"
    lines = describe(path).lines()
    assert lines[0].startswith(f"{path} (")
    assert "Name: block-list 1.0.0" in lines
    assert "Priority: 10; on error: block; hosts: *" in lines
    assert "Hooks: plugin_init, on_request" in lines
    place = next(n for n, line in enumerate(lines) if "drop or delay" in line)
    assert lines[place].endswith("(needs a grant)")
    assert lines[place + 1].strip() == "host_respond"
    assert lines[-1] == "It can be loaded."


def test_problems_of_module_and_manifest_are_all_told(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_text('(module (import "env" "nope" (func)) (func (export "on_x")))')
    path.with_suffix(".toml").write_text("wrong = 1")
    lines = describe(path).lines()
    assert sum(line.startswith("Problem: ") for line in lines) == 2
    assert "Note: exports on_x, which is no hook and is never called" in lines
    assert "It imports nothing." in lines
    assert lines[-1] == "It cannot be loaded."


def test_nothing_is_run(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("start_loops"))
    assert describe(path).problems == ()


def test_unasked_permissions_need_no_grant(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(probe_source("host_get_url"))
    assert not any("needs a grant" in line for line in describe(path).lines())


def test_what_is_no_module_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(b"\0asm nonsense")
    with pytest.raises(PluginError, match="not a usable WebAssembly module"):
        describe(path)
