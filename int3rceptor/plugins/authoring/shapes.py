"""A host function as a guest language writes it: which parameters belong together.

The ABI passes a piece of memory as an address and a length; languages have one word for
the pair. What a row means is read from the names of its parameters alone, so that every
row of the table has a shape. Pure data.
"""

from dataclasses import dataclass
from enum import Enum

from int3rceptor.plugins.abi.codes import INIT_EXPORT
from int3rceptor.plugins.abi.rows import HostFunction


class Kind(Enum):
    """What a parameter of a wrapper is."""

    NUMBER = "a number"
    BYTES = "bytes that the host reads"
    ROOM = "memory that the host fills"


class Number(Enum):
    """Which numbers these can be: languages have a type for each."""

    LEVEL = "a log level"
    SIGNED = "of either sign"
    SMALL = "a port, or a status of HTTP"
    COUNT = "never below 0"
    FLAG = "yes or no"


_GIVEN = {
    "level": Number.LEVEL,
    "status": Number.SMALL,
    "port": Number.SMALL,
    "ms": Number.COUNT,
}
"""By the names of parameters; others have either sign."""

_ANSWERED = {
    "the port": Number.SMALL,
    "the status": Number.SMALL,
    "1 or 0": Number.FLAG,
}
"""By what a row says that it answers; others are counts."""


class Answer(Enum):
    """What a wrapper gives back."""

    DONE = "nothing, or why it failed"
    SAID = "nothing: there is nothing to do about a line that was not logged"
    NUMBER = "a number, or why it failed"
    FILLED = "the filled part of the room, or why it failed"
    WIDE = "a 64-bit number, or why it failed"


@dataclass(slots=True, frozen=True)
class Parameter:
    """One parameter of a wrapper; `words` are what it stands for in the ABI."""

    name: str
    kind: Kind
    words: tuple[str, ...]

    @property
    def number(self) -> Number:
        """Of a number: which."""
        return _GIVEN.get(self.name, Number.SIGNED)


@dataclass(slots=True, frozen=True, kw_only=True)
class Shape:
    """A host function's wrapper; `name` is the row's without its host_."""

    row: HostFunction
    name: str
    parameters: tuple[Parameter, ...]
    answer: Answer

    @property
    def number(self) -> Number:
        """Of an answer that is a number: which."""
        return _ANSWERED.get(self.row.returns, Number.COUNT)

    @property
    def about(self) -> tuple[str, ...]:
        """What the documentation of the wrapper says, a line each."""
        returns = self.row.returns
        match self.answer:
            case Answer.DONE | Answer.SAID:
                returns = ""
            case Answer.FILLED:
                what = returns.partition(";")[0]
                returns = "the value" if what == "the length" else what
            case Answer.NUMBER | Answer.WIDE:
                pass
        return self._about(returns)

    @property
    def about_import(self) -> tuple[str, ...]:
        """The same of the function as it is imported."""
        return self._about(self.row.returns)

    def _about(self, returns: str) -> tuple[str, ...]:
        row = self.row
        lines = [f"{row.does[0].upper()}{row.does[1:]}."]
        if returns:
            lines.append(f"Answers: {returns}.")
        if row.errors and self.answer is not Answer.SAID:
            lines.append(f"Errors: {', '.join(one.name for one in row.errors)}.")
        where = ", ".join(point.value for point in row.hooks)
        lines.append(f"In: {where or f'every hook, and {INIT_EXPORT}'}.")
        return tuple(lines)


_SAYING = frozenset({"host_log", "host_abort"})


def shape_of(row: HostFunction) -> Shape:
    """The shape of any row."""
    parameters = tuple(_parameters(row))
    return Shape(
        row=row,
        name=row.name.removeprefix("host_"),
        parameters=parameters,
        answer=_answer(row, parameters),
    )


def _parameters(row: HostFunction) -> list[Parameter]:
    found: list[Parameter] = []
    words = list(row.params)
    while words:
        word = words.pop(0)
        if not word.endswith("ptr"):
            found.append(Parameter(word, Kind.NUMBER, (word,)))
            continue
        size = words.pop(0)
        name = word.removesuffix("ptr").rstrip("_") or "text"
        is_room = name == "buf" or size.endswith("max")
        kind = Kind.ROOM if is_room else Kind.BYTES
        found.append(Parameter("buffer" if is_room else name, kind, (word, size)))
    return found


def _answer(row: HostFunction, parameters: tuple[Parameter, ...]) -> Answer:
    if row.result != "i32":
        return Answer.WIDE
    if row.name in _SAYING:
        return Answer.SAID
    if row.returns == "OK":
        return Answer.DONE
    has_room = any(one.kind is Kind.ROOM for one in parameters)
    return Answer.FILLED if has_room else Answer.NUMBER
