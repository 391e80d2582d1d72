"""docs/configuration.md and the model say the same of every key."""

import re
import tomllib
from operator import attrgetter
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from int3rceptor.config.model import Config, Key, keys, read_config
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
    "tls.passthrough": "a list of globs",
    "control_port.allowed_hosts": "a list of globs",
    "plugins": "tables",
}
DEFAULT_IN_WORDS = {"data_dir": "of the platform"}


def row(key: Key) -> str:
    """The line that a key has in its table."""
    cells = (f"`{key.path}`", default(key), allowed(key), key.setting.description)
    return "| " + " | ".join(cells) + " |"


def default(key: Key) -> str:
    if key.path in DEFAULT_IN_WORDS:
        return DEFAULT_IN_WORDS[key.path]
    value = attrgetter(key.path)(Config())
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
    if get_origin(key.kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(key.kind))
    if key.kind is bool:
        return "`true`, `false`"
    one = key.setting
    low = f"above {one.above:,}" if one.least is None else f"{one.least:,}"
    # The disk alone bounds some from above.
    return f"{low} or more" if one.most is None else f"{low} to {one.most:,}"


def test_document_has_a_row_for_every_key_and_no_other() -> None:
    documented = [match[0] for match in ROW.finditer(DOCUMENT.read_text())]

    assert documented == [row(key) for key in keys()]


def test_example_file_is_valid() -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

    assert examples
    for example in examples:
        read_config(tomllib.loads(example))


@pytest.mark.parametrize("path", ["tls.key_type", "upstream.first_byte_timeout_s"])
def test_document_shows_how_variables_are_made(path: str) -> None:
    assert f"`{variable_of(path)}`" in DOCUMENT.read_text()
