"""A plugin's settings: a section of its module, NAME.toml beside it, and [plugins.NAME]
of the config.

The first two may come from whoever wrote the module, so they can neither grant
permissions nor lift a limit past the caps here; grants are read from the user's own
config only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from int3rceptor.config.tables import JsonValue, Table, made, setting
from int3rceptor.config.toml_lines import toml
from int3rceptor.errors import PluginError, SettingError
from int3rceptor.files.reading import Watched
from int3rceptor.model.headers import is_token
from int3rceptor.plugins.network.outbound import (
    DEFAULT_FETCH_BYTES,
    DEFAULT_FETCH_S,
    DEFAULT_FETCHES,
)
from int3rceptor.plugins.policy.masking import SECRET_FIELDS
from int3rceptor.plugins.policy.permissions import Grant, parse_all, parse_grants
from int3rceptor.plugins.policy.sections import custom_section
from int3rceptor.plugins.state.keyvalues import DEFAULT_STATE_BYTES
from int3rceptor.plugins.topics.messages import (
    DEFAULT_MESSAGE_BYTES,
    DEFAULT_MESSAGES,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
)

SECTION = "int3rceptor"
"""The custom section of a module that holds its manifest."""

MAX_MANIFEST_BYTES = 1024 * 1024
"""A file of settings; a block list of 30,000 hosts still fits."""

DEFAULT_FUEL = 1_000_000
"""1 to 2 ms of plain computing; a compiled plugin uses some hundreds to thousands."""

MAX_FUEL = 10_000_000_000
"""10 to 20 s of computing, more than any wall clock limit allows."""

MAX_WALL_S = 60.0
"""A hook that runs a minute holds its exchange for a minute."""

MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Per instance; beyond it the proxy itself is at risk."""

MAX_COMPILE_S = 60.0
"""Longest time to compile one module. Go's modules and script engines take 3 to 6 s,
more on a machine that has other work; a module that is made for it takes minutes."""

MAX_STATE_BYTES = 16 * 1024 * 1024
"""A state on disk is written whole after a change."""

MAX_HOST_CALLS = 1_000_000
"""About a second of host work."""

MAX_HOST_BYTES = 256 * 1024 * 1024
"""Several whole bodies of the largest buffered size."""

DEFAULT_MODULE_BYTES = 8 * 1024 * 1024
MAX_MODULE_BYTES = 64 * 1024 * 1024
"""Of a module's file. 8 MiB leaves room for Go and for script engines (2 to 7 MiB); a
whole Python has 20. Compiling takes up to 6 s per MiB of tiny functions."""

MAX_INSTANCES = 16
"""Of one plugin: more calls at once than that would only queue for the cores."""

MAX_TABLES = 100
MAX_TABLE_ELEMENTS = 10_000_000
"""In all tables of an instance; 80 MB of the host's memory."""

MAX_LOG_LINES = 1_000_000
MAX_LOG_BYTES = 1024 * 1024 * 1024
"""In a second: as good as none."""
MAX_LINE_CHARS = 256
"""Of a version, a description or a glob: a DNS name has 253."""
MAX_FILE_BYTES = 1024 * 1024 * 1024 * 1024
"""What files may grow by: who grants a folder may grant a disk."""

MAX_FETCHES = 100
"""In one call: the flow waits for all of them."""

MAX_WASI_TEXTS = 256
"""Arguments, and variables: a program reads each of them at its start."""

MAX_WASI_CHARS = 4096
"""Of one argument or variable: the guest has room for all of them in its memory."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_name(text: str) -> str:
    """A plugin's name: a file is called so, a key of settings, a part of URLs.
    ValueError if it cannot be."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            "not a plugin's name; it has up to 64 letters, digits, dots, dashes and "
            "underscores, and begins with a letter or a digit"
        )
    return text


def _line(text: str) -> str:
    """What is shown to people must not drive their terminal."""
    if not text.isprintable() or len(text) > MAX_LINE_CHARS:
        raise ValueError(
            f"one line of at most {MAX_LINE_CHARS} characters, without control "
            "characters"
        )
    return text


def _field_name(text: str) -> str:
    if not is_token(text.encode()):
        raise ValueError(f"{text!r} cannot be the name of a header")
    return text


def checked_permission(text: str) -> str:
    """A permission as it is written; ValueError says why it is none."""
    parse_grants(text)
    return text


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits(Table):
    """[limits]: what one call, an instance (memory, tables, files), a second (log) may
    use.

    `instances` serve calls side by side. Tables and their entries: compilers make one
    table of a few thousand function pointers; 100,000 entries cost 800 KB. A line in
    the log for each hook of some thousand exchanges a second is within log_lines.
    """

    fuel: int = setting(DEFAULT_FUEL, least=1, most=MAX_FUEL)
    host_calls: int = setting(1_000, least=0, most=MAX_HOST_CALLS)
    host_bytes: int = setting(1024 * 1024, least=0, most=MAX_HOST_BYTES)
    wall_s: float = setting(5.0, above=0, most=MAX_WALL_S)
    memory_bytes: int = setting(16 * 1024 * 1024, least=65_536, most=MAX_MEMORY_BYTES)
    tables: int = setting(4, least=0, most=MAX_TABLES)
    table_elements: int = setting(100_000, least=0, most=MAX_TABLE_ELEMENTS)
    instances: int = setting(1, least=1, most=MAX_INSTANCES)
    log_lines: int = setting(20_000, least=0, most=MAX_LOG_LINES)
    log_bytes: int = setting(4 * 1024 * 1024, least=0, most=MAX_LOG_BYTES)
    module_bytes: int = setting(DEFAULT_MODULE_BYTES, least=8, most=MAX_MODULE_BYTES)
    compile_s: float = setting(MAX_COMPILE_S, above=0, most=MAX_COMPILE_S)
    messages: int = setting(DEFAULT_MESSAGES, least=0, most=MAX_MESSAGES)
    message_bytes: int = setting(DEFAULT_MESSAGE_BYTES, least=0, most=MAX_MESSAGE_BYTES)
    fetches: int = setting(DEFAULT_FETCHES, least=0, most=MAX_FETCHES)
    fetch_bytes: int = setting(DEFAULT_FETCH_BYTES, least=0, most=MAX_HOST_BYTES)
    fetch_s: float = setting(DEFAULT_FETCH_S, above=0, most=MAX_WALL_S)
    file_bytes: int = setting(16 * 1024 * 1024, least=0, most=MAX_FILE_BYTES)


@dataclass(slots=True, frozen=True, kw_only=True)
class WasiSettings(Table):
    """[wasi]: what a module built for WASI finds as its arguments and environment."""

    args: Sequence[str] = ()
    env: Mapping[str, str] = made(dict)

    def __post_init__(self) -> None:
        Table.__post_init__(self)
        for name in self.env:
            if not name or "=" in name:
                raise SettingError(f"env.{name}", "not the name of a variable")
        texts = {"args": list(self.args), "env": [*self.env, *self.env.values()]}
        for key, given in texts.items():
            if len(given) > MAX_WASI_TEXTS:
                raise SettingError(key, f"more than {MAX_WASI_TEXTS} texts")
            if any("\0" in one or len(one) > MAX_WASI_CHARS for one in given):
                reason = f"a text with a zero byte, or over {MAX_WASI_CHARS} characters"
                raise SettingError(key, reason)


@dataclass(slots=True, frozen=True, kw_only=True)
class State(Table):
    """[state]: what it keeps under keys, where, and how much.

    `carry`: a new version of the plugin goes on with what the old one kept. `shared`:
    all workers have the same keys.
    """

    keep: Literal["memory", "disk"] = "memory"
    quota_bytes: int = setting(DEFAULT_STATE_BYTES, least=0, most=MAX_STATE_BYTES)
    carry: bool = True
    shared: bool = False

    def __post_init__(self) -> None:
        Table.__post_init__(self)
        if self.shared and not self.carry:
            # Workers take up a new version one after the other.
            raise SettingError("carry", "keys that workers share are always carried")


@dataclass(slots=True, frozen=True, kw_only=True)
class Scope(Table):
    """[scope]: the flows that it is asked about, as globs.

    `content_types` are the response's in the hooks of a response, else the request's.
    """

    hosts: Sequence[str] = setting(("*",), check=_line)
    methods: Sequence[str] = setting(("*",), check=_line)
    content_types: Sequence[str] = setting(("*",), check=_line)


@dataclass(slots=True, frozen=True, kw_only=True)
class Manifest(Table):
    """Everything that is set about one plugin.

    `hooks` are those of its exports that are used; "*" stands for all.
    """

    name: str = setting("", check=checked_name)
    version: str = setting("", check=_line)
    description: str = setting("", check=_line)
    priority: int = 100
    on_error: Literal["skip", "block"] = "skip"
    limits: Limits = made(Limits)
    scope: Scope = made(Scope)
    hooks: Sequence[str] = ("*",)
    state: State = made(State)
    wasi: WasiSettings = made(WasiSettings)
    config: Mapping[str, JsonValue] = made(dict)
    permissions: Sequence[str] = setting((), check=checked_permission)
    grant: Sequence[str] = setting((), check=checked_permission)
    secret_headers: Sequence[str] = setting((), check=_field_name)

    @property
    def secret_fields(self) -> frozenset[bytes]:
        """The names of all fields that are masked without `secrets.read`."""
        return SECRET_FIELDS | {name.lower().encode() for name in self.secret_headers}

    @property
    def asked(self) -> frozenset[Grant]:
        """What it asks for beyond what its imports say."""
        return parse_all(self.permissions)

    @property
    def granted(self) -> frozenset[Grant]:
        """What the user's config grants."""
        return parse_all(self.grant)

    def guest_config(self) -> dict[str, bytes]:
        """[config] as the guest reads it: text by key; the empty key is all as JSON.

        Tables are reached by dotted keys; the items of a list are one to a line.
        """
        flat = {"": json.dumps(self.config, ensure_ascii=False)}
        for key, value in self.config.items():
            _flatten(key, value, flat)
        return {key: text.encode() for key, text in flat.items()}


Settings = Mapping[str, JsonValue]
"""One plugin's table in the config, as TOML gave it."""


def read_manifest(
    module: Path,
    settings: Mapping[str, Settings],
    data: bytes,
    watched: Watched | None = None,
) -> Manifest:
    """The manifest of a module: the section in its bytes, `data`; over it NAME.toml
    beside it; over both the config's table.

    `settings` are the config's tables by plugin name. All are merged key by key, and
    what none sets has its default. A PluginError names the place and the key.
    """
    path = module.with_suffix(".toml")
    section = f"{module}: the section {SECTION!r}"
    beside = _read_table(path, watched or Watched())
    inside = _parsed(custom_section(data, SECTION, str(module)) or b"", section)
    table: Settings = {"name": beside.get("name", module.stem)}
    _validated(table, str(path if "name" in beside else module))
    if "name" not in beside:
        _check_own_name(inside, module, section)
    table = _layered(table, inside, section)
    table = _layered(table, beside, str(path))
    own = _validated(table, str(path))
    overrides = settings.get(own.name)
    if not overrides:
        return own
    # The table's own name says which plugin it is for.
    table = {**_merged(table, overrides), "name": own.name}
    return _validated(table, f"[plugins.{own.name}] in the config")


def _layered(below: Settings, layer: Settings, place: str) -> dict[str, JsonValue]:
    """The manifest at `place`, from whoever wrote the module, over another."""
    if "grant" in layer:
        raise PluginError(
            f"{place}: grant: a manifest cannot grant permissions to its own module; "
            f"put it into [plugins.{below['name']}] of your config"
        )
    table = _merged(below, layer)
    _validated(table, place)
    return table


def _check_own_name(inside: Settings, module: Path, section: str) -> None:
    """A module alone cannot take another plugin's name, and what the user granted to
    that: its name in itself is the file's, apart from case, dashes and underscores."""
    name = inside.get("name", module.stem)
    if isinstance(name, str) and _plain(name) != _plain(module.stem):
        raise PluginError(
            f"{section}: name: {name[:MAX_LINE_CHARS]!r} is not what the file is "
            f"called; rename the file, or put the name into {module.stem}.toml"
        )


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _merged(below: Settings, above: Settings) -> dict[str, JsonValue]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = {**old, **value}
        else:
            merged[key] = value
    return merged


def _read_table(path: Path, watched: Watched) -> dict[str, JsonValue]:
    try:
        data = watched.read(path, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PluginError(f"{path}: {error}") from None
    return _parsed(data, str(path))


def _parsed(data: bytes, source: str) -> dict[str, JsonValue]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise PluginError(f"{source}: larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return toml(data.decode("utf-8"))
    except ValueError as error:
        raise PluginError(f"{source}: not valid TOML: {error}") from None


def _validated(table: Settings, source: str) -> Manifest:
    try:
        return Manifest.of(table)
    except SettingError as error:
        raise PluginError(f"{source}: {error}") from None


def _flatten(key: str, value: JsonValue, flat: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{key}.{name}", inner, flat)
    elif isinstance(value, list):
        flat[key] = "\n".join(_scalar(one) for one in value)
    else:
        flat[key] = _scalar(value)


def _scalar(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
