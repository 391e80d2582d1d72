"""docs/configuration.md and the model say the same of every key."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import annotated_types
import pytest

from int3rceptor.config.model import Config, Key, keys
from int3rceptor.config.sources import variable_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([a-z_.0-9]+)` \|.*\|$", re.MULTILINE)

# What the types do not say, in words.
IN_WORDS = {
    "listen": "HOST:PORT",
    "control": "HOST:PORT, `off`",
    "data_dir": "a directory",
    "plugin": "a list of files",
    "rules": "a list of files",
    "upstream_ca": "a list of files",
    "workers": "1",
    "tls.passthrough": "a list of globs",
    "control_port.allowed_hosts": "a list of globs",
    "plugins": "tables",
}
DEFAULT_IN_WORDS = {"data_dir": "of the platform"}


def row(key: Key) -> str:
    """The line that a key has in its table."""
    cells = (f"`{key.path}`", default(key), allowed(key), key.field.description)
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def default(key: Key) -> str:
    if key.path in DEFAULT_IN_WORDS:
        return DEFAULT_IN_WORDS[key.path]
    value = key.field.get_default(call_default_factory=True)
    match value:
        case () | {}:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f"`{value}`"
        case _:
            return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def allowed(key: Key) -> str:
    if key.path in IN_WORDS:
        return IN_WORDS[key.path]
    kind = key.field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    low, high = bounds(key)
    return f"{low} to {high}" if high else f"{low} or more"


def bounds(key: Key) -> tuple[str, str]:
    """The least and the most; the second is "" where the disk alone bounds it."""
    low, high = "", ""
    for one in metadata(key):
        if isinstance(one, annotated_types.Gt):
            low = f"above {one.gt:,}"
        if isinstance(one, annotated_types.Ge):
            low = f"{one.ge:,}"
        if isinstance(one, annotated_types.Le):
            high = f"{one.le:,}"
    assert low, key.path
    return low, high


def metadata(key: Key) -> Iterator[object]:
    for one in key.field.metadata:
        yield from getattr(one, "metadata", (one,))


def test_document_has_a_row_for_every_key_and_no_other() -> None:
    documented = [match[0] for match in ROW.finditer(DOCUMENT.read_text())]

    assert documented == [row(key) for key in keys()]


def test_example_file_is_valid() -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

    assert examples
    for example in examples:
        Config.model_validate(tomllib.loads(example))


@pytest.mark.parametrize("path", ["tls.key_type", "upstream.first_byte_timeout_s"])
def test_document_shows_how_variables_are_made(path: str) -> None:
    assert f"`{variable_of(path)}`" in DOCUMENT.read_text()
