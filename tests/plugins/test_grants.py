"""The file of what was decided about plugins while the proxy ran."""

import logging
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.config.tables import JsonValue
from int3rceptor.errors import PluginError
from int3rceptor.plugins.grants import FILE_NAME, Decisions, GrantsFile, with_grants
from int3rceptor.plugins.grants import _spell as spelled
from int3rceptor.plugins.permissions import parse_grant

if TYPE_CHECKING:
    from int3rceptor.plugins.manifest import Settings

RESPOND, TOPIC = parse_grant("respond"), parse_grant("topics:a")


def loaded(folder: Path) -> GrantsFile:
    one = GrantsFile(folder / FILE_NAME)
    one.load()
    return one


def off(one: Decisions) -> Decisions:
    return replace(one, is_enabled=False)


def test_what_was_decided_is_there_again(tmp_path: Path) -> None:
    first = loaded(tmp_path)
    assert first.of("one") == Decisions()
    both = frozenset({RESPOND, TOPIC})
    first.change("one", lambda one: with_grants(one, both, asked=both))
    first.change("one", lambda one: replace(one, config={"a": [1, "x"], "b": {}}))
    first.change("two", off)
    assert loaded(tmp_path).of("one") == Decisions(
        granted=both, asked=both, config={"a": [1, "x"], "b": {}}
    )
    assert loaded(tmp_path).of("two") == Decisions(is_enabled=False)
    first.forget("one")
    assert loaded(tmp_path).of("one") == Decisions()
    assert not loaded(tmp_path).of("two").is_enabled


def test_it_is_for_this_user_alone_and_a_person_can_read_it(tmp_path: Path) -> None:
    only = frozenset({RESPOND})
    loaded(tmp_path).change("one", lambda one: with_grants(one, only, asked=only))
    path = tmp_path / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]
    text = path.read_text()
    assert text.startswith("# What was decided about plugins")
    assert '["one"]\ngrant = ["respond"]\n' in text
    assert tomllib.loads(text) == {"one": {"grant": ["respond"], "asked": ["respond"]}}


DAMAGED = {
    "no TOML": (b"[one", "Expected"),
    "no text": (b"\xff", "can't decode"),
    "no table": (b"one = 1", "one: not a table"),
    "no such key": (b"[one]\ngrants = []", "one: grants: no such key"),
    "no such permission": (b"[one]\ngrant = ['all']", "one: grant"),
    "no list": (b"[one]\ngrant = 'respond'", "one: grant"),
}


@pytest.mark.parametrize(("content", "why"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_grants_nothing_says_so_once_and_is_not_lost(
    tmp_path: Path, content: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with caplog.at_level(logging.ERROR, "int3rceptor.plugins"):
        one = loaded(tmp_path)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: ")
    assert why in line
    assert "nothing is granted but what the config grants" in line
    assert one.of("one") == Decisions()
    assert not one.has_changed()
    one.change("two", off)
    assert path.with_name(f"{FILE_NAME}.damaged").read_bytes() == content
    assert not loaded(tmp_path).of("two").is_enabled


def test_what_others_can_write_grants_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    path.write_text('[one]\ngrant = ["respond"]\n')
    path.chmod(0o620)
    with caplog.at_level(logging.ERROR, "int3rceptor.plugins"):
        assert loaded(tmp_path).of("one") == Decisions()
    assert "other users can write to it (chmod 600)" in caplog.text


def test_what_someone_else_wrote_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    mine, theirs = loaded(tmp_path), loaded(tmp_path)
    theirs.change("two", off)
    assert mine.has_changed()
    mine.change("one", off)
    assert not loaded(tmp_path).of("two").is_enabled
    assert not mine.has_changed()


def test_a_disk_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = GrantsFile(tmp_path / "file" / FILE_NAME)
    with pytest.raises(PluginError, match=r"cannot be written: .*; nothing was change"):
        one.change("one", off)
    assert one.of("one") == Decisions()


@pytest.mark.parametrize(
    ("value", "why"),
    [(None, "a setting cannot be null"), ("\ud800", "cannot be written")],
    ids=["null", "half a character"],
)
def test_what_toml_cannot_say_is_refused(
    tmp_path: Path, value: JsonValue, why: str
) -> None:
    one = loaded(tmp_path)
    with pytest.raises(PluginError, match=why):
        one.change("one", lambda old: replace(old, config={"key": value}))
    assert one.of("one") == Decisions()
    assert list(tmp_path.iterdir()) == []


def test_settings_go_over_those_of_the_config_key_by_key() -> None:
    one = GrantsFile(None)
    one.change("a", lambda old: replace(old, config={"x": 2, "z": 3}))
    below: dict[str, JsonValue] = {"x": 1, "y": 1}
    settings: dict[str, Settings] = {"a": {"priority": 5, "config": below}, "b": {}}
    assert one.over(settings) == {
        "a": {"priority": 5, "config": {"x": 2, "y": 1, "z": 3}},
        "b": {},
    }
    assert below == {"x": 1, "y": 1}


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
)


@given(_VALUES)
def test_every_value_is_spelled_so_that_it_is_read_again(value: JsonValue) -> None:
    assert tomllib.loads(f"x = {spelled(value)}") == {"x": value}
