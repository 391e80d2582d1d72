"""`config`: the settings in effect, and where each of them was set."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from int3rceptor.cli.flags import takes_settings
from int3rceptor.cli.given import Given
from int3rceptor.cli.output.escaping import printable
from int3rceptor.config.model import TABLES, keys
from int3rceptor.config.sources import Loaded

DEFAULT = "default"

WIDE = 10_000
"""Columns of a table that goes to a file: nothing is wrapped or cut."""

commands = typer.Typer(
    help="Show the settings in effect and where each was set.",
    invoke_without_command=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@commands.callback()
@takes_settings()
def config(given: Given, context: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings in effect and where each was set."""
    if context.invoked_subcommand is None:
        _print(given, as_json=as_json)
    elif as_json or not given.is_empty:
        context.fail("flags go after `show`")


@commands.command()
@takes_settings()
def show(given: Given, as_json: AsJson = False) -> None:
    """Show the settings in effect and where each was set."""
    _print(given, as_json=as_json)


def _print(given: Given, *, as_json: bool) -> None:
    rows = effective(given.load())
    if as_json:
        shown = {key: {"value": value, "from": place} for key, value, place in rows}
        typer.echo(json.dumps(shown, indent=2))
    else:
        _print_table(rows)


def effective(loaded: Loaded) -> list[tuple[str, object, str]]:
    """Key, value and place of every setting, in the order of the documentation."""
    values = _flat(loaded.config.as_table())
    return [
        (key.path, values[key.path], loaded.places.get(key.path, DEFAULT))
        for key in keys()
    ]


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """Settings by dotted key."""
    found = dict(values)
    for table in TABLES:
        inner = values[table]
        if isinstance(inner, Mapping):
            found |= {f"{table}.{name}": value for name, value in inner.items()}
    return found


def _print_table(rows: list[tuple[str, object, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for key, value, place in rows:
        shown = json.dumps(value, ensure_ascii=False)
        table.add_row(*(Text(printable(text)) for text in (key, shown, place)))
    console.print(table)
