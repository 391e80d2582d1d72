"""Tables of settings: frozen values that check what they are made from.

A table is a dataclass whose fields `setting` describes. Programs give it values of the
right type, files and variables what is close to one; either is refused with its key.
Knows types and bounds, not what the settings mean.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, Self, TypeVar, Union, get_args, get_origin

from int3rceptor.config.values import absolute_path
from int3rceptor.errors import SettingError

T = TypeVar("T")

# A union by its old name: the new spelling cannot name itself.
JsonValue = Union[  # noqa: UP007
    bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"], None
]
"""What a free table may hold: all of TOML but its dates."""

NO_SUCH_KEY = "no such key"

MAX_SHOWN_VALUE = 60
"""Longest value repeated in a message: enough to recognise it on one line."""

_ON = ("1", "on", "t", "true", "y", "yes")
_OFF = ("0", "off", "f", "false", "n", "no")


@dataclass(slots=True, frozen=True, kw_only=True)
class Setting:
    """What a key means, and what its value may be beside its type."""

    description: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    check: Callable[[str], str] | None = None


_PLAIN = Setting()


def setting(
    default: T,
    description: str = "",
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    check: Callable[[str], str] | None = None,
) -> T:
    """One field of a table. `least`, `above` and `most` bound a number; `check` judges
    a text, or each text of a list, by a ValueError."""
    bounds = Setting(
        description=description, least=least, above=above, most=most, check=check
    )
    value: T = field(default=default, metadata={"setting": bounds})
    return value


def made(factory: Callable[[], T], description: str = "") -> T:
    """One field of a table whose default is made when it is needed."""
    bounds = Setting(description=description)
    value: T = field(default_factory=factory, metadata={"setting": bounds})
    return value


class Table:
    """Base of all tables: each is a frozen dataclass of its own."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for key, kind, one in described(type(self)):
            value = _converted(key, kind, getattr(self, key), one)
            object.__setattr__(self, key, value)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """A table from a mapping, tables in it included. Raises SettingError."""
        known = {key for key, _, _ in described(cls)}
        for name in values:
            if name not in known:
                raise SettingError(name, NO_SUCH_KEY)
        return cls(**values)

    def as_table(self) -> dict[str, object]:
        """The settings as texts, numbers, lists and mappings, which make it again."""
        return {key: _plain(getattr(self, key)) for key, _, _ in described(type(self))}


def described(table: type[Table]) -> list[tuple[str, object, Setting]]:
    """The keys of a table in order, each with its type and its description."""
    found = fields(table)  # type: ignore[arg-type]  # every table is a dataclass
    return [(one.name, one.type, one.metadata.get("setting", _PLAIN)) for one in found]


def shown(value: object) -> str:
    """A value as a message repeats it."""
    text = repr(value)
    return f"{text[:MAX_SHOWN_VALUE]}…" if len(text) > MAX_SHOWN_VALUE else text


def _converted(key: str, kind: object, value: object, one: Setting) -> object:
    """`value` as a `kind`; SettingError when it cannot be one."""
    origin = get_origin(kind)
    if kind == JsonValue:
        return _free(key, value)
    if origin is Literal:
        return _one_of(key, get_args(kind), value)
    if origin is Sequence:
        return _several(key, get_args(kind)[0], value, one)
    if origin is Mapping:
        return _by_name(key, get_args(kind)[1], value, one)
    if isinstance(kind, type) and issubclass(kind, Table):
        return _table(key, kind, value)
    return _single(key, kind, value, one)


def _one_of(key: str, allowed: Sequence[object], value: object) -> object:
    if value not in allowed:
        *most, last = map(repr, allowed)
        known = f"{', '.join(most)} or {last}"
        raise SettingError(key, f"{shown(value)} is not one of {known}")
    return value


def _several(key: str, kind: object, value: object, one: Setting) -> object:
    # Given as any sequence, kept as a tuple: a frozen value holds no list.
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        hint = "; write it in brackets" if isinstance(value, str) else ""
        raise SettingError(key, f"must be a list, not {shown(value)}{hint}")
    return tuple(_converted(key, kind, item, one) for item in value)


def _by_name(key: str, kind: object, value: object, one: Setting) -> object:
    return {
        name: _converted(f"{key}.{name}", kind, inner, one)
        for name, inner in _mapping(key, value).items()
    }


def _table(key: str, kind: type[Table], value: object) -> Table:
    if isinstance(value, kind):
        return value
    found = _mapping(key, value)
    try:
        return kind.of(found)
    except SettingError as error:
        raise SettingError(f"{key}.{error.key}", error.reason) from None


def _mapping(key: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SettingError(key, f"must be a table, not {shown(value)}")
    for name in value:
        if not isinstance(name, str):
            raise SettingError(key, f"must have texts for keys, not {shown(name)}")
    return value


def _free(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_free(key, item) for item in value]
    if isinstance(value, Mapping):
        return {
            name: _free(f"{key}.{name}", inner)
            for name, inner in _mapping(key, value).items()
        }
    what = "a text, a number, true, false, a list or a table"
    raise SettingError(key, f"must be {what}, not {shown(value)}")


def _single(key: str, kind: object, value: object, one: Setting) -> object:
    what, convert = _SINGLE[kind]
    try:
        found = convert(value)
        if found is None:
            raise SettingError(key, f"must be {what}, not {shown(value)}")
        if one.check is not None and isinstance(found, str):
            return one.check(found)
    except ValueError as error:
        raise SettingError(key, f"{shown(value)}: {error}") from None
    if isinstance(found, int | float):
        wanted = _missed(found, one)
        if wanted:
            raise SettingError(key, f"must be {wanted}, not {shown(value)}")
    return found


def _missed(value: float, one: Setting) -> str:
    """The bound that a number is out of, if it is."""
    if one.least is not None and value < one.least:
        return f"greater than or equal to {one.least}"
    if one.above is not None and value <= one.above:
        return f"greater than {one.above}"
    if one.most is not None and value > one.most:
        return f"less than or equal to {one.most}"
    return ""


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _as_switch(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    # What is set in the environment is a text.
    word = str(value).lower() if isinstance(value, str | int) else ""
    return True if word in _ON else False if word in _OFF else None


def _as_whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _as_path(value: object) -> Path | None:
    return absolute_path(value) if isinstance(value, str | Path) else None


_SINGLE: Mapping[object, tuple[str, Callable[[object], object]]] = {
    str: ("a text", _as_text),
    bool: ("true or false", _as_switch),
    int: ("a whole number", _as_whole),
    float: ("a number", _as_number),
    Path: ("a path", _as_path),
}


def _plain(value: object) -> object:
    match value:
        case Table():
            return value.as_table()
        case Path():
            return str(value)
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value
