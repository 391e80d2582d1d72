"""What workers log, in the log of the process that shows it: what several of them say
alike is said once. Each follows the same files and finds the same mistakes in them.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from int3rceptor.link.messages import Logged

ALIKE_S = 5.0
"""How much later another worker may say the same: each looks at its files once a
second, and compiling a module takes its time."""

MAX_REMEMBERED = 256
"""Lines that may be said again by others; past it the oldest is forgotten, and would be
shown again."""

_Line = tuple[str, int, str]


@dataclass(slots=True)
class _Said:
    """When a line was said first, and by whom so far."""

    at: float
    by: set[int] = field(default_factory=set)


class WorkerLog:
    """Takes the lines of all workers, and logs them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[_Line, _Said] = {}

    def take(self, worker: int, logged: Logged) -> None:
        """A line of this worker: logged, unless another has just said the same."""
        line = (logged.logger, logged.level, logged.text)
        now = self._clock()
        said = self._said.get(line)
        if said is not None and worker not in said.by and now - said.at < ALIKE_S:
            said.by.add(worker)
            return
        self._said.pop(line, None)
        if len(self._said) >= MAX_REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[line] = _Said(now, {worker})
        _log(logged)


def _log(logged: Logged) -> None:
    logger = logging.getLogger(logged.logger)
    if not logger.isEnabledFor(logged.level):
        return
    record = logger.makeRecord(
        logged.logger, logged.level, "", 0, logged.text, (), None
    )
    record.created = logged.created
    record.exc_text = logged.trace or None
    logger.handle(record)
