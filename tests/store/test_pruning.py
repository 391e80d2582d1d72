import math
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from int3rceptor.store.database import bodies, pruning
from int3rceptor.store.database.index import Index
from int3rceptor.store.database.pruning import Pruner
from int3rceptor.store.database.schema import (
    free_pages,
    open_reader,
    open_writer,
    transaction,
)
from int3rceptor.store.records import BodyRecord, FlowRecord
from tests.support.journalled import (
    body,
    flow,
    flow_record,
    piece_record,
    run_dry,
    write_segment,
)

MIB = 1024 * 1024
PARTS = ("flow", "fresh", "record", "body", "body_chunk", "pending_piece")


def noise(number: int, size: int) -> bytes:
    """Bytes of its own that do not compress."""
    return random.Random(number).randbytes(size)


PICTURE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


def picture(number: int, size: int) -> FlowRecord:
    """A flow whose answer is not text and does not get smaller."""
    return flow(number, response_body=body(noise(number, size)), response_sent=PICTURE)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    store = open_writer(tmp_path / "store.sqlite")
    yield store
    store.close()


def fill(directory: Path, *records: FlowRecord) -> None:
    write_segment(directory, [flow_record(record) for record in records])
    with closing(Index(directory, on_problem=print)) as index:
        run_dry(index)


def ids(store: sqlite3.Connection) -> list[int]:
    rows = store.execute("SELECT id FROM flow ORDER BY id")
    return [flow_id for (flow_id,) in rows]


def counts(store: sqlite3.Connection) -> dict[str, int]:
    return {
        part: store.execute(f"SELECT count(*) FROM {part}").fetchone()[0]  # noqa: S608
        for part in PARTS
    }


def words(store: sqlite3.Connection) -> int:
    query = (
        "SELECT count(*) FROM flow_text JOIN flow ON flow.id = flow_text.rowid"
        " WHERE flow_text MATCH 'example'"
    )
    number: int = store.execute(query).fetchone()[0]
    return number


def test_deleted_flow_leaves_nothing_behind(
    tmp_path: Path, store: sqlite3.Connection
) -> None:
    empty = counts(store)
    large = body(noise(1, 600_000), original=noise(2, 5_000))
    fill(tmp_path, flow(1, response_body=large), flow(2), flow(3))

    with transaction(store):
        assert pruning.delete_flows(store, [1, 2, 99]) == 2

    assert ids(store) == [3]
    assert bodies.load(store, 3) == flow(3)
    assert words(store) == 1
    with transaction(store):
        assert pruning.delete_flows(store, [3]) == 1
    assert counts(store) == empty
    assert words(store) == 0


def test_deleted_fresh_flow_leaves_nothing_behind(
    tmp_path: Path, store: sqlite3.Connection
) -> None:
    empty = counts(store)
    record = flow(1, request_body=BodyRecord(size=5, ahead=5))
    write_segment(tmp_path, [piece_record(1, "request", b"12345"), flow_record(record)])
    with closing(Index(tmp_path, on_problem=print)) as index:
        index.ingest(1.0)
        with transaction(store):
            assert pruning.delete_flows(store, [1]) == 1
        run_dry(index)

    assert counts(store) == empty


def test_shared_body_stays_with_the_flows_that_are_left(
    tmp_path: Path, store: sqlite3.Connection
) -> None:
    shared = body(noise(1, 10_000))
    fill(tmp_path, *(flow(number, response_body=shared) for number in (1, 2, 3)))

    with transaction(store):
        pruning.delete_flows(store, [1, 3])

    assert store.execute("SELECT refs FROM body").fetchall() == [(1,)]
    assert bodies.load(store, 2) == flow(2, response_body=shared)


def test_flow_with_a_damaged_body_can_be_deleted(
    tmp_path: Path, store: sqlite3.Connection
) -> None:
    fill(tmp_path, flow(1, response_body=body(noise(1, 10_000))))
    store.execute("UPDATE body_chunk SET data = x'00'")

    with transaction(store):
        assert pruning.delete_flows(store, [1]) == 1

    assert counts(store)["body_chunk"] == 0


def test_mark_says_whether_there_is_such_a_flow(
    tmp_path: Path, store: sqlite3.Connection
) -> None:
    fill(tmp_path, flow(1))

    assert pruning.mark(store, 1, is_marked=True)
    assert store.execute("SELECT is_marked FROM flow").fetchone() == (1,)
    assert pruning.mark(store, 1, is_marked=False)
    assert store.execute("SELECT is_marked FROM flow").fetchone() == (0,)
    assert not pruning.mark(store, 2, is_marked=True)


def test_flows_that_are_too_old_go_and_marked_ones_stay(
    tmp_path: Path, store: sqlite3.Connection, told: list[str]
) -> None:
    now = time.time()
    days = {1: 9, 2: 8, 3: 2, 4: 30, 5: 0}
    records = [flow(number, created=now - age * 86_400) for number, age in days.items()]
    fill(tmp_path, *records)
    pruning.mark(store, 1, is_marked=True)

    with closing(
        Index(tmp_path, on_problem=told.append, max_age_s=7 * 86_400)
    ) as index:
        run_dry(index)

    assert ids(store) == [1, 3, 5]
    assert told == []


@pytest.mark.parametrize("is_idle", [True, False])
def test_store_keeps_to_its_size_oldest_first(
    tmp_path: Path, store: sqlite3.Connection, told: list[str], is_idle: bool
) -> None:
    limit = 4 * MIB
    file = tmp_path / "store.sqlite"
    marked = picture(1, 20_000)
    fill(tmp_path, marked)
    pruning.mark(store, 1, is_marked=True)
    largest = 0
    with closing(Index(tmp_path, on_problem=told.append, max_bytes=limit)) as index:
        for start in range(2, 1_002, 50):
            write_segment(
                tmp_path,
                [
                    flow_record(picture(number, 20_000))
                    for number in range(start, start + 50)
                ],
            )
            while index.ingest(1.0):
                pass
            while is_idle and index.idle(1.0):
                pass
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            largest = max(largest, file.stat().st_size)

    assert largest <= limit + 2 * MIB  # a batch comes before it is made room for
    kept = ids(store)
    assert kept[0] == 1
    assert kept[1:] == list(range(1_002 - len(kept) + 1, 1_002))
    assert len(kept) * 20_000 > limit * 0.75
    assert bodies.load(store, 1) == marked
    assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert told == []


def test_space_is_given_back_to_the_disk(tmp_path: Path, told: list[str]) -> None:
    file = tmp_path / "store.sqlite"
    fill(
        tmp_path,
        *(picture(number, 60_000) for number in range(1, 401)),
    )
    with closing(open_writer(file)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.stat().st_size

    with closing(Index(tmp_path, on_problem=told.append, max_bytes=2 * MIB)) as index:
        run_dry(index)
        after = file.stat().st_size

    assert before > 23 * MIB
    assert after <= 2 * MIB


def test_a_slice_of_free_pages_is_given_back_at_once(
    store: sqlite3.Connection,
) -> None:
    store.execute("INSERT INTO fresh VALUES (1, zeroblob(20000000))")
    store.execute("DELETE FROM fresh")
    free = free_pages(store)

    assert Pruner(max_bytes=MIB, max_age_s=math.inf).vacuum(store)

    assert free - free_pages(store) >= pruning.VACUUM_PAGES


def test_store_full_of_marked_flows_is_told_once(
    tmp_path: Path, store: sqlite3.Connection, told: list[str]
) -> None:
    fill(
        tmp_path,
        *(picture(number, 60_000) for number in range(1, 41)),
    )
    store.execute("UPDATE flow SET is_marked = 1")

    with closing(Index(tmp_path, on_problem=told.append, max_bytes=MIB)) as index:
        for _ in range(3):
            run_dry(index)

    assert len(ids(store)) == 40
    assert len(told) == 1
    assert "marked" in told[0]
    assert "store.max_bytes" in told[0]


def test_names_without_flows_go(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "HOSTS", 3)
    old, new = time.time() - 1_000, time.time()
    write_segment(
        tmp_path,
        [
            flow_record(
                flow(
                    number, host=f"h{number}.test", created=new if number == 9 else old
                )
            )
            for number in range(1, 11)
        ],
    )
    with closing(Index(tmp_path, on_problem=told.append, max_age_s=500)) as index:
        run_dry(index)
        # A name that had been there comes again.
        write_segment(
            tmp_path, [flow_record(flow(11, host="h1.test", created=time.time()))]
        )
        run_dry(index)

    with closing(open_reader(tmp_path / "store.sqlite")) as store:
        assert store.execute(
            "SELECT flow.id, name FROM flow JOIN host ON host.id = host ORDER BY 1"
        ).fetchall() == [(9, "h9.test"), (11, "h1.test")]
        assert store.execute("SELECT count(*) FROM host").fetchone() == (2,)
