"""Files under granted folders, as the system has them; nothing outside of those.

A path is walked one name at a time, each opened relative to the folder before it and
never through a symbolic link, so that nobody can swap a link in on the way. `..` goes
back over the folders that were walked, and not to what the system calls the parent.
What is neither a regular file nor a folder is never opened: a FIFO would wait, and
opening a device can do things. Failures are OSError, with the system's number.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from int3rceptor.plugins.abi.wasi_codes import FileType

MAX_PATH_BYTES = 4096
"""Of one path, as on Linux."""

MAX_NAMES = 64
"""In one path: each is an opened folder."""

MAX_LISTED = 10_000
"""Entries of a folder that can be listed: a second of work, and 1 MiB."""

ENTRY_COST = 4096
"""What a new file or folder takes from the quota: about what it takes of the disk."""

FILE_MODE, FOLDER_MODE = 0o600, 0o700

IS_SUPPORTED = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether this system can walk a path so; else no folder can be granted."""

if IS_SUPPORTED:
    import fcntl

    _PLAIN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    _FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_KINDS = {
    stat.S_IFCHR: FileType.CHARACTER_DEVICE,
    stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFREG: FileType.REGULAR_FILE,
    stat.S_IFLNK: FileType.SYMBOLIC_LINK,
}

Listing = list[tuple[bytes, int, FileType]]
"""A folder's entries: name, the system's number for it, type."""


class Quota:
    """How much more a plugin may take of the disk, over all its files.

    What it removes or cuts is given back; it never has more than in the beginning.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def require(self, count: int) -> None:
        """OSError if so much would be too much."""
        if self.used + count > self.limit:
            raise OSError(errno.EDQUOT, "over limits.file_bytes")

    def add(self, count: int) -> None:
        """Count what was taken, or (below 0) given back."""
        self.used = max(0, self.used + count)


def kind_of(mode: int) -> FileType:
    """The type of what has this mode."""
    return _KINDS.get(stat.S_IFMT(mode), FileType.UNKNOWN)


def open_granted(path: str) -> int:
    """Open a folder by the path that the user gave."""
    return os.open(path, _FOLDER)


def close(number: int) -> None:
    """Close a descriptor."""
    os.close(number)


@contextmanager
def ending(
    root: int, path: bytes, *, is_entry: bool = False
) -> Iterator[tuple[int, bytes]]:
    """The folder that a path under `root` ends in, and the last name in it.

    "." is the folder itself. `is_entry`: the name is made, moved or removed, where a
    slash at the end says nothing.
    """
    walked: list[int] = []
    try:
        *names, last = _names(path, is_entry=is_entry)
        for name in names:
            _step(root, walked, name)
        if last == b"..":
            _step(root, walked, last)
            last = b"."
        yield (walked[-1] if walked else root), last
    finally:
        for number in walked:
            os.close(number)


def _names(path: bytes, *, is_entry: bool) -> list[bytes]:
    if not path:
        raise FileNotFoundError(errno.ENOENT, "an empty path")
    if path.startswith(b"/"):
        raise PermissionError(errno.EPERM, "an absolute path")
    if b"\0" in path:
        raise OSError(errno.EINVAL, "a zero byte in a path")
    names = [name for name in path.split(b"/") if name not in (b"", b".")]
    if len(path) > MAX_PATH_BYTES or len(names) > MAX_NAMES:
        raise OSError(errno.ENAMETOOLONG, "a long path")
    must_be_folder = path.endswith((b"/", b"/.")) and not is_entry
    return [*names, b"."] if must_be_folder or not names else names


def _step(root: int, walked: list[int], name: bytes) -> None:
    if name != b"..":
        walked.append(open_folder(walked[-1] if walked else root, name))
    elif walked:
        os.close(walked.pop())
    else:
        raise PermissionError(errno.EPERM, "above the granted folder")


def open_folder(parent: int, name: bytes) -> int:
    """Open a folder in another one."""
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)


def look(parent: int, name: bytes) -> os.stat_result | None:
    """What a name stands for, a link itself; None: nothing."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def require_plain(found: os.stat_result) -> None:
    """OSError for a symbolic link, a device, a FIFO, a socket."""
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link")
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise PermissionError(errno.EACCES, "neither a file nor a folder")


def open_file(parent: int, name: bytes, flags: int, quota: Quota | None) -> int:
    """Open a regular file, or make a new one on this quota.

    What was a file when it was looked at may be something else now.
    """
    if quota is not None:
        quota.require(ENTRY_COST)
        flags |= os.O_CREAT | os.O_EXCL
    number = os.open(name, flags | _PLAIN, FILE_MODE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise PermissionError(errno.EACCES, "not a regular file")
    if quota is not None:
        quota.add(ENTRY_COST)
    return number


def set_append(number: int, *, is_on: bool) -> None:
    """Whether each write goes to the file's end, wherever others have moved it."""
    flags = fcntl.fcntl(number, fcntl.F_GETFL) & ~os.O_APPEND
    fcntl.fcntl(number, fcntl.F_SETFL, flags | (os.O_APPEND if is_on else 0))


def freed(found: os.stat_result) -> int:
    """What removing a file or a folder gives back to the quota."""
    is_last = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return ENTRY_COST + (found.st_size if is_last else 0)


def write_at(number: int, data: bytes, at: int, quota: Quota) -> int:
    """Write some or all of the bytes; how many."""
    size = os.fstat(number).st_size
    quota.require(max(0, at + len(data) - size))
    written = os.pwrite(number, data, at)
    quota.add(max(0, at + written - size))
    return written


def resize(number: int, size: int, quota: Quota) -> None:
    """Cut or extend a file."""
    growth = size - os.fstat(number).st_size
    quota.require(max(0, growth))
    os.ftruncate(number, size)
    quota.add(growth)


def size_of(number: int) -> int:
    """The size of an open file."""
    return os.fstat(number).st_size


def listing(number: int) -> Listing:
    """A folder's entries as they are now, "." and ".." first, which stay inside."""
    own = os.fstat(number).st_ino
    entries: Listing = [(name, own, FileType.DIRECTORY) for name in (b".", b"..")]
    with os.scandir(number) as found:
        for entry in found:
            if len(entries) > MAX_LISTED:
                raise OSError(errno.EOVERFLOW, "too many entries")
            kind = FileType.UNKNOWN
            if entry.is_symlink():
                kind = FileType.SYMBOLIC_LINK
            elif entry.is_dir(follow_symlinks=False):
                kind = FileType.DIRECTORY
            elif entry.is_file(follow_symlinks=False):
                kind = FileType.REGULAR_FILE
            entries.append((os.fsencode(entry.name), entry.inode(), kind))
    return entries
