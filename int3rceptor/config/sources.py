"""Where settings come from: defaults < file < environment < flags, and who said what.

Reads the file and the environment; what a value must look like is `config.model`'s.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from int3rceptor.config.model import Config, Key, keys, read_config
from int3rceptor.config.problems import nearest
from int3rceptor.config.toml_lines import key_lines, toml
from int3rceptor.config.values import absolute_path
from int3rceptor.errors import ConfigError
from int3rceptor.files.reading import at_once

FILE_NAME = "int3rceptor.toml"
PREFIX = "INT3RCEPTOR_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"

MAX_FILE_BYTES = 4 * 1024 * 1024
"""A settings file with block lists for several plugins fits; a wrong file does not."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Flag:
    """One flag of the command line that was given: its spelling and its value."""

    spelling: str
    value: object


@dataclass(slots=True, frozen=True, kw_only=True)
class Loaded:
    """The settings, and for each dotted key that was set where that was."""

    config: Config
    places: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Layers:
    """What was gathered so far; a later source overwrites an earlier one's keys."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, value: object, place: str) -> None:
        table = self.values
        *outer, name = path.split(".")
        for one in outer:
            inner = table.setdefault(one, {})
            if not isinstance(inner, dict):
                # A value where a table belongs: the model says so, and where it is.
                return
            table = inner
        table[name] = value
        self.places[path] = place


def load(
    flags: Mapping[str, Flag],
    environ: Mapping[str, str],
    *,
    config_file: str | Path | None = None,
) -> Loaded:
    """Gather and check all settings.

    `flags` go by dotted key. `config_file` (else INT3RCEPTOR_CONFIG) must exist;
    without it, DATA_DIR/int3rceptor.toml is read if there. Raises ConfigError, one
    line that names the place, the key and what is allowed.
    """
    variables = _variables(environ)
    layers = _Layers()
    if config_file is not None:
        _read_file(_named(config_file, "--config"), layers)
    elif named := environ.get(CONFIG_VARIABLE):
        _read_file(_named(named, CONFIG_VARIABLE), layers)
    else:
        _read_default_file(_data_dir(flags, variables), layers)
    for source in (variables, flags):
        for path, given in source.items():
            layers.put(path, given.value, given.spelling)
    config = read_config(layers.values, layers.places)
    return Loaded(config=config, places=layers.places)


def variable_of(path: str) -> str:
    """The environment variable of a dotted key: two underscores where it has a dot."""
    return PREFIX + path.replace(".", "__").upper()


def _variables(environ: Mapping[str, str]) -> dict[str, Flag]:
    """Settings in the environment, by dotted key; an empty variable counts as unset."""
    settable = {variable_of(key.path): key for key in keys() if key.path != "plugins"}
    found = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or not text or name == CONFIG_VARIABLE:
            continue
        if name in settable:
            key = settable[name]
            value = _split(name, text) if key.is_list else text
            found[key.path] = Flag(spelling=name, value=value)
        elif hint := nearest(name, [*settable, CONFIG_VARIABLE], cutoff=0.9):
            # Only what looks like a slip is refused: platforms set names of their own
            # after a service's name (Kubernetes: INT3RCEPTOR_SERVICE_HOST).
            raise ConfigError(f"{name}: no such variable{hint}")
    return found


def _split(name: str, text: str) -> list[object]:
    """A list in a variable: a TOML array, or items between commas."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        items: object = toml(f"items = {text}")["items"]
    except ValueError as error:
        raise ConfigError(f"{name}: not a TOML array: {error}") from None
    return items if isinstance(items, list) else [items]


def _data_dir(flags: Mapping[str, Flag], variables: Mapping[str, Flag]) -> Path:
    given = flags.get("data_dir") or variables.get("data_dir")
    data = {} if given is None else {"data_dir": given.value}
    places = {} if given is None else {"data_dir": given.spelling}
    return read_config(data, places).data_dir


def _named(path: str | Path, place: str) -> Path:
    try:
        return absolute_path(path)
    except ValueError as error:
        raise ConfigError(f"{place}: {str(path)!r}: {error}") from None


def _read_default_file(data_dir: Path, layers: _Layers) -> None:
    path = data_dir / FILE_NAME
    try:
        is_there = path.exists()
    except OSError as error:
        raise ConfigError(f"cannot look into {data_dir}: {error.strerror}") from None
    if not is_there:
        return
    _read_file(path, layers)
    if "data_dir" in layers.values:
        raise ConfigError(
            f"{layers.places['data_dir']}: data_dir: this file was found in the data"
            " directory and cannot name another; use --data-dir, or --config"
        )


def _read_file(path: Path, layers: _Layers) -> None:
    text = _read_text(path)
    try:
        values = toml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    layers.places |= {name: f"{path}:{line}" for name, line in key_lines(text).items()}
    layers.values.update(values)
    for key in keys():
        if key.is_path and key.path in values:
            layers.values[key.path] = _paths_of(key, values[key.path], path.parent)
    _place_rest(layers, path)


def _place_rest(layers: _Layers, path: Path) -> None:
    """A place for every key of the file, its line known or not."""
    for name, value in layers.values.items():
        layers.places.setdefault(name, str(path))
        if isinstance(value, Mapping):
            for inner in value:
                layers.places.setdefault(f"{name}.{inner}", str(path))


def _paths_of(key: Key, value: object, folder: Path) -> object:
    """The paths of a key of the file; what is no such value is left as it is."""
    if not key.is_list:
        return _relative_to(folder, value)
    if not isinstance(value, list):
        return value
    return [_relative_to(folder, item) for item in value]


def _relative_to(folder: Path, value: object) -> object:
    """Paths in a file are meant from the file's folder."""
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    return str(folder / value)


def _read_text(path: Path) -> str:
    try:
        with open(path, "rb", opener=at_once) as file:
            content = file.read(MAX_FILE_BYTES + 1)
            is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if is_pipe and not content:
        raise ConfigError(f"{path}: a pipe that nobody writes settings to")
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8, at byte {error.start}") from None
