import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from int3rceptor.errors import ConfigError
from int3rceptor.store.asking.queries import open_store
from int3rceptor.store.database import bodies, ingester, intake, settling
from int3rceptor.store.database.index import (
    BUSY_PATIENCE_S,
    LOCK_NAME,
    MAX_SET_ASIDE,
    Index,
)
from int3rceptor.store.database.schema import open_reader, open_writer, transaction
from int3rceptor.store.journal.framing import MAGIC, sealed
from int3rceptor.store.journal.journal import Journal
from int3rceptor.store.locks import try_lock
from int3rceptor.store.records import BodyRecord, FlowRecord, decode_flow
from tests.support.journalled import (
    body,
    flow,
    flow_record,
    piece_record,
    run_dry,
    write_flows,
    write_segment,
)
from tests.support.patience import PATIENT_S

KILLS = 12


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An index, the directory it works in, and what it told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = directory / "journal"
        self.store = directory / "store.sqlite"
        self.told: list[str] = []
        self.clock = Clock()
        self.open_store: Callable[[Path], sqlite3.Connection] = open_writer
        self.index = self.another()

    def another(self) -> Index:
        return Index(
            self.directory,
            on_problem=self.told.append,
            clock=self.clock,
            open_store=lambda path: self.open_store(path),
        )

    def restart(self) -> None:
        self.index.close()
        self.index = self.another()

    def ask(self, question: str) -> list[tuple[object, ...]]:
        with closing(open_reader(self.store)) as store:
            return store.execute(question).fetchall()

    def ids(self) -> list[object]:
        return [flow_id for (flow_id,) in self.ask("SELECT id FROM flow ORDER BY id")]

    def load(self, number: int) -> FlowRecord | None:
        with closing(open_reader(self.store)) as store:
            return bodies.load(store, number)

    def segments(self) -> list[str]:
        return sorted(one.name for one in self.journal.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "flows")
    yield bench
    bench.index.close()


def test_flows_get_from_the_journal_into_the_store(bench: Bench) -> None:
    write_flows(bench.directory, 1, 2, 3)

    assert not bench.index.ingest(1.0)

    assert bench.ids() == [1, 2, 3]
    assert bench.load(2) == flow(2)
    assert bench.index.flows == 3
    assert bench.segments() == []
    assert bench.told == []


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(bench: Bench) -> None:
    chosen = bench.directory.parent / "chosen"
    bench.directory.mkdir(exist_ok=True)
    (bench.directory / LOCK_NAME).symlink_to(chosen)

    with pytest.raises(OSError, match="Too many levels"):
        bench.index.acquire()

    assert not chosen.exists()


def test_row_says_what_a_list_shows(bench: Bench) -> None:
    record = flow(5, tags=["a", "é"], error="it broke", rule="block", status=502)
    write_segment(bench.directory, [flow_record(record)])

    bench.index.ingest(1.0)

    assert bench.ask(
        "SELECT flow.id, name, status, method, target, request_bytes, response_bytes,"
        " tags, error, rule FROM flow JOIN host ON host.id = flow.host"
    ) == [
        (
            5, "example.com", 502, "GET", b"/items/5", 100, 6,
            '["a","é"]', "it broke", "block",
        )
    ]  # fmt: skip


def test_settled_flow_is_the_same_flow(bench: Bench) -> None:
    large = body(b"x" * 100_000, original=b"y" * 5_000)
    record = flow(1, response_body=large, request_body=body(b"a=1", original=b"b"))
    write_segment(bench.directory, [flow_record(record)])

    run_dry(bench.index)

    assert bench.ask("SELECT count(*) FROM fresh") == [(0,)]
    assert bench.load(1) == record


def test_nothing_to_do_is_said_and_harmless(bench: Bench) -> None:
    assert not bench.index.ingest(0.1)
    assert not bench.index.idle(0.1)
    assert bench.ids() == []
    assert bench.told == []


def test_budget_ends_a_call_and_the_next_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingester, "BATCH_RECORDS", 10)
    write_flows(bench.directory, *range(1, 26))

    assert bench.index.ingest(0.0)
    assert bench.ids() == list(range(1, 11))
    assert bench.index.ingest(0.0)
    assert not bench.index.ingest(1.0)
    assert bench.ids() == list(range(1, 26))


def test_budget_ends_idling_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "AT_ONCE_BYTES", 0)
    monkeypatch.setattr(settling, "SETTLE_FLOWS", 10)
    write_flows(bench.directory, *range(1, 26))
    bench.index.ingest(1.0)

    assert bench.index.idle(0.0)
    assert bench.ask("SELECT count(*) FROM fresh") == [(15,)]
    assert not bench.index.idle(1.0)
    assert bench.ask("SELECT count(*) FROM fresh") == [(0,)]


def test_same_flow_twice_is_one(bench: Bench) -> None:
    record = flow(1, response_body=body(b"x" * 2_000))
    write_segment(bench.directory, [flow_record(record)] * 2)
    run_dry(bench.index)
    write_segment(bench.directory, [flow_record(record)])

    run_dry(bench.index)

    assert bench.ids() == [1]
    assert bench.load(1) == record
    assert bench.ask("SELECT refs FROM body") == [(1,)]
    assert bench.ask("SELECT count(*) FROM fresh") == [(0,)]


def test_pieces_that_went_ahead_are_joined(bench: Bench) -> None:
    pieces = [b"a" * 70_000, b"b" * 70_000]
    tail = b"c" * 500
    up = BodyRecord(size=140_500, ahead=140_000, content=tail)
    record = flow(1, request_body=up)
    write_segment(
        bench.directory,
        [piece_record(1, "request", pieces[0])],
    )
    write_segment(
        bench.directory,
        [
            piece_record(2, "request", b"another's"),
            piece_record(1, "request", pieces[1]),
            flow_record(record),
        ],
    )
    bench.index.ingest(1.0)
    expected = flow(1, request_body=body(b"".join(pieces) + tail))
    assert bench.load(1) == expected

    run_dry(bench.index)

    assert bench.load(1) == expected
    assert bench.ask("SELECT DISTINCT flow FROM pending_piece WHERE flow = 1") == []


@pytest.mark.parametrize("lost", [0, 1])
def test_of_a_body_that_lost_a_piece_nothing_is_shown(bench: Bench, lost: int) -> None:
    """The end of a body must not look like its beginning."""
    pieces = [b"a" * 70_000, b"b" * 70_000]
    up = BodyRecord(size=140_500, ahead=140_000, content=b"c" * 500)
    del pieces[lost]
    write_segment(
        bench.directory,
        [piece_record(1, "request", pieces[0]), flow_record(flow(1, request_body=up))],
    )
    expected = flow(1, request_body=BodyRecord(size=140_500))
    with open_store(bench.directory) as store:
        assert store.get(1) == expected
        bench.index.ingest(1.0)
        assert store.get(1) == expected
        run_dry(bench.index)
        assert store.get(1) == expected

    assert bench.ask("SELECT count(*) FROM pending_piece") == [(0,)]


@pytest.mark.parametrize("is_apart", [False, True])
def test_an_empty_piece_takes_back_those_before_it(
    bench: Bench, is_apart: bool
) -> None:
    """The body was replaced after it had begun to go ahead, or is not wanted at all."""
    before = [
        piece_record(1, "response", b"secret"),
        piece_record(1, "request", b"kept "),
        piece_record(2, "response", b"not wanted"),
    ]
    after = [
        piece_record(1, "response", b""),
        piece_record(2, "response", b""),
        piece_record(1, "response", b"new "),
        flow_record(
            flow(
                1,
                request_body=BodyRecord(size=9, ahead=5, content=b"body"),
                response_body=BodyRecord(size=8, ahead=4, content=b"body"),
            )
        ),
    ]
    if is_apart:
        write_segment(bench.directory, before, writer=os.getpid())
        bench.index.ingest(1.0)
        write_segment(bench.directory, after, writer=os.getpid())
    else:
        write_segment(bench.directory, before + after)

    run_dry(bench.index)

    found = bench.load(1)
    assert found is not None
    assert found.response_body.content == b"new body"
    assert found.request_body.content == b"kept body"
    assert bench.ask("SELECT count(*) FROM pending_piece") == [(0,)]


def test_pieces_of_a_dead_writer_are_dropped_and_those_of_a_live_one_kept(
    bench: Bench,
) -> None:
    write_segment(bench.directory, [piece_record(1, "request", b"lost")])
    write_segment(
        bench.directory, [piece_record(2, "request", b"mine")], writer=os.getpid()
    )

    run_dry(bench.index)

    assert bench.ask("SELECT flow FROM pending_piece") == [(2,)]


def test_segment_of_a_live_writer_is_read_and_kept(bench: Bench) -> None:
    journal = Journal(bench.directory, max_bytes=1 << 30, on_problem=bench.told.append)
    journal.append_flows([flow(1)])

    bench.index.ingest(1.0)
    assert bench.ids() == [1]
    assert len(bench.segments()) == 1

    journal.append_flows([flow(2)])
    bench.index.ingest(1.0)
    assert bench.ids() == [1, 2]

    journal.close()
    bench.index.ingest(1.0)
    assert bench.segments() == []
    assert bench.told == []


def test_torn_tail_of_a_live_writer_is_waited_for(bench: Bench) -> None:
    whole = flow_record(flow(2))
    path = write_segment(bench.directory, [flow_record(flow(1))], end=whole[:20])
    with path.open("ab") as writer:
        assert try_lock(writer.fileno())
        bench.index.ingest(1.0)
        assert bench.ids() == [1]
        assert bench.segments() == [path.name]

        writer.write(whole[20:])
        writer.flush()
        bench.index.ingest(1.0)
        assert bench.ids() == [1, 2]
    assert bench.told == []


def test_torn_tail_of_a_dead_writer_is_cut_and_told(bench: Bench) -> None:
    torn = flow_record(flow(2))[:-1]
    path = write_segment(bench.directory, [flow_record(flow(1))], end=torn)

    bench.index.ingest(1.0)

    assert bench.ids() == [1]
    assert bench.segments() == []
    assert len(bench.told) == 1
    assert path.name in bench.told[0]
    assert "not whole" in bench.told[0]


def test_segment_of_a_dead_writer_without_an_end_is_done(bench: Bench) -> None:
    write_segment(bench.directory, [flow_record(flow(1))], end=b"")

    bench.index.ingest(1.0)

    assert bench.ids() == [1]
    assert bench.segments() == []
    assert bench.told == []


def test_damaged_record_is_kept_aside_with_what_follows(bench: Bench) -> None:
    damaged = bytearray(flow_record(flow(2)))
    damaged[-5] ^= 0xFF
    path = write_segment(
        bench.directory,
        [flow_record(flow(1)), bytes(damaged), flow_record(flow(3))],
    )

    bench.index.ingest(1.0)

    assert bench.ids() == [1]
    assert bench.segments() == [path.name + ".damaged"]
    assert len(bench.told) == 1
    assert "damaged" in bench.told[0]


def test_damaged_segments_are_kept_up_to_a_number(bench: Bench) -> None:
    for _ in range(ingester.MAX_DAMAGED + 2):
        write_segment(bench.directory, [b"\0" * 50])

    bench.index.ingest(1.0)

    assert len(bench.segments()) == ingester.MAX_DAMAGED


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 something else", MAGIC[:-1] + b"\x09"]
)
def test_file_that_is_no_segment_is_kept_aside(bench: Bench, content: bytes) -> None:
    path = write_segment(bench.directory, [])
    path.write_bytes(content)

    bench.index.ingest(1.0)

    assert bench.segments() == [path.name + ".damaged"]
    assert path.with_name(path.name + ".damaged").read_bytes() == content


def test_record_that_is_not_understood_is_skipped_and_told(bench: Bench) -> None:
    write_segment(
        bench.directory,
        [
            flow_record(flow(1)),
            sealed(1, b"\xc1"),
            sealed(2, b"\xc1"),
            sealed(77, b"of the future"),
            piece_record(1, "sideways", b""),
            flow_record(flow(2**63)),
            flow_record(flow(2)),
        ],
    )

    bench.index.ingest(1.0)

    assert bench.ids() == [1, 2]
    assert len(bench.told) == 1
    assert "4 records" in bench.told[0]


def test_second_ingester_waits_for_the_first(bench: Bench) -> None:
    assert bench.index.acquire()
    write_flows(bench.directory, 1)
    with closing(bench.another()) as other:
        assert not other.acquire()
        assert not other.ingest(1.0)
        assert other.flows == 0

        bench.index.close()
        other.ingest(1.0)
        assert other.flows == 1
    assert bench.told == []


# --- a store that cannot be used ------------------------------------------------------


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def wrong_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not SQLite here ")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def header_only(path: Path) -> None:
    os.truncate(path, 100)


def zeroed_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\0" * 8192 * 15)


def other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (a)")


DAMAGES = [
    random_bytes, wrong_header, truncated, header_only, zeroed_pages, other_database,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_is_set_aside_and_a_new_one_begun(
    bench: Bench, damage: Callable[[Path], None]
) -> None:
    write_flows(bench.directory, *range(1, 200))
    run_dry(bench.index)
    bench.index.close()
    damage(bench.store)
    write_flows(bench.directory, 200)
    bench.index = bench.another()

    for _ in range(3):
        bench.index.ingest(1.0)
        bench.clock.now += 60

    assert bench.ids() == [200]
    aside = list(bench.directory.glob("store.sqlite.corrupt-*"))
    assert len(aside) == 1
    assert len(bench.told) == 1
    assert aside[0].name in bench.told[0]
    assert "set aside" in bench.told[0]


def test_store_that_gets_damaged_under_way_is_set_aside(bench: Bench) -> None:
    write_flows(bench.directory, *range(1, 200))
    run_dry(bench.index)
    with closing(sqlite3.connect(bench.store)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    random_bytes(bench.store)

    for number in range(200, 204):
        write_flows(bench.directory, number)
        run_dry(bench.index)
        bench.clock.now += 60

    assert bench.ids()[-1] == 203
    assert len([one for one in bench.told if "set aside" in one]) == 1


@pytest.mark.parametrize("at", [b"example.com", b"GET"], ids=["text", "shape"])
def test_store_with_a_damaged_flow_that_waits_is_set_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: bytes
) -> None:
    monkeypatch.setattr(intake, "AT_ONCE_BYTES", 0)
    write_flows(bench.directory, 1, 2)
    bench.index.ingest(1.0)
    with closing(sqlite3.connect(bench.store)) as store:
        (payload,) = store.execute("SELECT payload FROM fresh WHERE id = 1").fetchone()
        # In place of a letter: no UTF-8; in place of a string's length: no MessagePack.
        place = payload.index(at) - (at == b"GET")
        torn = payload[:place] + b"\xc1" + payload[place + 1 :]
        store.execute("UPDATE fresh SET payload = ? WHERE id = 1", (torn,))
        store.commit()

    with (
        open_store(bench.directory) as reader,
        pytest.raises(ConfigError, match="damaged"),
    ):
        reader.get(1)
    run_dry(bench.index)
    bench.clock.now += 60
    write_flows(bench.directory, 3)
    run_dry(bench.index)

    assert bench.ids() == [3]
    assert len([one for one in bench.told if "set aside" in one]) == 1


def test_store_that_holds_what_its_tables_forbid_is_set_aside(tmp_path: Path) -> None:
    told: list[str] = []
    write_flows(tmp_path, 1, 2)
    with closing(Index(tmp_path, on_problem=told.append)) as index:
        run_dry(index)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as store:
        # As a flipped bit in a row's header does.
        store.execute("PRAGMA writable_schema = ON")
        forbidden, allowed = "request_bytes INTEGER NOT NULL", "request_bytes INTEGER"
        change = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'flow'"
        store.execute(change, (forbidden, allowed))
        store.commit()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as store:
        store.execute("UPDATE flow SET request_bytes = NULL")
        store.execute("PRAGMA writable_schema = ON")
        store.execute(change, (allowed, forbidden))
        store.commit()

    with closing(Index(tmp_path, on_problem=told.append, max_bytes=1)) as index:
        index.idle(1.0)

    assert len(told) == 1
    assert "set aside" in told[0]


def test_defect_of_ours_does_not_cost_the_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flows(bench.directory, 1)
    bench.index.ingest(1.0)

    def fail(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(settling.Settler, "settle", fail)
    with pytest.raises(TypeError):
        bench.index.idle(1.0)

    assert bench.ids() == [1]
    assert bench.told == []


def test_damaged_stores_are_kept_up_to_a_number(bench: Bench) -> None:
    for number in range(1, MAX_SET_ASIDE + 3):
        bench.index.ingest(1.0)
        bench.index.close()
        random_bytes(bench.store)
        write_flows(bench.directory, number)
        bench.index.ingest(1.0)
        bench.clock.now += 60

    bench.index.ingest(1.0)

    assert bench.ids() != []
    assert len(list(bench.directory.glob("store.sqlite.corrupt-*"))) == MAX_SET_ASIDE


def test_store_of_a_newer_release_is_left_alone_and_told_once(bench: Bench) -> None:
    bench.index.ingest(1.0)
    bench.index.close()
    with closing(sqlite3.connect(bench.store)) as store:
        store.execute("PRAGMA user_version = 99")
    write_flows(bench.directory, 1)

    for _ in range(3):
        assert not bench.index.ingest(1.0)
        bench.clock.now += 60

    assert len(bench.told) == 1
    assert "newer release" in bench.told[0]
    assert len(bench.segments()) == 1
    assert list(bench.directory.glob("store.sqlite.corrupt-*")) == []
    assert bench.index.problem == bench.told[0]


class Failing:
    """Opens a store that cannot take more, as long as `failing`."""

    def __init__(self, bench: Bench, pragma: str) -> None:
        self.failing = True
        self._pragma = pragma
        bench.open_store = self

    def __call__(self, path: Path) -> sqlite3.Connection:
        store = open_writer(path)
        if self.failing:
            pages = store.execute("PRAGMA page_count").fetchone()[0]
            store.execute(self._pragma.format(pages=pages)).fetchall()
        return store


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [
        ("PRAGMA max_page_count = {pages}", "the disk is full.*free some space"),
        ("PRAGMA query_only = 1", "readonly database.*writable"),
    ],
)
def test_store_that_cannot_be_written_is_told_once_and_recovers(
    bench: Bench, pragma: str, reason: str
) -> None:
    failing = Failing(bench, pragma)
    big = flow(1, response_body=body(b"x" * 2_000_000))
    write_segment(bench.directory, [flow_record(big)])

    for _ in range(4):
        assert not bench.index.ingest(1.0)
        bench.clock.now += 60
    assert len(bench.told) == 1
    assert re.search(reason, bench.told[0])
    assert str(bench.store) in bench.told[0]
    assert len(bench.segments()) == 1

    failing.failing = False
    bench.index.ingest(1.0)

    assert bench.ids() == [1]
    assert bench.load(1) == big
    assert bench.told[1:] == [f"Flows are stored in {bench.store} again"]
    assert bench.index.problem == ""


def test_failure_is_waited_out_longer_each_time(bench: Bench) -> None:
    tries = []

    def refuse(path: Path) -> sqlite3.Connection:
        tries.append(bench.clock.now)
        raise sqlite3.OperationalError("no")

    bench.open_store = refuse
    for _ in range(200):
        bench.index.ingest(0.0)
        bench.clock.now += 0.5

    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert len(bench.told) == 1


def test_directory_that_is_a_file_is_told(bench: Bench) -> None:
    bench.directory.write_bytes(b"")

    assert not bench.index.ingest(1.0)

    assert len(bench.told) == 1
    assert str(bench.store) in bench.told[0]


def test_store_that_is_locked_for_long_is_told(bench: Bench) -> None:
    bench.open_store = lambda path: open_writer(path, busy_s=0.0)
    write_flows(bench.directory, 1)
    bench.index.ingest(1.0)
    write_flows(bench.directory, 2)
    with closing(open_writer(bench.store)) as other, transaction(other):
        bench.index.ingest(1.0)
        assert bench.told == []
        while bench.clock.now < 3 * BUSY_PATIENCE_S:
            bench.clock.now += 1
            bench.index.ingest(1.0)
        assert len(bench.told) == 1
        assert "locked" in bench.told[0]
    bench.clock.now += 60
    bench.index.ingest(1.0)

    assert bench.ids() == [1, 2]


def test_segment_that_cannot_be_removed_is_told_and_removed_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flows(bench.directory, 1)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        for _ in range(3):
            bench.index.ingest(1.0)
            bench.clock.now += 60
        assert len(bench.told) == 1

    bench.restart()
    bench.index.ingest(1.0)

    assert bench.ids() == [1]
    assert bench.segments() == []


def test_rows_of_segments_that_are_gone_go(bench: Bench) -> None:
    for number in range(1, 4):
        write_flows(bench.directory, number)
        bench.index.ingest(1.0)
    assert len(bench.ask("SELECT * FROM progress")) == 1

    bench.restart()
    write_flows(bench.directory, 4)
    bench.index.ingest(1.0)

    assert len(bench.ask("SELECT * FROM progress")) == 1


# --- killed at any instant ------------------------------------------------------------

INGESTING = """
import sys
from pathlib import Path
from int3rceptor.store.database import ingester
from int3rceptor.store.database import settling
from int3rceptor.store.database.index import Index
ingester.BATCH_RECORDS = 20
settling.SETTLE_FLOWS = 10
index = Index(Path(sys.argv[1]), on_problem=print)
print("ready", flush=True)
while True:
    index.ingest(0.01)
    index.idle(0.01)
"""


def journalled(number: int) -> FlowRecord:
    """Every third flow has a body that went ahead, every second one of its own."""
    if number % 3 == 0:
        return flow(number, request_body=BodyRecord(size=3_000, ahead=1_992))
    if number % 2 == 0:
        return flow(number, response_body=body(b"%d" % number * 500))
    return flow(number)


def append_some(journal: Journal, written: int) -> int:
    for number in range(written + 1, written + 11):
        for _ in range(2 if number % 3 == 0 else 0):
            journal.append_piece(number, "request", b"%06d" % number * 166)
        journal.append_flows([journalled(number)])
    return written + 10


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_killed_ingesters_neither_lose_nor_double(bench: Bench) -> None:
    chance = random.Random(7)
    journal = Journal(
        bench.directory,
        max_bytes=1 << 30,
        on_problem=bench.told.append,
        segment_bytes=100_000,
    )
    written = 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", INGESTING, str(bench.directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            written = append_some(journal, written)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            for _ in range(chance.randrange(1, 20)):
                written = append_some(journal, written)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0.0, 0.02))
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENT_S)
            assert process.stdout.read() == b""
    journal.close()

    run_dry(bench.index)

    assert bench.told == []
    assert bench.segments() == []
    assert bench.ids() == list(range(1, written + 1))
    assert bench.ask("PRAGMA integrity_check") == [("ok",)]
    assert bench.ask("SELECT count(*) FROM record") == [(written,)]
    assert bench.ask("SELECT count(*) FROM fresh") == [(0,)]
    assert bench.ask("SELECT count(*) FROM pending_piece") == [(0,)]
    for number in range(1, written + 1):
        found = bench.load(number)
        assert found is not None
        if number % 3 == 0:
            assert found.request_body.content == b"%06d" % number * 332
        else:
            assert found == journalled(number)
    assert bench.ask(
        "SELECT count(*) FROM body WHERE refs <> (SELECT count(*) FROM record WHERE"
        " body.id IN (request_body, response_body))"
    ) == [(0,)]


def test_large_flow_waits_for_a_pause_as_it_was_journalled(bench: Bench) -> None:
    large = flow(9, response_body=body(b"x" * intake.AT_ONCE_BYTES))
    write_segment(bench.directory, [flow_record(large), flow_record(flow(8))])
    bench.index.ingest(1.0)

    ((number, payload),) = bench.ask("SELECT id, payload FROM fresh")
    assert number == 9
    assert isinstance(payload, bytes)
    assert decode_flow(payload) == large
    assert bench.ask("SELECT id FROM record") == [(8,)]


def test_small_flows_are_settled_as_they_are_taken_in(bench: Bench) -> None:
    numbers = [3, 1, 2, 1]  # as they ended, one of them twice
    write_flows(bench.directory, *numbers)
    write_flows(bench.directory, 2, 5, 4)

    bench.index.ingest(1.0)

    assert bench.ask("SELECT count(*) FROM fresh") == [(0,)]
    assert bench.ids() == [1, 2, 3, 4, 5]
    found = bench.ask("SELECT rowid FROM flow_text WHERE flow_text MATCH 'items'")
    assert found == [(1,), (2,), (3,), (4,), (5,)]
    assert bench.ask("SELECT added FROM text_index") == [(5,)]
    assert [bench.load(number) for number in bench.ids()] == [
        flow(number) for number in range(1, 6)
    ]


def files_of(bench: Bench, glob: str) -> None:
    for path in bench.directory.glob(glob):
        path.unlink()


def whole_folder(bench: Bench) -> None:
    shutil.rmtree(bench.directory)


def moved_folder(bench: Bench) -> None:
    bench.directory.rename(bench.directory.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("take", "left"),
    [
        (whole_folder, [2]),
        (moved_folder, [2]),
        (lambda bench: files_of(bench, "store.sqlite*"), [2]),
        (lambda bench: files_of(bench, "store.sqlite"), [2]),
        (lambda bench: files_of(bench, "store.sqlite-wal"), [1, 2]),
        (lambda bench: files_of(bench, "store.sqlite-shm"), [1, 2]),
        (lambda bench: files_of(bench, "ingest.lock"), [1, 2]),
    ],
    ids=["folder", "moved", "store", "database", "log", "index", "lock"],
)
def test_files_that_are_taken_away_meanwhile_are_made_anew(
    bench: Bench, take: Callable[[Bench], None], left: list[int]
) -> None:
    write_flows(bench.directory, 1)
    run_dry(bench.index)
    with open_store(bench.directory) as reader:
        assert reader.count() == 1
        take(bench)
        write_flows(bench.directory, 2)
        run_dry(bench.index)
        bench.index.ingest(1.0)

        assert bench.ids() == left
        bench.restart()
    bench.restart()
    bench.index.ingest(1.0)

    assert bench.ids() == left
    assert bench.ask("PRAGMA integrity_check") == [("ok",)]
    assert [line.partition(",")[0] for line in bench.told] == [
        f"The store {bench.store} was removed"
    ]
    assert not bench.another().acquire()


def test_a_store_that_is_put_in_the_place_of_one_in_use_is_not_harmed(
    bench: Bench, tmp_path: Path
) -> None:
    write_flows(bench.directory, 1, 2)
    run_dry(bench.index)
    bench.index.close()
    saved = tmp_path / "saved"
    shutil.copy(bench.store, saved)
    write_flows(bench.directory, *range(3, 100))
    run_dry(bench.index)
    saved.rename(bench.store)
    assert bench.store.with_name("store.sqlite-wal").stat().st_size

    write_flows(bench.directory, 100)
    run_dry(bench.index)

    assert bench.ids() == [1, 2, 100]
    assert bench.ask("PRAGMA integrity_check") == [("ok",)]
    assert len(bench.told) == 1
