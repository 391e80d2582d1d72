import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.config.toml_lines import (
    MAX_DEPTH,
    MAX_STATEMENT_LINES,
    key_lines,
    toml,
)


def test_finds_keys_of_tables_strings_and_arrays() -> None:
    text = """\
# a comment = 1
listen = "127.0.0.1:1"

plugin = [
  "a.wasm",  # drain_s = 1
  "b.wasm",
]
limits.drain_s = 2
[tls]
note = '''
passthrough = ["no"]
'''
passthrough = ["yes"]
[plugins.slow.limits]
fuel = 1
[plugins."odd.name"]
"quoted key" = { inner = 1 }
"""
    assert tomllib.loads(text)

    assert key_lines(text) == {
        "listen": 2,
        "plugin": 4,
        "limits": 8,
        "limits.drain_s": 8,
        "tls": 9,
        "tls.note": 10,
        "tls.passthrough": 13,
        "plugins": 14,
        "plugins.slow": 14,
        "plugins.slow.limits": 14,
        "plugins.slow.limits.fuel": 15,
        "plugins.odd.name": 16,
        "plugins.odd.name.quoted key": 17,
        "plugins.odd.name.quoted key.inner": 17,
    }


def test_gives_up_at_an_endless_statement() -> None:
    items = '"x",\n' * (MAX_STATEMENT_LINES + 1)

    assert key_lines(f"a = 1\nb = [\n{items}]\nc = 2\n") == {"a": 1}


def test_a_long_list_is_not_parsed_again_for_each_of_its_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parse, parsed = tomllib.loads, []

    def counted(text: str) -> dict[str, object]:
        parsed.append(len(text))
        return parse(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    items = f'"{"x" * 1_000}",\n' * (MAX_STATEMENT_LINES - 2)
    text = f"[plugins.block]\nhosts = [\n{items}]\nc = 2\n"

    assert key_lines(text)["plugins.block.c"] == MAX_STATEMENT_LINES + 2
    assert sum(parsed) < 2 * len(text)


def test_copes_with_arrays_of_tables() -> None:
    assert key_lines("[[rule]]\nname = 1\n[[rule]]\nname = 2\n")["rule"] == 1


NAMES = st.sampled_from(["a", "b", "c.d", '"e f"'])
VALUES = st.sampled_from(["1", '"""\nx = 1\n"""', "[\n1,\n2,\n]", "{ y = 1 }", "'#'"])


@given(st.lists(st.tuples(NAMES, VALUES), unique_by=lambda one: one[0]))
def test_line_of_each_key_is_where_it_was_written(
    pairs: list[tuple[str, str]],
) -> None:
    lines: list[str] = []
    expected = {}
    for name, value in pairs:
        lines += ["", "# comment"]
        expected[name.replace('"', "")] = len(lines) + 1
        lines += f"{name} = {value}".splitlines()

    found = key_lines("\n".join(lines))

    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    "nested",
    [
        lambda depth: f"a = {'[' * depth}{']' * depth}",
        lambda depth: f"{'a.' * depth}a = 1",
        lambda depth: f"a = {'{a = ' * depth}1{'}' * depth}",
    ],
    ids=["arrays", "dotted", "tables"],
)
def test_what_is_nested_too_deeply_is_refused(nested: Callable[[int], str]) -> None:
    assert toml(nested(MAX_DEPTH - 1))
    for depth in (MAX_DEPTH, 1_000, 20_000):
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            toml(nested(depth))


@pytest.mark.parametrize("part", ["a", "a ", '"a b"', '"\\""', "'\"'"])
def test_a_key_of_a_thousand_dots_is_not_even_parsed(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_text: str) -> None:
        raise AssertionError("64 KiB of it take half a minute")

    monkeypatch.setattr(tomllib, "loads", parse)
    for text in (f"{f'{part}.' * 1_000}a = 1", f"[{f'{part} . ' * 1_000}a]"):
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            toml(text)


def test_dots_in_texts_are_not_counted() -> None:
    text = f"{'.' * 100} and {'1.2 ' * 100}"
    assert toml(f'a = \'{text}\'\nb.c = """\n{text}"""') == {
        "a": text,
        "b": {"c": text},
    }
