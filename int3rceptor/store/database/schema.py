"""The store's tables, the steps that bring an older store up to them, and how it opens.

It knows no journal, no record's inside and no query: only SQL's shapes.

A flow is in `flow` from the transaction that took it out of the journal. What it holds
is settled in the same one if that is little work: in `record` (compressed, its bodies
taken out into `body`, its words in `flow_text`). Else it is in `fresh` (the journal's
bytes, as they were) until someone has had time to settle it. `bodies.load` reads both;
nobody else needs to know.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from int3rceptor.errors import ConfigError

STORE_NAME = "store.sqlite"

APPLICATION_ID = 0x49335244
"""Marks the file as ours ("I3RD"): another program's database is never written to."""

WAL_RETRY_S = 0.01
"""Between tries to change a store to WAL while another does the same."""

BUSY_TIMEOUT_S = 5.0
"""Longest wait for another writer's transaction; ours are kept under 0.5 s."""
PAGE_BYTES = 8192
READ_CACHE_BYTES = 16 * 1024 * 1024
WRITE_CACHE_BYTES = 16 * 1024 * 1024
"""Most memory of one connection for pages: the hub's size must stay flat."""
WAL_PAGES = 2000
"""Pages in the write-ahead log after which they are written to their places: enough
for the right edges of tables and indexes to be written once for many transactions."""
MAX_WAL_BYTES = 16 * 1024 * 1024
"""What the write-ahead log is cut back to when a reader had kept it from being used
again; twice what it grows to otherwise."""

TOKENIZER = "unicode61 remove_diacritics 2"
"""How the words of `flow_text` are cut: letters and digits, case and accents aside."""

TEXT_TABLE = (
    "CREATE VIRTUAL TABLE {name} USING fts5"
    f" (text, content = '', tokenize = \"{TOKENIZER}\")"
)

_FLOWS = (
    # A name once, a number in each flow: a glob over hosts reads thousands of names,
    # not a million rows, and the index on `flow.host` stays small.
    "CREATE TABLE host (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # Short and fixed first, so that a scan seldom leaves the row's page. The two sizes
    # are the full ones of the bodies (of what was relayed, where there was no message).
    # `tags` is a JSON array, '' when there are none.
    """
    CREATE TABLE flow (
        id INTEGER PRIMARY KEY,
        created REAL NOT NULL,
        host INTEGER NOT NULL,
        status INTEGER NOT NULL,
        is_marked INTEGER NOT NULL DEFAULT 0,
        port INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        total_s REAL NOT NULL,
        kind TEXT NOT NULL,
        method TEXT NOT NULL,
        scheme TEXT NOT NULL,
        version TEXT NOT NULL,
        origin_version TEXT NOT NULL,
        rule TEXT NOT NULL,
        tags TEXT NOT NULL,
        error TEXT NOT NULL,
        target BLOB NOT NULL
    )
    """,
    # An index ends in the row's id, so each gives its flows newest first. The last two
    # hold only rows that are rare among many: to be used, a query must repeat their
    # condition in these very words.
    "CREATE INDEX flow_created ON flow (created)",
    "CREATE INDEX flow_host ON flow (host)",
    "CREATE INDEX flow_status ON flow (status)",
    "CREATE INDEX flow_method ON flow (method) WHERE method <> 'GET'",
    "CREATE INDEX flow_tagged ON flow (id) WHERE tags <> ''",
    # `payload`: the FlowRecord as journalled (records.decode_flow). Of a body that went
    # ahead (`BodyRecord.ahead`), the bytes are in `pending_piece`, in order of `n`.
    "CREATE TABLE fresh (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
    # `side`: 0 request, 1 response. `segment`: whose writer's death makes it an orphan.
    """
    CREATE TABLE pending_piece (
        n INTEGER PRIMARY KEY,
        flow INTEGER NOT NULL,
        side INTEGER NOT NULL,
        segment TEXT NOT NULL,
        data BLOB NOT NULL
    )
    """,
    "CREATE INDEX pending_piece_flow ON pending_piece (flow, side)",
    # How far each of the journal's segments (by file name) has been taken in: `offset`
    # is the end of the last record. Changed in the transaction that inserts the rows.
    # `is_done`: wholly in, and on the disk; what is left of the file may be deleted.
    """
    CREATE TABLE progress (
        segment TEXT PRIMARY KEY,
        offset INTEGER NOT NULL,
        is_done INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
)

_SETTLED = (
    # `data`: a FlowRecord, zstd; each body that is not null here has been taken out of
    # it (content b"", original None). The last four are `body.id`.
    """
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        request_body INTEGER,
        response_body INTEGER,
        request_original INTEGER,
        response_original INTEGER,
        data BLOB NOT NULL
    )
    """,
    # Equal bodies are one row: `refs` counts the columns of `record` that point at it.
    # `size` is in bytes, of what is kept, before compression.
    """
    CREATE TABLE body (
        id INTEGER PRIMARY KEY,
        refs INTEGER NOT NULL,
        size INTEGER NOT NULL,
        sha256 BLOB NOT NULL UNIQUE
    )
    """,
    # `id` is body * bodies.MAX_CHUNKS + the chunk's number; see bodies.
    "CREATE TABLE body_chunk (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    # Holds words, not text. Its rowid is `flow.id`; it may still hold the words of a
    # flow that has gone: join. `fresh` flows are not in it yet, settled ones are.
    TEXT_TABLE.format(name="flow_text"),
    # One row about it: flows added, how many of them are gone, and up to which id the
    # next `flow_text` holds what is settled, while one is being built (text_index.py).
    "CREATE TABLE text_index (added INTEGER, gone INTEGER, rebuilt_to INTEGER)",
    "INSERT INTO text_index VALUES (0, 0, NULL)",
)

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FLOWS, _SETTLED)
"""Step n brings a store of version n to n + 1. A step that was released never changes:
the next change of a table is a step of its own, at the end."""

SCHEMA_VERSION = len(MIGRATIONS)


class DamagedStoreError(sqlite3.DatabaseError):
    """What the file holds is not what a store of this version holds."""


def open_writer(path: Path, *, busy_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """The store for writing, made or migrated where needed.

    No transaction is open, and none opens by itself (`transaction`). Several may write
    (the hub, and a command that marks or deletes): each waits `busy_s` for the other.

    Raises ConfigError for a store of a newer release, OSError where no file can be, and
    sqlite3.Error for anything else; a file that is damaged may only show it later.
    """
    _make_private(path)
    connection = _connect(f"{path.absolute().as_uri()}?mode=rwc", busy_s)
    try:
        _refuse_newer(_version(connection), path)
        _set_up(connection, busy_s)
        _migrate(connection, path)
        _tune(connection, WRITE_CACHE_BYTES)
    except BaseException:
        connection.close()
        raise
    return connection


class NotMadeYet(Exception):
    """There is a file, and nothing in it yet: it is as good as none."""


def open_reader(path: Path, *, is_frozen: bool = False) -> sqlite3.Connection:
    """The store for reading only; sqlite3.OperationalError when there is none,
    NotMadeYet while a writer is about to make its first tables.

    `is_frozen`: nobody can write to it, so that it is read without the files beside it
    that even readers make.

    A store of an older release is raised to this one's tables by its next writer: until
    then it is one that cannot be read (ConfigError, as for one of a newer release).
    """
    mode = "mode=ro&immutable=1" if is_frozen else "mode=ro"
    connection = _connect(f"{path.absolute().as_uri()}?{mode}", BUSY_TIMEOUT_S)
    try:
        _refuse_newer(version := _version(connection), path)
        if version == 0:
            _refuse_foreign(connection)
            raise NotMadeYet
        if version < SCHEMA_VERSION:
            raise ConfigError(
                f"The store {path} is of an older release and is not converted yet:"
                " start int3rceptor once."
            )
        _tune(connection, READ_CACHE_BYTES)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's changes or none; waits first for another writer's end."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (disk full, I/O).
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_disk_full(error: Exception) -> bool:
    """Whether that is why: SQLite says of one of its files that it cannot be as large
    as it has to be, and a reader makes that file, too."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) in _FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def size_bytes(connection: sqlite3.Connection) -> int:
    """What the store's rows take on the disk: its pages without the free ones."""
    return (_pragma(connection, "page_count") - free_pages(connection)) * PAGE_BYTES


def free_pages(connection: sqlite3.Connection) -> int:
    """Pages of the file that hold nothing; new rows use them first."""
    return _pragma(connection, "freelist_count")


def _make_private(path: Path) -> None:
    """A new store is its owner's alone: it holds what was encrypted on its way.

    SQLite gives the log the same mode. Never opened when it is there: closing it would
    take away the locks of every connection that this process has to it.
    """
    with suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))


def _connect(uri: str, busy_s: float) -> sqlite3.Connection:
    # Used by one thread at a time, but not always by the one that opened it.
    return sqlite3.connect(
        uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
    )


def _set_up(connection: sqlite3.Connection, busy_s: float) -> None:
    """What must be said before the first table: both are without effect later."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    # Free pages can be given back in slices: a size budget that the disk sees too.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _change_to_wal(connection, busy_s)
    # Killed: nothing is lost. Power lost: the last commits, which the journal still
    # has; a commit after which a segment goes is made under FULL (index.py).
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")


def _change_to_wal(connection: sqlite3.Connection, busy_s: float) -> None:
    """As of two who make the store only one can; SQLite waits for no lock here."""
    deadline = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_S)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    with transaction(connection):
        # Asked again: another writer may have been first.
        version = _version(connection)
        _refuse_newer(version, path)
        if version == 0:
            _refuse_foreign(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    version = _pragma(connection, "user_version")
    if version and _pragma(connection, "application_id") != APPLICATION_ID:
        raise DamagedStoreError("it is a database of another program")
    return version


def _refuse_newer(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"The store {path} was written by a newer release of int3rceptor (format"
            f" {version}; this one knows formats up to {SCHEMA_VERSION}). Use that"
            " release, or move the file away to begin a new store."
        )


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise DamagedStoreError("it is a database of another program")


def _tune(connection: sqlite3.Connection, cache_bytes: int) -> None:
    connection.execute(f"PRAGMA cache_size = -{cache_bytes // 1024}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    with closing(connection.execute(f"PRAGMA {name}")) as cursor:
        value: int = cursor.fetchone()[0]
    return value
