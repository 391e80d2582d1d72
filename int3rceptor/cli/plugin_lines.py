"""What plugins log, as lines: `plugin NAME: LEVEL message`.

They do not go through `logging`: a plugin may write several lines per exchange, and
making records of them was a visible part of each exchange's CPU.
"""

import time
from collections.abc import Callable

from int3rceptor.cli.escaping import printable
from int3rceptor.cli.json_lines import json_line, timestamp
from int3rceptor.config.model import Config

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
"""The plugin interface's levels, by number."""

Write = Callable[[str], None]
PluginLines = Callable[[str, int, str], None]


def lines_to(write: Write, config: Config) -> PluginLines:
    """A sink for (plugin, level, text). Debug lines need --verbose; whoever loads a
    plugin wants its other lines, also when all else is to be quiet."""
    lowest = 0 if config.verbose else 1

    def text(name: str, level: int, line: str) -> None:
        if level >= lowest:
            write(printable(f"plugin {name}: {LEVELS[level]} {line}"))

    def json(name: str, level: int, line: str) -> None:
        if level >= lowest:
            record = {
                "type": "plugin",
                "time": timestamp(time.time()),
                "plugin": name,
                "level": LEVELS[level].lower(),
                "message": line,
            }
            write(json_line(record))

    return json if config.log_format == "json" else text
