"""Records into segments: rotation, the journal's budget, and what a bad disk does.

Works in one thread at a time; which one is for `journal`. It never raises for what a
disk does: a record is written whole or not at all.
"""

import contextlib
import os
import time
from pathlib import Path

from int3rceptor.store.journal.framing import MAGIC
from int3rceptor.store.journal.segment import END_BYTES, SUFFIX, Segment, Write, sweep
from int3rceptor.store.trouble import Trouble

_MIB = 1024 * 1024


class Writer:
    """Appends records to the segments of `directory`.

    `kept` counts the flows and `written_bytes` what was appended; `not_kept` is counted
    by whoever gives up a flow. `max_bytes` bounds all segments of the directory
    together, other processes' too; those are looked at when a segment begins.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        segment_bytes: int,
        trouble: Trouble,
        write: Write,
    ) -> None:
        self.kept = 0
        self.not_kept = 0
        self.written_bytes = 0
        self.trouble = trouble
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._write = write
        self._segment: Segment | None = None
        self._limit = 0
        self._named_ns = 0

    def append(self, frames: bytes, flows: int) -> bool:
        """Write sealed records, `flows` of them flows; False: none could be kept."""
        size = len(frames)
        segment = self._segment
        if segment is None or segment.size + size > self._limit:
            segment = self._segment_for(size)
            if segment is None:
                return False
        try:
            segment.append(frames)
        except OSError as error:
            # Without its lock the reader may remove it, and that makes room.
            self._segment = None
            with contextlib.suppress(OSError):
                segment.abandon()
            self._fail(error)
            return False
        self.written_bytes += size
        self.kept += flows
        if self.trouble.text:
            self.trouble.end(
                f"flows are kept again in {self._directory}; not kept since the start:"
                f" {self.not_kept}"
            )
        return True

    def close(self) -> None:
        """End the segment in order."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.end()
        except OSError as error:
            # Its lock is free now, and its records are whole: it will be read.
            self._fail(error)

    def leave_lost(self) -> bool:
        """Whether the segment was removed, moved or replaced: it is ended, as it may
        be read where it went to, and the next record begins another."""
        if self._segment is None or self._segment.is_there:
            return False
        self.close()
        return True

    def _segment_for(self, size: int) -> Segment | None:
        """The segment that the next `size` bytes go to; None: there is none for now."""
        self.close()
        if self.trouble.is_pausing:
            return None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            room = self._max_bytes - sweep(self._directory) - END_BYTES
            if len(MAGIC) + size > room:
                self._put_off()
                return None
            segment = Segment.create(self._directory, self._name(), self._write)
        except OSError as error:
            self._fail(error)
            return None
        # What is larger than a segment has one to itself.
        self._limit = max(len(MAGIC) + size, min(self._segment_bytes - END_BYTES, room))
        self._segment = segment
        return segment

    def _name(self) -> str:
        # Names rise even when the clock is set back: a body's pieces come before its
        # flow. A name that is taken is that of another journal in this process.
        self._named_ns = max(time.time_ns(), self._named_ns + 1)
        while (self._directory / self._format_name()).exists():
            self._named_ns += 1
        return self._format_name()

    def _format_name(self) -> str:
        return f"{self._named_ns:020d}-{os.getpid()}{SUFFIX}"

    def _fail(self, error: OSError) -> None:
        self.trouble.begin(
            f"cannot write flows to {self._directory}:"
            f" {error.strerror or error}; traffic goes on, flows are counted but not"
            " kept; free space there or make it writable, and they are kept again"
        )

    def _put_off(self) -> None:
        self.trouble.begin(
            f"the journal in {self._directory} has reached store.max_journal_bytes"
            f" ({self._max_bytes // _MIB} MiB); traffic goes on, flows are counted but"
            " not kept until the hub has read it; if no hub runs, start one or raise"
            " the limit"
        )
