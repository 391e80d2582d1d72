"""What the user decided about plugins while the proxy ran, kept in one file.

DATA_DIR/plugin-grants.toml, a table for each plugin by its name: what was granted and
what it asked for then, whether it is switched off, and settings over its [config]. It
is read again before each change: a person, or another process, may have written it.
"""

import json
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from int3rceptor.config.tables import JsonValue, Table, made, setting
from int3rceptor.config.toml_lines import toml
from int3rceptor.errors import PluginError, SettingError
from int3rceptor.files.reading import Watched
from int3rceptor.files.writing import write_private
from int3rceptor.plugins.manifest import Settings, checked_permission
from int3rceptor.plugins.permissions import Grant, parse_grant

log = logging.getLogger("int3rceptor.plugins")

FILE_NAME = "plugin-grants.toml"

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Thousands of plugins, or some with large settings."""

_HEAD = """\
# What was decided about plugins while the proxy ran. Grants can also be written into
# [plugins.NAME] of the config.
"""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(slots=True, frozen=True, kw_only=True)
class _Entry(Table):
    """One table of the file."""

    grant: Sequence[str] = setting((), check=checked_permission)
    asked: Sequence[str] = setting((), check=checked_permission)
    enabled: bool = True
    config: Mapping[str, JsonValue] = made(dict)


@dataclass(slots=True, frozen=True, kw_only=True)
class Decisions:
    """About one plugin. `asked` is what it asked for when it was granted something."""

    granted: frozenset[Grant] = frozenset()
    asked: frozenset[Grant] = frozenset()
    is_enabled: bool = True
    config: Mapping[str, JsonValue] = field(default_factory=dict)


class GrantsFile:
    """The decisions about all plugins; without a path they last as long as it does."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._all: dict[str, Decisions] = {}
        self._watched = Watched()
        self._is_damaged = False

    def load(self) -> None:
        """Read the file. One that cannot be used grants nothing, with a line that says
        why; what it holds is set aside at the next change, not lost."""
        if self._path is None:
            return
        self._watched = Watched()
        self._is_damaged = False
        try:
            self._all = _parse(self._read(self._path))
        except FileNotFoundError:
            self._all = {}
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._all = {}
            self._is_damaged = True
            log.error(
                "%s: %s; until that is mended nothing is granted but what the config "
                "grants, and no plugin is switched off",
                *(self._path, why),
            )

    def has_changed(self) -> bool:
        """Whether someone else wrote the file."""
        return self._watched.has_changed()

    def of(self, name: str) -> Decisions:
        """What was decided about a plugin."""
        return self._all.get(name, Decisions())

    def over(self, settings: Mapping[str, Settings]) -> dict[str, Settings]:
        """The config's tables with what was set at run time over their [config]."""
        merged = dict(settings)
        for name, one in self._all.items():
            if one.config:
                table = dict(merged.get(name, {}))
                below = table.get("config")
                below = below if isinstance(below, dict) else {}
                table["config"] = {**below, **one.config}
                merged[name] = table
        return merged

    def change(self, name: str, edit: Callable[[Decisions], Decisions]) -> Decisions:
        """Decide something about a plugin, and keep it. It blocks on the disk.

        PluginError, and nothing decided, when it cannot be kept.
        """
        if self.has_changed():
            self.load()
        everything = dict(self._all)
        everything[name] = edit(self.of(name))
        self._write(everything)
        return everything[name]

    def forget(self, name: str) -> None:
        """Drop all that was decided about a plugin: it was deleted."""
        if self.has_changed():
            self.load()
        if name in self._all:
            self._write({key: one for key, one in self._all.items() if key != name})

    def _read(self, path: Path) -> bytes:
        data = self._watched.read(path, MAX_FILE_BYTES)
        if os.name == "posix":  # elsewhere these bits say nothing
            found = path.stat()
            if found.st_uid != os.geteuid():
                raise ValueError("it belongs to another user")
            if found.st_mode & _OTHERS_WRITE:
                raise ValueError("other users can write to it (chmod 600)")
        return data

    def _write(self, everything: dict[str, Decisions]) -> None:
        if self._path is not None:
            try:
                data = _spell_all(everything).encode()
                if self._is_damaged:
                    self._path.replace(self._path.with_name(f"{FILE_NAME}.damaged"))
                    self._is_damaged = False
                write_private(self._path, data)
                self._watched = Watched()
                self._watched.read(self._path, MAX_FILE_BYTES)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                raise PluginError(
                    f"{self._path}: cannot be written: {why}; nothing was changed"
                ) from None
        self._all = everything


def with_grants(
    one: Decisions, more: frozenset[Grant], asked: frozenset[Grant]
) -> Decisions:
    """Granted these too, while it asked for `asked`."""
    return replace(one, granted=one.granted | more, asked=asked)


def _parse(data: bytes) -> dict[str, Decisions]:
    """ValueError says what is wrong."""
    tables = toml(data.decode("utf-8"))
    return {name: _decisions(name, table) for name, table in tables.items()}


def _decisions(name: str, table: object) -> Decisions:
    if not isinstance(table, dict):
        raise ValueError(f"{name}: not a table")  # what parsers raise
    try:
        entry = _Entry.of(table)
        return Decisions(
            granted=frozenset(map(parse_grant, entry.grant)),
            asked=frozenset(map(parse_grant, entry.asked)),
            is_enabled=entry.enabled,
            config=entry.config,
        )
    except SettingError as error:
        raise ValueError(f"{name}: {error}") from None


def _spell_all(everything: Mapping[str, Decisions]) -> str:
    parts = [_HEAD]
    for name, one in sorted(everything.items()):
        if one == Decisions():
            continue
        parts.append(f"\n[{_spell(name)}]\n")
        if one.granted:
            parts.append(f"grant = {_spell([*map(str, sorted(one.granted))])}\n")
        if one.asked:
            parts.append(f"asked = {_spell([*map(str, sorted(one.asked))])}\n")
        if not one.is_enabled:
            parts.append("enabled = false\n")
        if one.config:
            parts.append(f"config = {_spell(dict(one.config))}\n")
    return "".join(parts)


def _spell(value: JsonValue) -> str:
    """A value as TOML; PluginError for null, which TOML does not have."""
    if isinstance(value, dict):
        inner = ", ".join(
            f"{_spell(key)} = {_spell(one)}" for key, one in value.items()
        )
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_spell, value))}]"
    if value is None:
        raise PluginError("a setting cannot be null: leave it out")
    # JSON's spelling is TOML's, but for one control character, and inf and nan.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}.get(text, text)
