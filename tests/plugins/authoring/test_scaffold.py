"""`plugins new`: what it makes builds and passes its own test; what it refuses."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.plugins.authoring import scaffold
from int3rceptor.plugins.authoring.bindings import binding
from int3rceptor.plugins.authoring.scaffold import LANGUAGES, make_plugin
from tests.plugins.support import ROOT
from tests.support.toolchains import (
    GO_OFFLINE,
    compiler,
    path_with_toolchains,
    rustc,
)
from tests.support.tools import require

NEEDED = {"c": "zig", "zig": "zig", "assemblyscript": "asc", "go": "go"}


def environment(language: str) -> dict[str, str]:
    """What `make` gets; without the language's compiler the test is skipped."""
    set_here = {"INT3RCEPTOR": f"{sys.executable} -m int3rceptor"}
    path = path_with_toolchains()
    if language in NEEDED:
        compiler(NEEDED[language])
    if language == "rust":
        path = os.pathsep.join([str(rustc().parent), path])
    if language == "assemblyscript":
        require("node")
        set_here["ASC"] = str(compiler("asc"))
    if language == "go":
        set_here |= GO_OFFLINE
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **set_here}


@pytest.mark.guests
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_builds_and_passes_its_test(
    language: str, tmp_path: Path
) -> None:
    make = require("make")
    made = make_plugin("my-plugin", language, tmp_path)
    folder = tmp_path / "my-plugin"
    assert [path for path in made if not (folder / path).is_file()] == []

    ran = subprocess.run(
        [make, "test"],
        cwd=folder,
        env=environment(language),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "response: + x-my-plugin: seen" in ran.stdout
    assert "2 flows, 2 calls, 2 expectations, 0 failures" in ran.stdout
    assert "warning" not in ran.stderr, ran.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_place_of_the_templates_is_filled(language: str, tmp_path: Path) -> None:
    for path in make_plugin("p1", language, tmp_path):
        text = (tmp_path / "p1" / path).read_text("utf-8")
        assert not any(f"@{word}@" in text for word in ("NAME", "MODULE", "SDK"))
        assert not any(f"@{word}@" in text for word in ("BUILD", "NEEDS", "CLEAN"))


def test_the_bindings_are_those_of_this_version(tmp_path: Path) -> None:
    make_plugin("p", "zig", tmp_path)
    assert (tmp_path / "p" / "int3rceptor.zig").read_text() == binding("zig")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../out", "a/b", "/etc/x", "-x", "_x", "a b", "é", "a" * 65, "a\n"],
)
def test_a_name_that_will_not_do_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="is no name for a plugin"):
        make_plugin(name, "c", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no language 'perl'; there are rust, c, "):
        make_plugin("p", "perl", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["folder", "file", "link", "dangling"])
def test_what_exists_is_never_written_to(there: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = tmp_path / "p"
    match there:
        case "folder":
            target.mkdir()
        case "file":
            target.write_text("mine")
        case "link":
            target.symlink_to(elsewhere)
        case _:
            target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PluginError, match="exists already; nothing was written"):
        make_plugin("p", "c", tmp_path)
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_parent_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be made: No such file"):
        make_plugin("p", "c", tmp_path / "missing")


def test_half_a_folder_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(name: str, language: str) -> dict[PurePosixPath, str]:
        return {PurePosixPath("a"): "", PurePosixPath("b" * 300): ""}

    monkeypatch.setattr(scaffold, "_files", too_long)
    with pytest.raises(PluginError, match="cannot be written: File name too long"):
        make_plugin("p", "c", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_wheel_holds_templates_and_preludes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if "/authoring/" in name}
    folder = ROOT / "int3rceptor" / "plugins" / "authoring"
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted == shipped
