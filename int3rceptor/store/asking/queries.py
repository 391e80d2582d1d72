"""What is asked of the kept flows: the store and the journal's tail as one.

For the command line and the control port. It changes nothing (`edits` does) and waits
for nobody: not for the hub, whether it runs or not.
"""

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from int3rceptor.errors import ConfigError, reason_of
from int3rceptor.store.asking import stored
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.rows import FlowRow, row_of
from int3rceptor.store.asking.text import TextMatcher
from int3rceptor.store.database import bodies
from int3rceptor.store.database.schema import (
    STORE_NAME,
    DamagedStoreError,
    NotMadeYet,
    is_disk_full,
    open_reader,
)
from int3rceptor.store.journal.tail import SegmentGone, Tail, segment_names
from int3rceptor.store.records import BodyRecord, FlowRecord

MAX_VIEWS = 20
"""Attempts at a view of store and journal that the hub does not change under us. It
deletes a segment every few seconds at most; a view takes milliseconds."""

MAX_ROWS = 10_000
"""Most rows of one answer: some 10 MB."""

ABOVE_ALL = 1 << 62
"""Above every flow's id."""

__all__ = ("FlowFilter", "FlowRow", "StoreReader", "open_store")

T = TypeVar("T")
EVERYTHING = FlowFilter()


@dataclass(slots=True, frozen=True, kw_only=True)
class _View:
    """Store and journal at one moment; no store is there before the first ingestion."""

    connection: sqlite3.Connection | None
    tail: Tail


def open_store(flows_dir: Path) -> "StoreReader":
    """The flows kept in `flows_dir`, which need not exist. Close it, or use `with`.

    It and its methods raise ConfigError, one line, for a store that cannot be read.
    """
    return StoreReader(flows_dir)


class StoreReader:
    """Answers questions about the flows of one directory. One thread at a time."""

    def __init__(self, flows_dir: Path) -> None:
        self.flows_dir = flows_dir
        self._path = flows_dir / STORE_NAME
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store's file; the next question opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def rows(
        self,
        wanted: FlowFilter = EVERYTHING,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[FlowRow]:
        """Flows that fit, newest first, at most `limit` (and MAX_ROWS).

        `before` and `after` are ids, both exclusive: the last row's id as `before`
        gives the next page.
        """
        limit = max(0, min(limit, MAX_ROWS))
        above = 0 if after is None else after
        below = ABOVE_ALL if before is None else before

        def ask(view: _View) -> list[FlowRow]:
            waiting = heapq.nlargest(
                limit,
                (one for one in _waiting(view, wanted) if above < one.id < below),
                key=_id_of,
            )
            rows = {one.id: row_of(one) for one in waiting}
            if view.connection is not None:
                found = stored.rows(
                    view.connection, wanted, above=above, below=below, limit=limit
                )
                rows |= {one.id: one for one in found}
            return sorted(rows.values(), key=_id_of, reverse=True)[:limit]

        return self._ask(ask)

    def taken_in(
        self, wanted: FlowFilter = EVERYTHING, *, after: int = 0, limit: int = 100
    ) -> list[FlowRow]:
        """As `rows`, of what is in the store alone: cheap however long the tail is."""

        def ask(view: _View) -> list[FlowRow]:
            if view.connection is None:
                return []
            return stored.rows(
                view.connection, wanted, above=after, below=ABOVE_ALL, limit=limit
            )

        return self._ask(ask)

    def tail_ends(self) -> dict[str, int]:
        """Segment -> where its whole records end, of those that the store lacks."""
        return self._ask(lambda view: view.tail.ends())

    def tail(self) -> Tail:
        """The journal's tail as it is now."""
        return self._ask(lambda view: view.tail)

    def count(self, wanted: FlowFilter = EVERYTHING) -> int:
        """How many flows fit."""

        def ask(view: _View) -> int:
            found = sum(1 for _ in _waiting(view, wanted))
            if view.connection is not None:
                found += stored.count(view.connection, wanted)
            return found

        return self._ask(ask)

    def last_id(self) -> int:
        """The largest id of all kept flows; 0 when there is none."""

        def ask(view: _View) -> int:
            last = max((one.id for one in view.tail.records()), default=0)
            if view.connection is not None:
                last = max(last, stored.last_id(view.connection))
            return last

        return self._ask(ask)

    def get(self, flow_id: int, *, limit_bytes: int | None = None) -> FlowRecord | None:
        """One flow with its bodies whole, `ahead` 0; None when it is not kept.

        At most about `limit_bytes` of each body are read (None: all).
        """
        limit = bodies.ALL_BYTES if limit_bytes is None else limit_bytes

        def ask(view: _View) -> FlowRecord | None:
            if view.connection is None:
                return view.tail.find(flow_id, {})
            record = bodies.load(view.connection, flow_id, limit=limit)
            if record is not None:
                return record
            return view.tail.find(flow_id, stored.pieces(view.connection, flow_id))

        return self._ask(ask)

    def row(self, flow_id: int) -> FlowRow | None:
        """One flow as a line of a list; None when it is not kept."""
        found = self.rows(after=flow_id - 1, before=flow_id + 1, limit=1)
        return found[0] if found else None

    def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop` of a body as kept, of the side "request"
        or "response"; b"" beyond what is kept, or when there is no such flow."""

        def ask(view: _View) -> bytes:
            connection = view.connection
            if connection is not None and stored.holds(connection, flow_id):
                return bodies.read(connection, flow_id, side, start, stop)
            earlier = {} if connection is None else stored.pieces(connection, flow_id)
            record = view.tail.find(flow_id, earlier)
            if record is None:
                return b""
            body: BodyRecord = getattr(record, f"{side}_body")
            return body.content[start:stop]

        return self._ask(ask)

    def _ask(self, question: Callable[[_View], T]) -> T:
        for _ in range(MAX_VIEWS):
            with suppress(SegmentGone), readable(self._path), self._view() as view:
                return question(view)
        raise ConfigError(
            f"{self.flows_dir}: changes faster than it can be read; try again"
        )

    @contextmanager
    def _view(self) -> Iterator[_View]:
        """Both at one moment. What is deleted from the journal between the two looks at
        it may be in the snapshot or not; what comes into it is told once."""
        known = segment_names(self.flows_dir)
        connection = self._opened()
        progress = {}
        if connection is not None:
            connection.execute("BEGIN")
        try:
            if connection is not None:
                progress = stored.progress(connection)
            names = segment_names(self.flows_dir)
            if not set(known) <= set(names):
                raise SegmentGone
            tail = Tail(self.flows_dir, names, progress)
            yield _View(connection=connection, tail=tail)
        finally:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection | None:
        """The store; anew when another file has taken its place (one set aside)."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self.close()
            return None
        if (file := (found.st_dev, found.st_ino)) != self._file:
            self.close()
            try:
                self._connection = _opened(self._path)
            except NotMadeYet:
                return None
            self._file = file
        return self._connection


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return open_reader(path)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        # On a read-only disk even a reader's lock file cannot be made, and nobody
        # needs it: all is in the one file.
        return open_reader(path, is_frozen=True)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Says in one line what is wrong with a store, and what to do."""
    try:
        yield
    except (sqlite3.OperationalError, PermissionError) as error:
        if is_disk_full(error):
            raise ConfigError(
                f"the disk of the store {path} is full, and it needs some room to be"
                " asked or changed: free some space"
            ) from None
        wanted = "writable" if os.access(path.parent, os.R_OK) else "readable"
        raise ConfigError(
            f"cannot read the store {path}: {reason_of(error)}; it needs to be"
            f" readable, and its folder {wanted}, for you"
        ) from None
    except (sqlite3.DatabaseError, DamagedStoreError) as error:
        raise ConfigError(
            f"the store {path} is damaged ({error}); a proxy that meets the damage sets"
            " it aside and begins a new one, or stop it and move the file away yourself"
        ) from None


def _id_of(one: FlowRow | FlowRecord) -> int:
    return one.id


def _waiting(view: _View, wanted: FlowFilter) -> Iterator[FlowRecord]:
    """Flows in the journal's tail that fit."""
    found = (one for one in view.tail.records() if wanted.matches(one))
    return found if wanted.text is None else TextMatcher(text=wanted.text).filter(found)
