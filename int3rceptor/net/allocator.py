"""How this process's C library treats memory that was freed.

It knows glibc's settings and nothing of who allocates.
"""

import asyncio
import sys
from collections.abc import Callable

KEPT_BYTES = 4 * 1024 * 1024
"""Freed memory at the end of the heap that stays with the process: what the chunks of
some bodies take on their way. glibc's own 128 KiB is less than one chunk with its
copies, so each chunk would be taken from the system anew, page by page: a third of the
CPU of a large body."""

GROWN_BY_BYTES = 256 * 1024
"""What the heap grows by at least: one call to the system for a chunk's copies."""

LARGE_BYTES = 1024 * 1024
"""From here on memory is mapped by itself and goes back at once: several times the
largest read of the event loop, which is what comes again and again."""

FALL = 256
"""Fewer connections than there were, from which on their memory goes back: it lies all
over the heap, where glibc lets go of nothing by itself, 30 KB for each. To look for it
takes some 20 µs for each."""

LOOK_S = 1.0
"""How often connections are counted: a thousand take longer to come."""

# malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Let the chunks of a large body use the same memory one after the other.

    For the process as a whole, so for its main program to call. Elsewhere than with
    glibc it does nothing.
    """
    # musl frees by other rules, and has no such function.
    if mallopt := _function("mallopt"):
        for setting, value in (
            (_M_MMAP_THRESHOLD, LARGE_BYTES),
            (_M_TRIM_THRESHOLD, KEPT_BYTES),
            (_M_TOP_PAD, GROWN_BY_BYTES),
        ):
            mallopt(setting, value)


async def give_back_after_falls(count: Callable[[], int]) -> None:
    """Give freed memory back to the system, now and when many of what `count` tells are
    gone, until cancelled. For the main program too."""
    trim = _function("malloc_trim")
    if trim is None:
        return
    trim(0)  # what the start alone needed: half a megabyte
    most = 0
    while True:
        await asyncio.sleep(LOOK_S)
        most = max(most, now := count())
        if most - now >= FALL:
            trim(KEPT_BYTES)
            most = now


def _function(name: str) -> Callable[[*tuple[int, ...]], int] | None:
    """One of the C library's, where it has it."""
    if not sys.platform.startswith("linux"):
        return None
    # Takes some milliseconds: not for who imports this file.
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)
