"""The control port's token: made at the first start, private to its user, compared in
constant time. It never travels in a URL, since URLs end up in histories and logs.
"""

import errno
import os
import re
import secrets
import stat
import time
from pathlib import Path

from int3rceptor.errors import ConfigError
from int3rceptor.files.writing import NO_LINK

FILE_NAME = "control-token"

TOKEN_BYTES = 32
"""Of randomness: nobody guesses it, at whatever rate."""

MAX_FILE_BYTES = 512
"""A token is 43 characters; more is not what we wrote."""

HALF_WRITTEN_S = 1.0
"""How long another process may take between making the file and filling it."""

_POLL_S = 0.01
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The characters of base64url; at least 128 bits of them, if someone chose their own.
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,256}")


def path_of(data_dir: Path) -> Path:
    """Where the token of this data directory is kept."""
    return data_dir / FILE_NAME


def load_or_create(data_dir: Path) -> str:
    """The token of `data_dir`, made there if there is none.

    Raises ConfigError when the file can be read by others, is somebody else's, is no
    ordinary file, is damaged, or cannot be read or written.
    """
    path = path_of(data_dir)
    try:
        return _create(path)
    except FileExistsError:
        if data_dir.is_dir():
            return _load(path)
        why = os.strerror(errno.ENOTDIR)  # what should be the directory is a file
    except OSError as error:
        why = error.strerror or str(error)
    raise ConfigError(
        f"cannot write the control port's token to {path}: {why};"
        " choose another --data-dir, or --control off"
    )


def _create(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK
    descriptor = os.open(path, flags, 0o600)
    try:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        os.write(descriptor, f"{token}\n".encode())
    except OSError:
        path.unlink()  # half a token would stop the next start
        raise
    finally:
        os.close(descriptor)
    return token


def _load(path: Path) -> str:
    give_up = time.monotonic() + HALF_WRITTEN_S
    while not (text := _read(path).strip()) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    if not TOKEN.fullmatch(text):
        raise _unusable(path, "is damaged: it holds no token")
    return text


def _read(path: Path) -> str:
    flags = os.O_RDONLY | NO_LINK | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    try:
        _judge(path, os.fstat(descriptor))
        return os.read(descriptor, MAX_FILE_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def _judge(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "is not an ordinary file")
    if os.name != "posix":  # elsewhere these bits say nothing
        return
    if found.st_uid != os.geteuid():
        raise _unusable(path, "belongs to another user")
    if found.st_mode & _OTHERS:
        # Who could read it may have: making it private now would not take that back.
        raise _unusable(
            path, f"can be used by other users (mode {found.st_mode & 0o777:o})"
        )


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the control port's token, {path}, {why}; delete it to be given a new one"
    )


def is_token(given: str, token: str) -> bool:
    """Whether `given` is the token; takes the same time whatever it is."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
