"""TOML, parsed; and the line on which each key is set, which the parser does not say.

A statement is the shortest run of lines that parses, so strings and arrays over several
lines are told apart without knowing TOML's grammar. Used for messages only.
"""

from collections.abc import Iterable

from int3rceptor.config.tables import JsonValue

MAX_STATEMENT_LINES = 200
"""Lines of one statement: each try parses all of them again."""

_CLOSERS = ("]", '"""', "'''")
"""One of these is on the last line of every statement of several lines, so that a list
of thousands of hosts is not parsed once for each of its lines."""

MAX_DEPTH = 64
"""Tables and arrays in each other: people write four. What a thousand deep takes of the
stack ends a program, and a stranger's module can bring one."""


def toml(text: str) -> dict[str, JsonValue]:
    """What a file sets; ValueError says what is wrong with it, and where."""
    if not text:
        return {}
    import re
    import tomllib  # with its regexes; most starts read no TOML

    if text.count(".") > MAX_DEPTH and re.search(_DEEP_KEY, text):
        raise ValueError(_TOO_DEEP)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _require_shallow(values)
    return values


_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_DEEP_KEY = rf"(?<![\w-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}"
"""A key with so many dots: parsing 64 KiB of one takes half a minute."""


def _require_shallow(values: dict[str, JsonValue]) -> None:
    """ValueError when tables of keys with dots are too deep in each other: parsing
    these takes no stack, but all that is done with them later does."""
    level: list[_Container] = [values]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


_Container = dict[str, JsonValue] | list[JsonValue]


def _inside(outer: _Container) -> Iterable[_Container]:
    """The tables and arrays in one."""
    values = outer.values() if isinstance(outer, dict) else outer
    return (one for one in values if isinstance(one, dict | list))


def key_lines(text: str) -> dict[str, int]:
    """Dotted key -> line number, from 1; tables stand at their header.

    `text` parses. Past a statement longer than MAX_STATEMENT_LINES nothing is found.
    """
    found: dict[str, int] = {}
    header = ""
    start, lines = 0, text.splitlines()
    while start < len(lines):
        end, statement = _statement(lines, start)
        if statement is None:
            break
        is_header = lines[start].lstrip().startswith("[")
        for key in _paths(statement, "" if is_header else header):
            found.setdefault(key, start + 1)
            if is_header:
                header = f"{key}."
        start = end
    return found


def _statement(lines: list[str], start: int) -> tuple[int, dict[str, JsonValue] | None]:
    """The line after the statement at `start`, and the statement parsed."""
    last = min(len(lines), start + MAX_STATEMENT_LINES)
    for end in range(start + 1, last + 1):
        if end > start + 1 and not any(one in lines[end - 1] for one in _CLOSERS):
            continue
        try:
            return end, toml("\n".join(lines[start:end]))
        except ValueError:
            continue
    return last, None


def _paths(table: dict[str, JsonValue], prefix: str) -> list[str]:
    """Each key in `table`, outer before inner."""
    paths = []
    for name, value in table.items():
        paths.append(prefix + name)
        if isinstance(value, dict):
            paths += _paths(value, f"{prefix}{name}.")
    return paths
