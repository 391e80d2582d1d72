"""All commands of the program; without one it starts the proxy."""

from typing import Annotated

import typer

from int3rceptor import __version__
from int3rceptor.cli import ca, settings
from int3rceptor.cli.flags import takes_settings
from int3rceptor.cli.flows import commands as flow_commands
from int3rceptor.cli.given import Given, start
from int3rceptor.cli.plugins import commands as plugins

app = typer.Typer(
    help="A TLS-intercepting HTTP proxy. Without a command it starts the proxy.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(ca.commands, name="ca")
app.add_typer(flow_commands.commands, name="flows")
app.add_typer(plugins.commands, name="plugins")
app.add_typer(settings.commands, name="config")


@app.callback(invoke_without_command=True)
@takes_settings()
def default(
    given: Given,
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    """A TLS-intercepting HTTP proxy. Without a command it starts the proxy."""
    if version:
        typer.echo(f"int3rceptor {__version__}")
    elif context.invoked_subcommand is None:
        start(given)
    elif not given.is_empty:
        context.fail(f"flags go after the command `{context.invoked_subcommand}`")


@app.command("run")
@takes_settings()
def run(given: Given) -> None:
    """Start the proxy; this is what happens without a command too."""
    start(given)
