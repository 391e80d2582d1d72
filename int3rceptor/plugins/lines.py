"""What one plugin logs: at a bounded rate to the log, the latest kept, live on demand.

It outlives the plugin's versions: a reload goes on in the same log.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable

from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.plugins.codes import LogLevel
from int3rceptor.plugins.manifest import Limits

LogSink = Callable[[str, LogLevel, str], None]
"""Takes a plugin's log line: the plugin's name, the level, the text."""

Viewer = Callable[[LogLine], None]
"""Takes a line as it is written, in the loop's thread: it must not wait."""

MAX_RECENT_LINES = 256
"""Kept of one plugin; with lines of the largest size 2 MiB, usually some KiB."""

WINDOW_S = 1.0
"""What the limits of lines and bytes are counted over."""


class PluginLog:
    """The log of one plugin name."""

    def __init__(
        self,
        name: str,
        sink: LogSink,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._sink = sink
        self._clock = clock
        self._wall = wall
        self._recent: deque[tuple[float, LogLevel, str]] = deque(
            maxlen=MAX_RECENT_LINES
        )
        self._viewers: list[Viewer] = []
        self._window_ends = 0.0
        self._lines_left = self._bytes_left = 0
        self._left_out = 0
        self.limits = Limits()
        self.written = 0
        self.left_out = 0

    def write(self, lines: Iterable[tuple[LogLevel, str]]) -> None:
        """Pass lines on; those over the rate are counted, and told of as a number."""
        now = self._clock()
        if now >= self._window_ends:
            self._begin_window(now)
        lines_left, bytes_left = self._lines_left, self._bytes_left
        for level, text in lines:
            lines_left -= 1
            bytes_left -= len(text)
            if lines_left < 0 or bytes_left < 0:
                self._left_out += 1
            else:
                self._pass_on(level, text)
        self._lines_left, self._bytes_left = lines_left, bytes_left

    def settle(self) -> None:
        """Tell of lines left out, if their second is over and nobody wrote since."""
        if self._left_out and self._clock() >= self._window_ends:
            self._tell_left_out()

    def close(self) -> None:
        """Tell of lines left out: no more will come."""
        if self._left_out:
            self._tell_left_out()

    def recent(self) -> list[LogLine]:
        """The latest lines, the newest last."""
        return [self._line(*one) for one in self._recent]

    def watch(self, viewer: Viewer) -> Callable[[], None]:
        """Call `viewer` with each line from now on, until the result is called."""
        self._viewers.append(viewer)

        def stop() -> None:
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
        self._pass_on(LogLevel.WARN, text)

    def _pass_on(self, level: LogLevel, text: str) -> None:
        wall = self._wall()
        self.written += 1
        self._sink(self._name, level, text)
        self._recent.append((wall, level, text))
        if self._viewers:
            for viewer in tuple(self._viewers):
                viewer(self._line(wall, level, text))

    def _line(self, at: float, level: LogLevel, text: str) -> LogLine:
        return LogLine(time=at, plugin=self._name, level=level.name.lower(), text=text)
