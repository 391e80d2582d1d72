"""Where an uploaded module waits until the proxy has looked at it."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from int3rceptor.control.failures import ApiError
from int3rceptor.files.writing import NO_LINK


@contextlib.contextmanager
def kept_upload(folder: Path, data: bytes) -> Iterator[Path]:
    """A file of this user's alone that holds `data`, gone afterwards."""
    if not data:
        raise ApiError(422, "body: it is empty; send the module's bytes")
    path = folder / secrets.token_hex(16)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK
        made = os.open(path, flags, 0o600)
    except OSError as error:
        raise _unkept(error) from None
    try:
        _fill(made, data)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fill(made: int, data: bytes) -> None:
    try:
        with open(made, "wb") as file:  # a descriptor
            file.write(data)
    except OSError as error:  # a full disk
        raise _unkept(error) from None


def _unkept(error: OSError) -> ApiError:
    return ApiError(503, f"the upload cannot be kept: {error.strerror}")
