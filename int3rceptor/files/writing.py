"""Writes a file as a whole: a reader, or a power cut, finds the old one or the new."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""A flag of `open` for what is written in place: by a link it could be any file, which
whoever may write to the folder has chosen, and which is written with our rights."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Has an OSError name the file: one of a write, unlike one of `open`, does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_private(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file, for this user's eyes only. OSError if not.

    The folder is made if it is missing.
    """
    import tempfile  # it brings five modules along, for who writes

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp: mode 0600, a name of its own, never through a link. The dot hides it
    # from who lists the folder.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
