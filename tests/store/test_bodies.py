import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from int3rceptor.store.database import bodies, intake, settling
from int3rceptor.store.database.schema import MIGRATIONS, DamagedStoreError, open_writer
from int3rceptor.store.database.settling import Settler
from int3rceptor.store.database.text_index import TextIndex
from int3rceptor.store.journal.framing import BODY, FLOW
from int3rceptor.store.records import BodyPiece, BodyRecord, FlowRecord, encode
from tests.support.journalled import body, flow


class Keep(Protocol):
    """`insert` or `settle`."""

    def __call__(
        self, store: sqlite3.Connection, record: FlowRecord, *pieces: bytes
    ) -> None: ...


LARGE = random.Random(3).randbytes(bodies.CHUNK_BYTES * 2 + 1_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    store = open_writer(tmp_path / "store.sqlite")
    yield store
    store.close()


def insert(store: sqlite3.Connection, record: FlowRecord, *pieces: bytes) -> None:
    """A fresh flow, with pieces of its response that went ahead."""
    records = [
        (BODY, encode(BodyPiece(id=record.id, side="response", data=piece)))
        for piece in pieces
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "AT_ONCE_BYTES", 0)
        taking = intake.Intake(store, settler(store))
        taking.insert("segment", [*records, (FLOW, encode(record))])


def settler(store: sqlite3.Connection) -> Settler:
    return Settler(store, TextIndex(store))


def settle(store: sqlite3.Connection, record: FlowRecord, *pieces: bytes) -> None:
    insert(store, record, *pieces)
    assert settler(store).settle()


def open_writer_in_memory() -> sqlite3.Connection:
    store = sqlite3.connect(":memory:", isolation_level=None)
    for step in MIGRATIONS:
        for statement in step:
            store.execute(statement)
    return store


def count(store: sqlite3.Connection, table: str) -> int:
    number: int = store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return number


def kept_bytes(store: sqlite3.Connection) -> int:
    row = store.execute("SELECT total(length(data)) FROM body_chunk").fetchone()
    return int(row[0])


@pytest.mark.parametrize("keep", [insert, settle])
@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"x" * settling.MIN_BODY_BYTES, LARGE, LARGE[: bodies.CHUNK_BYTES]],
    ids=len,
)
def test_flow_is_loaded_as_it_was(
    store: sqlite3.Connection, keep: Keep, content: bytes
) -> None:
    record = flow(1, response_body=body(content), request_body=body(content[:700]))
    keep(store, record)

    assert bodies.load(store, 1) == record
    assert bodies.load(store, 2) is None


@pytest.mark.parametrize("keep", [insert, settle])
def test_pieces_come_before_the_rest(store: sqlite3.Connection, keep: Keep) -> None:
    ahead = LARGE[:400_000], LARGE[400_000:500_000]
    rest = LARGE[500_000:]
    record = flow(
        1, response_body=BodyRecord(size=900_000, ahead=500_000, content=rest)
    )
    keep(store, record, *ahead)

    found = bodies.load(store, 1)

    assert found is not None
    assert found.response_body == BodyRecord(size=900_000, content=LARGE)


def test_settled_pieces_are_no_longer_pending(store: sqlite3.Connection) -> None:
    record = flow(1, response_body=BodyRecord(size=10, ahead=10))
    settle(store, record, b"01234", b"56789")

    assert count(store, "pending_piece") == 0
    assert bodies.read(store, 1, "response", 0, 10) == b"0123456789"


def test_piece_that_was_lost_is_no_failure(store: sqlite3.Connection) -> None:
    settle(store, flow(1, response_body=BodyRecord(size=10, ahead=10)))

    found = bodies.load(store, 1)

    assert found is not None
    assert found.response_body == BodyRecord(size=10)


@pytest.mark.parametrize("keep", [insert, settle])
@pytest.mark.parametrize("is_ahead", [False, True])
def test_any_range_can_be_read(
    store: sqlite3.Connection, keep: Keep, is_ahead: bool
) -> None:
    if is_ahead:
        size = len(LARGE)
        pieces = [LARGE[at : at + 60_000] for at in range(0, size - 5, 60_000)]
        ahead = sum(map(len, pieces))
        content = BodyRecord(size=size, ahead=ahead, content=LARGE[ahead:])
        keep(store, flow(1, response_body=content), *pieces)
    else:
        keep(store, flow(1, response_body=body(LARGE)))
    edges = (0, 1, 60_000, 60_001, bodies.CHUNK_BYTES, len(LARGE) - 1, len(LARGE))

    for start in edges:
        for stop in (*edges, len(LARGE) + 100, 1 << 40):
            found = bodies.read(store, 1, "response", start, stop)
            assert found == LARGE[start:stop], (start, stop)
    assert bodies.read(store, 1, "request", 0, 10) == b""
    assert bodies.read(store, 2, "response", 0, 10) == b""


def test_small_body_is_read_from_its_record(store: sqlite3.Connection) -> None:
    settle(store, flow(1, response_body=body(b"0123456789")))

    assert count(store, "body") == 0
    assert bodies.read(store, 1, "response", 2, 5) == b"234"


@pytest.mark.parametrize("keep", [insert, settle])
def test_no_more_than_the_limit_is_loaded(
    store: sqlite3.Connection, keep: Keep
) -> None:
    keep(store, flow(1, response_body=body(LARGE, original=LARGE)))

    found = bodies.load(store, 1, limit=300_000)

    assert found is not None
    assert found.response_body.content == LARGE[:300_000]
    assert found.response_body.size == len(LARGE)


def test_equal_bodies_are_kept_once_and_as_long_as_needed(
    store: sqlite3.Connection,
) -> None:
    for number in (1, 2, 3):
        settle(store, flow(number, response_body=body(LARGE, original=LARGE)))
    # The same bytes, though they came in pieces.
    pieces = BodyRecord(size=len(LARGE), ahead=100_000, content=LARGE[100_000:])
    settle(store, flow(4, response_body=pieces), LARGE[:100_000])

    assert store.execute("SELECT refs, size FROM body").fetchall() == [(7, len(LARGE))]
    assert kept_bytes(store) < len(LARGE) + 1_000

    for number in (1, 2, 3, 4):
        row = bodies.settled(store, number)
        assert row is not None
        bodies.release(store, row)
        store.execute("DELETE FROM record WHERE id = ?", (number,))
        assert count(store, "body") == (number < 4)
    assert count(store, "body_chunk") == 0


def test_bodies_of_one_transaction_are_their_own(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer chunks at once than there are of one body, and all flows in one transaction.
    monkeypatch.setattr(settling, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(settling, "SETTLE_BYTES", 100 * len(LARGE))
    monkeypatch.setattr(settling, "SETTLE_S", 60.0)
    settle(store, flow(1, response_body=body(LARGE)))
    again = [flow(2, request_body=body(b"a" * 600), response_body=body(LARGE))]
    again += [flow(one, response_body=body(b"%d" % one + LARGE)) for one in (3, 4)]
    again += [flow(5, request_body=body(b"a" * 600), response_body=body(b"b" * 600))]
    for record in again:
        insert(store, record)

    assert settler(store).settle()

    assert [bodies.load(store, one.id) for one in again] == again
    rows = store.execute("SELECT id, refs FROM body ORDER BY id").fetchall()
    assert rows == [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1)]
    assert count(store, "body_chunk") == 3 * 3 + 2


def test_body_gives_only_its_own_chunks_back(store: sqlite3.Connection) -> None:
    other = LARGE[::-1]
    settle(store, flow(1, response_body=body(LARGE)))
    settle(store, flow(2, response_body=body(other)))
    row = bodies.settled(store, 1)
    assert row is not None

    bodies.release(store, row)

    assert bodies.read(store, 2, "response", 0, len(other)) == other


def test_text_takes_less_room(store: sqlite3.Connection) -> None:
    settle(store, flow(1, response_body=body(b'{"name": "value"},' * 10_000)))

    assert kept_bytes(store) < 2_000


def test_damaged_chunk_is_said(store: sqlite3.Connection) -> None:
    settle(store, flow(1, response_body=body(LARGE)))
    store.execute("UPDATE body_chunk SET data = x'00112233'")

    with pytest.raises(DamagedStoreError, match="a body cannot be read"):
        bodies.load(store, 1)


def test_damaged_record_is_said(store: sqlite3.Connection) -> None:
    settle(store, flow(1))
    store.execute("UPDATE record SET data = x'00112233'")

    with pytest.raises(DamagedStoreError, match="record cannot be read"):
        bodies.load(store, 1)


def test_damaged_fresh_record_is_said(store: sqlite3.Connection) -> None:
    insert(store, flow(1))
    store.execute("UPDATE fresh SET payload = x'c1'")

    with pytest.raises(DamagedStoreError, match="record cannot be read"):
        bodies.load(store, 1)


@given(
    content=st.binary(max_size=3_000),
    pieces=st.lists(st.binary(min_size=1, max_size=2_000), max_size=6),
    original=st.none() | st.binary(max_size=2_000),
    start=st.integers(0, 4_000),
    stop=st.integers(0, 15_000),
)
def test_settling_changes_nothing_that_can_be_asked(
    content: bytes,
    pieces: list[bytes],
    original: bytes | None,
    start: int,
    stop: int,
) -> None:
    store = open_writer_in_memory()
    whole = b"".join(pieces) + content
    sent = BodyRecord(
        size=len(whole),
        ahead=len(whole) - len(content),
        content=content,
        original=original,
    )
    record = flow(1, response_body=sent)
    joined = replace(sent, ahead=0, content=whole)
    insert(store, record, *pieces)
    fresh = bodies.load(store, 1)
    fresh_range = bodies.read(store, 1, "response", start, stop)

    assert settler(store).settle()

    assert bodies.load(store, 1) == fresh == flow(1, response_body=joined)
    assert bodies.read(store, 1, "response", start, stop) == fresh_range
    assert fresh_range == whole[start:stop]
    store.close()
