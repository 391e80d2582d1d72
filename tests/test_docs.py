"""The documents against each other and the code: links, commands, settings, limits."""

import ast
import importlib
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from int3rceptor.cli.commands import app
from int3rceptor.config.model import TABLES, keys
from int3rceptor.store.database.schema import STORE_NAME

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "int3rceptor"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        ROOT / "benchmarks" / "README.md",
        *(ROOT / "guest-plugins").glob("*.md"),
        *(ROOT / "guest-plugins").glob("*/*.md"),
    ]
)

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]\[]+\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
COMMAND = re.compile(r"(?:python3? -m |\$ )*int3rceptor((?: .*)?)")

UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024**2}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=PAGES, ids=relative)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """What a heading is called in a link, by the rules of the usual renderers."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(prose(path))
    }


def links(path: Path) -> list[tuple[Path, str]]:
    """The targets inside the repository, each with its anchor or ""."""
    found = []
    for target in LINK.findall(INLINE.sub("", prose(path))):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            found.append((file, anchor))
    return found


def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{relative(page)}: no such file: {target}"
        if anchor:
            assert anchor in anchors(target), f"{relative(page)}: no #{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    linked = {target for target, _ in links(index)}
    pages = {path.resolve() for path in DOCS.rglob("*.md")} - {index}

    assert {relative(path) for path in pages - linked} == set()


def test_each_library_has_its_line_and_the_readme_counts_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^\w-]", one)[0] for one in project["dependencies"]}
    table = (DOCS / "dependencies.md").read_text()

    assert set(re.findall(r"^\| (\w[\w-]*) .*\|$", table, re.MULTILINE)) == {
        "library",
        *needed,
    }
    assert f" {len(needed)} libraries" in (ROOT / "README.md").read_text()


def command_lines(path: Path) -> list[str]:
    """The arguments of each command line of ours: in code blocks, in code spans, and
    those that the Makefile passes on."""
    text = path.read_text()
    lines = [
        line.strip() for block in FENCE.findall(text) for line in block.split("\n")
    ]
    # Markdown's other code blocks are indented by four.
    lines += [line[4:] for line in text.split("\n") if line.startswith("    ")]
    lines += INLINE.findall(FENCE.sub("", text))
    found = [match[1] for line in lines if (match := COMMAND.fullmatch(line))]
    return found + re.findall(r'\bARGS="([^"]*)"', text)


def unknown_flags(arguments: str) -> list[str]:
    """The words of a command line that are neither a command nor one of its flags."""
    command: object = get_command(app)
    unknown = []
    words = shlex.split(arguments.partition("  ")[0], comments=True)
    flags = flags_of(command)
    for word in words:
        below = getattr(command, "commands", {})
        if word in below:
            command = below[word]
            flags = flags_of(command)
        elif word.startswith("-") and word.partition("=")[0] not in flags:
            unknown.append(word)
    return unknown


def flags_of(command: object) -> set[str]:
    params = getattr(command, "params", [])
    return {"--help", "-h"} | {flag for one in params for flag in one.opts}


def test_command_lines_have_only_flags_that_exist(page: Path) -> None:
    wrong = {line: unknown_flags(line) for line in command_lines(page)}

    assert {line: flags for line, flags in wrong.items() if flags} == {}


def test_the_readers_of_commands_find_and_refuse_some() -> None:
    assert len(command_lines(DOCS / "cli.md")) > 5
    assert unknown_flags("ca export --format der --out x") == []
    assert unknown_flags("ca export --listen 1") == ["--listen"]
    assert unknown_flags("--lisen x") == ["--lisen"]


def benchmark_flags() -> set[str]:
    """The flags of benchmarks/run.py, which is no command of ours."""
    tree = ast.parse((ROOT / "benchmarks" / "run.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        str(first.value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"
        for first in call.args
        if isinstance(first, ast.Constant)
    }


def benchmark_lines(path: Path) -> list[str]:
    """What the Makefile passes on to benchmarks/run.py, and what it is called with."""
    text = path.read_text()
    passed_on = re.findall(r'\bBENCH_ARGS="([^"]*)"', text)
    return passed_on + re.findall(r"-m benchmarks\.run((?: [^`\n]*)?)", text)


def unknown_benchmark_flags(arguments: str) -> list[str]:
    """As unknown_flags."""
    words = [word.partition("=")[0] for word in shlex.split(arguments, comments=True)]
    known = benchmark_flags()
    return [word for word in words if word.startswith("-") and word not in known]


def test_benchmark_lines_have_only_flags_that_exist(page: Path) -> None:
    wrong = {line: unknown_benchmark_flags(line) for line in benchmark_lines(page)}

    assert {line: flags for line, flags in wrong.items() if flags} == {}


def test_the_readers_of_benchmark_lines_find_and_refuse_some() -> None:
    assert len(benchmark_lines(ROOT / "benchmarks" / "README.md")) > 1
    assert unknown_benchmark_flags("--scenario h1 --size=quick") == []
    assert unknown_benchmark_flags("--scenarios h1") == ["--scenarios"]


def test_settings_in_the_text_exist(page: Path) -> None:
    known = {key.path for key in keys()}
    named = set(re.findall(rf"`((?:{'|'.join(TABLES)})\.[a-z_0-9]+)`", prose(page)))

    assert named - {STORE_NAME} <= known


# --- docs/http.md: the table of limits ------------------------------------------------


def limit_rows() -> list[tuple[str, str]]:
    table = (DOCS / "http.md").read_text().partition("## Limits")[2]
    return re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", table, re.MULTILINE)


@pytest.mark.parametrize(("name", "value"), limit_rows())
def test_a_limit_has_the_value_that_is_documented(name: str, value: str) -> None:
    number, _, unit = value.replace(",", "").partition(" ")

    assert limit(name) == float(number) * UNITS[unit]


def limit(name: str) -> object:
    """A module's constant, or the default of a field of one of its classes."""
    module, _, attribute = name.rpartition(".")
    if (owner := module.rpartition(".")[2])[0].isupper():
        home = importlib.import_module(f"int3rceptor.{module.rpartition('.')[0]}")
        return getattr(getattr(home, owner)(), attribute)
    return getattr(importlib.import_module(f"int3rceptor.{module}"), attribute)


# --- docs/troubleshooting.md: the messages --------------------------------------------

# Written by a library or the operating system, around or inside a message of ours.
NOT_OURS = (
    "SSL certificate problem: unable to get local issuer certificate",
    "CERTIFICATE_VERIFY_FAILED",
    "No such option: --lisen (Possible options: …)",
)


FILLED_IN = re.compile(r"%[sdgr]|\{\w+\}")
"""Where logging and templates fill in values."""

# What is filled in for the reader's sake, where `…` would hide what to look for.
EXAMPLES = re.compile(
    r"Address already in use|(?<=SOCKS)5|tlsv1 alert unknown ca|ENHANCE_YOUR_CALM"
)


@cache
def literals() -> str:
    """Every text in the code, with a NUL where a value is filled in."""
    texts = (
        literal(node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )
    return FILLED_IN.sub("\0", "\n".join(texts))


def literal(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "\0".join(
        str(part.value) if isinstance(part, ast.Constant) else ""
        for part in node.values
    )


def messages() -> list[str]:
    """The code spans in the first column; … stands for anything."""
    text = (DOCS / "troubleshooting.md").read_text()
    cells = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [span for cell in cells for span in INLINE.findall(cell)]


@pytest.mark.parametrize("message", messages())
def test_a_message_is_in_the_code(message: str) -> None:
    if message in NOT_OURS:
        return
    for part in EXAMPLES.sub("…", message).split("…"):
        words = part.strip(" ,:;()")
        assert words in literals(), f"{words!r} is in no text of the code"
