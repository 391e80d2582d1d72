"""Who watches live, and what each has yet to be sent: bounded, with gaps marked.

Messages are texts here: what they say is `events`'s, how they are sent as well.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MAX_VIEWERS = 64
"""Watching at once: people and their scripts; each costs a queue and a send a flow."""

MAX_QUEUED = 1_024
"""Messages that wait for one viewer: under a second at full pace. They are shared by
all viewers, so that the slow ones together hold little more than one alone."""

GapText = Callable[[int], str]
"""Makes the marker of so many messages that were left out."""


class Viewer:
    """The queue of one viewer. What comes while it is full is left out, and counted;
    the marker of that gap stands where the missing messages would have."""

    def __init__(self, gap: GapText) -> None:
        self._gap = gap
        self._queue: deque[str] = deque()
        self._missed = 0
        self._is_filled = asyncio.Event()

    def put(self, text: str) -> bool:
        """Queue a message; False when it was left out."""
        return self._put(text, 1)

    def skip(self, count: int) -> None:
        """Note messages that were lost before they came here."""
        self._missed += count
        self._is_filled.set()

    async def next(self) -> str:
        """The next message, waited for."""
        await self._is_filled.wait()
        text = self._queue.popleft() if self._queue else self._take_gap()
        if not self._queue and not self._missed:
            self._is_filled.clear()
        return text

    def _put(self, text: str, count: int) -> bool:
        if len(self._queue) >= MAX_QUEUED:
            self._missed += count
            return False
        if self._missed:
            self._queue.append(self._take_gap())
        self._queue.append(text)
        self._is_filled.set()
        return True

    def _take_gap(self) -> str:
        missed, self._missed = self._missed, 0
        return self._gap(missed)


class Viewers:
    """All who watch. `watch` is told when the first comes and when the last has gone:
    while nobody watches, nobody need say what passes."""

    def __init__(self, watch: Callable[[bool], None], gap: GapText) -> None:
        self._watch = watch
        self._gap = gap
        self._viewers: set[Viewer] = set()
        self.sent = 0
        self.missed = 0

    def __len__(self) -> int:
        return len(self._viewers)

    def join(self) -> Viewer | None:
        """One more viewer; None when there are MAX_VIEWERS."""
        if len(self._viewers) >= MAX_VIEWERS:
            return None
        viewer = Viewer(self._gap)
        self._viewers.add(viewer)
        if len(self._viewers) == 1:
            self._watch(True)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """A viewer has gone."""
        self._viewers.remove(viewer)
        if not self._viewers:
            self._watch(False)

    def publish(self, text: str) -> None:
        """Send to all."""
        for viewer in self._viewers:
            if viewer.put(text):
                self.sent += 1
            else:
                self.missed += 1

    def skip(self, count: int) -> None:
        """Tell all of messages that were lost on the way here."""
        for viewer in self._viewers:
            viewer.skip(count)
            self.missed += count
