"""What one plugin logs: at a bounded rate to the log, the latest kept, live on demand.

It outlives the plugin's versions: a reload goes on in the same log. Where a loop runs,
the lines of all plugins wait a moment and are passed on together: an exchange only puts
them down.
"""

import itertools
import operator
import time
from collections import deque
from collections.abc import Callable, Sequence

from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.policy.manifest import Limits

Line = tuple[LogLevel, str]
Lines = Sequence[Line]

LogSink = Callable[[str, Lines], None]
"""Takes lines of a plugin: its name, of each line the level and the text."""

Viewer = Callable[[LogLine], None]
"""Takes a line as it is written, in the loop's thread: it must not wait."""

MAX_RECENT_LINES = 256
"""Kept of one plugin; with lines of the largest size 2 MiB, usually some KiB."""

WINDOW_S = 1.0
"""What the limits of lines and bytes are counted over."""


PUT_DOWN_S = 0.01
"""How long lines wait for more. Nobody sees it; and a line on its way by itself costs
ten times as much, most of it for what is no longer in the CPU's caches."""

MAX_PUT_DOWN = 512
"""Lines that wait: some hundred come in PUT_DOWN_S when much is logged. They are 4 MiB
if all are of the largest size, usually some KiB."""

Later = Callable[[float, Callable[[], None]], object]
"""Has something called after so many seconds, as a loop's `call_later`."""

_text_of = operator.itemgetter(1)


class Outbox:
    """What plugins have logged and nobody was passed yet, in order, for all of them.

    Without a loop's `later` nothing waits.
    """

    __slots__ = ("_is_due", "_later", "_lines", "_most", "_room", "_turns", "_writer")

    def __init__(self, later: Later | None = None) -> None:
        self._later = later
        self._is_due = False
        self._most = self._room = MAX_PUT_DOWN if later else 0
        # Who wrote, and what until another did; the latest of them beside it.
        self._turns: list[tuple[PluginLog, list[Line]]] = []
        self._writer: PluginLog | None = None
        self._lines: list[Line] = []

    def put_down(self, log: "PluginLog", lines: Lines) -> None:
        """Have these lines passed on with the next; at once when they are many."""
        if log is not self._writer:
            self._begin_turn(log)
        waiting = self._lines
        waiting += lines
        if len(waiting) > self._room:
            self.pass_on()

    def _begin_turn(self, log: "PluginLog") -> None:
        self._room -= len(self._lines)
        self._writer, self._lines = log, []
        self._turns.append((log, self._lines))
        if self._later and not self._is_due:
            self._is_due = True
            self._later(PUT_DOWN_S, self.pass_on)

    def pass_on(self) -> None:
        """Pass on all that waits."""
        self._is_due = False
        turns, self._turns = self._turns, []
        self._writer, self._lines, self._room = None, [], self._most
        for log, lines in turns:
            log.pass_on(lines)


class PluginLog:
    """The log of one plugin name; what it is asked about includes what waits."""

    def __init__(
        self,
        name: str,
        sink: LogSink,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        outbox: Outbox | None = None,
    ) -> None:
        self._name = name
        self._sink = sink
        self._clock = clock
        self._wall = wall
        self.outbox = outbox or Outbox()
        self._recent: deque[tuple[float, Line]] = deque(maxlen=MAX_RECENT_LINES)
        self._viewers: list[Viewer] = []
        self._window_ends = 0.0
        self._lines_left = self._bytes_left = 0
        self._left_out = 0
        self.limits = Limits()
        self.written = 0
        self.left_out = 0

    def write(self, lines: Lines) -> None:
        """Have lines passed on, after PUT_DOWN_S at the latest."""
        self.outbox.put_down(self, lines)

    def flush(self) -> None:
        """Pass on what waits, of all plugins: what follows is to stand after it."""
        self.outbox.pass_on()

    def pass_on(self, lines: Lines) -> None:
        """Pass lines on; those over the rate are counted, and told of as a number."""
        now = self._clock()
        if now >= self._window_ends:
            self._begin_window(now)
        lines_left = self._lines_left - len(lines)
        bytes_left = self._bytes_left - sum(map(len, map(_text_of, lines)))
        if lines_left < 0 or bytes_left < 0:
            lines = self._within_the_rate(lines)
        self._lines_left, self._bytes_left = lines_left, bytes_left
        if lines:
            self._say(lines)

    def _within_the_rate(self, lines: Lines) -> Lines:
        """Those before the first that is over it: it, and what follows, are counted."""
        lines_left, bytes_left = self._lines_left, self._bytes_left
        for count, (_, text) in enumerate(lines):
            lines_left -= 1
            bytes_left -= len(text)
            if lines_left < 0 or bytes_left < 0:
                self._left_out += len(lines) - count
                return lines[:count]
        return lines

    def settle(self) -> None:
        """Tell of lines left out, if their second is over and nobody wrote since."""
        self.flush()
        if self._left_out and self._clock() >= self._window_ends:
            self._tell_left_out()

    def close(self) -> None:
        """Tell of lines left out: no more will come."""
        self.flush()
        if self._left_out:
            self._tell_left_out()

    def recent(self) -> list[LogLine]:
        """The latest lines, the newest last."""
        self.flush()
        return [self._line(at, *line) for at, line in self._recent]

    def watch(self, viewer: Viewer) -> Callable[[], None]:
        """Call `viewer` with each line from now on, until the result is called."""
        self.flush()
        self._viewers.append(viewer)

        def stop() -> None:
            self.flush()
            if viewer in self._viewers:
                self._viewers.remove(viewer)

        return stop

    def _begin_window(self, now: float) -> None:
        if self._left_out:
            self._tell_left_out()
        self._window_ends = now + WINDOW_S
        self._lines_left = self.limits.log_lines
        self._bytes_left = self.limits.log_bytes

    def _tell_left_out(self) -> None:
        count, self._left_out = self._left_out, 0
        self.left_out += count
        text = f"{count} lines left out: more than limits.log_lines or limits.log_bytes"
        self._say(((LogLevel.WARN, text),))

    def _say(self, lines: Lines) -> None:
        wall = self._wall()
        self.written += len(lines)
        self._sink(self._name, lines)
        self._recent.extend(zip(itertools.repeat(wall), lines, strict=False))
        for viewer in tuple(self._viewers):
            for level, text in lines:
                viewer(self._line(wall, level, text))

    def _line(self, at: float, level: LogLevel, text: str) -> LogLine:
        return LogLine(time=at, plugin=self._name, level=level.name.lower(), text=text)
