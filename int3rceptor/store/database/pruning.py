"""What leaves the store: by hand, by age, by size; and the disk space it frees.

Marked flows stay until someone deletes them by hand.
"""

import sqlite3
from collections.abc import Sequence

from int3rceptor.store.database import bodies
from int3rceptor.store.database.schema import (
    PAGE_BYTES,
    free_pages,
    size_bytes,
    transaction,
)

BATCH = 200
"""Flows deleted in one transaction: some 10 ms, so that others can write between."""

LOW_WATER = 0.95
"""A store over its size is brought down to this share of it, in batches, rather than
pruned by a flow for each that comes."""
REBUILDING = 1.25
"""How far over its size it may be while its text has two indexes: without it, building
the second would cost flows that have room again a little later."""

VACUUM_PAGES = 256
"""Pages given back to the disk in one transaction: two MiB."""
MIN_FREE_PAGES = 512
"""Free pages that stay while the file is within its size: new flows take them."""
MAX_FREE_SHARE = 8
"""More than one page of so many free: given back while there is nothing else to do."""

HOSTS = 5_000
"""Names looked at in one transaction."""


def delete_flows(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete these flows, marked or not, with all that is only theirs; how many were.

    Inside a transaction; some 50 µs a flow: give it at most BATCH at once.
    """
    deleted = 0
    settled = 0
    for flow_id in ids:
        row = bodies.settled(connection, flow_id)
        if row is not None:
            bodies.release(connection, row)
            connection.execute("DELETE FROM record WHERE id = ?", (flow_id,))
            settled += 1
        else:
            bodies.forget_pieces(connection, flow_id)
            connection.execute("DELETE FROM fresh WHERE id = ?", (flow_id,))
        deleted += connection.execute(
            "DELETE FROM flow WHERE id = ?", (flow_id,)
        ).rowcount
    # Their words stay for a while; see text_index.
    connection.execute("UPDATE text_index SET gone = gone + ?", (settled,))
    return deleted


def mark(connection: sqlite3.Connection, flow_id: int, *, is_marked: bool) -> bool:
    """Keep a flow from being pruned, or no longer; False when there is no such flow."""
    found = connection.execute(
        "UPDATE flow SET is_marked = ? WHERE id = ?", (is_marked, flow_id)
    )
    return found.rowcount > 0


class Pruner:
    """Keeps a store to its size and age, a batch at a time.

    `is_stuck` says that it is too large and every flow in it is marked.
    """

    def __init__(self, *, max_bytes: int, max_age_s: float) -> None:
        self.is_stuck = False
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._allowed = 1.0
        self._is_lowering = False

    def allow_for(self, *, is_rebuilding: bool) -> None:
        """Say whether the text index is being built anew."""
        self._allowed = REBUILDING if is_rebuilding else 1.0

    def prune(self, connection: sqlite3.Connection, now: float) -> bool:
        """Delete a batch of what is too old or too much; whether there may be more.

        `now` is in seconds since the epoch.
        """
        return self._delete(
            connection, _too_old(connection, now - self._max_age_s)
        ) or (
            self._is_too_large(connection)
            and self._delete(connection, self._oldest(connection, LOW_WATER))
        )

    def make_room(self, connection: sqlite3.Connection) -> bool:
        """Delete a batch while the store is over its size; whether there may be more.

        Only the size itself: to go on below it is for when there is time.
        """
        limit = self._max_bytes * self._allowed
        return size_bytes(connection) > limit and self._delete(
            connection, self._oldest(connection, 1.0)
        )

    def vacuum(self, connection: sqlite3.Connection) -> bool:
        """Give a slice of the free pages back to the disk; whether there may be more.

        Without it the file would keep the largest size it ever had.
        """
        free = free_pages(connection)
        used = size_bytes(connection)
        spare = max(MIN_FREE_PAGES, used // PAGE_BYTES // MAX_FREE_SHARE)
        is_too_large = used + free * PAGE_BYTES > self._max_bytes
        if not free or (free <= spare and not is_too_large):
            return False
        # Not by execute, which asks for rows: there are none, and it frees one page.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        if free - VACUUM_PAGES <= spare:
            # The file gets shorter when the log is written to its place.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return True

    def _is_too_large(self, connection: sqlite3.Connection) -> bool:
        limit = self._max_bytes * (LOW_WATER if self._is_lowering else 1.0)
        self._is_lowering = size_bytes(connection) > limit * self._allowed
        if not self._is_lowering:
            self.is_stuck = False
        return self._is_lowering

    def _oldest(self, connection: sqlite3.Connection, share: float) -> list[int]:
        """No more than it seems to take to get down to `share` of the size."""
        excess = size_bytes(connection) - int(self._max_bytes * self._allowed * share)
        ids = []
        for flow_id, size in connection.execute(
            "SELECT id, request_bytes + response_bytes FROM flow WHERE is_marked = 0"
            " ORDER BY id LIMIT ?",
            (BATCH,),
        ):
            ids.append(flow_id)
            excess -= size
            if excess <= 0:
                break
        any_flow = connection.execute("SELECT 1 FROM flow LIMIT 1").fetchone()
        self.is_stuck = not ids and any_flow is not None
        return ids

    def _delete(self, connection: sqlite3.Connection, ids: list[int]) -> bool:
        if ids:
            with transaction(connection):
                delete_flows(connection, ids)
        return bool(ids)


def _too_old(connection: sqlite3.Connection, before: float) -> list[int]:
    rows = connection.execute(
        "SELECT id FROM flow WHERE created < ? AND is_marked = 0"
        " ORDER BY created LIMIT ?",
        (before, BATCH),
    )
    return [flow_id for (flow_id,) in rows]


def forget_hosts(connection: sqlite3.Connection, after: int) -> int | None:
    """Drop names without flows among the next HOSTS ids; where to go on, None: done."""
    with transaction(connection):
        last: int | None
        (last,) = connection.execute(
            "SELECT max(id) FROM"
            " (SELECT id FROM host WHERE id > ? ORDER BY id LIMIT ?)",
            (after, HOSTS),
        ).fetchone()
        if last is not None:
            connection.execute(
                "DELETE FROM host WHERE id > ? AND id <= ? AND NOT EXISTS"
                " (SELECT 1 FROM flow WHERE flow.host = host.id)",
                (after, last),
            )
    return last
