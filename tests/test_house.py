"""The house rules that no linter knows: sizes, docstrings, what no file may hold."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "int3rceptor"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

TEXT_SUFFIXES = {
    ".cfg", ".go", ".html", ".ini", ".in", ".java", ".js", ".json", ".md", ".mjs",
    ".py", ".rs", ".sh", ".toml", ".txt", ".wat", ".yaml", ".yml", "",
}  # fmt: skip
FOLDERS = (
    "int3rceptor", "tests", "docs", "benchmarks", "guest-plugins", "requirements",
    ".ci",
)  # fmt: skip
BUILT = {"__pycache__", "target", "results", "node_modules"}

# Somebody's home, on any system: such a path means nothing on the reader's machine.
HOME = re.compile(r"(?<![\w.~-])(?:/home/|/Users/|/root/|[A-Z]:\\Users\\)[\w.-]+")
LOCK_LINE = re.compile(
    r"""
    (?:\#|\ +\#).*                                      # a comment
    | [a-z0-9-]+(?:\[[a-z0-9,-]+\])?==[\w.!+]+(?:\ ;\ .+?)?\ \\   # a pinned release
    | \ {4}--hash=sha256:[0-9a-f]{64}(?:\ \\)?          # and its hashes
    """,
    re.VERBOSE,
)


def package_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def text_files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in FOLDERS:
        for parent, folders, names in os.walk(ROOT / folder):
            folders[:] = [
                name for name in folders if name not in BUILT and name[0] != "."
            ]
            yield from (Path(parent, name) for name in names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=package_files(), ids=relative)
def module(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_says_what_it_owns(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_file_can_be_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_FILE_LINES


def test_no_function_outgrows_a_screen(module: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {
        node.name: lines
        for node in functions
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }

    assert not too_long


# Names of `app` are looked up when they are used: the hub must not load the proxy.
LAZY_ROOMS = ["int3rceptor/app/__init__.py"]


def test_no_log_record_is_given_a_whole_url(module: Path) -> None:
    """A query can hold secrets: `Request.logged_url` is what logs show."""
    calls = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
    ]
    given = {
        ast.unparse(part)
        for call in calls
        for part in ast.walk(call)
        if isinstance(part, ast.Attribute) and part.attr in {"url", "target", "path"}
    }
    assert not given


def test_package_init_of_a_room_holds_no_code() -> None:
    # Importing tls.client_hello must not run ssl because its room's __init__ did.
    rooms = list(PACKAGE.glob("*/**/__init__.py"))
    with_code = [
        relative(path) for path in rooms if len(ast.parse(path.read_text()).body) > 1
    ]

    assert rooms
    assert with_code == LAZY_ROOMS


@pytest.mark.parametrize("room", LAZY_ROOMS)
def test_package_init_with_names_of_its_own_loads_nothing(room: str) -> None:
    tree = ast.parse((ROOT / room).read_text())
    loaded = [node for node in tree.body if isinstance(node, ast.Import)]
    named = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]

    assert loaded == []
    assert named == ["typing"]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = {}
    for path in text_files():
        if path.suffix not in TEXT_SUFFIXES:
            continue
        text = path.read_text(errors="replace")
        if paths := HOME.findall(text):
            found[relative(path)] = paths
        if str(ROOT) in text and path.name != ".coverage":
            found[relative(path)] = [str(ROOT)]

    assert not found


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "toolchains.txt"])
def test_lock_holds_versions_and_hashes_and_no_host(lock: str) -> None:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()

    assert any("==" in line for line in lines)
    assert [line for line in lines if not LOCK_LINE.fullmatch(line)] == []
    assert [line for line in lines if "://" in line] == []


def test_tests_run_what_users_run() -> None:
    def pins(lock: str) -> set[str]:
        text = (ROOT / "requirements" / lock).read_text()
        return {line for line in text.splitlines() if "==" in line}

    assert pins("run.txt") <= pins("dev.txt")
