"""What the user decided about plugins while the proxy ran, kept in one file.

DATA_DIR/plugin-grants.toml, a table for each plugin by its name: what was granted and
what it asked for then, whether it is switched off, and settings over its [config]. The
table ["*"] says whether plugins without a table run. The file is read again before each
change: a person, or another process, may have written it.
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
from int3rceptor.plugins.policy.manifest import Settings, checked_permission
from int3rceptor.plugins.policy.permissions import Grant, parse_all

log = logging.getLogger("int3rceptor.plugins")

FILE_NAME = "plugin-grants.toml"

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Thousands of plugins, or some with large settings."""

MAX_ASIDE = 9
"""Damaged files that are kept beside it; the next one takes the last one's place."""

OTHERS = "*"
"""The table that speaks for plugins without one; no plugin can be named so."""

_HEAD = """\
# What was decided about plugins while the proxy ran. Grants can also be written into
# [plugins.NAME] of the config.
"""
_OTHERS_OFF = f"""
# Nothing runs that is not switched on below. Remove this table to have new plugins run.
["{OTHERS}"]
enabled = false
"""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_REST = range(2, MAX_ASIDE + 1)


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


_OFF = Decisions(is_enabled=False)


class GrantsFile:
    """The decisions about all plugins; without a path they last as long as it does."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._all: dict[str, Decisions] = {}
        self._others = Decisions()
        self._watched = Watched()
        self._was_read = False
        self._is_damaged = False

    def load(self) -> None:
        """Read the file. One that cannot be used changes nothing that was decided
        before, with a line that says why. Where nothing is known, no plugin runs: one
        that was switched off must not come back because a file was damaged."""
        if self._path is None:
            return
        self._watched = Watched()
        self._is_damaged = False
        try:
            self._all, self._others = _parse(self._read(self._path))
        except FileNotFoundError:
            self._all, self._others = {}, Decisions()
        except (OSError, ValueError) as error:
            self._is_damaged = True
            self._tell(self._path, _why(error))
        self._was_read = True

    def _tell(self, path: Path, why: str) -> None:
        """The file is damaged: say so, and what counts now."""
        if self._was_read:
            log.error(
                "%s: %s; until that is mended, what was decided before counts",
                *(path, why),
            )
            return
        self._others = _OFF
        try:
            aside = self._begin_anew(path)
        except (OSError, ValueError) as error:
            aside = f"it cannot be set aside: {_why(error)}"
        log.error(
            "%s: %s; %s. What was switched off and granted is not known: no plugin "
            "runs before it is switched on (int3rceptor plugins enable NAME), or the "
            "file is mended and put back",
            *(path, why, aside),
        )

    def _begin_anew(self, path: Path) -> str:
        """A file in the damaged one's place, so that the next start knows, too."""
        if self._watched.has_changed():
            return "another process sees to it"
        aside = self._replace_damaged(path, _spell_all({}, self._others).encode())
        return f"it is set aside as {aside.name}"

    def has_changed(self) -> bool:
        """Whether someone else wrote the file."""
        return self._watched.has_changed()

    def of(self, name: str) -> Decisions:
        """What was decided about a plugin."""
        return self._all.get(name, self._others)

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
                data = _spell_all(everything, self._others).encode()
                _parse(data)  # what cannot be read again is not written
                if self._is_damaged:
                    self._replace_damaged(self._path, data)
                else:
                    self._keep(self._path, data)
            except (OSError, ValueError) as error:
                raise PluginError(
                    f"{self._path}: cannot be written: {_why(error)}; nothing was "
                    "changed"
                ) from None
        self._all = everything

    def _replace_damaged(self, path: Path, data: bytes) -> Path:
        """What the damaged file holds is not lost; its new name."""
        names = [
            f"{path.name}.damaged",
            *map(f"{path.name}.damaged-{{}}".format, _REST),
        ]
        places = [*map(path.with_name, names)]
        aside = next((one for one in places if not one.exists()), places[-1])
        try:
            aside.hardlink_to(path)  # a power cut must not leave none in its place
        except OSError:  # not every disk has such links
            path.replace(aside)
        try:
            self._keep(path, data)
        except BaseException:
            aside.replace(path)  # does nothing if both are the same file
            aside.unlink(missing_ok=True)
            raise
        self._is_damaged = False
        return aside

    def _keep(self, path: Path, data: bytes) -> None:
        write_private(path, data)
        self._watched = Watched()
        self._watched.read(path, MAX_FILE_BYTES)


def with_grants(
    one: Decisions, more: frozenset[Grant], asked: frozenset[Grant]
) -> Decisions:
    """Granted these too, while it asked for `asked`."""
    return replace(one, granted=one.granted | more, asked=asked)


def _why(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _parse(data: bytes) -> tuple[dict[str, Decisions], Decisions]:
    """Of each plugin, and of those without a table. ValueError says what is wrong."""
    tables = toml(data.decode("utf-8"))
    found = {name: _decisions(name, table) for name, table in tables.items()}
    others = found.pop(OTHERS, Decisions())
    if others not in (Decisions(), _OFF):
        raise ValueError(f"{OTHERS}: takes no key but `enabled`")
    return found, others


def _decisions(name: str, table: object) -> Decisions:
    if not isinstance(table, dict):
        raise ValueError(f"{name}: not a table")  # what parsers raise
    try:
        entry = _Entry.of(table)
        return Decisions(
            granted=parse_all(entry.grant),
            asked=parse_all(entry.asked),
            is_enabled=entry.enabled,
            config=entry.config,
        )
    except SettingError as error:
        raise ValueError(f"{name}: {error}") from None


def _spell_all(everything: Mapping[str, Decisions], others: Decisions) -> str:
    parts = [_HEAD] if others.is_enabled else [_HEAD, _OTHERS_OFF]
    for name, one in sorted(everything.items()):
        if one == others:
            continue
        parts.append(f"\n[{_spell(name)}]\n")
        if one.granted:
            parts.append(f"grant = {_spell([*map(str, sorted(one.granted))])}\n")
        if one.asked:
            parts.append(f"asked = {_spell([*map(str, sorted(one.asked))])}\n")
        if not (one.is_enabled and others.is_enabled):
            parts.append(f"enabled = {_spell(one.is_enabled)}\n")
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
