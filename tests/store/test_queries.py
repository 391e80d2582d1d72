"""What is asked of the store and the journal's tail, wherever a flow happens to be."""

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from int3rceptor.errors import ConfigError
from int3rceptor.store.asking import edits, queries
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.follow import Follower
from int3rceptor.store.asking.queries import open_store
from int3rceptor.store.database.index import Index
from int3rceptor.store.journal.framing import BODY, FLOW, HEADER_BYTES, sealed
from int3rceptor.store.journal.tail import Tail
from int3rceptor.store.locks import try_lock
from int3rceptor.store.records import (
    BodyPiece,
    BodyRecord,
    FlowRecord,
    decode_flow,
    encode,
)
from tests.support.disks import fill, small_disk
from tests.support.kept_flows import (
    CREATED,
    a_record,
    ahead,
    journal,
    take_in,
)

FLOWS = [
    a_record(1, host="api.example.com", content=b"one lazy dog"),
    a_record(2, host="api.example.com", method="POST", status=404),
    a_record(3, host="www.example.com", status=301, tags=["slow", 'odd"tag']),
    a_record(4, host="other.test", status=500, content=b"a lazier cat"),
    a_record(5, host="::1", status=404),
]

Place = Callable[[Path, list[FlowRecord]], None]


def in_journal(flows_dir: Path, records: list[FlowRecord]) -> None:
    journal(flows_dir, records)


def in_store(flows_dir: Path, records: list[FlowRecord]) -> None:
    journal(flows_dir, records, is_ended=True)
    assert take_in(flows_dir) == []


def settled(flows_dir: Path, records: list[FlowRecord]) -> None:
    journal(flows_dir, records, is_ended=True)
    assert take_in(flows_dir, settles=True) == []


def everywhere(flows_dir: Path, records: list[FlowRecord]) -> None:
    settled(flows_dir, records[:2])
    journal(flows_dir, records[2:3], name="2", is_ended=True)
    take_in(flows_dir)
    journal(flows_dir, records[3:], name="3")


@pytest.fixture(params=[in_journal, in_store, settled, everywhere])
def place(request: pytest.FixtureRequest) -> Place:
    chosen: Place = request.param
    return chosen


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (FlowFilter(), [5, 4, 3, 2, 1]),
        (FlowFilter(host="*.example.com"), [3, 2, 1]),
        (FlowFilter(host="API.example.com"), [2, 1]),
        (FlowFilter(host="example.com"), []),
        (FlowFilter(host="[::1]"), [5]),
        (FlowFilter(host="[::1]:443"), [5]),
        (FlowFilter(host="*:443"), [5, 4, 3, 2, 1]),
        (FlowFilter(host="*.test:444"), []),
        (FlowFilter(method="post"), [2]),
        (FlowFilter(method="GET"), [5, 4, 3, 1]),
        (FlowFilter(status="404"), [5, 2]),
        (FlowFilter(status="4xx", host="api.*"), [2]),
        (FlowFilter(since=CREATED + 4), [5, 4]),
        (FlowFilter(tag="slow"), [3]),
        (FlowFilter(tag='odd"tag'), [3]),
        (FlowFilter(tag="slo"), []),
        (FlowFilter(text="lazy"), [1]),
        (FlowFilter(text="LAZ"), [4, 1]),
        (FlowFilter(text="a lazier"), [4]),
        (FlowFilter(text="lazier a"), []),
        (FlowFilter(text='" OR *'), []),
        (FlowFilter(text="laz", status="5xx"), [4]),
        (FlowFilter(is_marked=True), []),
        (FlowFilter(is_marked=False), [5, 4, 3, 2, 1]),
    ],
    ids=repr,
)
def test_a_filter_means_the_same_wherever_a_flow_is(
    tmp_path: Path, place: Place, wanted: FlowFilter, ids: list[int]
) -> None:
    place(tmp_path, FLOWS)

    with open_store(tmp_path) as reader:
        assert [row.id for row in reader.rows(wanted)] == ids
        assert reader.count(wanted) == len(ids)


def test_rows_are_the_same_wherever_a_flow_is(tmp_path: Path, place: Place) -> None:
    in_journal(tmp_path / "a", FLOWS)
    place(tmp_path / "b", FLOWS)

    with open_store(tmp_path / "a") as one, open_store(tmp_path / "b") as other:
        assert one.rows() == other.rows()


def test_pages_neither_skip_nor_repeat(tmp_path: Path, place: Place) -> None:
    place(tmp_path, FLOWS)

    with open_store(tmp_path) as reader:
        pages = [
            [row.id for row in reader.rows(before=before, limit=2)]
            for before in (None, 4, 2)
        ]
        assert pages == [[5, 4], [3, 2], [1]]
        assert [row.id for row in reader.rows(after=3, before=5)] == [4]
        assert reader.last_id() == 5


def test_a_flow_comes_with_its_bodies_joined(tmp_path: Path, place: Place) -> None:
    place(tmp_path, FLOWS)
    pieces = [b"a" * 700, b"b" * 300]
    journal(tmp_path, ahead(a_record(9, content=b"end"), pieces), name="9")

    with open_store(tmp_path) as reader:
        first = reader.get(1)
        large = reader.get(9)
        assert reader.get(77) is None
        assert reader.body(9, "response", 699, 1002) == b"a" + b"b" * 300 + b"en"
        assert reader.body(1, "response", 4, 8) == b"lazy"
        assert reader.body(77, "response", 0, 9) == b""

    assert first == FLOWS[0]
    assert large is not None
    assert large.response_body.content == b"".join(pieces) + b"end"
    assert large.response_body.ahead == 0


def test_a_flow_whose_first_pieces_are_in_the_store(tmp_path: Path) -> None:
    first, second, last = ahead(a_record(9, content=b"3"), [b"1", b"2"])
    path = journal(tmp_path, [first])
    with path.open("rb") as writer:
        assert try_lock(writer.fileno())  # as the writer that lives
        take_in(tmp_path)
        journal(tmp_path, [second, last])

        with open_store(tmp_path) as reader:
            assert list(reader.tail().offsets.values()) == [8 + len(first)]
            record = reader.get(9)
            body = reader.body(9, "response", 1, 9)

    assert record is not None
    assert record.response_body.content == b"123"
    assert body == b"23"


@pytest.mark.parametrize("are_first_in_store", [False, True])
def test_an_empty_piece_voids_those_before_it(
    tmp_path: Path, are_first_in_store: bool
) -> None:
    void = sealed(BODY, encode(BodyPiece(id=9, side="response", data=b"")))
    old, new, flow = ahead(a_record(9, content=b"3"), [b"x", b"2"])
    record = decode_flow(bytes(flow[HEADER_BYTES:]))
    body = BodyRecord(size=2, ahead=1, content=b"3")
    path = journal(tmp_path, [old])
    with path.open("rb") as writer:
        assert try_lock(writer.fileno())  # as the writer that lives
        if are_first_in_store:
            take_in(tmp_path)
        journal(tmp_path, [void, new, replace(record, response_body=body)])

        with open_store(tmp_path) as reader:
            found = reader.get(9)

    assert found is not None
    assert found.response_body.content == b"23"


def test_nothing_is_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "nowhere") as reader:
        assert reader.rows() == []
        assert reader.count() == 0
        assert reader.last_id() == 0
        assert reader.get(1) is None
        assert reader.row(1) is None
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("rest", [b"\x07", sealed(FLOW, b"x" * 50)[:-1]])
def test_a_torn_end_of_the_journal_is_left_alone(tmp_path: Path, rest: bytes) -> None:
    path = journal(tmp_path, [*FLOWS, rest])
    size = path.stat().st_size

    with open_store(tmp_path) as reader:
        assert reader.count() == 5
    assert path.stat().st_size == size


def test_a_segment_that_goes_meanwhile_is_looked_for_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, FLOWS, is_ended=True)
    take_in(tmp_path)
    late = journal(tmp_path, [a_record(6)], name="2", is_ended=True)
    takes = []
    before = Tail.records

    def taken_in_first(tail: Tail) -> object:
        if not takes:
            takes.append(take_in(tmp_path))
            assert not late.exists()
        return before(tail)

    monkeypatch.setattr(Tail, "records", taken_in_first)

    with open_store(tmp_path) as reader:
        assert reader.count() == 6
        assert [row.id for row in reader.rows(limit=2)] == [6, 5]


def test_a_store_that_takes_anothers_place_is_read(tmp_path: Path) -> None:
    in_store(tmp_path, FLOWS)
    with open_store(tmp_path) as reader:
        assert reader.count() == 5
        for file in tmp_path.glob("store.sqlite*"):
            file.unlink()
        journal(tmp_path, [a_record(7)], name="2", is_ended=True)
        take_in(tmp_path)

        assert [row.id for row in reader.rows()] == [7]


@pytest.mark.parametrize("content", [b"no database" * 500, b"\0" * 8192])
def test_a_damaged_store_is_one_line(tmp_path: Path, content: bytes) -> None:
    in_store(tmp_path, FLOWS)
    for file in tmp_path.glob("store.sqlite-*"):
        file.unlink()
    (tmp_path / "store.sqlite").write_bytes(content)

    with (
        pytest.raises(ConfigError, match=r"is damaged|cannot read") as caught,
        open_store(tmp_path) as reader,
    ):
        reader.count()
    assert "\n" not in str(caught.value)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    in_store(tmp_path, FLOWS)
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.execute("PRAGMA user_version = 999")
    connection.close()

    with pytest.raises(ConfigError, match="newer"), open_store(tmp_path) as reader:
        reader.count()
    with pytest.raises(ConfigError, match="newer"):
        edits.delete(tmp_path, [1])


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (FlowFilter(since=CREATED + 3), [5, 4, 3]),
        (FlowFilter(status="4xx"), [5, 2]),
        (FlowFilter(since=CREATED + 3, status="4xx"), [5]),
    ],
    ids=repr,
)
def test_few_flows_are_found_by_another_index_with_the_same_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: FlowFilter, ids: list[int]
) -> None:
    in_store(tmp_path, FLOWS)
    for few in (0, 1_000):
        monkeypatch.setattr("int3rceptor.store.asking.stored.FEW", few)
        with open_store(tmp_path) as reader:
            assert [row.id for row in reader.rows(wanted)] == ids


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "4x"), ("status", "0xx"), ("status", "abc"), ("host", "a b")],
)
def test_a_filter_that_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: '{value}'"):
        FlowFilter(**{name: value})


def test_a_store_where_nobody_can_write_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_store(tmp_path, FLOWS)
    opened = []
    before = queries.open_reader

    def as_on_a_read_only_disk(
        path: Path, *, is_frozen: bool = False
    ) -> sqlite3.Connection:
        opened.append(is_frozen)
        if not is_frozen:
            raise sqlite3.OperationalError("unable to open database file")
        return before(path, is_frozen=True)

    monkeypatch.setattr(queries, "open_reader", as_on_a_read_only_disk)
    with pytest.raises(ConfigError, match="cannot read"), open_store(tmp_path) as one:
        one.count()  # the folder can be written to: it is something else
    monkeypatch.setattr(queries.os, "access", lambda *_: False)
    with open_store(tmp_path) as reader:
        assert reader.count() == 5
    assert opened == [False, False, True]


def test_a_store_on_a_full_disk_says_that_it_needs_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1024) as disk:
        in_store(disk / "flows", FLOWS)
        filler = fill(disk)
        full = rf"the disk of the store {disk / 'flows' / 'store.sqlite'} is full.*room"
        with open_store(disk / "flows") as reader:
            with pytest.raises(ConfigError, match=full):
                reader.count()
            filler.unlink()
            assert reader.count() == 5
            fill(disk)
            assert reader.count() == 5
            with pytest.raises(ConfigError, match=full):
                edits.delete(disk / "flows", [1])


# --- deleting and marking -----------------------------------------------------------


def test_delete_by_id(tmp_path: Path, place: Place) -> None:
    place(tmp_path, FLOWS)

    assert edits.delete(tmp_path, [1, 5, 99]) == 2

    with open_store(tmp_path) as reader:
        assert [row.id for row in reader.rows()] == [4, 3, 2]
        assert reader.get(1) is None


def test_delete_by_filter_leaves_marked_flows(tmp_path: Path, place: Place) -> None:
    place(tmp_path, FLOWS)
    assert edits.mark(tmp_path, 2, True)
    assert not edits.mark(tmp_path, 99, True)

    assert edits.delete(tmp_path, FlowFilter(status="4xx")) == 1

    with open_store(tmp_path) as reader:
        assert [row.id for row in reader.rows()] == [4, 3, 2, 1]
        assert [row.id for row in reader.rows(FlowFilter(is_marked=True))] == [2]
    assert edits.mark(tmp_path, 2, False)
    assert edits.delete(tmp_path, FlowFilter()) == 4
    with open_store(tmp_path) as reader:
        assert reader.count() == 0


def test_delete_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("int3rceptor.store.database.pruning.BATCH", 2)
    in_store(tmp_path, FLOWS)

    assert edits.delete(tmp_path, FlowFilter()) == 5


def test_delete_where_nothing_is(tmp_path: Path) -> None:
    assert edits.delete(tmp_path / "nowhere", [1]) == 0
    assert not edits.mark(tmp_path / "nowhere", 1, True)
    assert not (tmp_path / "nowhere").exists()


def test_what_nobody_takes_in_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, FLOWS)
    monkeypatch.setattr(edits, "TAKE_IN_S", 0.0)
    monkeypatch.setattr(edits, "STEP_S", 0.001)
    hub = Index(tmp_path, on_problem=print)
    assert hub.acquire()

    with pytest.raises(ConfigError, match="journal is not taken into the store"):
        edits.delete(tmp_path, [1])

    hub.close()
    assert edits.delete(tmp_path, [1]) == 1


# --- following ----------------------------------------------------------------------


def ids_of(follower: Follower) -> list[int]:
    return [row.id for row in follower.poll()]


def test_follows_from_now_on(tmp_path: Path, place: Place) -> None:
    place(tmp_path, FLOWS)

    with Follower(tmp_path, FlowFilter()) as follower:
        assert ids_of(follower) == []
        journal(tmp_path, [a_record(8)], name="9")
        journal(tmp_path, [a_record(7)], name="9")
        assert ids_of(follower) == [8, 7]
        assert ids_of(follower) == []
        journal(tmp_path, [a_record(10)], name="9")
        take_in(tmp_path)
        assert ids_of(follower) == [10]
        take_in(tmp_path, settles=True)
        assert ids_of(follower) == []


def test_follows_from_before_the_first_flow(tmp_path: Path) -> None:
    with Follower(tmp_path / "flows", FlowFilter(status="5xx")) as follower:
        assert ids_of(follower) == []
        journal(tmp_path / "flows", FLOWS)
        assert ids_of(follower) == [4]


def test_tells_what_passed_through_the_journal_between_two_looks(
    tmp_path: Path,
) -> None:
    with Follower(tmp_path, FlowFilter(host="api.*")) as follower:
        settled(tmp_path, FLOWS)
        assert not list((tmp_path / "journal").iterdir())
        assert ids_of(follower) == [1, 2]


def test_deleted_flows_bring_back_no_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("int3rceptor.store.asking.follow.WINDOW", 2)
    in_store(tmp_path, FLOWS)

    with Follower(tmp_path, FlowFilter()) as follower:
        edits.delete(tmp_path, [4, 5])
        assert ids_of(follower) == []


def test_follows_by_text(tmp_path: Path) -> None:
    with Follower(tmp_path, FlowFilter(text="lazy")) as follower:
        journal(tmp_path, FLOWS)
        assert ids_of(follower) == [1]


def test_changes_faster_than_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = map("{}.journal".format, itertools.count())
    monkeypatch.setattr(queries, "segment_names", lambda _: [next(names)])

    with (
        pytest.raises(ConfigError, match="try again"),
        open_store(tmp_path) as reader,
    ):
        reader.count()


def test_a_store_that_is_about_to_be_made_hides_no_flow(tmp_path: Path) -> None:
    in_journal(tmp_path, [a_record(1)])
    (tmp_path / queries.STORE_NAME).touch()

    with open_store(tmp_path) as reader:
        assert [row.id for row in reader.rows()] == [1]
        (tmp_path / queries.STORE_NAME).unlink()
        in_store(tmp_path, [a_record(2)])
        assert [row.id for row in reader.rows()] == [2, 1]
