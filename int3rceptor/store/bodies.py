"""Bodies in the store: compressed, equal ones once, readable by range.

Also what puts a flow together again from where its parts are. It knows the tables and
the records; neither the journal's files nor what a body means.

A body is kept in chunks of CHUNK_BYTES, each compressed by itself, so that one of a
gigabyte is written and read without ever being in memory whole. The chunk n of the body
b has the row id b * MAX_CHUNKS + n.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from msgspec import DecodeError
from msgspec.structs import replace
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from int3rceptor.store.records import BodyRecord, FlowRecord, decode_flow, encode
from int3rceptor.store.schema import DamagedStoreError

SIDES = ("request", "response")
"""Index: what the column `pending_piece.side` holds."""

CHUNK_BYTES = 256 * 1024
"""Large enough to compress well, small enough to read a range for."""
MAX_CHUNKS = 1 << 16
"""Room for bodies of 16 GiB, far above the largest `max_body_bytes`."""
MIN_BODY_BYTES = 512
"""A smaller body stays in its record, where the heads help to compress it: two rows and
an index entry would cost more than sharing it saves."""
COMPRESSION_LEVEL = 3
"""zstd's default: 5 µs for a KiB; higher levels save little on heads and JSON."""

ALL_BYTES = MAX_CHUNKS * CHUNK_BYTES

Pieces = Callable[[], Iterable[bytes]]
"""Reads a body's bytes anew at each call: once for its hash, once to keep it."""


class Settled(NamedTuple):
    """The row of `record`: its bodies' rows, and the rest of the flow, compressed."""

    request_body: int | None
    response_body: int | None
    request_original: int | None
    response_original: int | None
    data: bytes


_SETTLED = f"SELECT {', '.join(Settled._fields)} FROM record WHERE id = ?"  # noqa: S608


class Compressor:
    """What writes the bodies of one connection. Not for several threads at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._compress = ZstdCompressor(level=COMPRESSION_LEVEL).compress

    def settle(self, flow_id: int, record: FlowRecord) -> None:
        """Keep a fresh flow for good, its pieces joined; the caller forgets the fresh.

        Inside a transaction.
        """
        kept = []
        originals = []
        stripped = []
        for side, name in enumerate(SIDES):
            body: BodyRecord = getattr(record, f"{name}_body")
            kept.append(self._keep_body(flow_id, side, body))
            originals.append(self._keep_large(body.original))
            stripped.append(_without_kept(body, kept[-1], originals[-1]))
        data = self._compress(
            encode(replace(record, request_body=stripped[0], response_body=stripped[1]))
        )
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            (flow_id, *kept, *originals, data),
        )
        if record.request_body.ahead or record.response_body.ahead:
            forget_pieces(self._connection, flow_id)

    def _keep_body(self, flow_id: int, side: int, body: BodyRecord) -> int | None:
        if not body.ahead:
            return self._keep_large(body.content)
        numbers = _piece_numbers(self._connection, flow_id, side)

        def pieces() -> Iterator[bytes]:
            for number in numbers:
                yield _piece(self._connection, number)
            yield body.content

        return self._keep(pieces)

    def _keep_large(self, content: bytes | None) -> int | None:
        if content is None or len(content) < MIN_BODY_BYTES:
            return None
        return self._keep(lambda: (content,))

    def _keep(self, pieces: Pieces) -> int:
        """The row of `body` for these bytes, with one more that refers to it."""
        digest = sha256()
        size = 0
        for piece in pieces():
            digest.update(piece)
            size += len(piece)
        execute = self._connection.execute
        # Not UPDATE ... RETURNING, which builds a table for its answer: 100 µs.
        known = execute(
            "SELECT id FROM body WHERE sha256 = ?", (digest.digest(),)
        ).fetchone()
        if known is not None:
            execute("UPDATE body SET refs = refs + 1 WHERE id = ?", known)
            found: int = known[0]
            return found
        body = execute(
            "INSERT INTO body (refs, size, sha256) VALUES (1, ?, ?)",
            (size, digest.digest()),
        ).lastrowid
        assert body is not None
        for number, chunk in enumerate(_chunks(pieces())):
            execute(
                "INSERT INTO body_chunk VALUES (?, ?)",
                (body * MAX_CHUNKS + number, self._compress(chunk)),
            )
        return body


def release(connection: sqlite3.Connection, row: Settled) -> None:
    """One less refers to the bodies of `row`; what nobody refers to goes."""
    for body in row[:4]:
        if body is None:
            continue
        last = connection.execute(
            "DELETE FROM body WHERE id = ? AND refs <= 1", (body,)
        ).rowcount
        if not last:
            connection.execute("UPDATE body SET refs = refs - 1 WHERE id = ?", (body,))
        else:
            connection.execute(
                "DELETE FROM body_chunk WHERE id >= ? AND id < ?",
                (body * MAX_CHUNKS, (body + 1) * MAX_CHUNKS),
            )


def load(
    connection: sqlite3.Connection, flow_id: int, *, limit: int = ALL_BYTES
) -> FlowRecord | None:
    """The flow with its bodies joined (`ahead` 0), fresh or settled; None: no such.

    At most about `limit` bytes are read of each body. Several statements: where another
    process writes meanwhile, call it inside a transaction.
    """
    fresh = _fresh(connection, flow_id)
    if fresh is not None:
        return replace(
            fresh,
            request_body=_joined(connection, flow_id, 0, fresh.request_body, limit),
            response_body=_joined(connection, flow_id, 1, fresh.response_body, limit),
        )
    row = settled(connection, flow_id)
    if row is None:
        return None
    record = _unpack_flow(row.data)
    return replace(
        record,
        request_body=_filled(
            connection, record.request_body, row.request_body, row.request_original,
            limit,
        ),
        response_body=_filled(
            connection, record.response_body, row.response_body, row.response_original,
            limit,
        ),
    )  # fmt: skip


def read(
    connection: sqlite3.Connection, flow_id: int, side: str, start: int, stop: int
) -> bytes:
    """The bytes from `start` up to `stop` of one of the flow's bodies, as sent on.

    `side` is "request" or "response". b"" where nothing is kept. As for `load`, inside
    a transaction where another process writes.
    """
    fresh = _fresh(connection, flow_id)
    if fresh is not None:
        body: BodyRecord = getattr(fresh, f"{side}_body")
        number = SIDES.index(side)
        return _range_of_pieces(connection, flow_id, number, body, start, stop)
    row = settled(connection, flow_id)
    if row is None:
        return b""
    kept: int | None = getattr(row, f"{side}_body")
    if kept is not None:
        return _range_of_chunks(connection, kept, start, stop)
    inside: BodyRecord = getattr(_unpack_flow(row.data), f"{side}_body")
    return inside.content[start:stop]


def settled(connection: sqlite3.Connection, flow_id: int) -> Settled | None:
    """The flow's row in `record`; None while it is fresh."""
    row = connection.execute(_SETTLED, (flow_id,)).fetchone()
    return None if row is None else Settled(*row)


def forget_pieces(connection: sqlite3.Connection, flow_id: int) -> None:
    """Drop what went ahead of a flow."""
    connection.execute("DELETE FROM pending_piece WHERE flow = ?", (flow_id,))


def _fresh(connection: sqlite3.Connection, flow_id: int) -> FlowRecord | None:
    row = connection.execute(
        "SELECT payload FROM fresh WHERE id = ?", (flow_id,)
    ).fetchone()
    return None if row is None else _decode(row[0])


def _without_kept(
    body: BodyRecord, kept: int | None, original: int | None
) -> BodyRecord:
    return BodyRecord(
        size=body.size,
        content=body.content if kept is None else b"",
        original=body.original if original is None else None,
    )


def _joined(
    connection: sqlite3.Connection,
    flow_id: int,
    side: int,
    body: BodyRecord,
    limit: int,
) -> BodyRecord:
    """A fresh body with what went ahead of it."""
    content = _range_of_pieces(connection, flow_id, side, body, 0, limit)
    return BodyRecord(size=body.size, content=content, original=body.original)


def _filled(
    connection: sqlite3.Connection,
    body: BodyRecord,
    kept: int | None,
    original: int | None,
    limit: int,
) -> BodyRecord:
    """A settled body with what had been taken out of it."""
    filled = body
    if kept is not None:
        content = _range_of_chunks(connection, kept, 0, limit)
        filled = replace(filled, content=content)
    if original is not None:
        content = _range_of_chunks(connection, original, 0, limit)
        filled = replace(filled, original=content)
    return filled


def _range_of_pieces(
    connection: sqlite3.Connection,
    flow_id: int,
    side: int,
    body: BodyRecord,
    start: int,
    stop: int,
) -> bytes:
    if not body.ahead:
        return body.content[start:stop]
    parts = []
    at = 0
    for number in _piece_numbers(connection, flow_id, side):
        if at >= stop:
            break
        (size,) = connection.execute(
            "SELECT length(data) FROM pending_piece WHERE n = ?", (number,)
        ).fetchone()
        if at + size > start:
            piece = _piece(connection, number)
            parts.append(piece[max(start - at, 0) : stop - at])
        at += size
    if at < stop:
        parts.append(body.content[max(start - at, 0) : stop - at])
    return b"".join(parts)


def _range_of_chunks(
    connection: sqlite3.Connection, body: int, start: int, stop: int
) -> bytes:
    first = start // CHUNK_BYTES
    rows = connection.execute(
        "SELECT data FROM body_chunk WHERE id >= ? AND id <= ? ORDER BY id",
        (
            body * MAX_CHUNKS + min(first, MAX_CHUNKS - 1),
            body * MAX_CHUNKS + min(stop // CHUNK_BYTES, MAX_CHUNKS - 1),
        ),
    )
    unpack = ZstdDecompressor()
    whole = b"".join(_unpack(unpack, data, CHUNK_BYTES) for (data,) in rows)
    return whole[start - first * CHUNK_BYTES : stop - first * CHUNK_BYTES]


def _piece_numbers(
    connection: sqlite3.Connection, flow_id: int, side: int
) -> list[int]:
    rows = connection.execute(
        "SELECT n FROM pending_piece WHERE flow = ? AND side = ? ORDER BY n",
        (flow_id, side),
    )
    return [number for (number,) in rows]


def _piece(connection: sqlite3.Connection, number: int) -> bytes:
    row = connection.execute("SELECT data FROM pending_piece WHERE n = ?", (number,))
    data: bytes = row.fetchone()[0]
    return data


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


def _unpack_flow(data: bytes) -> FlowRecord:
    try:
        return _decode(ZstdDecompressor().decompress(data))
    except ZstdError as error:
        raise DamagedStoreError(f"a flow's record cannot be read ({error})") from error


def _decode(payload: bytes) -> FlowRecord:
    try:
        return decode_flow(payload)
    except DecodeError as error:
        raise DamagedStoreError(f"a flow's record cannot be read ({error})") from error


def _unpack(unpack: ZstdDecompressor, data: bytes, limit: int) -> bytes:
    try:
        return unpack.decompress(data, max_output_size=limit)
    except ZstdError as error:
        raise DamagedStoreError(f"a body cannot be read ({error})") from error
