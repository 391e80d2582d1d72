"""Tables check what they are made from, whoever makes them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.config.model import Config, keys, read_config
from int3rceptor.config.tables import JsonValue, Table, made, setting, shown
from int3rceptor.errors import ConfigError, SettingError


def short(text: str) -> str:
    if len(text) > 5:
        raise ValueError("too long")
    return text.upper()


@dataclass(slots=True, frozen=True, kw_only=True)
class Inner(Table):
    number: float = setting(1.0, above=0, most=10)
    names: Sequence[str] = setting((), check=short)


@dataclass(slots=True, frozen=True, kw_only=True)
class Outer(Table):
    text: str = setting("x", "What it means.", check=short)
    count: int = setting(1, least=0, most=1_000_000)
    switch: bool = False
    kind: Literal["a", "b", "c"] = "a"
    path: Path = Path("/")
    inner: Inner = made(Inner)
    free: Mapping[str, JsonValue] = made(dict)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("text", "abc", "ABC"),
        ("count", 7, 7),
        ("count", "8", 8),
        ("count", 7.0, 7),
        ("switch", "yes", True),
        ("switch", "OFF", False),
        ("switch", 1, True),
        ("kind", "c", "c"),
        ("path", "/a", Path("/a")),
        ("path", Path("/a/b"), Path("/a/b")),
        ("inner", {"number": "2.5", "names": ["a"]}, Inner(number=2.5, names=["a"])),
        ("inner", Inner(number=3), Inner(number=3)),
        ("free", {"a": [1, {"b": None}], "c": 1.5}, {"a": [1, {"b": None}], "c": 1.5}),
    ],
)
def test_what_is_close_enough_is_taken(key: str, value: object, kept: object) -> None:
    made_of = Outer.of({key: value})
    assert getattr(made_of, key) == kept
    assert Outer.of(made_of.as_table()) == made_of
    assert dataclasses.replace(made_of) == made_of


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": 1}, "text: must be a text, not 1"),
        ({"text": "longer"}, "text: 'longer': too long"),
        ({"count": "many"}, "count: must be a whole number, not 'many'"),
        ({"count": 1.5}, "count: must be a whole number, not 1.5"),
        ({"count": True}, "count: must be a whole number, not True"),
        ({"count": -1}, "count: must be greater than or equal to 0, not -1"),
        (
            {"count": 1_000_001},
            "count: must be less than or equal to 1000000, not 1000001",
        ),
        ({"switch": "maybe"}, "switch: must be true or false, not 'maybe'"),
        ({"switch": 2}, "switch: must be true or false, not 2"),
        ({"kind": "d"}, "kind: 'd' is not one of 'a', 'b' or 'c'"),
        ({"kind": ["a"]}, "kind: ['a'] is not one of 'a', 'b' or 'c'"),
        ({"path": 1}, "path: must be a path, not 1"),
        ({"path": "a\0"}, "path: 'a\\x00': a path cannot contain a NUL character"),
        ({"inner": 1}, "inner: must be a table, not 1"),
        ({"inner": {"number": 0}}, "inner.number: must be greater than 0, not 0"),
        ({"inner": {"number": "nan"}}, "inner.number: must be a number, not 'nan'"),
        ({"inner": {"number": 10**400}}, "inner.number: must be a number, not 1000"),
        ({"inner": {"names": "a"}}, "inner.names: must be a list, not 'a'"),
        ({"inner": {"names": ["longer"]}}, "inner.names: 'longer': too long"),
        ({"inner": {"other": 1}}, "inner.other: no such key"),
        ({"other": 1}, "other: no such key"),
        ({"free": {"a": {"b": {1}}}}, "free.a.b: must be a text, a number, true, "),
        ({"free": {1: 2}}, "free: must have texts for keys, not 1"),
    ],
)
def test_what_is_not_is_refused_with_its_key(
    values: Mapping[str, object], said: str
) -> None:
    with pytest.raises(SettingError) as caught:
        Outer.of(values)
    assert str(caught.value).startswith(said)
    with pytest.raises((SettingError, TypeError)):
        Outer(**values)


def test_a_long_value_is_shown_in_part() -> None:
    assert len(shown("x" * 1_000)) < 70


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = st.sampled_from([key.path for key in keys()] + ["tls", "limits", "x.y"])


@given(PATHS, JSON)
@example("plugins", {"a\nb": None})
def test_any_value_is_taken_or_refused_in_one_line(path: str, value: object) -> None:
    table, _, name = path.rpartition(".")
    values = {table: {name: value}} if table else {name: value}
    try:
        config = read_config(values, {path: "a file:1"})
    except ConfigError as error:
        said = str(error)
    else:
        assert Config.of(json.loads(json.dumps(config.as_table()))) == config
        return
    assert said.startswith("x: no such" if path == "x.y" else "a file:1: ")
    assert "\n" not in said
