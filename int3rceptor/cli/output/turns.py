"""Whose turn it is to write to a stream that several processes share.

A pipe takes more than 4 KiB at once in pieces, and those of two writers mix: each waits
until the other has written its lines whole.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

_FREE, _WRITING = b"\0", b"\1"


class Turn:
    """A lock at one place of an open file, the same file in each process.

    The lock ends with its process. What stands at the place says whether the last one
    to hold it was killed in the middle.
    """

    def __init__(self, descriptor: int, place: int) -> None:
        self._descriptor = descriptor
        self._place = place

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Wait for it, and have it inside; whether the one before was cut off."""
        self._lock(is_wanted=True)
        try:
            was_cut = os.pread(self._descriptor, 1, self._place) == _WRITING
            os.pwrite(self._descriptor, _WRITING, self._place)
            yield was_cut
            os.pwrite(self._descriptor, _FREE, self._place)
        finally:
            self._lock(is_wanted=False)

    def _lock(self, *, is_wanted: bool) -> None:
        if sys.platform == "win32":
            return  # no workers are started there
        import fcntl

        # Of the process, not of the open file: that one is inherited, and shared.
        how = fcntl.LOCK_EX if is_wanted else fcntl.LOCK_UN
        fcntl.lockf(self._descriptor, how, 1, self._place)
