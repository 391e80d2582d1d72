"""What goes wrong with a disk, told once, and how long it is then left alone.

Knows no file: whoever has the trouble says what it is.
"""

from collections import deque
from collections.abc import Callable

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 10.0
"""Pauses after a failure: the first, doubled up to the second while it goes on failing.
So a full disk costs a flow nothing, and people hear of it at most once in a pause."""

CALM_S = 60.0
"""How long all must be well for the next failure's pause to be the first one again."""

MAX_NOTICES = 16
"""Notices that wait to be told; older ones go. Failures come in pauses, so few wait."""

Notices = deque[str]


def new_notices() -> Notices:
    """A queue of lines for the user; safe to fill from another thread."""
    return deque(maxlen=MAX_NOTICES)


class Trouble:
    """One thing that works or does not; `text` is "" while it works."""

    def __init__(self, notices: Notices, clock: Callable[[], float]) -> None:
        self.text = ""
        self._notices = notices
        self._clock = clock
        self._well_since = clock()
        self._retry_s = RETRY_FIRST_S
        self._retry_at = 0.0

    @property
    def is_pausing(self) -> bool:
        """Whether nothing should be tried for now."""
        return bool(self.text) and self._clock() < self._retry_at

    def begin(self, text: str) -> None:
        """It does not work. Told when that is news."""
        now = self._clock()
        if not self.text and now - self._well_since > CALM_S:
            self._retry_s = RETRY_FIRST_S
        self._retry_at = now + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)
        if text != self.text:
            self.text = text
            self._notices.append(text)

    def end(self, text: str) -> None:
        """It works again."""
        self.text = ""
        self._well_since = self._clock()
        self._notices.append(text)
