"""How many clients each of several processes serves, in memory that they share.

They accept from one socket. Whoever has more than another leaves it the next client,
for a moment: the system wakes all of them, and one would often take a whole burst.
"""

import contextlib
import mmap
import os
from collections.abc import Iterator

from int3rceptor.files.unnamed import unnamed_file

ABSENT = 2**32 - 1
"""Of a process that accepts nobody: no other waits for it."""

SLACK = 8
"""Who has more than another by less than an eighth is not ahead: with many short
connections, nobody need wait."""

_BYTES = 4


class Loads:
    """The counts of `workers` processes in an open file, which each of them maps."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, workers * _BYTES)
        self._counts = memoryview(self._map).cast("I")

    def close(self) -> None:
        """Let go of the memory."""
        self._counts.release()
        self._map.close()

    def place_of(self, number: int) -> "Place":
        """That of process `number`, from 1 on."""
        return Place(self._counts, number - 1)


class Place:
    """One process's count."""

    def __init__(self, counts: memoryview, at: int) -> None:
        self._counts = counts
        self._at = at

    def set(self, clients: int) -> None:
        """It serves so many."""
        self._counts[self._at] = clients

    def leave(self) -> None:
        """It accepts nobody any more, or not yet."""
        self._counts[self._at] = ABSENT

    def is_ahead(self) -> bool:
        """Whether another process should have the next client."""
        least = min(self._counts)
        return self._counts[self._at] > least + least // SLACK


@contextlib.contextmanager
def new_loads(workers: int) -> Iterator[Loads]:
    """The counts of so many processes, all absent, in a new file without a name."""
    with unnamed_file() as descriptor:
        os.ftruncate(descriptor, workers * _BYTES)
        with contextlib.closing(Loads(descriptor, workers)) as loads:
            for number in range(1, workers + 1):
                loads.place_of(number).leave()
            yield loads
