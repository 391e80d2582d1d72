"""Log records on standard error: one line each, as text or JSON, never a traceback
unless it was asked for.

The levels are set here. What is logged is the other rooms' business, but libraries stay
at warnings: their debug lines hold header values.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.json_lines import json_line, timestamp

if TYPE_CHECKING:
    # main imports this module, and `flows` needs no settings' model.
    from int3rceptor.config.model import Config

PACKAGE = "int3rceptor"
TRACEBACK_HINT = "run with --verbose for the traceback"


@contextlib.contextmanager
def logging_to(write: Callable[[str], None], config: "Config") -> Iterator[None]:
    """Send all log records, formed into lines, to `write` while the context lasts."""
    formatter = _JsonFormatter() if config.log_format == "json" else _TextFormatter()
    handler = _LineHandler(write)
    handler.setFormatter(formatter)
    formatter.is_verbose = config.verbose
    root, ours = logging.getLogger(), logging.getLogger(PACKAGE)
    before = {logger: logger.level for logger in (root, ours)}
    set_levels(config)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger, level in before.items():
            logger.setLevel(level)


def set_levels(config: "Config") -> None:
    """Let through what these settings ask for."""
    level = logging.WARNING if config.quiet else logging.INFO
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger(PACKAGE).setLevel(logging.DEBUG if config.verbose else level)


class _LineHandler(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


class _LineFormatter(logging.Formatter):
    """What both forms share: the message, with its exception in a few words."""

    is_verbose = False

    def message_of(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # A wrong number of arguments must not cost the line, nor the caller.
            message = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        if error is None and not record.exc_text:
            return message
        # A worker has said in its message what the error was.
        what = "" if error is None else f": {type(error).__name__}: {error}"
        hint = "" if self.is_verbose else f" ({TRACEBACK_HINT})"
        return f"{message}{what}{hint}"

    def traceback_of(self, record: logging.LogRecord) -> str:
        if not self.is_verbose:
            return ""
        if not record.exc_info:
            return record.exc_text or ""
        return self.formatException(record.exc_info)


class _TextFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        message = printable(self.message_of(record))
        level = record.levelname.lower()
        if self.is_verbose:
            line = f"{PACKAGE}: {level}: {record.name}: {message}"
        elif record.levelno == logging.INFO:
            line = f"{PACKAGE}: {message}"
        else:
            line = f"{PACKAGE}: {level}: {message}"
        trace = self.traceback_of(record).splitlines()
        return "\n    ".join([line, *map(printable, trace)])


class _JsonFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "type": "log",
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message_of(record),
        }
        if trace := self.traceback_of(record):
            fields["traceback"] = trace
        return json_line(fields)
