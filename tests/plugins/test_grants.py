"""The file of what was decided about plugins while the proxy ran."""

import errno
import functools
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
from int3rceptor.plugins.policy import grants
from int3rceptor.plugins.policy.grants import (
    FILE_NAME,
    MAX_ASIDE,
    Decisions,
    GrantsFile,
    with_grants,
)
from int3rceptor.plugins.policy.grants import _spell as spelled
from int3rceptor.plugins.policy.permissions import parse_grants

if TYPE_CHECKING:
    from int3rceptor.plugins.policy.manifest import Settings

(RESPOND,), (TOPIC,) = parse_grants("respond"), parse_grants("topics.hear:a")


def loaded(folder: Path) -> GrantsFile:
    one = GrantsFile(folder / FILE_NAME)
    one.load()
    return one


def off(one: Decisions) -> Decisions:
    return replace(one, is_enabled=False)


def on(one: Decisions) -> Decisions:
    return replace(one, is_enabled=True)


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


def damage(path: Path, content: bytes = b"[one") -> None:
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.mark.parametrize(("content", "why"), DAMAGED.values(), ids=DAMAGED)
def test_of_a_damaged_file_nothing_is_known_so_nothing_runs(
    tmp_path: Path, content: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    damage(path, content)
    with caplog.at_level(logging.ERROR, "int3rceptor.plugins"):
        one = loaded(tmp_path)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: ")
    assert why in line
    assert f"it is set aside as {FILE_NAME}.damaged." in line
    assert "no plugin runs before it is switched on" in line
    assert one.of("one") == Decisions(is_enabled=False)
    assert not one.has_changed()
    assert path.with_name(f"{FILE_NAME}.damaged").read_bytes() == content


def test_after_damage_each_start_runs_only_what_was_switched_on_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path / FILE_NAME)
    loaded(tmp_path)
    caplog.clear()
    second = loaded(tmp_path)
    assert not second.of("one").is_enabled
    second.change("one", on)
    only = frozenset({RESPOND})
    second.change("two", lambda one: with_grants(one, only, asked=only))
    third = loaded(tmp_path)
    assert third.of("one") == Decisions()
    assert third.of("two") == Decisions(granted=only, asked=only, is_enabled=False)
    assert not third.of("three").is_enabled
    third.forget("one")
    assert not loaded(tmp_path).of("one").is_enabled
    assert caplog.messages == []


def test_a_damaged_file_that_is_mended_and_put_back_counts_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    damage(path, b"[one]\nenabled = false\n[two]\ngrant = ['respond']\nwhat = 1\n")
    one = loaded(tmp_path)
    aside = path.with_name(f"{FILE_NAME}.damaged")
    aside.write_bytes(aside.read_bytes().replace(b"what = 1", b""))
    aside.replace(path)
    assert one.has_changed()
    one.load()
    assert not one.of("one").is_enabled
    assert one.of("two") == Decisions(granted=frozenset({RESPOND}))
    assert one.of("three") == Decisions()


def test_damage_while_it_runs_changes_nothing_that_was_decided(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = loaded(tmp_path)
    one.change("one", off)
    path = tmp_path / FILE_NAME
    damage(path)
    one.load()
    (line,) = caplog.messages
    assert line.endswith("until that is mended, what was decided before counts")
    assert not one.of("one").is_enabled
    assert one.of("two") == Decisions()
    assert path.read_bytes() == b"[one"
    one.change("two", off)
    assert path.with_name(f"{FILE_NAME}.damaged").read_bytes() == b"[one"
    one.change("one", off)  # over a file that is whole: nothing more is set aside
    assert len(list(tmp_path.iterdir())) == 2
    again = loaded(tmp_path)
    assert not again.of("one").is_enabled
    assert not again.of("two").is_enabled
    assert again.of("three") == Decisions()


def test_damaged_files_are_kept_beside_each_other_up_to_a_number(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    for number in range(MAX_ASIDE + 1):
        damage(path, b"[%d" % number)
        loaded(tmp_path)
    aside = {
        one.name.removeprefix(f"{FILE_NAME}.damaged"): one.read_bytes()
        for one in tmp_path.iterdir()
        if one != path
    }
    rest = {f"-{number}": b"[%d" % (number - 1) for number in range(2, MAX_ASIDE)}
    assert aside == {"": b"[0", **rest, f"-{MAX_ASIDE}": b"[%d" % MAX_ASIDE}


def test_a_damaged_file_stays_in_place_when_none_can_be_written_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    path = tmp_path / FILE_NAME
    damage(path)
    monkeypatch.setattr(grants, "write_private", full)
    one = loaded(tmp_path)
    assert "; it cannot be set aside: No space left on device. What" in caplog.text
    assert not one.of("one").is_enabled
    with pytest.raises(PluginError, match="No space left on device; nothing was"):
        one.change("one", on)
    assert not one.of("one").is_enabled
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]
    assert path.read_bytes() == b"[one"
    monkeypatch.undo()
    one.change("one", on)
    assert loaded(tmp_path).of("one") == Decisions()
    assert not loaded(tmp_path).of("two").is_enabled


def test_where_links_cannot_be_made_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(target))

    monkeypatch.setattr(Path, "hardlink_to", refused)
    damage(tmp_path / FILE_NAME)
    loaded(tmp_path)
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == b"[one"
    assert not loaded(tmp_path).of("one").is_enabled


def test_what_another_process_has_mended_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME

    def too_late(_data: bytes) -> tuple[dict[str, Decisions], Decisions]:
        damage(path, b"[one]\nenabled = false\n")
        raise ValueError("damaged when it was read")

    damage(path)
    monkeypatch.setattr(grants, "_parse", too_late)
    one = loaded(tmp_path)
    assert "; another process sees to it. What" in caplog.text
    assert not one.of("two").is_enabled
    assert one.has_changed()
    monkeypatch.undo()
    one.load()
    assert not one.of("one").is_enabled
    assert one.of("two").is_enabled
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_a_person_can_have_new_plugins_wait(tmp_path: Path) -> None:
    damage(tmp_path / FILE_NAME, b'["*"]\nenabled = false\n[one]\n')
    assert loaded(tmp_path).of("one").is_enabled
    assert not loaded(tmp_path).of("two").is_enabled


def test_there_is_nothing_to_grant_to_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path / FILE_NAME, b'["*"]\ngrant = ["respond"]\n')
    assert loaded(tmp_path).of("one") == Decisions(is_enabled=False)
    assert "*: takes no key but `enabled`" in caplog.text


def test_what_others_can_write_grants_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    path.write_text('[one]\ngrant = ["respond"]\n')
    path.chmod(0o620)
    with caplog.at_level(logging.ERROR, "int3rceptor.plugins"):
        assert loaded(tmp_path).of("one") == Decisions(is_enabled=False)
    assert "other users can write to it (chmod 600)" in caplog.text


def test_what_someone_else_wrote_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    mine, theirs = loaded(tmp_path), loaded(tmp_path)
    theirs.change("two", off)
    assert mine.has_changed()
    mine.change("one", off)
    assert not loaded(tmp_path).of("two").is_enabled
    assert not mine.has_changed()
    loaded(tmp_path).change("three", off)
    mine.forget("one")
    assert not loaded(tmp_path).of("three").is_enabled


def test_a_disk_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = GrantsFile(tmp_path / "file" / FILE_NAME)
    with pytest.raises(PluginError, match=r"cannot be written: .*; nothing was change"):
        one.change("one", off)
    assert one.of("one") == Decisions()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "a setting cannot be null"),
        ("\ud800", "cannot be written"),
        (functools.reduce(lambda inner, _: [inner], range(100), [1]), "more than 64"),
    ],
    ids=["null", "half a character", "too deep"],
)
def test_what_could_not_be_read_again_is_refused(
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
