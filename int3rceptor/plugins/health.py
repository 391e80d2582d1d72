"""How a plugin is doing: faults, quarantine, pace. Pure; time is passed in."""

from collections import Counter
from dataclasses import dataclass, field

from int3rceptor.plugins.boundary import FaultKind

QUARANTINE_FAULTS = 5
"""Faults in a row that take a plugin out: one is an odd flow, five are a pattern."""

QUARANTINE_S = 30.0
"""The first quarantine: long enough to be seen, short enough to try again."""

MAX_QUARANTINE_S = 960.0
"""Each quarantine in a row is twice as long, up to this: 16 minutes."""

PACE_WINDOW = 256
"""Calls judged together: enough that one percent is a whole number of calls."""

MAX_SLOW_CALLS = 2
"""Slow calls in a window that still pass as a p99 under SLOW_CALL_S."""

SLOW_CALL_S = 0.001
"""CPU time. An inline call holds the loop; 1 ms is what other exchanges may wait."""

SUSPECT_CALLS = 16
"""Calls looked at closely after one that seemed slow. A plugin with more slow calls
than one in a hundred shows it in these windows; one that was only not let run for a
millisecond pays for few of them."""


@dataclass(slots=True, kw_only=True)
class Stats:
    """Since the plugin was loaded."""

    calls: int = 0
    seconds: float = 0.0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    skipped: int = 0
    quarantines: int = 0


class Quarantine:
    """Counts faults in a row and says when the plugin is out, and until when."""

    __slots__ = ("_faults", "_seconds", "until")

    def __init__(self) -> None:
        self._faults = 0
        self._seconds = QUARANTINE_S
        self.until = 0.0

    def is_on(self, now: float) -> bool:
        """Whether the plugin is out at this moment."""
        return now < self.until

    def failed(self, now: float) -> float:
        """Count a fault; the seconds of the quarantine that it begins, else 0.

        After a quarantine one more fault is enough for the next.
        """
        self._faults += 1
        if self._faults < QUARANTINE_FAULTS:
            return 0.0
        seconds = self._seconds
        self._seconds = min(seconds * 2, MAX_QUARANTINE_S)
        self.until = now + seconds
        return seconds

    def succeeded(self) -> bool:
        """Count a good call; True when it is the first after a quarantine."""
        if not self._faults:
            return False
        self._faults = 0
        was_out = self.until > 0.0
        self.until = 0.0
        self._seconds = QUARANTINE_S
        return was_out


class Pace:
    """Whether calls may run inline: a rolling estimate of p99 < SLOW_CALL_S.

    The third slow call of a window takes the plugin off the loop at once; it comes
    back after a whole window in which calls were fast.

    Calls are timed by the wall clock, which is cheap, until one seems slow. On a busy
    machine that may be a call that was not let run: the next SUSPECT_CALLS are timed by
    the thread's CPU clock, a system call that costs more than a hook.
    """

    __slots__ = ("_calls", "_slow", "is_slow", "suspicion")

    def __init__(self) -> None:
        self._calls = 0
        self._slow = 0
        self.is_slow = False
        self.suspicion = 0

    def note(self, seconds: float, *, is_cpu: bool) -> None:
        """Count one call; `is_cpu` says which clock timed it."""
        self._calls += 1
        if self.suspicion:
            self.suspicion -= 1
        if seconds > SLOW_CALL_S:
            self.suspicion = SUSPECT_CALLS
            self._slow += is_cpu
            if self._slow > MAX_SLOW_CALLS:
                self.is_slow = True
        if self._calls >= PACE_WINDOW:
            self.is_slow = self._slow > MAX_SLOW_CALLS
            self._calls = self._slow = 0
