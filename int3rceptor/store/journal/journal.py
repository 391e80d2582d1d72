"""The journal: finished flows on the disk in the tick in which they finish.

One write for flows that finish together, in the caller's thread, which is the event
loop's; nothing here raises or waits for more than the disk. It does not know what a
flow is made of.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from int3rceptor.store.journal.framing import (
    BODY,
    FLOW,
    MAX_RECORD_BYTES,
    sealed,
)
from int3rceptor.store.journal.ids import BLOCK, SHARED_BLOCK, Ids
from int3rceptor.store.journal.plain_text import with_plain_text
from int3rceptor.store.journal.segment import JOURNAL_FOLDER, Write
from int3rceptor.store.journal.slow_disk import MAX_WAITING_BYTES, SLOW_S, Backlog
from int3rceptor.store.journal.writer import Writer
from int3rceptor.store.records import BodyPiece, FlowRecord, encode
from int3rceptor.store.trouble import Trouble, new_notices

SEGMENT_BYTES = 16 * 1024 * 1024
"""A segment's size: large enough that making one is rare, small enough that its room is
soon free again."""

LOOK_S = 1.0
"""How often it is made sure that the segment is still where it was made: what passes
until then goes with it, and a look takes some microseconds."""

CLOSE_S = 5.0
"""Longest wait at the end for a slow disk; what it has not taken then is lost."""

_MIB = 1024 * 1024


class Journal:
    """Appends to `flows_dir`/journal, and hands out numbers from `flows_dir`/ids.

    For one thread. `max_bytes` bounds the journal as a whole; `is_shared`: others write
    to it at the same time. `on_problem` is told, in that thread, what went wrong,
    where, and what to do: once when it begins and once when it is over.
    """

    def __init__(
        self,
        flows_dir: Path,
        *,
        max_bytes: int,
        on_problem: Callable[[str], None],
        segment_bytes: int = SEGMENT_BYTES,
        is_shared: bool = False,
        write: Write = os.write,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = flows_dir / JOURNAL_FOLDER
        self._on_problem = on_problem
        self._clock = clock
        self._notices = new_notices()
        block = SHARED_BLOCK if is_shared else BLOCK
        self._ids = Ids(flows_dir, self._notices, Trouble(self._notices, clock), block)
        self._writer = Writer(
            self._directory,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            trouble=Trouble(self._notices, clock),
            write=write,
        )
        self._look_at = 0.0
        self._has_refused = False
        self._is_closed = False
        self._backlog: Backlog | None = None
        self._backlog_trouble = Trouble(self._notices, clock)

    @property
    def kept(self) -> int:
        """Flows written."""
        return self._writer.kept

    @property
    def not_kept(self) -> int:
        """Flows that could not be written, for whatever reason."""
        return self._writer.not_kept

    @property
    def written_bytes(self) -> int:
        """Bytes appended."""
        return self._writer.written_bytes

    @property
    def problem(self) -> str:
        """What is wrong now; "" while all is well."""
        troubles = (self._ids.trouble, self._writer.trouble, self._backlog_trouble)
        return next((one.text for one in troubles if one.text), "")

    def next_id(self) -> int:
        """A flow's number. A negative one says that the flow will not be kept."""
        number = self._ids.next()
        if self._notices:
            self._tell()
        return number

    def give_back_numbers(self) -> None:
        """Let go of numbers that were taken and not used yet: others use them, too."""
        self._ids.give_back()

    def append_flows(self, records: Sequence[FlowRecord]) -> bool:
        """Keep finished flows, by one write; False, counted, where that cannot be."""
        frames = [
            frame for one in records if one.id > 0 and (frame := self._frame(one, FLOW))
        ]
        if not frames or not self._write(b"".join(frames), len(frames)):
            self._writer.not_kept += len(records)
            return False
        self._writer.not_kept += len(records) - len(frames)
        return len(frames) == len(records)

    def append_piece(self, number: int, side: str, data: bytes) -> bool:
        """Keep a part of a body; after False the rest of it must not be appended.

        Empty `data` voids the pieces before it, of this flow and side.
        """
        if number <= 0:
            return False
        frame = self._frame(BodyPiece(number, side, data), BODY)
        return bool(frame) and self._write(frame, 0)

    def close(self) -> None:
        """End the segment in order; a slow disk is waited for, but not for ever.

        What comes later is not kept.
        """
        self._is_closed = True
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            self._writer.not_kept += backlog.close(CLOSE_S)
        if backlog is None or backlog.has_ended:
            self._writer.close()
        self._tell()

    def _frame(self, record: FlowRecord | BodyPiece, kind: int) -> bytes:
        """The sealed record; b"", told once, for one that no segment takes."""
        try:
            payload = encode(record)
        except UnicodeEncodeError:
            # A host or an error text may hold a client's bytes as lone surrogates.
            payload = encode(with_plain_text(record))
        if len(payload) > MAX_RECORD_BYTES:
            self._refuse()
            return b""
        return sealed(kind, payload)

    def _write(self, frames: bytes, flows: int) -> bool:
        if self._is_closed:
            return False
        if self._backlog is not None and not self._is_quick_again(self._backlog):
            is_kept = self._wait_in_line(self._backlog, frames, flows)
        else:
            clock = self._clock
            started = clock()
            if started >= self._look_at:
                self._look_at = started + LOOK_S
                self._leave_lost()
            is_kept = self._writer.append(frames, flows)
            if clock() - started > SLOW_S:
                self._step_aside()
        if self._notices:
            self._tell()
        return is_kept

    def _leave_lost(self) -> None:
        if self._writer.leave_lost():
            self._ids.begin_anew()
            self._notices.append(
                f"the journal in {self._directory} was removed, moved or replaced while"
                " it was written to: flows that had not got from it into the store are"
                " lost, the next ones are kept again; stop the proxy before you change"
                " its data directory"
            )

    def _refuse(self) -> None:
        if not self._has_refused:
            self._has_refused = True
            self._notices.append(
                f"a flow whose record is larger than {MAX_RECORD_BYTES // _MIB} MiB was"
                " not kept; others like it are counted only"
            )
            self._tell()

    def _step_aside(self) -> None:
        try:
            self._backlog = Backlog(self._writer.append)
        except RuntimeError:  # no thread is to be had: so it goes on in this one
            return
        self._backlog_trouble.begin(
            f"the disk of {self._directory} is slow; traffic goes on, flows are written"
            " beside it"
        )

    def _is_quick_again(self, backlog: Backlog) -> bool:
        if not backlog.is_needless or not backlog.retire(SLOW_S):
            return False
        self._backlog = None
        self._backlog_trouble.end(f"the disk of {self._directory} is quick again")
        return True

    def _wait_in_line(self, backlog: Backlog, frame: bytes, flows: int) -> bool:
        if backlog.offer(frame, flows):
            return True
        self._backlog_trouble.begin(
            f"the disk of {self._directory} is too slow: more than"
            f" {MAX_WAITING_BYTES // _MIB} MiB wait to be written; traffic goes on,"
            " flows are counted but not kept until it has caught up"
        )
        return False

    def _tell(self) -> None:
        while self._notices:
            self._on_problem(self._notices.popleft())
