"""The questions that SQL answers: which flows of the store fit a filter.

It knows the tables and the filter; nothing of the journal.
"""

import sqlite3
from collections.abc import Iterator
from heapq import merge
from itertools import islice

import msgspec

from int3rceptor.store.asking.filters import Conditions, FlowFilter, conditions
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.asking.text import TextMatcher
from int3rceptor.store.database.bodies import SIDES, load
from int3rceptor.store.database.search import MAX_CODED_BYTES, match_expression
from int3rceptor.store.journal.tail import Pieces, Progress
from int3rceptor.store.records import FlowRecord

MAX_UNSETTLED = 100_000
"""Newest flows searched for a text before they are in its index: some 10 s. The hub
settles as many in half a minute."""

FEW = 20_000
"""So many flows are found by an index and sorted quicker than by reading back through
the newest ones until enough fit."""

_COLUMNS = (
    "flow.id, flow.created, flow.kind, flow.method, flow.scheme, host.name, flow.port,"
    " flow.target, flow.version, flow.status, flow.origin_version, flow.request_bytes,"
    " flow.response_bytes, flow.total_s, flow.error, flow.tags, flow.rule,"
    " flow.is_marked"
)


def rows(
    connection: sqlite3.Connection,
    wanted: FlowFilter,
    *,
    above: int,
    below: int,
    limit: int,
) -> list[FlowRow]:
    """At most `limit` flows that fit, with ids between the two, newest first."""
    where = _where(connection, wanted)
    if where is None:
        return []
    where.add("flow.id > ? AND flow.id < ?", above, below)
    wanted_ids = [*islice(_ids(connection, wanted, where, limit), limit)]
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM json_each(?) AS asked"  # noqa: S608  # our own names
        " CROSS JOIN flow ON flow.id = asked.value"
        " CROSS JOIN host ON host.id = flow.host ORDER BY flow.id DESC",
        (msgspec.json.encode(wanted_ids).decode(),),
    )
    return [_row(*one) for one in found]


def ids(
    connection: sqlite3.Connection, wanted: FlowFilter, *, below: int, limit: int
) -> list[int]:
    """Ids below `below` of at most `limit` flows that fit, newest first."""
    where = _where(connection, wanted)
    if where is None:
        return []
    where.add("flow.id < ?", below)
    return [*islice(_ids(connection, wanted, where, limit), limit)]


def count(connection: sqlite3.Connection, wanted: FlowFilter) -> int:
    """How many flows fit."""
    where = _where(connection, wanted)
    if where is None:
        return 0
    if wanted.text is not None:
        return sum(1 for _ in _ids(connection, wanted, where, -1))
    query = f"SELECT count(*) FROM flow WHERE {where.sql()}"  # noqa: S608
    return _number(connection, query, where.values)


def last_id(connection: sqlite3.Connection) -> int:
    """The largest id; 0 when there is none."""
    return _number(connection, "SELECT ifnull(max(id), 0) FROM flow", [])


def holds(connection: sqlite3.Connection, flow_id: int) -> bool:
    """Whether the flow is in the store."""
    query = "SELECT count(*) FROM flow WHERE id = ?"
    return _number(connection, query, [flow_id]) > 0


def pieces(connection: sqlite3.Connection, flow_id: int) -> Pieces:
    """What came in of the flow's bodies, ahead of the flow itself."""
    found: dict[str, list[bytes]] = {side: [] for side in SIDES}
    query = "SELECT side, data FROM pending_piece WHERE flow = ? ORDER BY n"
    for side, data in connection.execute(query, (flow_id,)):
        found[SIDES[side]].append(data)
    return found


def progress(connection: sqlite3.Connection) -> dict[str, Progress]:
    """How far each segment of the journal has been taken in."""
    found = connection.execute("SELECT segment, offset, is_done FROM progress")
    return {
        name: Progress(offset=offset, is_done=bool(is_done))
        for name, offset, is_done in found
    }


def _where(connection: sqlite3.Connection, wanted: FlowFilter) -> Conditions | None:
    """The filter as SQL, but for its text; None when no host fits."""
    pattern = wanted.host_pattern
    if pattern is None:
        return conditions(wanted, None)
    query, values = "SELECT id, name FROM host", []
    if pattern.is_exact:
        query, values = f"{query} WHERE name = ?", [pattern.glob]
    fits = pattern.matcher().match
    hosts = [id_ for id_, name in connection.execute(query, values) if fits(name)]
    return conditions(wanted, hosts) if hosts else None


def _ids(
    connection: sqlite3.Connection, wanted: FlowFilter, where: Conditions, limit: int
) -> Iterator[int]:
    """Ids of the flows that fit, newest first; at least `limit` of them (-1: all)."""
    if wanted.text is None:
        query = f"SELECT flow.id FROM {_driven(connection, wanted)}"  # noqa: S608
        return _numbers(connection, query, where, limit)
    words = Conditions(terms=[], values=[])
    words.add("flow_text MATCH ?", match_expression(wanted.text))
    words.add(where.sql(), *where.values)
    indexed = _numbers(
        connection,
        # A word may lead to a flow that has gone.
        "SELECT flow.id FROM flow_text CROSS JOIN flow ON flow.id = flow_text.rowid",
        words,
        limit,
        order="flow_text.rowid",
    )
    unsettled = _numbers(
        connection,
        "SELECT flow.id FROM fresh CROSS JOIN flow ON flow.id = fresh.id",
        where,
        MAX_UNSETTLED,
        order="fresh.id",
    )
    matcher = TextMatcher(text=wanted.text)
    read = _records(connection, unsettled)
    return merge(indexed, (one.id for one in matcher.filter(read)), reverse=True)


def _records(
    connection: sqlite3.Connection, ids: Iterator[int]
) -> Iterator[FlowRecord]:
    for id_ in ids:
        record = load(connection, id_, limit=MAX_CODED_BYTES)
        if record is not None:
            yield record


def _driven(connection: sqlite3.Connection, wanted: FlowFilter) -> str:
    """`flow`, with the word on which index to use that SQLite cannot know by itself.

    Newest first, it would read back through all flows for the few of the last minutes,
    or for the one with a status that is rare.
    """
    if wanted.host is not None:
        return "flow"
    since, status = wanted.since, wanted.status_range
    if since is not None and _are_few(connection, "created >= ?", since):
        return "flow INDEXED BY flow_created"
    few = "status BETWEEN ? AND ?"
    if status and _are_few(connection, few, status.start, status.stop - 1):
        return "flow INDEXED BY flow_status"
    return "flow"


def _are_few(
    connection: sqlite3.Connection, condition: str, *values: str | int | float
) -> bool:
    query = f"SELECT count(*) FROM (SELECT 1 FROM flow WHERE {condition} LIMIT ?)"  # noqa: S608
    return _number(connection, query, [*values, FEW]) < FEW


def _numbers(
    connection: sqlite3.Connection,
    query: str,
    where: Conditions,
    limit: int,
    *,
    order: str = "flow.id",
) -> Iterator[int]:
    found = connection.execute(
        f"{query} WHERE {where.sql()} ORDER BY {order} DESC LIMIT ?",
        (*where.values, limit),
    )
    return (number for (number,) in found)


def _number(
    connection: sqlite3.Connection, query: str, values: list[str | int | float]
) -> int:
    found: int = connection.execute(query, values).fetchone()[0]
    return found


def _row(
    id_: int, created: float, kind: str, method: str, scheme: str, host: str,
    port: int, target: bytes, version: str, status: int, origin_version: str,
    request_bytes: int, response_bytes: int, total_s: float, error: str, tags: str,
    rule: str, is_marked: int,
) -> FlowRow:  # fmt: skip
    return FlowRow(
        id=id_, created=created, kind=kind, method=method, scheme=scheme, host=host,
        port=port, target=target, version=version, status=status,
        origin_version=origin_version, request_bytes=request_bytes,
        response_bytes=response_bytes, total_s=total_s, error=error,
        tags=msgspec.json.decode(tags, type=list[str]) if tags else [], rule=rule,
        is_marked=bool(is_marked),
    )  # fmt: skip
