"""TOML, parsed; and the line on which each key is set, which the parser does not say.

A statement is the shortest run of lines that parses, so strings and arrays over several
lines are told apart without knowing TOML's grammar. Used for messages only.
"""

from int3rceptor.config.tables import JsonValue

MAX_STATEMENT_LINES = 200
"""Lines tried as one statement: each try parses all of them again."""


def toml(text: str) -> dict[str, JsonValue]:
    """What a file sets; ValueError says what is wrong with it, and where."""
    if not text:
        return {}
    import tomllib  # with its regexes; most starts read no TOML

    return tomllib.loads(text)


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
