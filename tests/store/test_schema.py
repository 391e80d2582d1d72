import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from int3rceptor.errors import ConfigError
from int3rceptor.store.database import bodies, schema
from int3rceptor.store.database.settling import Settler
from int3rceptor.store.database.text_index import TextIndex
from int3rceptor.store.records import encode
from tests.support.journalled import flow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def make_version(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> sqlite3.Connection:
    """A store as the release with that many steps made it."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:version])
        patch.setattr(schema, "SCHEMA_VERSION", version)
        return schema.open_writer(path)


def test_makes_a_store_that_only_its_owner_reads(path: Path) -> None:
    with closing(schema.open_writer(path)) as store:
        assert {"flow", "fresh", "record", "body", "flow_text"} <= tables(store)
        assert path.stat().st_mode & 0o777 == 0o600
        log = path.with_name(path.name + "-wal")
        assert log.stat().st_mode & 0o777 == 0o600


def test_can_give_pages_back_and_writes_a_log_ahead(path: Path) -> None:
    with closing(schema.open_writer(path)) as store:
        assert store.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store.execute("PRAGMA page_size").fetchone() == (schema.PAGE_BYTES,)


@pytest.mark.parametrize("version", range(1, schema.SCHEMA_VERSION))
def test_store_of_each_older_version_is_raised_with_its_flows(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(make_version(path, version, monkeypatch)) as old:
        assert "record" not in tables(old)
        old.execute("INSERT INTO host VALUES (1, 'example.com')")
        old.execute(
            "INSERT INTO flow VALUES (7, 1.5, 1, 200, 0, 443, 0, 6, 0.02, 'http',"
            " 'GET', 'https', 'HTTP/1.1', '', '', '', '', x'2f')"
        )
        old.execute("INSERT INTO fresh VALUES (7, ?)", (encode(flow(7)),))

    with closing(schema.open_writer(path)) as store:
        assert store.execute("PRAGMA user_version").fetchone() == (
            schema.SCHEMA_VERSION,
        )
        assert store.execute("SELECT id, status FROM flow").fetchall() == [(7, 200)]
        assert Settler(store, TextIndex(store)).settle()
        assert bodies.load(store, 7) == flow(7)


def test_migration_that_fails_leaves_the_store_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(path, 1, monkeypatch).close()
    broken = (schema.MIGRATIONS[0], ("CREATE TABLE half (id)", "CREATE nonsense"))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(sqlite3.OperationalError):
            schema.open_writer(path)

    with closing(schema.open_writer(path)) as store:
        assert "half" not in tables(store)
        assert "record" in tables(store)


@pytest.mark.parametrize("open_store", [schema.open_writer, schema.open_reader])
def test_store_of_a_newer_release_is_refused_and_left_alone(
    path: Path, open_store: Callable[[Path], sqlite3.Connection]
) -> None:
    with closing(schema.open_writer(path)) as store:
        store.execute("PRAGMA user_version = 99")
    before = path.read_bytes()

    with pytest.raises(ConfigError, match=r"newer release.*format 99.*move the file"):
        open_store(path)

    assert path.read_bytes() == before


def test_reader_asks_for_a_start_when_the_store_is_older(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(path, 1, monkeypatch).close()

    with pytest.raises(ConfigError, match="start int3rceptor once"):
        schema.open_reader(path)


def test_database_of_another_program_is_not_written_to(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE flow (mine)")

    with pytest.raises(schema.DamagedStoreError, match="another program"):
        schema.open_writer(path)

    with closing(sqlite3.connect(path)) as other:
        assert tables(other) == {"flow"}


def test_database_of_another_program_with_a_version_is_not_ours(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 1")

    with pytest.raises(schema.DamagedStoreError, match="another program"):
        schema.open_writer(path)


def test_reader_cannot_write(path: Path) -> None:
    schema.open_writer(path).close()

    with (
        closing(schema.open_reader(path)) as store,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        store.execute("DELETE FROM flow")


def test_reader_makes_no_store(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        schema.open_reader(path)

    assert not path.exists()


def test_transaction_that_fails_changes_nothing(path: Path) -> None:
    with closing(schema.open_writer(path)) as store:
        with pytest.raises(sqlite3.IntegrityError), schema.transaction(store):
            store.executemany("INSERT INTO fresh VALUES (?, x'00')", [(1,), (1,)])

        assert store.execute("SELECT * FROM fresh").fetchall() == []
        assert not store.in_transaction


def test_size_leaves_free_pages_out(path: Path) -> None:
    with closing(schema.open_writer(path)) as store:
        empty = schema.size_bytes(store)
        with schema.transaction(store):
            store.execute("INSERT INTO fresh VALUES (1, zeroblob(1000000))")
        full = schema.size_bytes(store)
        store.execute("DELETE FROM fresh")

        assert full >= empty + 990_000
        assert schema.size_bytes(store) == empty
        assert schema.free_pages(store) > 0


def test_two_writers_of_a_new_store_make_it_once(path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(schema.open_writer, [path] * 4))

    for store in stores:
        with closing(store), schema.transaction(store):
            store.execute("INSERT INTO host (name) VALUES (?)", (str(id(store)),))


def test_a_store_that_is_about_to_be_made_is_none_yet(path: Path) -> None:
    path.touch()

    with pytest.raises(schema.NotMadeYet):
        schema.open_reader(path)


def test_a_reader_takes_no_other_programs_database_for_a_new_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE flow (mine)")

    with pytest.raises(schema.DamagedStoreError, match="another program"):
        schema.open_reader(path)
