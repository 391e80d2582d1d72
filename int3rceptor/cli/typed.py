"""Commands told to Typer: what its own annotations would say is put on a function."""

import inspect
from collections.abc import Callable
from typing import Annotated, ParamSpec

import typer

from int3rceptor.cli.parameters import Argument, Command, Parameter

P = ParamSpec("P")


def typed(command: Command) -> Callable[[], None]:
    """A function that runs it, with the parameters' marks as Typer's."""
    marks = {one.name: _mark(one) for one in command.parameters()}
    assert callable(command.function)
    parameters = inspect.signature(command.function).parameters

    def with_marks(**values: object) -> None:
        command(**values)

    with_marks.__doc__ = command.function.__doc__
    told(
        with_marks,
        [
            one.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[one.annotation.__origin__, marks[name]],
            )
            for name, one in parameters.items()
        ],
    )
    return with_marks


def told(function: Callable[P, None], parameters: list[inspect.Parameter]) -> None:
    """Tell Typer that a function takes these, by the two places where it looks."""
    function.__dict__["__signature__"] = inspect.Signature(parameters)
    function.__annotations__ = {one.name: one.annotation for one in parameters}


def _mark(parameter: Parameter) -> object:
    mark = parameter.mark
    if isinstance(mark, Argument):
        return typer.Argument(
            metavar=mark.metavar, help=mark.help, min=mark.least, max=mark.most
        )
    return typer.Option(
        *mark.spellings,
        metavar=mark.metavar,
        help=mark.help,
        rich_help_panel=mark.panel,
        show_default=mark.least is not None,
        min=mark.least,
        max=mark.most,
    )
