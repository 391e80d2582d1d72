"""The flags that set settings, for every command of Typer's that takes them.

Help texts are the settings' own descriptions; values are checked by the config room, so
that a flag, a variable and a file are refused in the same words.
"""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Concatenate, ParamSpec

import typer

from int3rceptor.cli.given import METAVARS, Given, given_of, spelling_of
from int3rceptor.cli.typed import told
from int3rceptor.config.model import keys

WHERE_FILES_ARE = ("data_dir",)

_CONFIG = "Settings file (TOML), in place of DATA_DIR/int3rceptor.toml."

P = ParamSpec("P")


def takes_settings(
    names: Collection[str] = tuple(METAVARS),
) -> Callable[[Callable[Concatenate[Given, P], None]], Callable[P, None]]:
    """Make a command take the flags of these settings, and --config.

    The command gets them as a Given in front of its own parameters.
    """
    options = [*map(_option, names), _parameter("config", str | None, "FILE", _CONFIG)]

    def decorate(
        command: Callable[Concatenate[Given, P], None],
    ) -> Callable[P, None]:
        own = list(inspect.signature(command).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [*options, *(one.replace(kind=keyword) for one in own)]

        @functools.wraps(command)
        def with_settings(*positional: P.args, **values: P.kwargs) -> None:
            taken = {one.name: values.pop(one.name) for one in options}
            command(given_of(taken), *positional, **values)

        told(with_settings, parameters)
        return with_settings

    return decorate


def _option(name: str) -> inspect.Parameter:
    key = next(key for key in keys() if key.path == name)
    metavar = METAVARS[name]
    description = key.setting.description
    if key.is_list:
        return _parameter(name, list[str] | None, metavar, f"{description} Repeatable.")
    if not metavar:
        return _parameter(name, bool, metavar, description)
    return _parameter(name, str | None, metavar, description)


def _parameter(
    name: str, kind: object, metavar: str, description: str
) -> inspect.Parameter:
    option = typer.Option(
        spelling_of(name), metavar=metavar or None, help=description, show_default=False
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if kind is bool else None,
        annotation=Annotated[kind, option],
    )
