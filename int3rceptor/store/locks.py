"""A lock on an open file: it says that a process is alive, and ends with it."""

import sys


def try_lock(descriptor: int) -> bool:
    """Lock the open file, unless another open of it holds the lock: False, at once.

    Released when the descriptor closes, so by kill -9 too. OSError where there is no
    such lock.
    """
    if sys.platform == "win32":
        raise OSError("keeping flows needs file locks that Windows does not have")
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
