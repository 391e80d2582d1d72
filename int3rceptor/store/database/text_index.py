"""The table of words: flows get in one by one, and out by building it anew.

A word's entry cannot be removed without writing as much again, which would make a store
that is pruned for its size grow. So entries of flows that are gone stay, for readers to
see past, until they are a good part of all; then a second table is built of the flows
that are left, in slices, and takes the place of the first in one transaction.
"""

import sqlite3
from collections.abc import Sequence

from int3rceptor.store.database import bodies, search
from int3rceptor.store.database.schema import TEXT_TABLE, DamagedStoreError, transaction

MIN_GONE = 500
"""Below it building anew is not worth its while."""
MAX_GONE_SHARE = 0.5
"""More than this for each flow that is left: then it is."""

BATCH = 200
"""Flows read again in one transaction: some 40 ms."""

MERGE_AT = 32
"""Parts of like size from which on the table merges them into one, a slice with each
transaction. At 4, which is FTS5's own, what was written again and again was 40 % of the
time that words take. A search looks into each part: with 50 that is 0.1 ms more."""
MERGE_WHOLE_AT = 128
"""Parts from which on the merge is no longer in slices. FTS5's own, 16, would come
before MERGE_AT, and hold a transaction until all of a large table is merged."""

_NEXT = "flow_text_next"
_ADD = "INSERT INTO flow_text (rowid, text) VALUES (?, ?)"
_COUNT = "UPDATE text_index SET added = added + ?"
_ADD_NEXT = "INSERT INTO flow_text_next (rowid, text) VALUES (?, ?)"


class TextIndex:
    """`flow_text` of one connection, which must be the only one that settles."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._added = 0
        self._gone = 0
        self._rebuilt_to: int | None = None
        self._load()
        self._merge_seldom("flow_text")

    @property
    def is_rebuilding(self) -> bool:
        """Whether there are two tables now."""
        return self._rebuilt_to is not None

    def add(self, texts: Sequence[tuple[int, str]]) -> None:
        """Make settled flows findable: (id, text), by rising ids. In a transaction."""
        executemany = self._connection.executemany
        executemany(_ADD, texts)
        if self._rebuilt_to is not None:
            to = self._rebuilt_to
            executemany(_ADD_NEXT, [one for one in texts if one[0] <= to])
        self._connection.execute(_COUNT, (len(texts),))

    def rebuild(self) -> bool:
        """A slice of building it anew, if that is due; whether there is more to do."""
        self._load()
        if self._rebuilt_to is not None:
            with transaction(self._connection):
                self._rebuild_some(self._rebuilt_to)
        elif self._is_due():
            with transaction(self._connection):
                self._connection.execute(TEXT_TABLE.format(name=_NEXT))
                self._merge_seldom(_NEXT)
                self._connection.execute("UPDATE text_index SET rebuilt_to = 0")
        else:
            return False
        self._load()
        return True

    def _merge_seldom(self, table: str) -> None:
        """Say when to merge, which the table then keeps for itself."""
        tell = f"INSERT INTO {table} ({table}, rank) VALUES (?, ?)"  # noqa: S608
        self._connection.execute(tell, ("automerge", MERGE_AT))
        self._connection.execute(tell, ("crisismerge", MERGE_WHOLE_AT))

    def _load(self) -> None:
        """Others delete flows: `gone` is known only to the table."""
        row = self._connection.execute(
            "SELECT added, gone, rebuilt_to FROM text_index"
        ).fetchone()
        self._added, self._gone, self._rebuilt_to = row

    def _is_due(self) -> bool:
        left = self._added - self._gone
        return self._gone > max(MIN_GONE, left * MAX_GONE_SHARE)

    def _rebuild_some(self, after: int) -> None:
        execute = self._connection.execute
        rows = execute(
            "SELECT id FROM record WHERE id > ? ORDER BY id LIMIT ?", (after, BATCH)
        ).fetchall()
        for (flow_id,) in rows:
            text = text_of_flow(self._connection, flow_id)
            if text is not None:
                execute(_ADD_NEXT, (flow_id, text))
        if rows:
            execute("UPDATE text_index SET rebuilt_to = ?", rows[-1])
            return
        execute("DROP TABLE flow_text")
        execute("ALTER TABLE flow_text_next RENAME TO flow_text")
        # Those that went meanwhile are few, and not worth a look at each.
        execute(
            "UPDATE text_index SET gone = 0, rebuilt_to = NULL,"
            " added = (SELECT count(*) FROM flow_text_docsize)"
        )


def text_of_flow(connection: sqlite3.Connection, flow_id: int) -> str | None:
    """What a kept flow is to be found by; None when it cannot be read."""
    try:
        record = bodies.load(connection, flow_id, limit=search.MAX_CODED_BYTES)
    except DamagedStoreError:
        return None
    return None if record is None else search.text_of(record)
