"""The flags that set settings, made from one table for every command that takes them.

Help texts are the settings' own descriptions; values are checked by the config room, so
that a flag, a variable and a file are refused in the same words.
"""

import functools
import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

import typer

from int3rceptor.config.model import keys
from int3rceptor.config.sources import Flag, Loaded, load

METAVARS: Mapping[str, str] = {
    "listen": "HOST:PORT",
    "control": "HOST:PORT|off",
    "data_dir": "DIR",
    "plugin": "FILE",
    "rules": "FILE",
    "upstream_ca": "FILE",
    "insecure_upstream": "",
    "no_store": "",
    "workers": "N",
    "log_format": "text|json",
    "quiet": "",
    "verbose": "",
}
"""Settings with a flag of their own, and what stands for the value; "" is a switch."""

WHERE_FILES_ARE = ("data_dir",)

_CONFIG = "Settings file (TOML), in place of DATA_DIR/int3rceptor.toml."

P = ParamSpec("P")


@dataclass(slots=True, frozen=True, kw_only=True)
class Given:
    """The flags of one command line, not yet looked at."""

    flags: Mapping[str, Flag]
    config_file: Path | None

    @property
    def is_empty(self) -> bool:
        """Whether no flag was given."""
        return not self.flags and self.config_file is None

    def load(self) -> Loaded:
        """All settings, with these flags on top. Raises ConfigError."""
        return load(self.flags, os.environ, config_file=self.config_file)


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
            command(_given(taken), *positional, **values)

        # Typer reads these two to learn what the command takes.
        with_settings.__dict__["__signature__"] = inspect.Signature(parameters)
        with_settings.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_settings

    return decorate


def spelling_of(name: str) -> str:
    """How the flag of a setting is written."""
    return "--" + name.replace("_", "-")


def _given(values: Mapping[str, object]) -> Given:
    config = values["config"]
    flags = {
        name: Flag(spelling=spelling_of(name), value=value)
        for name, value in values.items()
        if name != "config" and value not in (None, False, [])
    }
    return Given(
        flags=flags, config_file=Path(config) if isinstance(config, str) else None
    )


def _option(name: str) -> inspect.Parameter:
    key = next(key for key in keys() if key.path == name)
    metavar = METAVARS[name]
    description = key.field.description or ""
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
