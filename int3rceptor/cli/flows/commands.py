"""The `flows` commands as Typer knows them."""

import typer

from int3rceptor.cli.flows.listing import COMMANDS
from int3rceptor.cli.typed import typed

commands = typer.Typer(help="List, show, follow and delete the flows that were kept.")
for _name, _command in COMMANDS.items():
    commands.command(_name)(typed(_command))


def alone() -> typer.Typer:
    """A program that has these commands only, loaded in a fraction of the time."""
    program = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(lambda: None)
    program.add_typer(commands, name="flows")
    return program
