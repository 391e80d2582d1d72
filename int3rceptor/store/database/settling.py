"""Keeps flows for good, many in one transaction: compressed, equal bodies once, to be
found by their words.

It knows the tables and the records; not the journal, nor how flows are read again.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from hashlib import sha256

from msgspec.structs import replace
from zstandard import ZstdCompressor

from int3rceptor.store.database import bodies, search
from int3rceptor.store.database.bodies import CHUNK_BYTES, MAX_CHUNKS
from int3rceptor.store.database.schema import transaction
from int3rceptor.store.database.text_index import TextIndex, text_of_flow
from int3rceptor.store.records import BodyRecord, FlowRecord, encode

SETTLE_FLOWS = 500
SETTLE_BYTES = 1024 * 1024
SETTLE_S = 0.1
"""What is settled of the fresh flows by one transaction: enough to pay for it; others
may want to write. It is in memory several times over meanwhile."""

MIN_BODY_BYTES = 512
"""A smaller body stays in its record, where the heads help to compress it: two rows and
an index entry would cost more than sharing it saves."""
BODY_LEVEL = 3
"""zstd's default for bodies."""
CHUNKS_AT_ONCE = 16
"""Chunks that wait to be inserted by one statement: 4 MiB at most."""
RECORD_LEVEL = -1
"""For a record, which is some heads: a third of the time of zstd's default, and a
twentieth more bytes."""

_FRESH = (
    "SELECT fresh.id, fresh.payload, record.id IS NULL"
    " FROM fresh LEFT JOIN record ON record.id = fresh.id ORDER BY fresh.id LIMIT ?"
)
_RECORD = (
    "INSERT INTO record VALUES"
    " (?, nullif(?, 0), nullif(?, 0), nullif(?, 0), nullif(?, 0), ?)"
)

Flow = tuple[FlowRecord, bytes]
"""A flow's record, and what it was decoded from."""

_Row = tuple[int, int, int, int, int, bytearray]
"""Of `record`: the flow's id, its bodies' rows (0: none), and the rest of it."""

Pieces = Callable[[], Iterable[bytes]]
"""Reads a body's bytes anew at each call: once for its hash, once to keep it."""


class Settler:
    """Settles the flows of one connection. Not for several threads at once."""

    def __init__(self, connection: sqlite3.Connection, text: TextIndex) -> None:
        self._connection = connection
        self._text = text
        self._compress = ZstdCompressor(level=RECORD_LEVEL).compress
        self._compress_body = ZstdCompressor(level=BODY_LEVEL).compress

    def keep(self, flows: Iterable[Flow]) -> None:
        """Keep these for good, by rising ids; none may be settled yet, and they are no
        longer fresh. Inside a transaction."""
        kept = _Bodies(self._connection, self._compress_body)
        texts = []
        rows = []
        for record, payload in flows:
            texts.append((record.id, self._text_of(record)))
            rows.append(self._row(record, payload, kept))
        kept.finish()
        self._connection.executemany(_RECORD, rows)
        self._text.add(texts)

    def settle(self) -> bool:
        """Settle the oldest fresh flows; whether there may be more."""
        taken: list[tuple[int]] = []
        with transaction(self._connection):
            self.keep(self._oldest(taken))
            self._connection.executemany("DELETE FROM fresh WHERE id = ?", taken)
        return bool(taken)

    def _oldest(self, taken: list[tuple[int]]) -> Iterator[Flow]:
        """What one transaction settles of the fresh flows; `taken` gets their ids."""
        ends = time.monotonic() + SETTLE_S
        left = SETTLE_BYTES
        with closing(self._connection.execute(_FRESH, (SETTLE_FLOWS,))) as rows:
            for flow_id, payload, is_new in rows:
                taken.append((flow_id,))
                if is_new:  # else an older release took the same flow in twice
                    yield bodies.decode_kept(payload), payload
                left -= len(payload)
                if left < 0 or time.monotonic() >= ends:
                    return

    def _text_of(self, record: FlowRecord) -> str:
        if record.request_body.ahead or record.response_body.ahead:
            return text_of_flow(self._connection, record.id) or ""
        return search.text_of(record)

    def _row(self, record: FlowRecord, payload: bytes, kept: "_Bodies") -> _Row:
        """The row of `record`; its large bodies are in `kept`, its pieces are gone."""
        asked, answered = record.request_body, record.response_body
        numbers = _NONE_KEPT
        if not (_is_small(asked) and _is_small(answered)):
            numbers = (
                kept.sent(record.id, 0, asked),
                kept.sent(record.id, 1, answered),
                kept.large(asked.original),
                kept.large(answered.original),
            )
        is_ahead = bool(asked.ahead or answered.ahead)
        if is_ahead or numbers != _NONE_KEPT:
            payload = encode(
                replace(
                    record,
                    request_body=_without_kept(asked, numbers[0], numbers[2]),
                    response_body=_without_kept(answered, numbers[1], numbers[3]),
                )
            )
        if is_ahead:
            bodies.forget_pieces(self._connection, record.id)
        # Of bytes, and of None, sqlite3 first asks whether they are something else.
        return (record.id, *numbers, bytearray(self._compress(payload)))


_NONE_KEPT = (0, 0, 0, 0)


def _is_small(body: BodyRecord) -> bool:
    """Whether all of it stays in its record, as is so of most requests' bodies."""
    is_whole = not body.ahead and body.original is None
    return is_whole and len(body.content) < MIN_BODY_BYTES


class _Bodies:
    """The bodies that one transaction keeps. It ends in `finish`."""

    def __init__(
        self, connection: sqlite3.Connection, compress: Callable[[bytes], bytes]
    ) -> None:
        self._connection = connection
        self._compress = compress
        self._known: dict[bytes, int] = {}
        self._more: dict[int, int] = {}
        self._new: list[tuple[int, int, bytearray]] = []
        self._waiting: list[tuple[int, bytearray]] = []
        self._last: int | None = None

    def sent(self, flow_id: int, side: int, body: BodyRecord) -> int:
        """The row of a body as it was sent on; 0: it stays in its record, or is lost"""
        if not body.ahead:
            return self.large(body.content)
        ahead = bodies.pieces_ahead(self._connection, flow_id, side, body)
        if ahead is None:
            return 0

        def pieces() -> Iterator[bytes]:
            for number, _ in ahead:
                yield bodies.piece(self._connection, number)
            yield body.content

        digest = sha256()
        size = 0
        for piece in pieces():
            digest.update(piece)
            size += len(piece)
        return self._keep(digest.digest(), size, pieces)

    def large(self, content: bytes | None) -> int:
        """The row of a body that is worth one; 0: it stays in its record."""
        if content is None or len(content) < MIN_BODY_BYTES:
            return 0
        digest = sha256(content).digest()
        return self._keep(digest, len(content), lambda: (content,))

    def finish(self) -> None:
        """Insert the new ones, and note how many more refer to each of the others."""
        executemany = self._connection.executemany
        self._insert_chunks()
        executemany(
            "INSERT INTO body (id, refs, size, sha256) VALUES (?, ?, ?, ?)",
            [(body, self._more.pop(body), *one) for body, *one in self._new],
        )
        executemany(
            "UPDATE body SET refs = refs + ? WHERE id = ?",
            [(more, body) for body, more in self._more.items()],
        )

    def _keep(self, digest: bytes, size: int, pieces: Pieces) -> int:
        """The row of the body of this digest, with one more that refers to it."""
        body = self._known.get(digest)
        if body is None:
            body = self._find(digest) or self._add(digest, size, pieces)
            self._known[digest] = body
        self._more[body] = self._more.get(body, 0) + 1
        return body

    def _find(self, digest: bytes) -> int | None:
        row = self._connection.execute(
            "SELECT id FROM body WHERE sha256 = ?", (bytearray(digest),)
        ).fetchone()
        return None if row is None else int(row[0])

    def _add(self, digest: bytes, size: int, pieces: Pieces) -> int:
        if self._last is None:
            largest = self._connection.execute("SELECT max(id) FROM body").fetchone()
            self._last = largest[0] or 0
        body = self._last = self._last + 1
        self._new.append((body, size, bytearray(digest)))
        for number, chunk in enumerate(_chunks(pieces())):
            self._waiting.append(
                (body * MAX_CHUNKS + number, bytearray(self._compress(chunk)))
            )
            if len(self._waiting) >= CHUNKS_AT_ONCE:
                self._insert_chunks()
        return body

    def _insert_chunks(self) -> None:
        self._connection.executemany(
            "INSERT INTO body_chunk VALUES (?, ?)", self._waiting
        )
        self._waiting.clear()


def _without_kept(body: BodyRecord, kept: int, original: int) -> BodyRecord:
    content = b"" if kept or body.ahead else body.content
    return BodyRecord(body.size, 0, content, None if original else body.original)


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes cut anew, each of CHUNK_BYTES but the last."""
    rest = bytearray()
    for piece in pieces:
        rest += piece
        while len(rest) >= CHUNK_BYTES:
            yield bytes(rest[:CHUNK_BYTES])
            del rest[:CHUNK_BYTES]
    if rest:
        yield bytes(rest)
