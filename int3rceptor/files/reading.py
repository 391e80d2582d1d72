"""Reads whole files within a limit, and tells later whether they have changed."""

import os
import stat
from pathlib import Path

Stamp = tuple[int, int, int] | None
"""A file's time of change in ns, size and inode; None when there is none."""


class Watched:
    """The files that something was made of; a path that was looked for counts too."""

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp] = {}

    def read(self, path: Path, limit: int) -> bytes:
        """A file of at most `limit` bytes, which is watched from now on.

        OSError when it cannot be read; ValueError, with the reason, when it should not.
        """
        self._stamps[path] = None
        status = path.stat()
        self._stamps[path] = stamp_of(status)
        if not stat.S_ISREG(status.st_mode):  # a pipe would make us wait
            raise ValueError("not a file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise ValueError(f"larger than {limit} bytes")
        return data

    def look(self, path: Path) -> None:
        """Watch a file before it is read, from what it is now on."""
        self._stamps[path] = stamp(path)

    def has_changed(self) -> bool:
        """Whether one of the files is not what it was when it was read."""
        return any(stamp(path) != then for path, then in self._stamps.items())

    def now(self) -> tuple[Stamp, ...]:
        """What the files are at this moment, in the order in which they were read."""
        return tuple(map(stamp, self._stamps))


def stamp(path: Path) -> Stamp:
    """What tells this version of a file from another."""
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp in what `stat` said."""
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def at_once(path: str, flags: int) -> int:
    """An opener: a named pipe that nobody writes to is empty, in place of a wait that
    not even a signal ends."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | without_waiting)
    if without_waiting:
        os.set_blocking(descriptor, True)
    return descriptor


def listing(folder: Path, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    """The files of a folder with one of these endings, hidden ones left out, by name;
    () without a folder. OSError when it is there and cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries)
    except FileNotFoundError:
        return ()
    return tuple(
        folder / name
        for name in names
        if name.endswith(suffixes) and not name.startswith(".")
    )
