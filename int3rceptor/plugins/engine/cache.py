"""Compiled modules on disk, so that each is compiled once and not at every start.

They are native code: whoever can put one there runs code as the proxy. So a file counts
only if this user's own proxy wrote it: the directory, the file and the key beside it
belong to this user and nobody else can write them, and the file begins with an HMAC
over its name and its content. Anything else is removed and told of, and costs one
compilation. Nothing here fails: a cache that cannot be used is none, after one line.
"""

import contextlib
import errno
import hmac
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("int3rceptor.plugins")

MAX_CACHE_BYTES = 256 * 1024 * 1024
"""Size of all that is kept; past it, what was not used for longest goes. Twice the
largest compiled module, and room for a few hundred usual ones."""

KEY_FILE = "key"
KEY_BYTES = 32
SEAL_BYTES = 32

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

HAS_OWNERS = os.open in os.supports_dir_fd and hasattr(os, "geteuid")
"""Whether the system tells whose a file is. Windows does not: nothing is kept there."""


class ModuleCache:
    """The compiled modules in one directory, by name. Several processes may share it.

    It is `root/cache/plugins`, made when the first module is kept.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "cache" / "plugins"
        self._is_used = HAS_OWNERS

    def load(self, name: str) -> bytes | None:
        """What was kept as `name`; None if nothing was that can be trusted."""
        kept = None
        with self._no_more_than_a_line("read"), self._opened() as folder:
            kept = self._unsealed(folder, name)
        return kept

    def store(self, name: str, content: bytes) -> None:
        """Keep `content`, and let go of what was not used for longest."""
        if len(content) + SEAL_BYTES > MAX_CACHE_BYTES:
            return
        with self._no_more_than_a_line("written"), self._opened(is_made=True) as folder:
            key = _key(folder)
            if key is None:
                key = secrets.token_bytes(KEY_BYTES)
                _write(folder, KEY_FILE, key)
            _write(folder, name, _seal(key, name, content) + content)
            _prune(folder)

    def discard(self, name: str, why: str) -> None:
        """Remove what was kept as `name`: it is of no use."""
        with self._no_more_than_a_line("changed"), self._opened() as folder:
            self._remove(folder, name, why)

    def _unsealed(self, folder: int, name: str) -> bytes | None:
        try:
            content = _read(folder, name, MAX_CACHE_BYTES)
        except PermissionError as error:
            self._remove(folder, name, error.strerror)
            return None
        seal, kept = content[:SEAL_BYTES], content[SEAL_BYTES:]
        key = _key(folder)
        if key is None or not hmac.compare_digest(seal, _seal(key, name, kept)):
            self._remove(folder, name, "it does not bear this proxy's seal")
            return None
        return kept

    @contextlib.contextmanager
    def _opened(self, *, is_made: bool = False) -> Iterator[int]:
        """The directory, for as long as it is worked in: what was judged is what is
        used, whatever becomes of its path."""
        if not self._is_used:
            raise FileNotFoundError
        if is_made:
            for one in (self._folder.parent, self._folder):
                one.mkdir(_PRIVATE_FOLDER, exist_ok=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        folder = os.open(self._folder, flags)
        try:
            _require_own(os.fstat(folder))
            yield folder
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _no_more_than_a_line(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            self._is_used = False
            log.warning(
                "compiled plugins cannot be %s in %s, so each start compiles them: %s",
                *(what, self._folder, error.strerror),
            )

    def _remove(self, folder: int, name: str, why: object) -> None:
        log.warning(
            "%s is not used, and the plugin is compiled anew: %s",
            *(self._folder / name, why),
        )
        os.unlink(name, dir_fd=folder)


def _seal(key: bytes, name: str, content: bytes) -> bytes:
    return hmac.digest(key, name.encode() + b"\0" + content, "sha256")


def _key(folder: int) -> bytes | None:
    """The key of this directory; None if there is none that can be trusted: then
    nothing that was sealed can be either, and the next module makes a new one."""
    try:
        key = _read(folder, KEY_FILE, KEY_BYTES)
    except (FileNotFoundError, PermissionError):
        return None
    return key if len(key) == KEY_BYTES else None


def _read(folder: int, name: str, most: int) -> bytes:
    """A file that nobody else can have written; PermissionError if somebody could."""
    # O_NONBLOCK: opening a named pipe would wait for its writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _distrusted("it is a link") from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise _distrusted("it is no file")
        _require_own(about)
        content = file.read(most + 1)
        if len(content) > most:
            raise _distrusted("it is too large")
        with contextlib.suppress(OSError):  # a disk that is read only
            os.utime(descriptor)
        return content


def _require_own(about: os.stat_result) -> None:
    if about.st_uid != os.geteuid():
        raise _distrusted("it belongs to another user")
    if about.st_mode & _OTHERS_WRITE:
        raise _distrusted("other users can write to it")


def _distrusted(why: str) -> PermissionError:
    return PermissionError(errno.EPERM, why)


def _write(folder: int, name: str, content: bytes) -> None:
    """The whole file or none of it."""
    staged = f"{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(staged, flags, _PRIVATE_FILE, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(staged, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(staged, dir_fd=folder)
        raise


def _prune(folder: int) -> None:
    """Let go of what was not used for longest, and of what a killed writer left."""
    with os.scandir(folder) as entries:
        found = [(one, one.stat(follow_symlinks=False)) for one in entries]
    found.sort(key=lambda pair: pair[1].st_mtime_ns)
    size = sum(about.st_size for _, about in found)
    for entry, about in found:
        if size <= MAX_CACHE_BYTES:
            return
        if entry.name != KEY_FILE:
            os.unlink(entry.name, dir_fd=folder)
            size -= about.st_size
