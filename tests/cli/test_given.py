"""A plain start is read as Typer would read it; everything else is left to Typer."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from int3rceptor.cli import commands, parsing
from int3rceptor.cli.given import METAVARS, Given, plain_start, spelling_of
from int3rceptor.config.sources import Flag

WORDS = st.sampled_from(
    [
        *(spelling_of(name) for name in METAVARS),
        *("--listen=h:1", "--listen=", "--plugin=a=b", "--no-store=1", "--quiet="),
        *("--config", "--config=x.toml", "h:1", "a.wasm", "2", "", "run", "flows"),
        *("--", "-", "-h", "--help", "--version", "--lis", "config", "-q", "--=x"),
    ]
)


def typers(arguments: list[str]) -> Given:
    """What Typer reads from a command line that starts the proxy."""
    seen: list[Given] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "start", seen.append)
        assert parsing.run(arguments) == 0
    (given,) = seen
    return given


@given(st.lists(WORDS, max_size=5), st.booleans())
def test_what_is_plain_is_what_typer_reads(words: list[str], is_spelled: bool) -> None:
    arguments = ["run", *words] if is_spelled else words
    plain = plain_start(arguments)
    event("not plain" if plain is None else "plain")
    if plain is not None:
        assert plain == typers(arguments)


def test_all_kinds_of_flags() -> None:
    arguments = [
        *("run", "--listen", "h:1", "--plugin=a.wasm", "--no-store", "--plugin", "b"),
        *("--config", "x.toml", "--listen", "h:2"),
    ]
    plain = plain_start(arguments)
    assert plain == typers(arguments)
    assert plain == Given(
        flags={
            "listen": Flag(spelling="--listen", value="h:2"),
            "plugin": Flag(spelling="--plugin", value=["a.wasm", "b"]),
            "no_store": Flag(spelling="--no-store", value=True),
        },
        config_file="x.toml",
    )
    assert plain_start([]) == typers([])


@pytest.mark.parametrize(
    "arguments",
    [
        ["flows", "list"],
        ["--help"],
        ["run", "-h"],
        ["--version"],
        ["--listen"],
        ["--listen", "--quiet"],
        ["--lissten", "x"],
        ["--quiet=yes"],
        ["run", "run"],
        ["--listen", "h:1", "config"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert plain_start(arguments) is None
