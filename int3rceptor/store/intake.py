"""Journal records into rows: what one transaction of the ingester inserts.

It knows the tables and the records, not the segments' files.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from int3rceptor.store.bodies import SIDES
from int3rceptor.store.framing import BODY, FLOW
from int3rceptor.store.records import FlowRecord, decode_flow, decode_piece

MAX_KNOWN_HOSTS = 10_000
"""Names whose numbers are held in memory; past it the memory begins anew."""

MAX_NUMBER = 2**63 - 1
"""Largest integer of SQLite."""

_FLOW = (
    "INSERT OR IGNORE INTO flow"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FRESH = "INSERT OR IGNORE INTO fresh VALUES (?, ?)"
_PIECE = "INSERT INTO pending_piece (flow, side, segment, data) VALUES (?, ?, ?, ?)"
_VOID = "DELETE FROM pending_piece WHERE flow = ? AND side = ?"

Row = tuple[object, ...]

_as_json = msgspec.json.Encoder().encode


class Intake:
    """Inserts the records of one connection. `flows` counts those taken in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.flows = 0
        self.unreadable = 0
        self._connection = connection
        self._hosts: dict[str, int] = {}

    def insert(self, segment: str, records: Iterable[tuple[int, bytes]]) -> None:
        """Insert (kind, payload) records of `segment`. Inside a transaction.

        A flow that is there already is left as it is. A payload that is no record (its
        checksum was right: another release wrote it) is counted in `unreadable`.
        """
        flows: list[Row] = []
        fresh: list[Row] = []
        pieces: list[Row] = []
        void: list[Row] = []
        for kind, payload in records:
            try:
                if kind == FLOW:
                    record = decode_flow(payload)
                    flows.append(self._flow_row(record))
                    fresh.append((record.id, payload))
                elif kind == BODY:
                    piece = decode_piece(payload)
                    key = (piece.id, SIDES.index(piece.side))
                    if piece.data:
                        pieces.append((*key, segment, piece.data))
                        continue
                    # What came before of this body is not to be kept.
                    void.append(key)
                    pieces = [row for row in pieces if row[:2] != key]
            except (msgspec.DecodeError, ValueError):
                self.unreadable += 1
        if void:
            self._connection.executemany(_VOID, void)
        if pieces:
            self._connection.executemany(_PIECE, pieces)
        if flows:
            self._connection.executemany(_FLOW, flows)
            self._connection.executemany(_FRESH, fresh)
            self.flows += len(flows)

    def forget_hosts(self) -> None:
        """Names may have lost their numbers."""
        self._hosts.clear()

    def _flow_row(self, record: FlowRecord) -> Row:
        """In the order of the table's columns."""
        up = record.request_body.size or record.bytes_up
        down = record.response_body.size or record.bytes_down
        if max(record.id, record.port, record.status, up, down) > MAX_NUMBER:
            raise ValueError(record.id)
        name = record.host
        host = self._hosts.get(name)
        if host is None:
            host = self._number_of(name)
        origin = record.origin
        return (
            record.id,
            record.created,
            host,
            record.status,
            0,
            record.port,
            up,
            down,
            record.total_s,
            record.kind,
            record.method,
            record.scheme,
            record.version,
            origin.version if origin is not None else "",
            record.rule,
            _as_json(record.tags).decode() if record.tags else "",
            record.error,
            record.target,
        )

    def _number_of(self, name: str) -> int:
        if len(self._hosts) >= MAX_KNOWN_HOSTS:
            self._hosts.clear()
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO host (name) VALUES (?)", (name,))
        row = execute("SELECT id FROM host WHERE name = ?", (name,)).fetchone()
        number: int = row[0]
        self._hosts[name] = number
        return number
