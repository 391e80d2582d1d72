"""The store's one ingester: its lock, its slices, and what it does when a disk fails.

Blocking, for one thread at a time. Nothing that the disk, the store or the journal can
do comes out of it as an exception: it is told in one line, tried again, and told once
more when it went well.
"""

import errno
import math
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from int3rceptor.errors import ConfigError, reason_of
from int3rceptor.files.writing import NO_LINK
from int3rceptor.store.database.ingester import Ingester
from int3rceptor.store.database.pruning import Pruner
from int3rceptor.store.database.schema import (
    STORE_NAME,
    DamagedStoreError,
    is_disk_full,
    open_writer,
)
from int3rceptor.store.locks import try_lock

LOCK_NAME = "ingest.lock"
UNLIMITED_BYTES = 1 << 62

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 30.0
"""Pauses after a failure: the first, doubled up to the second."""
BUSY_PATIENCE_S = 10.0
"""A store that someone else keeps locked is worth a line only when the pauses have
grown so long."""

MAX_SET_ASIDE = 3
"""Damaged stores kept; a disk that damages each would else fill up with them."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FORBIDDEN = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)


class Index:
    """Takes the flows of `directory`/journal into `directory`/store.sqlite.

    Making one does nothing yet. `on_problem` gets lines for people. `flows` counts what
    was taken in; `problem` is why nothing is, "" while all is well.
    """

    def __init__(
        self,
        directory: Path,
        *,
        on_problem: Callable[[str], None],
        max_bytes: int = UNLIMITED_BYTES,
        max_age_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        open_store: Callable[[Path], sqlite3.Connection] = open_writer,
    ) -> None:
        self.problem = ""
        self._directory = directory
        self._path = directory / STORE_NAME
        self._store_files = [
            directory / (STORE_NAME + ending) for ending in ("", "-wal", "-shm")
        ]
        self._on_problem = on_problem
        self._pruner = Pruner(max_bytes=max_bytes, max_age_s=max_age_s)
        self._clock = clock
        self._open_store = open_store
        self._lock: int | None = None
        self._ingester: Ingester | None = None
        self._files: dict[Path, tuple[int, int] | None] = {}
        self._flows_before = 0
        self._is_stuck = False
        self._retry_at = -math.inf
        self._retry_s = RETRY_FIRST_S

    @property
    def flows(self) -> int:
        """How many flows were taken in."""
        taken = self._ingester.flows if self._ingester is not None else 0
        return self._flows_before + taken

    def acquire(self) -> bool:
        """Become the ingester; False while another process is. OSError.

        `ingest` and `idle` do so by themselves; it lasts until `close`.
        """
        if self._lock is not None:
            return True
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | NO_LINK
        path = self._directory / LOCK_NAME
        lock = os.open(path, flags, 0o600)
        if not try_lock(lock):
            os.close(lock)
            return False
        self._lock = lock
        self._files[path] = _identity(path)
        return True

    def ingest(self, budget_s: float) -> bool:
        """Take in what the journal holds, for about so long; whether there is more.

        False too while another process is the ingester or a failure is waited out: ask
        again in a while. Cheap when there is nothing.
        """
        return self._work(lambda one: one.take_in(time.monotonic() + budget_s))

    def idle(self, budget_s: float) -> bool:
        """What can wait until there is nothing to take in; whether there is more of it.

        Compresses, finds equal bodies, indexes text, prunes, gives space back. One
        large body may make it last longer: 10 ms for a MiB.
        """
        more = self._work(lambda one: one.tidy(time.monotonic() + budget_s))
        self._tell_if_stuck()
        return more

    def close(self) -> None:
        """Let go of the store and of the lock."""
        self._drop()
        self._files.clear()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _work(self, work: Callable[[Ingester], bool]) -> bool:
        if self._clock() < self._retry_at:
            return False
        try:
            self._leave_lost()
            if not self.acquire():
                return False
            more = work(self._opened())
        except (sqlite3.Error, OSError, ConfigError) as error:
            self._fail(error)
            return False
        except Exception as error:
            # Of a value that is none, say, where the tables have one: damage that
            # SQLite does not look for when it reads, or else a defect of ours.
            damage = self._damage()
            if damage is None:
                raise
            self._fail(DamagedStoreError(f"{damage}; {type(error).__name__}: {error}"))
            return False
        if self.problem:
            self.problem = ""
            self._on_problem(f"Flows are stored in {self._path} again")
        self._retry_s = RETRY_FIRST_S
        return more

    def _damage(self) -> str | None:
        """What SQLite finds wrong with the store when it looks at all of it."""
        if self._ingester is None:
            return None
        try:
            look = self._ingester.connection.execute("PRAGMA quick_check(1)")
            found: str = look.fetchone()[0]
        except sqlite3.Error as error:
            return str(error)
        return None if found == "ok" else found

    def _opened(self) -> Ingester:
        if self._ingester is None:
            connection = self._open_store(self._path)
            try:
                self._ingester = Ingester(
                    connection,
                    self._directory,
                    pruner=self._pruner,
                    tell=self._on_problem,
                )
            except BaseException:
                connection.close()
                raise
            for path in self._store_files:
                self._files[path] = _identity(path)
        return self._ingester

    def _leave_lost(self) -> None:
        """Let go of files whose names lead elsewhere: they were removed, moved or
        replaced, and what is done with them would reach nobody."""
        gone = [one for one, known in self._files.items() if _identity(one) != known]
        if not gone:
            return
        useless = self._useless_logs(gone)
        self.close()
        for path in useless:
            path.unlink(missing_ok=True)
        self._on_problem(
            f"The store {self._path} was removed, moved or replaced, in whole or in"
            " part, while it was in use: flows that were there alone are lost, the next"
            " ones are stored in what is there now; stop the proxy before you change"
            " its data directory"
        )

    def _useless_logs(self, gone: list[Path]) -> list[Path]:
        """Which of the store's log and its index must not be there when it is opened
        again, with these files gone."""
        store, *logs = self._store_files
        if store in gone:
            # To a store that takes its place the log of the old one would be damage.
            return [one for one in logs if one in self._files and one not in gone]
        if self._ingester is None or not set(logs).intersection(gone):
            return []
        # One without the other is damage, too, while anyone has the old ones open. We
        # have both, and so put what is in the log where it belongs.
        with suppress(sqlite3.Error):
            self._ingester.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return logs

    def _drop(self) -> None:
        """Close the connection: whatever is wrong with it, the next one begins anew."""
        ingester, self._ingester = self._ingester, None
        if ingester is not None:
            self._flows_before += ingester.flows
            ingester.connection.close()
        for path in self._store_files:
            self._files.pop(path, None)

    def _fail(self, error: Exception) -> None:
        self._drop()
        self._retry_at = self._clock() + self._retry_s
        is_patient = _code(error) in _BUSY and self._retry_s < BUSY_PATIENCE_S
        self._retry_s = min(self._retry_s * 2, RETRY_MAX_S)
        if _is_damage(error):
            try:
                self._set_aside(error)
            except OSError as denied:
                self._tell(_explain(denied, self._path))
        elif not is_patient:
            self._tell(_explain(error, self._path))

    def _tell(self, problem: str) -> None:
        """Once for one problem, however often it is met before things go well again."""
        if problem != self.problem:
            self.problem = problem
            self._on_problem(problem)

    def _tell_if_stuck(self) -> None:
        if self._pruner.is_stuck and not self._is_stuck:
            self._on_problem(
                f"The store {self._path} is over its size and all flows in it are"
                " marked: unmark or delete some, or set store.max_bytes higher"
            )
        self._is_stuck = self._pruner.is_stuck

    def _set_aside(self, error: Exception) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S") + f"{time.time_ns() % 10**9:09d}"
        aside = self._path.with_name(f"{STORE_NAME}.corrupt-{stamp}")
        # With its log, so that what can be read of it can still be read. The index of
        # the log is made anew by whoever opens it.
        for ending in ("-wal", ""):
            source = self._path.with_name(STORE_NAME + ending)
            if source.exists():
                source.rename(aside.with_name(aside.name + ending))
        self._path.with_name(STORE_NAME + "-shm").unlink(missing_ok=True)
        self._on_problem(
            f"The store {self._path} is damaged ({error}): it was set aside as"
            f" {aside.name}, and a new one begun"
        )
        found = sorted(self._directory.glob(f"{STORE_NAME}.corrupt-*"))
        stores = [one for one in found if not one.name.endswith("-wal")]
        for old in stores[:-MAX_SET_ASIDE]:
            old.unlink(missing_ok=True)
            old.with_name(old.name + "-wal").unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file the name leads to; None when there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for other errors."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF
    return 0


def _is_damage(error: Exception) -> bool:
    return isinstance(error, DamagedStoreError) or _code(error) in _DAMAGED


def _explain(error: Exception, path: Path) -> str:
    """What is wrong, where, and what to do."""
    if isinstance(error, ConfigError):
        return f"{error} Until then flows stay in the journal."
    code = _code(error)
    number = error.errno if isinstance(error, OSError) else None
    if is_disk_full(error):
        reason, advice = "the disk is full", "free some space"
    elif code in _FORBIDDEN or number in (errno.EROFS, errno.EACCES, errno.EPERM):
        reason, advice = reason_of(error), "make it and its directory writable"
    elif code in _BUSY:
        reason, advice = "another program keeps it locked", "end that program"
    else:
        reason, advice = reason_of(error), "check the disk"
    return (
        f"Flows cannot be stored in {path}: {reason}; they stay in the journal, and"
        f" are stored as soon as it goes again; {advice}"
    )
