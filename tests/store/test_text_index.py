import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from int3rceptor.store.database import pruning, text_index
from int3rceptor.store.database.index import Index
from int3rceptor.store.database.schema import open_writer, transaction
from int3rceptor.store.database.search import match_expression
from tests.support.journalled import body, flow, flow_record, run_dry, write_segment

WORDS = b" ".join(b"w%d" % number for number in range(2_000))


@pytest.fixture(autouse=True)
def soon_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "MIN_GONE", 10)
    monkeypatch.setattr(text_index, "BATCH", 7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    store = open_writer(tmp_path / "store.sqlite")
    yield store
    store.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path, on_problem=print)) as index:
        yield index


def take_in(directory: Path, index: Index, *numbers: int) -> None:
    write_segment(
        directory,
        [flow_record(flow(one, host=f"h{one}.test")) for one in numbers],
    )
    run_dry(index)


def delete(store: sqlite3.Connection, *numbers: int) -> None:
    with transaction(store):
        pruning.delete_flows(store, numbers)


def found(store: sqlite3.Connection, text: str, table: str = "flow_text") -> list[int]:
    rows = store.execute(
        f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY 1",  # noqa: S608
        (match_expression(text),),
    )
    return [flow_id for (flow_id,) in rows]


def test_words_of_many_gone_flows_go(
    tmp_path: Path, store: sqlite3.Connection, index: Index
) -> None:
    take_in(tmp_path, index, *range(1, 51))
    delete(store, *range(1, 11))
    run_dry(index)
    assert len(found(store, "GET")) == 50

    delete(store, *range(11, 41))
    run_dry(index)

    assert found(store, "GET") == list(range(41, 51))
    assert found(store, "h45.test") == [45]
    state = store.execute("SELECT * FROM text_index").fetchall()
    assert state == [(10, 0, None)]


def test_words_are_merged_seldom_in_old_tables_and_new_ones(
    tmp_path: Path, store: sqlite3.Connection, index: Index
) -> None:
    def rules() -> dict[str, int]:
        return dict(store.execute("SELECT k, v FROM flow_text_config"))

    # As a store is that was made before this was so.
    assert "automerge" not in rules()
    take_in(tmp_path, index, *range(1, 51))
    first = rules()
    delete(store, *range(1, 41))
    run_dry(index)

    assert found(store, "GET") == list(range(41, 51))
    assert rules() == first
    assert first["automerge"] < first["crisismerge"]


def test_store_without_flows_has_no_words(
    tmp_path: Path, store: sqlite3.Connection, index: Index
) -> None:
    take_in(tmp_path, index, *range(1, 21))
    delete(store, *range(1, 21))

    run_dry(index)

    assert found(store, "GET") == []


def test_everything_is_found_while_it_is_built_anew(
    tmp_path: Path, store: sqlite3.Connection, index: Index
) -> None:
    take_in(tmp_path, index, *range(100, 160))
    gone = range(100, 140)
    delete(store, *gone)
    assert index.idle(0.0)  # begun
    assert index.idle(0.0)  # seven of the twenty that are left
    write_segment(
        tmp_path,
        [flow_record(flow(number, host="late.test")) for number in (50, 145, 200)],
    )
    index.ingest(1.0)
    # A long flow with a low number, and one with a high number, are settled meanwhile.
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as other:
        left = [number for number in found(other, "GET") if number not in gone]
    assert left == [50, *range(140, 160), 200]

    run_dry(index)

    assert found(store, "GET") == [50, *range(140, 160), 200]
    assert found(store, "late.test") == [50, 200]


def test_building_goes_on_after_a_restart(
    tmp_path: Path, store: sqlite3.Connection, index: Index
) -> None:
    take_in(tmp_path, index, *range(1, 51))
    delete(store, *range(1, 31))
    assert index.idle(0.0)
    assert index.idle(0.0)
    index.close()

    with closing(Index(tmp_path, on_problem=print)) as other:
        run_dry(other)

    assert found(store, "GET") == list(range(31, 51))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        found(store, "GET", "flow_text_next")


def test_wordy_flows_do_not_drive_each_other_out(tmp_path: Path) -> None:
    # Their words take more room than they do themselves.
    limit = 4 * 1024 * 1024
    with closing(Index(tmp_path, on_problem=print, max_bytes=limit)) as index:
        for start in range(1, 1_501, 100):
            write_segment(
                tmp_path,
                [
                    flow_record(
                        flow(number, response_body=body(b"a%d " % number + WORDS))
                    )
                    for number in range(start, start + 100)
                ],
            )
            run_dry(index)
            with closing(open_writer(tmp_path / "store.sqlite")) as store:
                (count,) = store.execute("SELECT count(*) FROM flow").fetchone()
            assert count >= min(start + 99, 50)
