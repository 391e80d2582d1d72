"""`plugins`: what a module would be able to do, and tools for those who write one."""

from pathlib import Path
from typing import Annotated

import typer

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.plugins import authoring as plugin_authoring
from int3rceptor.cli.plugins import running as plugin_running
from int3rceptor.errors import PluginError

commands = typer.Typer(help="Look at plugins, write and try them.")


@commands.callback()
def plugins() -> None:
    """Look at plugins, write and try them."""


@commands.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .wasm or .wat file.")],
) -> None:
    """Tell a module's hooks, imports and what they allow, in plain words."""
    # Loading the WebAssembly engine takes longer than all other commands.
    from int3rceptor.plugins.authoring.description import describe

    description = describe(file)
    for line in description.lines():
        typer.echo(printable(line))
    if description.problems:
        raise PluginError(f"{file}: cannot be loaded; the problems are listed above")


commands.command("list")(plugin_running.list_plugins)
commands.command("show")(plugin_running.show)
commands.command("enable")(plugin_running.enable)
commands.command("disable")(plugin_running.disable)
commands.command("reload")(plugin_running.reload)
commands.command("grant")(plugin_running.grant)
commands.command("revoke")(plugin_running.revoke)
commands.command("upload")(plugin_running.upload)
commands.command("delete")(plugin_running.delete)
commands.command("log")(plugin_running.log)
commands.command("config")(plugin_running.config)
commands.command("new")(plugin_authoring.new)
commands.command("test")(plugin_authoring.try_on)
commands.command("bench")(plugin_authoring.bench)
