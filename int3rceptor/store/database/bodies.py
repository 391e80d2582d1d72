"""Bodies in the store: compressed, equal ones once, readable by range.

Also what puts a flow together again from where its parts are. It knows the tables and
the records; neither the journal's files nor what a body means.

A body is kept in chunks of CHUNK_BYTES, each compressed by itself, so that one of a
gigabyte is written and read without ever being in memory whole. The chunk n of the body
b has the row id b * MAX_CHUNKS + n.
"""

import sqlite3
from typing import NamedTuple

from msgspec import DecodeError
from msgspec.structs import replace
from zstandard import ZstdDecompressor, ZstdError

from int3rceptor.store.database.schema import DamagedStoreError
from int3rceptor.store.records import BodyRecord, FlowRecord, decode_flow

SIDES = ("request", "response")
"""Index: what the column `pending_piece.side` holds."""

CHUNK_BYTES = 256 * 1024
"""Large enough to compress well, small enough to read a range for."""
MAX_CHUNKS = 1 << 16
"""Room for bodies of 16 GiB, far above the largest `max_body_bytes`."""

ALL_BYTES = MAX_CHUNKS * CHUNK_BYTES


class Settled(NamedTuple):
    """The row of `record`: its bodies' rows, and the rest of the flow, compressed."""

    request_body: int | None
    response_body: int | None
    request_original: int | None
    response_original: int | None
    data: bytes


_SETTLED = f"SELECT {', '.join(Settled._fields)} FROM record WHERE id = ?"  # noqa: S608


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
    return None if row is None else decode_kept(row[0])


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
    pieces = pieces_ahead(connection, flow_id, side, body)
    if pieces is None:
        return b""
    parts = []
    at = 0
    for number, size in pieces:
        if at >= stop:
            break
        if at + size > start:
            data = piece(connection, number)
            parts.append(data[max(start - at, 0) : stop - at])
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


def pieces_ahead(
    connection: sqlite3.Connection, flow_id: int, side: int, body: BodyRecord
) -> list[tuple[int, int]] | None:
    """Number and size of each piece that went ahead of a body, in order; None when some
    were lost with their segment: nobody knows which, so nothing is kept of the body."""
    pieces = connection.execute(
        "SELECT n, length(data) FROM pending_piece WHERE flow = ? AND side = ?"
        " ORDER BY n",
        (flow_id, side),
    ).fetchall()
    return pieces if sum(size for _, size in pieces) >= body.ahead else None


def piece(connection: sqlite3.Connection, number: int) -> bytes:
    row = connection.execute("SELECT data FROM pending_piece WHERE n = ?", (number,))
    data: bytes = row.fetchone()[0]
    return data


def _unpack_flow(data: bytes) -> FlowRecord:
    try:
        return decode_kept(ZstdDecompressor().decompress(data))
    except ZstdError as error:
        raise DamagedStoreError(f"a flow's record cannot be read ({error})") from error


def decode_kept(payload: bytes) -> FlowRecord:
    """A flow's record as the store holds it; DamagedStoreError when it is none."""
    try:
        return decode_flow(payload)
    except DecodeError as error:
        raise DamagedStoreError(f"a flow's record cannot be read ({error})") from error


def _unpack(unpack: ZstdDecompressor, data: bytes, limit: int) -> bytes:
    try:
        return unpack.decompress(data, max_output_size=limit)
    except ZstdError as error:
        raise DamagedStoreError(f"a body cannot be read ({error})") from error
