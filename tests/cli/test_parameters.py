"""A plain command line is read as Typer would read it; all others are left to Typer."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import event, given, settings
from hypothesis import strategies as st

from int3rceptor.cli.flows.listing import COMMANDS
from int3rceptor.cli.parameters import Argument, Command, Option
from int3rceptor.cli.plain import NotPlainError
from int3rceptor.cli.typed import typed

ODD = st.sampled_from(
    [
        *("--limit", "--before", "--host=", "--hos", "--method", "--tag=-", "--json=1"),
        *("0", "+7", "1_0", " 7", "99999", "-7", "7.0", "9007199254740992", "1" * 5000),
        *("\u0663", "", "REQUEST", "--body", "-o=x", "-ox", "--", "-", "-h", "--help"),
    ]
).map(lambda word: (word,))
RIGHT = st.sampled_from(
    [
        *(
            ("7",),
            ("07",),
            ("9007199254740991",),
            ("--json",),
            ("--marked",),
            ("--all",),
        ),
        *(("--yes",), ("--remove",), ("--explain",), ("--raw",), ("--limit", "3")),
        *(
            ("--limit=10000",),
            ("--before", "1"),
            ("--host", "*.example.com"),
            ("-o", "."),
        ),
        *(("--host=a=b",), ("--method", "GET"), ("--status=4xx",), ("--since", "5m")),
        *(
            ("--text", "two words"),
            ("--tag", "x"),
            ("--body", "request"),
            ("--out=a/b",),
        ),
        *(("--body=response",), ("--data-dir", "d"), ("--config", "c"), ("--host", "")),
    ]
)
LINES = st.lists(st.one_of(RIGHT, RIGHT, RIGHT, RIGHT, ODD), max_size=4).map(
    lambda words: [word for one in words for word in one]
)


class Called(Exception):
    """With the values of a call."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values


def typers(command: Command, words: list[str]) -> Mapping[str, object]:
    """What Typer would call it with, defaults included."""
    with pytest.MonkeyPatch.context() as patch:

        def call(_: Command, **values: object) -> None:
            raise Called(values)

        patch.setattr(Command, "__call__", call)
        program = typer.Typer(add_completion=False)
        program.command()(typed(command))
        with pytest.raises(Called) as called:
            program(words, standalone_mode=False)
        return called.value.values


@settings(max_examples=300)
@given(st.sampled_from(sorted(COMMANDS)), LINES)
def test_what_is_plain_is_what_typer_reads(name: str, words: list[str]) -> None:
    command = COMMANDS[name]
    try:
        plain = command.read(words)
    except NotPlainError:
        event("not plain")
        return
    event("plain")
    read = typers(command, words)
    assert {one: read[one] for one in plain} == plain
    # What was not given is what the function takes by itself.
    assert not any(
        value for one, value in read.items() if one not in plain if one != "limit"
    )


class Size(Enum):
    """Of a cup."""

    SMALL = "small"
    LARGE = "large"


def brew(
    cups: Annotated[list[int], Argument(metavar="CUP...", help="Cups.", least=1)],
    size: Annotated[
        Size | None, Option(spellings=("--size", "-s"), help="Size.")
    ] = None,
    into: Annotated[Path | None, Option(spellings=("--into",), help="Where.")] = None,
    hot: Annotated[bool, Option(spellings=("--hot",), help="Hot.")] = False,
) -> None:
    """Make coffee."""
    BREWED.append((cups, size, into, hot))


BREWED: list[tuple[list[int], Size | None, Path | None, bool]] = []


def test_all_kinds_of_parameters() -> None:
    words = ["1", "-s", "large", "--into=pot", "2", "--hot"]
    values = {"cups": [1, 2], "size": Size.LARGE, "into": Path("pot"), "hot": True}
    assert Command(brew).read(words) == values
    assert typers(Command(brew), words) == values


def test_a_plain_one_runs_and_another_does_not() -> None:
    BREWED.clear()
    assert Command(brew).run_if_plain(["3", "-s", "small"])
    assert not Command(brew).run_if_plain(["3", "-s", "huge"])
    assert BREWED == [([3], Size.SMALL, None, False)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("show", []),
        ("show", ["0"]),
        ("show", ["1", "2"]),
        ("show", ["x"]),
        ("show", ["1", "--body", "both"]),
        ("show", ["1", "--body=request", "-o=x"]),
        ("list", ["--limit", "10001"]),
        ("list", ["--limit"]),
        ("list", ["--host", "--json"]),
        ("list", ["--json=1"]),
        ("list", ["--help"]),
        ("list", ["--lim", "1"]),
        ("list", ["1"]),
        ("count", ["--", "x"]),
    ],
)
def test_what_is_not_plain_is_left_to_typer(name: str, words: list[str]) -> None:
    assert not COMMANDS[name].run_if_plain(words)


def test_a_parameter_without_a_mark_is_a_mistake() -> None:
    def unmarked(size: int) -> None:
        """Make coffee."""

    with pytest.raises(TypeError, match="the parameter size is not marked"):
        Command(unmarked).parameters()
