"""Files without a name: for processes that inherit them, and gone with the last."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def unnamed_file() -> Iterator[int]:
    """The number of a new one: in memory where the system has that, so that what is
    shared never comes to a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("int3rceptor")
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    import tempfile  # 0.4 MB with what it loads, for those who have workers

    with tempfile.TemporaryFile() as file:
        yield file.fileno()
