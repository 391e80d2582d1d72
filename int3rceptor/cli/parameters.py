"""What a command takes, said at its parameters: `Annotated[str | None, Option(...)]`.

Said without Typer, so that a command line that is plain to read needs none; `typed`
tells it the same for all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, get_args, get_origin

from int3rceptor.cli.plain import NO_FLAG, NotPlainError, pairs

MAX_DIGITS = 18
"""Of a number that is plain: Python refuses thousands of them in words of its own."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Option:
    """A flag, with all its spellings; a bool's takes no value."""

    spellings: tuple[str, ...]
    help: str
    metavar: str | None = None
    panel: str | None = None
    least: int | None = None
    most: int | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Argument:
    """A value that is told by its place; of a list, all that follow."""

    metavar: str
    help: str
    least: int | None = None
    most: int | None = None


@dataclass(slots=True, frozen=True)
class Parameter:
    """One parameter of a command."""

    name: str
    kind: type
    is_list: bool
    mark: Option | Argument

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it is written; an argument has no flag."""
        return self.mark.spellings if isinstance(self.mark, Option) else ()


@dataclass(slots=True, frozen=True)
class Command:
    """A function whose parameters all have marks, and which returns nothing."""

    function: object

    def __call__(self, **values: object) -> None:
        """Run it."""
        assert callable(self.function)
        self.function(**values)

    def parameters(self) -> list[Parameter]:
        """What it takes, in order."""
        annotations = self.function.__annotations__.items()
        return [_parameter(*one) for one in annotations if one[0] != "return"]

    def run_if_plain(self, words: Sequence[str]) -> bool:
        """Run it as these words say; False if Typer must read them."""
        try:
            values = self.read(words)
        except NotPlainError:
            return False
        self(**values)
        return True

    def read(self, words: Sequence[str]) -> Mapping[str, object]:
        """What to call it with, without what was not given. Raises NotPlainError."""
        parameters = self.parameters()
        flags = {spelling: one for one in parameters for spelling in one.spellings}
        places = [one for one in parameters if not one.spellings]
        wants = {spelling: one.kind is not bool for spelling, one in flags.items()}
        given: dict[str, object] = {}
        for spelling, word in pairs(words, wants):
            one = _next(places, given) if spelling == NO_FLAG else flags[spelling]
            value = _value(one, word)
            before = given.get(one.name, [])
            if one.is_list and isinstance(before, list):
                value = [*before, value]
            given[one.name] = value
        if any(one.name not in given and not one.is_list for one in places):
            raise NotPlainError("an argument is missing")
        return given


def _parameter(name: str, annotation: object) -> Parameter:
    if get_origin(annotation) is not Annotated:
        raise TypeError(f"the parameter {name} is not marked")
    kind, mark = get_args(annotation)
    if isinstance(kind, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    is_list = get_origin(kind) is list
    return Parameter(name, get_args(kind)[0] if is_list else kind, is_list, mark)


def _next(places: list[Parameter], given: Mapping[str, object]) -> Parameter:
    for one in places:
        if one.is_list or one.name not in given:
            return one
    raise NotPlainError("one argument too many")


def _value(parameter: Parameter, word: str) -> object:
    kind, mark = parameter.kind, parameter.mark
    if kind is bool:
        return True
    if kind is int:
        if not (word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS):
            raise NotPlainError(word)
        number = int(word)
        is_below = mark.least is not None and number < mark.least
        if is_below or (mark.most is not None and number > mark.most):
            raise NotPlainError(word)
        return number
    if issubclass(kind, Enum) and word not in {member.value for member in kind}:
        raise NotPlainError(word)
    return kind(word)
