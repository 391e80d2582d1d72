"""The command lines that Typer reads: every one but a plain start of the proxy."""

from collections.abc import Sequence

import typer

from int3rceptor.cli.output.logs import PACKAGE
from int3rceptor.errors import ConfigError

OF_PYDANTIC = "Value error, "
"""What pydantic puts before Typer's own words for a value that is none of several."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. ConfigError when it makes no sense."""
    program = _program(arguments)
    try:
        code: object = program(arguments, prog_name=PACKAGE, standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".").replace(OF_PYDANTIC, "")
        raise ConfigError(f"{message}; see `{PACKAGE} --help`") from error
    return code if isinstance(code, int) else 0


def _program(arguments: Sequence[str]) -> typer.Typer:
    """The commands that this command line may need; all others take as long again."""
    if arguments[:1] == ["flows"]:
        from int3rceptor.cli.flows import commands as flow_commands

        return flow_commands.alone()
    from int3rceptor.cli.commands import app

    return app
