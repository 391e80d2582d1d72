"""One journal segment being written: made, locked, appended to, closed.

Nobody ever sees one that is not locked or has no magic: it gets its name last.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from int3rceptor.store.journal.framing import END, HEADER_BYTES, MAGIC, sealed
from int3rceptor.store.locks import try_lock

JOURNAL_FOLDER = "journal"
"""Where the segments are, in the directory of the flows."""

SUFFIX = ".journal"
END_BYTES = HEADER_BYTES

UNNAMED_SUFFIX = ".new"
UNNAMED_EXPIRY_S = 60.0
"""A segment without its name that is older than this was left by a killed process:
naming takes microseconds."""

Write = Callable[[int, bytes], int]
"""As os.write."""


class Segment:
    """An open segment; `size` is its length in bytes. Made by `create`."""

    def __init__(self, path: Path, descriptor: int, write: Write) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor
        self._write = write

    @classmethod
    def create(cls, directory: Path, name: str, write: Write) -> "Segment":
        """A new, locked segment of this name; OSError, and nothing left, if it fails"""
        unnamed = directory / (name + UNNAMED_SUFFIX)
        # O_APPEND: after a cut, the next write goes to the new end.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        segment = cls(directory / name, os.open(unnamed, flags, 0o600), write)
        try:
            try_lock(segment._descriptor)
            segment.append(MAGIC)
            unnamed.rename(segment.path)
        except OSError:
            os.close(segment._descriptor)
            unnamed.unlink(missing_ok=True)
            raise
        return segment

    @property
    def is_there(self) -> bool:
        """Whether its name still leads to it; True too where that cannot be seen."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def append(self, frame: bytes) -> None:
        """Append all of `frame`; OSError, and nothing of it left, if it fails."""
        size = len(frame)
        try:
            written = self._write(self._descriptor, frame)
            while written < size:
                # The disk is full, or about to be: this gets the rest in, or says why.
                more = self._write(self._descriptor, frame[written:])
                if more <= 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                written += more
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += size

    def end(self) -> None:
        """Close it in order. OSError when it could not be marked so; closed anyway."""
        try:
            self.append(sealed(END, b""))
        finally:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Close it as a killed process would; removed when it holds nothing."""
        try:
            if self.size <= len(MAGIC):
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def sweep(directory: Path) -> int:
    """Bytes in the segments of `directory`; remnants of killed processes are removed"""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                if entry.name.endswith(SUFFIX):
                    total += entry.stat().st_size
                elif entry.name.endswith(SUFFIX + UNNAMED_SUFFIX):
                    _remove_remnant(entry)
            except FileNotFoundError:  # its reader was done with it
                continue
    return total


def _remove_remnant(entry: os.DirEntry[str]) -> None:
    if time.time() - entry.stat().st_mtime > UNNAMED_EXPIRY_S:
        Path(entry.path).unlink()
