"""The flags that set settings, in one table; what one command line gave; the start.

Most command lines start the proxy and hold nothing but such flags. They are read here,
without Typer: it would be a quarter of the start, and 9 MB in a process that runs for
weeks.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from int3rceptor.cli.plain import NO_FLAG, NotPlainError, pairs
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


@dataclass(slots=True, frozen=True, kw_only=True)
class Given:
    """The flags of one command line, not yet looked at."""

    flags: Mapping[str, Flag]
    config_file: str | None

    @property
    def is_empty(self) -> bool:
        """Whether no flag was given."""
        return not self.flags and self.config_file is None

    def load(self) -> Loaded:
        """All settings, with these flags on top. Raises ConfigError."""
        return load(self.flags, os.environ, config_file=self.config_file)


def spelling_of(name: str) -> str:
    """How the flag of a setting is written."""
    return "--" + name.replace("_", "-")


def given_of(values: Mapping[str, object]) -> Given:
    """The flags among these parameters; those that were not given are dropped."""
    config = values["config"]
    flags = {
        name: Flag(spelling=spelling_of(name), value=value)
        for name, value in values.items()
        if name != "config" and value not in (None, False, [])
    }
    return Given(flags=flags, config_file=config if isinstance(config, str) else None)


def plain_start(arguments: Sequence[str]) -> Given | None:
    """The flags of a command line that starts the proxy and is plain to read.

    None for every other one, be it for another command or wrong.
    """
    lists = {key.path for key in keys() if key.is_list}
    names = {spelling_of(name): name for name in (*METAVARS, "config")}
    takes_value = {
        spelling: bool(METAVARS.get(name, "FILE")) for spelling, name in names.items()
    }
    values: dict[str, object] = {"config": None}
    words = arguments[1:] if arguments[:1] == ["run"] else arguments
    try:
        for spelling, value in pairs(words, takes_value):
            if spelling == NO_FLAG:
                return None
            name = names[spelling]
            before = values.get(name)
            earlier = before if isinstance(before, list) else []
            given = value if takes_value[spelling] else True
            values[name] = [*earlier, given] if name in lists else given
    except NotPlainError:
        return None
    return given_of(values)


def start(given: Given) -> None:
    """Run the proxy with these flags, until it is told to stop."""
    config = given.load().config
    # After the settings were checked: the proxy's own imports take most of a start.
    from int3rceptor.cli.run import run

    run(config)
