"""The journal's segments into the store, then what takes time: one connection's work.

It raises what SQLite and the disk raise; what then becomes of the store is for `index`.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from int3rceptor.store.database.intake import Intake
from int3rceptor.store.database.pruning import Pruner, forget_hosts
from int3rceptor.store.database.schema import transaction
from int3rceptor.store.database.settling import Settler
from int3rceptor.store.database.text_index import TextIndex
from int3rceptor.store.journal import ids
from int3rceptor.store.journal.framing import Tail, read_records
from int3rceptor.store.journal.segment import SUFFIX
from int3rceptor.store.locks import try_lock

BATCH_RECORDS = 1_000
BATCH_BYTES = 1024 * 1024
"""What is taken in by one transaction: enough to pay for it, and some 50 ms at most. It
is in memory several times over meanwhile."""

ORPHANS_EVERY_S = 60.0
ORPHAN_PIECES = 100
"""Pieces dropped by one transaction; each is as large as the writer's buffer."""
MAX_PIECE_AGE_S = 24 * 3600.0
"""After it a piece without its flow is given up, should another process have been given
its writer's number."""

DAMAGED_SUFFIX = ".damaged"
MAX_DAMAGED = 8
"""Damaged segments kept for whoever wants to look at them."""

_OFFSET = "INSERT OR REPLACE INTO progress VALUES (?, ?, ?)"
_ORPHANS = (
    "SELECT n FROM pending_piece WHERE segment = ? AND NOT EXISTS"
    " (SELECT 1 FROM fresh WHERE fresh.id = pending_piece.flow) LIMIT ?"
)


@dataclass(slots=True, frozen=True, kw_only=True)
class Batch:
    """Records of a segment and the offset behind them.

    `is_last`: no more will come after them. `rest` is why bytes behind them can never
    be read, None where there are none.
    """

    records: list[tuple[int, bytes]]
    end: int
    is_last: bool = False
    rest: Tail | None = None


class Ingester:
    """What one connection takes in and settles. `tell` gets lines for people."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        directory: Path,
        *,
        pruner: Pruner,
        tell: Callable[[str], None],
    ) -> None:
        self.connection = connection
        self._directory = directory
        self._journal = directory / "journal"
        self._pruner = pruner
        self._tell = tell
        self._text = TextIndex(connection)
        self._settler = Settler(connection, self._text)
        self._intake = Intake(connection, self._settler)
        self._offsets: dict[str, int] = {}
        self._done: set[str] = set()
        self._gone: list[str] = []
        self._hosts_from: int | None = None
        self._orphans_at = 0.0
        self._load_progress()

    @property
    def flows(self) -> int:
        """How many flows were taken in."""
        return self._intake.flows

    def take_in(self, deadline: float) -> bool:
        """Insert what the journal holds; whether there is more, at `deadline`.

        `deadline` is on the monotonic clock; a transaction that began before it ends.
        """
        was_busy = False
        for path in segments(self._journal):
            is_over = False
            while not is_over:
                if was_busy and time.monotonic() >= deadline:
                    return True
                batch = self._take_batch(path)
                is_over = batch.is_last or not batch.records
                was_busy = was_busy or batch.is_last or not is_over
                if self._make_room(deadline):
                    return True
        return False

    def tidy(self, deadline: float) -> bool:
        """Prune, settle, give back; whether there is more to do, at `deadline`."""
        for step in (
            self._prune,
            self._settler.settle,
            self._drop_hosts,
            self._drop_orphans,
            lambda: self._pruner.vacuum(self.connection),
        ):
            while step():
                if time.monotonic() >= deadline:
                    return True
        return False

    def _make_room(self, deadline: float) -> bool:
        """Keep to the size while there is never a pause; True when time ran out."""
        while self._pruner.make_room(self.connection):
            if time.monotonic() >= deadline:
                return True
        return False

    def _load_progress(self) -> None:
        present = {path.name for path in segments(self._journal)}
        for name, offset, is_done in self.connection.execute(
            "SELECT segment, offset, is_done FROM progress"
        ):
            if name not in present:
                self._gone.append(name)
            elif is_done:
                self._done.add(name)
            else:
                self._offsets[name] = offset

    def _take_batch(self, path: Path) -> Batch:
        """Insert the next records of a segment, and remove it after its last."""
        name = path.name
        if name in self._done:
            self._remove(path)
            return Batch(records=[], end=0, is_last=True)
        start = self._offsets.get(name, 0)
        batch = read_batch(path, start)
        if batch.records:
            unreadable = self._intake.unreadable
            with transaction(self.connection):
                self._forget_gone()
                self._intake.insert(name, batch.records)
                self.connection.execute(_OFFSET, (name, batch.end, False))
            self._offsets[name] = batch.end
            if skipped := self._intake.unreadable - unreadable:
                self._tell(
                    f"{skipped} records of {path} are not of this release and were"
                    " skipped: use one release for one data directory"
                )
        if batch.is_last:
            self._finish(path, batch)
        return batch

    def _finish(self, path: Path, batch: Batch) -> None:
        """A segment is wholly in: see to it that this lasts, then remove it."""
        ids.make_durable(self._directory)
        self.connection.execute("PRAGMA synchronous = FULL")
        try:
            with transaction(self.connection):
                self._forget_gone()
                self.connection.execute(_OFFSET, (path.name, batch.end, True))
        finally:
            self.connection.execute("PRAGMA synchronous = NORMAL")
        self._offsets.pop(path.name, None)
        self._done.add(path.name)
        match batch.rest:
            case Tail.TORN:
                self._tell(
                    f"{path}: its last record is not whole, as its writer was killed;"
                    " everything before it is stored"
                )
            case Tail.DAMAGED | Tail.FOREIGN:
                self._set_aside(path, batch.rest)
        self._remove(path)

    def _set_aside(self, path: Path, rest: Tail) -> None:
        aside = path.with_name(path.name + DAMAGED_SUFFIX)
        path.rename(aside)
        self._tell(
            f"{path}: {rest.value}; everything before it is stored, the file is kept"
            f" as {aside.name}"
        )
        older = sorted(self._journal.glob("*" + DAMAGED_SUFFIX))[:-MAX_DAMAGED]
        for one in older:
            one.unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._done.discard(path.name)
        # Its row goes after it: whoever finds no row finds no file either.
        self._gone.append(path.name)

    def _forget_gone(self) -> None:
        """Inside a transaction. A name is given once, so doing it again is harmless."""
        gone = [(name,) for name in self._gone]
        if gone:
            self.connection.executemany("DELETE FROM progress WHERE segment = ?", gone)
            self._gone.clear()

    def _prune(self) -> bool:
        # First: what it frees need not be pruned for.
        if self._rebuild_text():
            return True
        is_more = self._pruner.prune(self.connection, time.time())
        if is_more:
            self._hosts_from = 0
        return is_more

    def _rebuild_text(self) -> bool:
        is_more = self._text.rebuild()
        self._pruner.allow_for(is_rebuilding=self._text.is_rebuilding)
        return is_more

    def _drop_hosts(self) -> bool:
        """Drop names that lost their flows, after a pruning."""
        if self._hosts_from is None:
            return False
        self._hosts_from = forget_hosts(self.connection, self._hosts_from)
        self._intake.forget_hosts()
        return self._hosts_from is not None

    def _drop_orphans(self) -> bool:
        """Drop pieces of flows that will not come: their writer has gone."""
        if time.monotonic() < self._orphans_at:
            return False
        writing = {_writer(path.name) for path in segments(self._journal)}
        rows = self.connection.execute("SELECT DISTINCT segment FROM pending_piece")
        for (segment,) in rows.fetchall():
            if _writer(segment) in writing or _may_write(segment):
                continue
            numbers = self.connection.execute(
                _ORPHANS, (segment, ORPHAN_PIECES)
            ).fetchall()
            if numbers:
                with transaction(self.connection):
                    self.connection.executemany(
                        "DELETE FROM pending_piece WHERE n = ?", numbers
                    )
                return True
        self._orphans_at = time.monotonic() + ORPHANS_EVERY_S
        return False


def segments(journal: Path) -> list[Path]:
    """The segments there are, oldest first; none when there is no journal yet."""
    try:
        with os.scandir(journal) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    return [journal / name for name in sorted(names)]


def read_batch(path: Path, offset: int) -> Batch:
    """The next records of a segment, whether it is still being written or not."""
    with path.open("rb", BATCH_BYTES) as file:
        # Before reading: what a live writer appends after it is for the next time, and
        # a dead one appends nothing. Its lock ends with it; ours ends with `file`.
        is_dead = try_lock(file.fileno())
        read = read_records(file, offset)
        records: list[tuple[int, bytes]] = []
        size = 0
        for _, kind, payload in read:
            records.append((kind, payload))
            size += len(payload)
            if len(records) >= BATCH_RECORDS or size >= BATCH_BYTES:
                return Batch(records=records, end=read.end)
    rest = None
    if is_dead and read.tail in (Tail.TORN, Tail.DAMAGED, Tail.FOREIGN):
        rest = read.tail
    is_last = is_dead or read.tail is Tail.ENDED
    return Batch(records=records, end=read.end, is_last=is_last, rest=rest)


def _writer(segment: str) -> str:
    """The number of the process that writes, or wrote, the segment of this name."""
    return segment.removesuffix(SUFFIX).rpartition("-")[2]


def _may_write(segment: str) -> bool:
    """Whether the writer of a segment that is no more may still live."""
    began, _, process = segment.removesuffix(SUFFIX).partition("-")
    if time.time() - int(began) / 1e9 > MAX_PIECE_AGE_S:
        return False
    if sys.platform == "win32":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
