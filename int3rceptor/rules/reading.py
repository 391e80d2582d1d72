"""Typed access to the tables of a rule file; every refusal says FILE:LINE and the key.

Knows TOML's types, not what a rule means.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from int3rceptor.config.problems import nearest
from int3rceptor.config.toml_lines import key_lines, toml
from int3rceptor.errors import RuleError
from int3rceptor.model.headers import is_token, to_bytes

MAX_SHOWN_CHARS = 60
"""Most of a value that a message repeats: enough to recognise it on one line."""

_HEADER = re.compile(r"[ \t]*\[\[[ \t]*rules[ \t]*\]\][ \t]*(?:#.*)?")
_AT_LINE = re.compile(r"(.*) \(at line (\d+), column \d+\)", re.DOTALL)
_KINDS = {
    bool: "true or false", str: "a text", int: "a whole number", float: "a number",
    list: "a list", dict: "a table",
}  # fmt: skip


def parse_toml(file: str, text: str) -> Mapping[str, object]:
    """The tables of `text`; RuleError where it is no TOML."""
    try:
        return toml(text)
    except ValueError as error:  # numbers of too many digits raise the bare one
        found = _AT_LINE.fullmatch(str(error))
        line = int(found[2]) if found else max(1, len(text.splitlines()))
        why = found[1] if found else str(error)
        raise RuleError(
            f"{file}:{line}: not valid TOML: {show(why)}; write KEY = VALUE lines"
            " under [[rules]]"
        ) from None


def show(value: object) -> str:
    """A value on one line, cut to what a message can hold."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return f"{text[:MAX_SHOWN_CHARS]}…" if len(text) > MAX_SHOWN_CHARS else text


class Lines:
    """Where the rules of one file stand, and, once a problem asks, their keys."""

    def __init__(self, text: str, count: int) -> None:
        self._lines = text.splitlines()
        starts = [at for at, line in enumerate(self._lines) if _HEADER.fullmatch(line)]
        # An array in one piece, or a text with such a line in it: all begin together.
        first = 0 if len(starts) == count else key_lines(text).get("rules", 1) - 1
        self._is_split = len(starts) == count
        self._starts = starts if self._is_split else [first] * count

    def of_rule(self, index: int) -> int:
        """The line on which a rule begins."""
        return self._starts[index] + 1

    def of_key(self, index: int, path: str) -> int:
        """The line of a dotted key in a rule, or of what it stands in."""
        if not self._is_split:
            return self.of_rule(index)
        start = self._starts[index]
        end = (*self._starts[index + 1 :], len(self._lines))[0]
        # The rule's lines alone parse as a table of that name.
        found = key_lines("\n".join(["[rules]", *self._lines[start + 1 : end]]))
        path = f"rules.{path}"
        while path not in found:
            path = path.rpartition(".")[0]
        return start + found[path]


@dataclass(slots=True, frozen=True, kw_only=True)
class Table:
    """One table of a rule. `path` is its dotted key inside the rule ("" at the top)."""

    values: dict[str, object]
    file: str
    lines: Lines
    index: int
    path: str = ""

    @property
    def place(self) -> str:
        """FILE:LINE of the rule."""
        return f"{self.file}:{self.lines.of_rule(self.index)}"

    def problem(self, key: str, what: str) -> RuleError:
        """A refusal that names the place and the key ("" names the table itself)."""
        path = ".".join(part for part in (self.path, key) if part)
        shown = f"{show(path)}: " if path else ""
        line = self.lines.of_key(self.index, path)
        return RuleError(f"{self.file}:{line}: {shown}{what}")

    def check_keys(self, known: Sequence[str]) -> None:
        """No key but these."""
        for key in self.values:
            if key not in known:
                hint = nearest(key, known) or f"; there are {', '.join(known)}"
                raise self.problem(key, f"no such key{hint}")

    def _value(self, key: str, *kinds: type) -> object | None:
        value = self.values.get(key)
        # type(), since true and false would pass for whole numbers.
        if value is not None and type(value) not in kinds:
            raise self.wrong(key, value, kinds)
        return value

    def wrong(self, key: str, value: object, kinds: Iterable[type]) -> RuleError:
        """A value of a wrong type."""
        wanted = " or ".join(_KINDS[kind] for kind in kinds)
        return self.problem(key, f"must be {wanted}, not {show(value)}")

    def text(self, key: str) -> str | None:
        """A text, or None when the key is absent."""
        value = self._value(key, str)
        return value if isinstance(value, str) else None

    def flag(self, key: str, *, default: bool) -> bool:
        """true or false."""
        value = self._value(key, bool)
        return value if isinstance(value, bool) else default

    def whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number in these bounds."""
        value = self._value(key, int)
        if isinstance(value, int) and not low <= value <= high:
            raise self.problem(key, f"must be {low} to {high}, not {show(value)}")
        return value if isinstance(value, int) else None

    def number(self, key: str, high: float) -> float | None:
        """A number above 0, up to `high`."""
        value = self._value(key, int, float)
        if not isinstance(value, int | float):
            return None
        if not 0 < value <= high:
            raise self.problem(key, f"must be above 0, up to {high:g}")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts; () when the key is absent."""
        value = self._value(key, str, list)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        found = tuple(item for item in items if isinstance(item, str))
        if len(found) < len(items) or not items:
            raise self.problem(
                key, f"must be a text or a list of texts, not {show(value)}"
            )
        return found

    def table(self, key: str) -> "Table | None":
        """A table inside this one."""
        value = self._value(key, dict)
        if not isinstance(value, dict):
            return None
        path = f"{self.path}.{key}" if self.path else key
        return replace(self, values=value, path=path)

    def fields(self, key: str) -> tuple[tuple[bytes, tuple[str, ...]], ...]:
        """A table of header names, each with a text or a list of texts."""
        table = self.table(key)
        if table is None:
            return ()
        found = []
        for name in table.values:
            if not is_token(to_bytes(name)):
                raise table.problem(name, "is no header name; write NAME = VALUE")
            found.append((to_bytes(name), table.texts(name)))
        if not found:
            raise self.problem(key, "is empty; write { NAME = VALUE }")
        return tuple(found)
