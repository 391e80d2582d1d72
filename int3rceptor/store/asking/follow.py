"""Follows the flows of a directory as they finish, whoever takes them from the journal.

It keeps the segments open, so that one the store takes in and deletes is read to its
end, and looks at the newest flows of the store for what passed between two looks.
"""

from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Self

from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.queries import StoreReader
from int3rceptor.store.asking.rows import FlowRow, row_of
from int3rceptor.store.asking.text import TextMatcher
from int3rceptor.store.journal.framing import FLOW, read_records
from int3rceptor.store.journal.framing import Tail as Ending
from int3rceptor.store.journal.segment import JOURNAL_FOLDER
from int3rceptor.store.journal.tail import flow_of, segment_names
from int3rceptor.store.records import FlowRecord

WINDOW = 500
"""Newest flows of the store that each look checks: a millisecond or two."""

MAX_SEEN = 20_000
"""Ids remembered so that no flow is told twice: far more than the window holds."""


class Follower:
    """Tells each flow that fits once, from those on that finish after it was made."""

    def __init__(self, flows_dir: Path, wanted: FlowFilter) -> None:
        self._flows_dir = flows_dir
        self._wanted = wanted
        self._reader = StoreReader(flows_dir)
        self._segments: dict[str, _Segment] = {}
        self._seen: dict[int, None] = {}
        self._floor = 0
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()
        for segment in self._segments.values():
            segment.close()

    def poll(self) -> list[FlowRow]:
        """The flows that finished since the last look, in that order."""
        found = [row_of(one) for one in self._fitting(self._journalled())]
        stored = self._reader.taken_in(self._wanted, after=self._floor, limit=WINDOW)
        found += reversed(stored)
        return [one for one in found if self._is_new(one.id)]

    def _begin(self) -> None:
        # First the tail, then the store: what moves between them is known by its id.
        tail = self._reader.tail()
        for name, offset in tail.offsets.items():
            self._open(name, offset)
        for record in self._journalled():
            self._is_new(record.id)
        stored = self._reader.taken_in(self._wanted, limit=WINDOW)
        for row in stored:
            self._is_new(row.id)
        if len(stored) == WINDOW:
            # Older ones would come into the window when newer ones are deleted.
            self._floor = stored[-1].id

    def _fitting(self, records: Iterator[FlowRecord]) -> Iterator[FlowRecord]:
        fitting = (one for one in records if self._wanted.matches(one))
        text = self._wanted.text
        return fitting if text is None else TextMatcher(text=text).filter(fitting)

    def _journalled(self) -> Iterator[FlowRecord]:
        """What came into the journal since the last look."""
        names = set(segment_names(self._flows_dir))
        for name in sorted(names - self._segments.keys()):
            self._open(name, 0)
        for name, segment in list(self._segments.items()):
            yield from segment.new_flows()
            if name not in names:
                # Nobody writes to it any more, and it has been read to its end.
                segment.close()
                del self._segments[name]

    def _open(self, name: str, offset: int) -> None:
        with suppress(FileNotFoundError):  # the store has it: see the window
            path = self._flows_dir / JOURNAL_FOLDER / name
            self._segments[name] = _Segment(path.open("rb"), offset)

    def _is_new(self, flow_id: int) -> bool:
        if flow_id in self._seen:
            return False
        self._seen[flow_id] = None
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True


class _Segment:
    """One segment, read as it grows."""

    def __init__(self, file: BufferedReader, offset: int) -> None:
        self._file = file
        self._end = offset
        self._is_over = False

    def close(self) -> None:
        self._file.close()

    def new_flows(self) -> Iterator[FlowRecord]:
        if self._is_over:
            return
        records = read_records(self._file, self._end)
        for end, kind, payload in records:
            self._end = end
            if kind == FLOW and (record := flow_of(payload)) is not None:
                yield record
        self._is_over = records.tail in (Ending.ENDED, Ending.FOREIGN)
