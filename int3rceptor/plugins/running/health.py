"""How a plugin is doing: faults, quarantine, pace, spreads. Pure; time is passed in."""

import bisect
import itertools
from collections import Counter, deque
from dataclasses import dataclass, field

from int3rceptor.link.plugin_reports import FaultReport, Spread
from int3rceptor.plugins.engine.boundary import FaultKind

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

LITTLE_FUEL = 100_000
"""What is computed in some 0.2 ms; bulk operations are charged by their size."""

LITTLE_CALLS = 8
LITTLE_BYTES = 64 * 1024
"""Host work that takes less than 0.5 ms, whichever functions are called. A call within
all three that took longer than SLOW_CALL_S was not let run, and is not suspected."""

SAMPLED = 16
"""One inline call in so many is measured for the spreads: reading the fuel that is left
costs a fifth of a quick call. The first is, so that there is something to show."""

MAX_FAULTS_KEPT = 20
"""Of the latest faults, for who looks: what repeats is seen in fewer."""


class Histogram:
    """How a measure spreads, in a fixed table: four steps for each power of two."""

    __slots__ = ("_counts", "most")

    def __init__(self) -> None:
        self._counts = [0] * 256
        self.most = 0

    def note(self, value: int, weight: int) -> None:
        """Count a value, of up to 64 bits, `weight` times."""
        if value > self.most:
            self.most = value
        power = value.bit_length()
        place = value if power < 3 else (power - 2) * 4 + (value >> (power - 3)) - 4
        self._counts[place] += weight

    def spread(self) -> Spread:
        """The percentiles: each is the upper end of its step."""
        count = sum(self._counts)
        if not count:
            return Spread()
        p50, p90, p99 = (self._percentile(count * part) for part in (0.5, 0.9, 0.99))
        return Spread(count=count, p50=p50, p90=p90, p99=p99, most=self.most)

    def _percentile(self, wanted: float) -> int:
        upto = list(itertools.accumulate(self._counts))
        place = bisect.bisect_left(upto, wanted)
        return min(_upper_end(place), self.most)


def _upper_end(place: int) -> int:
    if place < 4:
        return place
    power, quarter = place // 4 + 2, place % 4
    return ((quarter + 5) << (power - 3)) - 1


@dataclass(slots=True, kw_only=True)
class Stats:
    """Since the plugin was loaded. Fuel and time (µs) are of one call in SAMPLED."""

    calls: int = 0
    seconds: float = 0.0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    latest: deque[FaultReport] = field(
        default_factory=lambda: deque(maxlen=MAX_FAULTS_KEPT)
    )
    fetches: int = 0
    skipped: int = 0
    quarantines: int = 0
    fuel: Histogram = field(default_factory=Histogram)
    micros: Histogram = field(default_factory=Histogram)


class Quarantine:
    """Counts faults in a row and says when the plugin is out, and until when."""

    __slots__ = ("_seconds", "faults", "until")

    def __init__(self) -> None:
        self.faults = 0
        self._seconds = QUARANTINE_S
        self.until = 0.0

    def is_on(self, now: float) -> bool:
        """Whether the plugin is out at this moment."""
        return now < self.until

    def failed(self, now: float) -> float:
        """Count a fault; the seconds of the quarantine that it begins, else 0.

        After a quarantine one more fault is enough for the next. In one there are those
        of calls that ran already when it began: they say nothing new.
        """
        if self.is_on(now):
            return 0.0
        self.faults += 1
        if self.faults < QUARANTINE_FAULTS:
            return 0.0
        seconds = self._seconds
        self._seconds = min(seconds * 2, MAX_QUARANTINE_S)
        self.until = now + seconds
        return seconds

    def lift(self) -> bool:
        """End it at once, and forget what led to it; whether there was one."""
        was_out = self.until > 0.0
        self.faults = 0
        self.until = 0.0
        self._seconds = QUARANTINE_S
        return was_out

    def succeeded(self) -> bool:
        """Count a good call; True when it is the first after a quarantine."""
        return self.lift() if self.faults else False


class Pace:
    """Whether calls may run inline: a rolling estimate of p99 < SLOW_CALL_S.

    The third slow call of a window takes the plugin off the loop at once; it comes
    back after a whole window in which calls were fast.

    `is_heavy` says that a call may be long by right, or wait: it never runs inline.

    Calls are timed by the wall clock, which is cheap, until one seems slow. On a busy
    machine that may be a call that was not let run: the next SUSPECT_CALLS are timed by
    the thread's CPU clock, a system call that costs more than a hook. That is spared
    where a call did too little to be slow.
    """

    __slots__ = ("_calls", "_is_heavy", "_slow", "is_slow", "suspicion")

    def __init__(self, *, is_heavy: bool = False) -> None:
        self._calls = 0
        self._slow = 0
        self._is_heavy = is_heavy
        self.is_slow = is_heavy
        self.suspicion = 0

    def note(self, seconds: float, *, is_cpu: bool, calls: int = 1) -> None:
        """Count a call; `is_cpu` says which clock timed it. `calls`: with those before
        it, which were quick."""
        self._calls += calls
        if self.suspicion:
            self.suspicion -= 1
        if seconds > SLOW_CALL_S:
            self.suspicion = SUSPECT_CALLS
            self._slow += is_cpu
            if self._slow > MAX_SLOW_CALLS:
                self.is_slow = True
        if self._calls >= PACE_WINDOW:
            self.is_slow = self._is_heavy or self._slow > MAX_SLOW_CALLS
            self._calls = self._slow = 0
