"""What plugins log, as lines: `plugin NAME: LEVEL message`.

They do not go through `logging`: a plugin may write several lines per exchange, and
making records of them was a visible part of each exchange's CPU.
"""

import time
from collections.abc import Callable, Sequence

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.json_lines import json_line, timestamp
from int3rceptor.cli.output.line_writer import Write
from int3rceptor.config.model import Config

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
"""The plugin interface's levels, by number."""

Lines = Sequence[tuple[int, str]]
"""Of each line the level and the text."""


def lines_to(write: Write, config: Config) -> Callable[[str, Lines], None]:
    """A sink for what a plugin, by its name, says. Debug lines need --verbose; whoever
    loads a plugin wants its other lines, also when all else is to be quiet."""
    lowest = 0 if config.verbose else 1

    def texts(name: str, lines: Lines) -> list[str]:
        begin = [f"plugin {name}: {level} " for level in LEVELS]
        shown = [begin[level] + line for level, line in lines if level >= lowest]
        is_safe = "".join(shown).isprintable()
        return shown if is_safe else [*map(printable, shown)]

    def records(name: str, lines: Lines) -> list[str]:
        record = {"type": "plugin", "time": timestamp(time.time()), "plugin": name}
        return [
            json_line(record | {"level": LEVELS[level].lower(), "message": line})
            for level, line in lines
            if level >= lowest
        ]

    form = records if config.log_format == "json" else texts

    def take(name: str, lines: Lines) -> None:
        shown = form(name, lines)
        if shown:
            write(*shown)

    return take
