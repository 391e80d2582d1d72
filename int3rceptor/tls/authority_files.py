"""The CA's two files: read safely, published whole, replaced whole, under a lock.

Bytes in, bytes out: knows nothing of what a certificate is. Two files cannot be
renamed in one step, so the certificate is published last and a kill in between is
rolled forward by whoever takes the lock next.
"""

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from int3rceptor.errors import AuthorityError
from int3rceptor.files.writing import NO_LINK

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca.key"
LOCK_FILE = "ca.lock"
_STAGED = ".new"
_REPLACED = ".old"

# A certificate and a key are under 4 KiB; more is not what we wrote.
MAX_FILE_BYTES = 64 * 1024

# Whoever holds the lock makes at worst an RSA key: about a second on slow machines.
LOCK_WAIT_S = 10.0
_LOCK_POLL_S = 0.02

_PRIVATE_FILE = 0o600
_PUBLIC_FILE = 0o644  # The certificate is for everyone; the directory may not be.
_PRIVATE_DIRECTORY = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ROOT = 0
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH

# Says whether the bytes of a certificate and of a key belong together.
BelongTogether = Callable[[bytes, bytes], bool]

# Refuses a file that is open by its path and number, or gives warnings.
Guard = Callable[[Path, int], tuple[str, ...]]


class AuthorityFiles:
    """The pair `ca.pem` and `ca.key` in one directory."""

    def __init__(self, directory: Path) -> None:
        self.certificate_path = directory / CERTIFICATE_FILE
        self.key_path = directory / KEY_FILE
        self._directory = directory

    def make_directory(self) -> None:
        """Create the directory, private to the user, unless it is there."""
        try:
            self._directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        except OSError as error:
            raise AuthorityError(
                f"cannot create the directory {self._directory} for the CA:"
                f" {error.strerror}; choose another with --data-dir"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out of the pair.

        A directory that cannot be written to needs no lock: nobody can change the pair
        in it, and a pair that is there must stay usable.
        """
        path = self._directory / LOCK_FILE
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, _PRIVATE_FILE)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise AuthorityError(
                    f"cannot lock the CA by {path}: {error.strerror}"
                ) from error
            yield
            return
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise AuthorityError(
                    f"another process has held {self._directory / LOCK_FILE} for"
                    f" {LOCK_WAIT_S:.0f} s; stop it and start again"
                )
            time.sleep(_LOCK_POLL_S)

    def exist(self) -> bool:
        """Say whether there is a pair; half a pair is an error."""
        has_certificate = os.path.lexists(self.certificate_path)
        has_key = os.path.lexists(self.key_path)
        if has_certificate == has_key:
            return has_certificate
        there, missing = (
            (self.certificate_path, self.key_path)
            if has_certificate
            else (self.key_path, self.certificate_path)
        )
        raise AuthorityError(
            f"the CA is incomplete: {there} is there but {missing} is missing; put it"
            " back, or move the other away to have a new CA made"
        )

    def read(self, path: Path) -> bytes:
        """Read one file; never blocks on a pipe, never reads without end."""
        return self._read(path)[0]

    def read_key(self) -> tuple[bytes, tuple[str, ...]]:
        """The key, with warnings, one line each. One that others own or can write is
        refused, one that they can read hidden. Windows has no such mode bits."""
        return self._read(self.key_path, _guarded)

    def _read(
        self, path: Path, guard: Guard | None = None
    ) -> tuple[bytes, tuple[str, ...]]:
        try:
            # O_NONBLOCK: opening a named pipe would wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise AuthorityError(f"{path} of the CA is not a regular file")
                warnings = guard(path, descriptor) if guard else ()
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise AuthorityError(
                f"cannot read {path} of the CA: {error.strerror}; make it readable for"
                " this user, or choose another directory with --data-dir"
            ) from error
        if len(content) > MAX_FILE_BYTES:
            raise AuthorityError(f"{path} is too large to be a file of the CA")
        return content, warnings

    def publish(self, certificate: bytes, key: bytes) -> None:
        """Write a pair, in place of the one that may be there. Call it locked."""
        with self._writing():
            staged_key = _stage(self.key_path, key, _PRIVATE_FILE)
            staged_certificate = _stage(
                self.certificate_path, certificate, _PUBLIC_FILE
            )
            staged_key.replace(self.key_path)
            staged_certificate.replace(self.certificate_path)
            _sync_directory(self._directory)

    def keep_replaced(self) -> None:
        """Copy what is there to `.old`, private. Call it locked, before `publish`."""
        with self._writing():
            for path in filter(os.path.lexists, (self.key_path, self.certificate_path)):
                staged = _stage(path, self.read(path), _PRIVATE_FILE)
                staged.replace(_with_suffix(path, _REPLACED))

    def recover(self, belong_together: BelongTogether) -> None:
        """Finish or undo what a killed process left staged. Call it locked."""
        certificate = _with_suffix(self.certificate_path, _STAGED)
        key = _with_suffix(self.key_path, _STAGED)
        if not os.path.lexists(certificate) and not os.path.lexists(key):
            return
        with self._writing():
            # The key goes first: with it published, the certificate must follow.
            is_key_published = os.path.lexists(self.key_path) and not key.exists()
            if is_key_published and belong_together(
                self.read(certificate), self.read(self.key_path)
            ):
                certificate.replace(self.certificate_path)
            certificate.unlink(missing_ok=True)
            key.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AuthorityError(
                f"cannot write the CA to {self._directory}: {error.strerror}; choose"
                " another directory with --data-dir"
            ) from error


def _guarded(path: Path, descriptor: int) -> tuple[str, ...]:
    """Of the key that is open, and not of what may stand at its path by now."""
    if sys.platform == "win32":
        return ()
    status = os.fstat(descriptor)
    if status.st_uid not in (os.geteuid(), _ROOT):
        # Whoever may write to the directory could have put a pair of theirs there.
        raise AuthorityError(
            f"{path} belongs to another user, who can read and replace it;"
            " regenerate the CA, or chown it if you are sure"
        )
    if status.st_mode & _OTHERS_WRITE:
        raise AuthorityError(
            f"other users can write to {path}, so it may not be yours any"
            " more; regenerate the CA, or chmod 600 it if you are sure"
        )
    if not status.st_mode & _OTHERS_READ:
        return ()
    try:
        outcome = _hidden(path, descriptor)
    except OSError as error:
        outcome = f"it cannot be made private: {error.strerror}"
    return (f"other users could read {path}; {outcome}",)


def _hidden(path: Path, descriptor: int) -> str:
    """Make the open file private, if it is that of the path itself."""
    if not os.path.samestat(path.lstat(), os.fstat(descriptor)):
        # By a link it may be any file, which others are meant to read.
        return "it is a link: make what it leads to private, or put a copy there"
    os.fchmod(descriptor, _PRIVATE_FILE)
    return "it is private now; consider a new CA (int3rceptor ca regenerate)"


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _stage(path: Path, content: bytes, mode: int) -> Path:
    """Write `content` beside `path`, on the disk for certain, never through a link."""
    staged = _with_suffix(path, _STAGED)
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return staged


def _sync_directory(directory: Path) -> None:
    """Make renames durable; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Lock the open file for this process; it is released when the file closes."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
