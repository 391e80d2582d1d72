"""What ends in one turn of the event loop: kept together, by one write to the journal,
and only then the last bytes of those answers leave.

Under load some 14 end together. A write for each would be one more system call, with a
file system behind it, after which the caches hold little of what an exchange needs.
"""

import asyncio

from int3rceptor.hooks.keeper import Ended, Keeper
from int3rceptor.net.stream import ByteStream

MAX_TOGETHER = 64
"""Flows that are kept by one write: each may bring both its bodies, 64 KiB each of what
is collected of them. More save no more, and would be copied together all the same."""


class Endings:
    """Flows that have ended and are not kept yet, and the streams of their answers."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._ended: list[Ended] = []
        self._corked: list[ByteStream] = []

    def add(self, ended: Ended, stream: ByteStream | None, *, is_alone: bool) -> None:
        """Keep a flow in the next turn of the loop, and hold until then what is written
        to `stream`; now, without one or if no other exchange runs (`is_alone`)."""
        if stream is None or (is_alone and not self._ended):
            self._keeper.finish((ended,))
            return
        if not self._ended:
            asyncio.get_running_loop().call_soon(self.commit)
        self._ended.append(ended)
        if stream.cork(self.commit):
            self._corked.append(stream)
        if len(self._ended) >= MAX_TOGETHER:
            self.commit()

    def commit(self) -> None:
        """Keep what has ended; then the streams send what they hold."""
        if not self._ended:  # somebody could not wait
            return
        ended, self._ended = self._ended, []
        corked, self._corked = self._corked, []
        try:
            self._keeper.finish(ended)
        finally:  # whatever becomes of the records, clients are answered
            for stream in corked:
                stream.uncork()
