"""Journal records into rows: what one transaction of the ingester inserts.

It knows the tables and the records, not the segments' files.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from int3rceptor.store.database.bodies import SIDES
from int3rceptor.store.database.settling import Flow, Settler
from int3rceptor.store.journal.framing import BODY, FLOW
from int3rceptor.store.records import FlowRecord, decode_flow, decode_piece

MAX_KNOWN_HOSTS = 10_000
"""Names whose numbers are held in memory; past it the memory begins anew."""

AT_ONCE_BYTES = 4096
"""Largest record that is settled as it is taken in: to write it down for later, and to
read it again, costs as much as the settling. Of a larger one that is most of the work,
up to milliseconds, so it can wait until there is time."""

MAX_NUMBER = 2**63 - 1
"""Largest integer of SQLite."""

_FLOW = (
    "INSERT OR IGNORE INTO flow"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FRESH = "INSERT OR IGNORE INTO fresh VALUES (?, ?)"
_KNOWN = (
    "SELECT flow.id FROM json_each(?) AS asked CROSS JOIN flow ON flow.id = asked.value"
)
_PIECE = "INSERT INTO pending_piece (flow, side, segment, data) VALUES (?, ?, ?, ?)"
_VOID = "DELETE FROM pending_piece WHERE flow = ? AND side = ?"

Row = tuple[object, ...]

_as_json = msgspec.json.Encoder().encode


class Intake:
    """Inserts the records of one connection. `flows` counts those taken in."""

    def __init__(self, connection: sqlite3.Connection, settler: Settler) -> None:
        self.flows = 0
        self.unreadable = 0
        self._connection = connection
        self._settler = settler
        self._hosts: dict[str, int] = {}

    def insert(self, segment: str, records: Iterable[tuple[int, bytes]]) -> None:
        """Insert (kind, payload) records of `segment`. Inside a transaction.

        A flow that is there already is left as it is. A payload that is no record (its
        checksum was right: another release wrote it) is counted in `unreadable`.
        """
        flows: dict[int, Flow] = {}
        rows: list[Row] = []
        pieces: list[Row] = []
        void: list[Row] = []
        for kind, payload in records:
            try:
                if kind == FLOW:
                    record = decode_flow(payload)
                    rows.append(self._flow_row(record))
                    flows.setdefault(record.id, (record, payload))
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
            self._keep(self._unknown(flows))
            self._connection.executemany(_FLOW, rows)
            self.flows += len(rows)

    def _unknown(self, flows: dict[int, Flow]) -> list[Flow]:
        """Those that are not in the store, by rising ids: tables and index grow at
        their ends."""
        numbers = _as_json(list(flows)).decode()
        for (known,) in self._connection.execute(_KNOWN, (numbers,)):
            del flows[known]
        return [flows[number] for number in sorted(flows)]

    def _keep(self, flows: list[Flow]) -> None:
        """Settle what is soon done, and leave the rest for when there is time."""
        now: list[Flow] = []
        later: list[Row] = []
        for record, payload in flows:
            is_whole = not record.request_body.ahead and not record.response_body.ahead
            if is_whole and len(payload) <= AT_ONCE_BYTES:
                now.append((record, payload))
            else:
                later.append((record.id, payload))
        self._settler.keep(now)
        self._connection.executemany(_FRESH, later)

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
            bytearray(record.target),  # of bytes sqlite3 asks what they are: 0.5 µs
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
