"""Notices a process that lives and does nothing: its event loop does not turn.

Each process of ours says `Alive` from its loop; the one that started it counts for how
long it has heard nothing at all.
"""

from asyncio import sleep
from collections.abc import Callable
from pathlib import Path

from int3rceptor.link.channel import Channel, Incoming
from int3rceptor.link.messages import Alive

SIGN_S = 1.0
"""How often a process says that it lives."""

SILENT_S = 90.0
"""How long one that serves may say nothing: more than the minute for which one call of
a plugin may be allowed to hold a worker, and twenty times the silence of a hub beside
eight busy programs on its core."""

STARTING_S = 600.0
"""The same before it serves. A start is a second of work in which no loop turns; where
the process gets 1 % of a core, that is some minutes. Cut short it would only be made
again, and what hangs in a start hangs in the next one, too."""

DOUBTFUL_S = 15.0
"""After so long one that serves is not counted as serving, and it is looked whether a
debugger holds it."""


class Watchdog:
    """Counts seconds in which nothing was heard of one process.

    They are turns of this process's own loop, of SIGN_S each, and no clock is asked:
    the time for which the machine slept, or somebody stopped all of us (Ctrl-Z), is one
    turn. One that `is_held`, by a debugger, need say nothing.
    """

    def __init__(self, is_held: Callable[[], bool] = lambda: False) -> None:
        self._is_held = is_held
        self._silent_s = 0.0
        self._allowed_s = STARTING_S
        self.has_bitten = False

    @property
    def is_doubtful(self) -> bool:
        """Whether it has been silent for so long that it may hang."""
        return self._silent_s >= DOUBTFUL_S

    def heard(self) -> None:
        """It said something, whatever that is."""
        self._silent_s = 0.0

    def serves(self) -> None:
        """It has started: from now on its loop is to turn."""
        self._allowed_s = SILENT_S

    async def bites(self) -> str:
        """Until it was silent for too long; what is to be said of it."""
        while self._silent_s < self._allowed_s:
            await sleep(SIGN_S)
            self._silent_s += SIGN_S
            if self.is_doubtful and self._is_held():
                self._silent_s = 0.0
        self.has_bitten = True
        return f"gave no sign of life for {self._allowed_s:g} s and was killed"


def is_traced(pid: int) -> bool:
    """Whether a debugger holds a process; where the system tells nobody, none does."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    tracer = status.partition(b"\nTracerPid:")[2].split(maxsplit=1)
    return bool(tracer) and tracer[0] != b"0"


async def give_signs(channel: Channel[Incoming]) -> None:
    """Say that this process lives, for as long as its loop turns."""
    while True:
        if not channel.is_behind:
            channel.send(Alive())
        await sleep(SIGN_S)
