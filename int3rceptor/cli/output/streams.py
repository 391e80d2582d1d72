"""Where a process that serves writes its lines, and in which loop it runs.

The process that was started and its workers have the same streams.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

from int3rceptor.cli.output.json_lines import json_line
from int3rceptor.cli.output.line_writer import LineWriter, Write
from int3rceptor.cli.output.live import TextForm, json_form, listener
from int3rceptor.cli.output.turns import Turn
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Listener

STDOUT, STDERR = 1, 2


@contextlib.contextmanager
def lines_to(descriptor: int, config: Config, turn: Turn | None) -> Iterator[Write]:
    """What writes lines to a descriptor; `turn` where others write to it, too."""

    def gap(count: int) -> str:
        if config.log_format == "json":
            return json_line({"type": "gap", "lines": count})
        return f"… {count} lines not shown"

    writer = LineWriter(descriptor, gap=gap, turn=turn)
    try:
        yield writer.write
    finally:
        writer.close()


def live_view(config: Config, out: Write, descriptor: int) -> Sequence[Listener]:
    """Who shows each finished exchange by `out`, which writes to `descriptor`."""
    if config.quiet:
        return ()
    if config.log_format == "json":
        return (listener(out, json_form),)
    has_colours = os.isatty(descriptor) and not os.environ.get("NO_COLOR")
    return (listener(out, TextForm(has_colours=has_colours)),)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it exists: not on Windows, not on PyPy."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
