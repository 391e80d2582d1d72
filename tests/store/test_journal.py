import errno
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from int3rceptor.store.journal import journal as journal_module
from int3rceptor.store.journal.framing import (
    BODY,
    END,
    FLOW,
    MAGIC,
    MAX_RECORD_BYTES,
    Tail,
    read_records,
)
from int3rceptor.store.journal.journal import LOOK_S, Journal
from int3rceptor.store.journal.segment import JOURNAL_FOLDER, UNNAMED_EXPIRY_S
from int3rceptor.store.journal.slow_disk import MAX_WAITING_BYTES, QUICK_WRITES, SLOW_S
from int3rceptor.store.locks import try_lock
from int3rceptor.store.records import (
    BodyPiece,
    BodyRecord,
    FlowRecord,
    decode_flow,
    decode_piece,
)
from int3rceptor.store.trouble import CALM_S, RETRY_FIRST_S, RETRY_MAX_S
from tests.store.test_ids import Clock, Taker
from tests.support.disks import fill, small_disk
from tests.support.patience import PATIENT_S
from tests.support.process import unmeasured

PLENTY = 1 << 40


def flow_record(number: int, content: bytes = b"", **fields: object) -> FlowRecord:
    record = FlowRecord(
        id=number,
        kind="http",
        created=1_700_000_000.5,
        head_s=0.25,
        total_s=0.5,
        client=("127.0.0.1", 50_000),
        connect=("example.test", 443),
        client_tls=None,
        origin=None,
        method="GET",
        scheme="https",
        host="example.test",
        port=443,
        target=b"/path?x=\xff",
        authority="example.test",
        version="HTTP/1.1",
        status=200,
        request_received=b"GET / HTTP/1.1\r\n",
        request_sent=b"",
        response_received=b"",
        response_sent=b"",
        informational=[],
        request_body=BodyRecord(),
        response_body=BodyRecord(size=len(content), content=content),
        request_trailers=b"",
        response_trailers=b"",
        error="",
        changes=[("on_request", "someone", "+ x: y")],
        tags=["one"],
        rule="",
        bytes_up=0,
        bytes_down=len(content),
        is_redacted=False,
    )
    return msgspec.structs.replace(record, **fields)


class Disk:
    """Writes for real, unless told otherwise."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.error: OSError | None = None
        self.at_most: int | None = None
        self.takes_nothing = False
        self.calls = 0

    def __call__(self, descriptor: int, data: bytes) -> int:
        self.calls += 1
        if self.takes_nothing:
            return 0
        if self.at_most is not None:
            data, self.at_most = data[: self.at_most], None
            return os.write(descriptor, data)
        if self.error is not None:
            raise self.error
        return os.write(descriptor, data)


class Kept:
    """A journal with its surroundings, and what can be read of it."""

    def __init__(
        self,
        folder: Path,
        disk: type["Disk"] = Disk,
        **limits: int,
    ) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.clock = Clock()
        self.disk = disk(self.clock)
        self.journal = Journal(
            folder,
            on_problem=self.told.append,
            write=self.disk,
            clock=self.clock,
            **{"max_bytes": PLENTY, **limits},
        )

    def add(self, count: int = 1, content: bytes = b"") -> list[int]:
        """Append flows; the numbers of those that were kept."""
        numbers = [self.journal.next_id() for _ in range(count)]
        append = self.journal.append_flows
        return [one for one in numbers if append([flow_record(one, content)])]

    @property
    def segments(self) -> list[Path]:
        return sorted((self.folder / JOURNAL_FOLDER).iterdir())

    def read(self) -> list[int]:
        return flow_numbers(self.folder)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "flows", segment_bytes=2_000)
    yield kept
    kept.disk.error = None
    kept.journal.close()


def records_of(segment: Path) -> tuple[list[tuple[int, bytes]], Tail]:
    with segment.open("rb") as file:
        records = read_records(file)
        return [(kind, payload) for _, kind, payload in records], records.tail


def flow_numbers(folder: Path) -> list[int]:
    """The numbers of all whole flows, in the order in which they were written."""
    return [
        decode_flow(payload).id
        for segment in sorted((folder / JOURNAL_FOLDER).iterdir())
        for kind, payload in records_of(segment)[0]
        if kind == FLOW
    ]


def tails(kept: Kept) -> list[Tail]:
    return [records_of(segment)[1] for segment in kept.segments]


def is_locked(segment: Path) -> bool:
    descriptor = os.open(segment, os.O_RDONLY)
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def test_what_is_appended_is_read(kept: Kept) -> None:
    record = flow_record(kept.journal.next_id(), b"content")
    assert kept.journal.append_piece(record.id, "response", b"ahead")
    assert kept.journal.append_flows([record])

    (segment,) = kept.segments
    (first, piece), (second, flow) = records_of(segment)[0]
    assert (first, second) == (BODY, FLOW)
    assert decode_piece(piece) == BodyPiece(record.id, "response", b"ahead")
    assert decode_flow(flow) == record
    assert (kept.journal.kept, kept.journal.not_kept) == (1, 0)
    assert kept.journal.written_bytes == segment.stat().st_size - len(MAGIC)


def test_a_segment_is_locked_until_it_ends(kept: Kept) -> None:
    kept.add()
    (segment,) = kept.segments

    assert is_locked(segment)
    assert records_of(segment)[1] is Tail.OPEN
    kept.journal.close()
    assert not is_locked(segment)
    assert records_of(segment)[1] is Tail.ENDED


def test_after_the_end_nothing_is_kept(kept: Kept) -> None:
    first = kept.add()
    kept.journal.close()

    assert kept.add() == []
    assert kept.journal.not_kept == 1
    assert kept.read() == first
    assert len(kept.segments) == 1


def test_files_are_private_and_named(kept: Kept) -> None:
    kept.add()
    (segment,) = kept.segments
    time_ns, dash, rest = segment.name.partition("-")

    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE(segment.parent.stat().st_mode) == 0o700
    assert (len(time_ns), dash, rest) == (20, "-", f"{os.getpid()}.journal")


def test_nothing_is_made_for_nothing(kept: Kept) -> None:
    kept.journal.close()

    assert not kept.folder.exists()


def test_segments_rotate_by_size(kept: Kept) -> None:
    numbers = kept.add(50)
    segments = kept.segments

    assert len(segments) > 5
    assert all(segment.stat().st_size <= 2_000 for segment in segments)
    assert tails(kept) == [*[Tail.ENDED] * (len(segments) - 1), Tail.OPEN]
    assert [is_locked(segment) for segment in segments].count(True) == 1
    assert kept.read() == numbers


def test_a_record_larger_than_a_segment_has_its_own(kept: Kept) -> None:
    numbers = kept.add() + kept.add(content=bytes(10_000)) + kept.add()

    assert kept.read() == numbers
    assert len(kept.segments) == 3


def test_names_rise_when_the_clock_is_set_back(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(1_000, 0, -1))
    monkeypatch.setattr(
        "int3rceptor.store.journal.writer.time.time_ns", lambda: next(times)
    )
    numbers = kept.add(50)

    assert kept.read() == numbers


def test_two_journals_of_one_process_in_the_same_nanosecond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("int3rceptor.store.journal.writer.time.time_ns", lambda: 5)
    one, other = Kept(tmp_path), Kept(tmp_path)
    numbers = one.add() + other.add()
    one.journal.close()
    other.journal.close()

    assert one.read() == numbers
    assert tails(one) == [Tail.ENDED, Tail.ENDED]


def test_remnants_of_killed_processes_are_swept(kept: Kept) -> None:
    folder = kept.folder / JOURNAL_FOLDER
    folder.mkdir(parents=True)
    old, new = folder / "1-1.journal.new", folder / "2-1.journal.new"
    old.touch()
    new.touch()
    long_ago = old.stat().st_mtime - 2 * UNNAMED_EXPIRY_S
    os.utime(old, (long_ago, long_ago))
    kept.add()

    assert not old.exists()
    assert new.exists()
    new.unlink()


def test_the_budget_is_for_the_whole_directory(tmp_path: Path) -> None:
    kept = Kept(tmp_path, segment_bytes=2_000, max_bytes=10_000)
    first = kept.add(100)
    total = sum(segment.stat().st_size for segment in kept.segments)

    assert 8_000 < total <= 10_000
    assert kept.read() == first
    assert (kept.journal.kept, kept.journal.not_kept) == (len(first), 100 - len(first))
    assert len(kept.told) == 1
    assert "store.max_journal_bytes" in kept.told[0]
    assert kept.journal.problem == kept.told[0]
    # All of it may be taken: no writer holds a part of it.
    assert tails(kept) == [Tail.ENDED] * len(kept.segments)

    kept.segments[0].unlink()
    assert kept.add() == []  # looked at in pauses, not for each flow
    kept.clock.now += RETRY_MAX_S
    assert len(kept.add()) == 1
    assert kept.journal.problem == ""
    assert len(kept.told) == 2
    assert f"{kept.journal.not_kept}" in kept.told[1]
    kept.journal.close()


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_once_and_costs_nothing(kept: Kept) -> None:
    full = os.open(FULL, os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left") as caught:
            os.write(full, b"x")
    finally:
        os.close(full)
    first = kept.add(2)
    kept.disk.error = caught.value
    calls = kept.disk.calls

    assert kept.add(100) == []
    assert kept.disk.calls == calls + 1
    assert kept.journal.not_kept == 100
    (told,) = kept.told
    assert str(kept.folder / JOURNAL_FOLDER) in told
    assert "No space left" in told
    assert "free space" in told

    for _ in range(5):
        kept.clock.now += RETRY_MAX_S
        assert kept.add() == []
    assert kept.told == [told]
    kept.disk.error = None
    kept.clock.now += RETRY_MAX_S
    later = kept.add(2)
    assert len(kept.told) == 2
    assert "105" in kept.told[1]
    assert kept.read() == first + later


def test_pauses_grow_while_it_goes_on_failing(kept: Kept) -> None:
    kept.disk.error = OSError(errno.EIO, "Input/output error")
    tries = []
    for tick in range(300):
        kept.clock.now += 0.1
        calls = kept.disk.calls
        kept.add()
        if kept.disk.calls > calls:
            tries.append(tick)
    gaps = [later - one for one, later in itertools.pairwise(tries)]

    assert len(tries) < 10
    assert gaps == sorted(gaps)
    assert len(kept.told) == 1


def test_after_a_calm_time_the_first_pause_is_short_again(kept: Kept) -> None:
    for _ in range(10):
        kept.disk.error = OSError(errno.EIO, "Input/output error")
        kept.add()
        kept.disk.error = None
        kept.clock.now += RETRY_MAX_S
        assert kept.add()
    kept.clock.now += 2 * CALM_S
    kept.disk.error = OSError(errno.EIO, "Input/output error")
    kept.add()
    kept.disk.error = None
    kept.clock.now += RETRY_FIRST_S

    assert kept.add()


def test_flapping_is_told_at_most_once_in_a_pause(kept: Kept) -> None:
    for tick in range(600):
        kept.clock.now += 0.1
        kept.disk.error = OSError(errno.EIO, "Input/output error") if tick % 2 else None
        kept.add()

    assert len(kept.told) < 2 * (60 / RETRY_MAX_S + 6)


def test_a_short_write_is_completed(kept: Kept) -> None:
    kept.add()
    kept.disk.at_most = 20
    numbers = kept.add(2)

    assert kept.read() == [1, *numbers]
    assert kept.told == []


def test_a_disk_that_takes_nothing_and_says_nothing(kept: Kept) -> None:
    first = kept.add()
    kept.disk.takes_nothing = True

    assert kept.add() == []
    assert "Input/output error" in kept.told[0]
    assert kept.read() == first
    kept.disk.takes_nothing = False


@pytest.mark.parametrize("written", [0, 1, 8, 9, 100])
def test_nothing_is_left_of_a_record_that_did_not_fit(kept: Kept, written: int) -> None:
    first = kept.add(2)
    kept.disk.at_most = written
    kept.disk.error = OSError(errno.ENOSPC, "No space left on device")

    assert kept.add() == []
    assert kept.read() == first
    assert tails(kept) == [Tail.OPEN]
    assert not is_locked(kept.segments[0])  # the reader may make room


def test_flows_that_are_kept_at_once_are_one_write(kept: Kept) -> None:
    kept.add()
    calls = kept.disk.calls
    numbers = [kept.journal.next_id() for _ in range(3)]
    assert kept.journal.append_flows([flow_record(one) for one in numbers])

    assert kept.disk.calls == calls + 1
    assert kept.read() == [1, *numbers]
    assert kept.journal.kept == 4


@pytest.mark.parametrize("written", [0, 1, 400])
def test_of_flows_that_did_not_fit_together_none_is_left(
    kept: Kept, written: int
) -> None:
    first = kept.add(2)
    kept.disk.at_most = written
    kept.disk.error = OSError(errno.ENOSPC, "No space left on device")
    numbers = [kept.journal.next_id() for _ in range(3)]

    assert not kept.journal.append_flows([flow_record(one) for one in numbers])
    assert kept.read() == first
    assert tails(kept) == [Tail.OPEN]
    assert kept.journal.not_kept == 3


def test_what_cannot_be_kept_takes_nothing_with_it(kept: Kept) -> None:
    numbers = [kept.journal.next_id() for _ in range(2)]
    records = [
        flow_record(numbers[0]),
        flow_record(-1),
        flow_record(kept.journal.next_id(), bytes(MAX_RECORD_BYTES)),
        flow_record(numbers[1]),
    ]

    assert not kept.journal.append_flows(records)
    assert kept.read() == numbers
    assert (kept.journal.kept, kept.journal.not_kept) == (2, 2)


def test_a_segment_that_cannot_begin_leaves_no_file(kept: Kept) -> None:
    kept.disk.error = OSError(errno.ENOSPC, "No space left on device")
    kept.add()

    assert kept.segments == []


def test_a_segment_that_holds_nothing_leaves_no_file(kept: Kept) -> None:
    kept.disk.at_most = len(MAGIC)
    kept.disk.error = OSError(errno.ENOSPC, "No space left on device")
    kept.add()

    assert kept.segments == []


def test_an_end_that_cannot_be_written_loses_nothing(kept: Kept) -> None:
    numbers = kept.add(3)
    kept.disk.error = OSError(errno.ENOSPC, "No space left on device")
    kept.journal.close()

    assert kept.read() == numbers
    assert tails(kept) == [Tail.OPEN]
    assert not is_locked(kept.segments[0])


def test_a_directory_that_was_removed_is_made_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "flows", segment_bytes=500)
    kept.add()
    for segment in kept.segments:
        segment.unlink()
    (kept.folder / JOURNAL_FOLDER).rmdir()
    kept.add(3)
    kept.journal.close()

    assert kept.read()[-1] == 4


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_segment_that_is_taken_away_is_noticed(kept: Kept, is_moved: bool) -> None:
    elsewhere = kept.folder.with_name("elsewhere")
    numbers = kept.add(3)
    if is_moved:
        kept.folder.rename(elsewhere)
    else:
        shutil.rmtree(kept.folder)
    kept.clock.now += LOOK_S
    # This flow had its number before anyone could know.
    numbers += kept.add(2)
    kept.clock.now += LOOK_S
    numbers += kept.add()

    assert kept.read() == numbers[3:]
    assert len(set(numbers)) == 6
    [told] = kept.told
    assert told.startswith(f"the journal in {kept.folder / 'journal'} was removed")
    # Another process, or a later run, gives out none of them again.
    assert min(Taker(kept.folder).take(1)) > max(numbers)
    if is_moved:
        assert flow_numbers(elsewhere) == numbers[:3]
        assert records_of(next((elsewhere / "journal").iterdir()))[1] is Tail.ENDED


def test_a_segment_that_cannot_be_looked_at_is_taken_to_be_there(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = kept.add(3)

    def denied(*_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    kept.clock.now += LOOK_S
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", denied)
        numbers += kept.add(1)

    assert kept.read() == numbers
    assert len(kept.segments) == 1
    assert kept.told == []


SMALL_FILES = """
import resource, sys
from pathlib import Path
from int3rceptor.store.journal.journal import Journal
from tests.store.test_journal import flow_record
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
told = []
now = [0.0]
journal = Journal(
    Path(sys.argv[1]), max_bytes=1 << 40, on_problem=told.append, clock=lambda: now[0]
)
kept = []
for _ in range(100):
    number = journal.next_id()
    if journal.append_flows([flow_record(number, b"x" * 300)]):
        kept.append(number)
    now[0] += 1
journal.close()
print(*kept)
print(journal.kept, journal.not_kept)
print(*told, sep="\\n")
"""


def run(script: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENT_S,
        check=False,
        cwd=Path(__file__).parents[2],
        env=unmeasured(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_file_that_cannot_grow(tmp_path: Path) -> None:
    numbers, counters, *told = run(SMALL_FILES, str(tmp_path))
    kept = list(map(int, numbers.split()))
    segments = sorted((tmp_path / JOURNAL_FOLDER).iterdir())

    assert flow_numbers(tmp_path) == kept
    assert counters == f"{len(kept)} {100 - len(kept)}"
    assert 0 < len(kept) < 100
    assert any("File too large" in line for line in told)
    assert {records_of(segment)[1] for segment in segments} <= {Tail.OPEN, Tail.ENDED}


@pytest.fixture(name="small_disk")
def disk_of_64_kib(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 64) as disk:
        yield disk


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    kept = Kept(small_disk / "flows", segment_bytes=16_000)
    numbers = kept.add(100, bytes(1_000))

    assert 20 < len(numbers) < 70
    assert kept.read() == numbers
    assert "No space left" in kept.told[0]
    assert len(kept.told) == 1

    # The reader is done with a segment, and there is room again.
    assert not any(map(is_locked, kept.segments))
    kept.segments[0].unlink()
    kept.clock.now += RETRY_MAX_S
    later = kept.add(3, bytes(1_000))
    assert len(later) == 3
    assert kept.read()[-3:] == later
    kept.journal.close()


def test_a_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    filler = fill(small_disk)
    kept = Kept(small_disk / "flows")

    assert kept.add(10) == []
    assert kept.journal.not_kept == 10
    assert len(kept.told) == 1
    filler.unlink()
    kept.clock.now += RETRY_MAX_S
    assert kept.add(2) == [1, 2]
    assert kept.journal.problem == ""
    kept.journal.close()


def test_a_disk_that_becomes_read_only(small_disk: Path) -> None:
    kept = Kept(small_disk / "flows", segment_bytes=1_000)
    first = kept.add(2)
    kept.journal.close()
    kept = Kept(small_disk / "flows")
    remount = ["mount", "-o", "remount", "tmpfs", str(small_disk)]
    subprocess.run([*remount[:2], "remount,ro", *remount[3:]], check=True)
    try:
        assert kept.add(5) == []
        assert kept.journal.not_kept == 5
        assert "Read-only file system" in kept.journal.problem
        assert len(kept.told) == 1
    finally:
        subprocess.run([*remount[:2], "remount,rw", *remount[3:]], check=True)
    kept.clock.now += RETRY_MAX_S
    later = kept.add(2)
    assert kept.read() == first + later
    assert [first, later] == [[1, 2], [1_001, 1_002]]
    kept.journal.close()


NOT_OURS = """
import os, sys
from pathlib import Path
from int3rceptor.store.journal.journal import Journal
from tests.store.test_journal import flow_record
if os.geteuid() == 0:
    os.setuid(65534)
now = [0.0]
journal = Journal(
    Path(sys.argv[1]), max_bytes=1 << 40, on_problem=print, clock=lambda: now[0]
)
for _ in range(3):
    print(journal.append_flows([flow_record(journal.next_id())]))
print(journal.not_kept, flush=True)
sys.stdin.readline()
now[0] += 60
print(journal.append_flows([flow_record(journal.next_id())]))
journal.close()
"""


def test_a_directory_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with subprocess.Popen(
            [sys.executable, "-c", NOT_OURS, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdin
            assert writer.stdout
            lines = [writer.stdout.readline().strip() for _ in range(5)]
            Path(folder).chmod(0o777)
            writer.stdin.write("\n")
            writer.stdin.flush()
            lines += writer.stdout.read().splitlines()

        assert "Permission denied" in lines[0]
        assert folder in lines[0]
        assert lines[1:5] == ["False", "False", "False", "3"]
        assert "again" in lines[5]
        assert lines[6:] == ["True"]
        assert flow_numbers(Path(folder)) == [1]


WRITE_FAST = """
import sys
from pathlib import Path
from int3rceptor.store.journal.journal import Journal
from tests.store.test_journal import flow_record
journal = Journal(
    Path(sys.argv[1]), max_bytes=1 << 40, on_problem=print, segment_bytes=20_000
)
while True:
    number = journal.next_id()
    if journal.append_flows([flow_record(number, b"x" * (number % 3_000))]):
        print(number, flush=True)
"""


def test_kill_9_loses_no_acknowledged_flow(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for round_number in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_FAST, str(tmp_path)],
            stdout=subprocess.PIPE,
            encoding="ascii",
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdout
            lines = [writer.stdout.readline() for _ in range(1 + 197 * round_number)]
            writer.kill()
            *whole, _ = writer.stdout.read().split("\n")
            acknowledged += map(int, lines + whole)
    found = flow_numbers(tmp_path)

    assert len(acknowledged) > 1_000
    assert set(acknowledged) <= set(found)
    assert len(set(found)) == len(found)
    # At most the one per round that was written and not told of any more.
    assert len(found) - len(acknowledged) <= 6
    segments = sorted((tmp_path / JOURNAL_FOLDER).glob("*.journal"))
    assert not any(map(is_locked, segments))


def test_numbers_that_could_not_be_taken_are_not_kept(kept: Kept) -> None:
    kept.folder.parent.mkdir(exist_ok=True)
    kept.folder.touch()
    numbers = [kept.journal.next_id() for _ in range(3)]

    assert numbers == [-1, -2, -3]
    assert not kept.journal.append_piece(-1, "request", b"data")
    assert not any(kept.journal.append_flows([flow_record(one)]) for one in numbers)
    assert kept.journal.not_kept == 3
    assert len(kept.told) == 1
    kept.folder.unlink()


def test_strings_that_are_no_text_are_kept_as_escapes(kept: Kept) -> None:
    record = flow_record(
        1,
        host="a\udcff.test",
        error="lone \ud800",
        connect=("\udcfe", 1),
        tags=["\udcfd"],
        changes=[("on_request", "x", "+ y: \udc80")],
    )
    assert kept.journal.append_flows([record])

    (_, payload) = records_of(kept.segments[0])[0][0]
    found = decode_flow(payload)
    assert found.host == r"a\udcff.test"
    assert found.error == r"lone \ud800"
    assert found.connect == (r"\udcfe", 1)
    assert found.tags == [r"\udcfd"]
    assert found.changes == [("on_request", "x", r"+ y: \udc80")]
    assert found.target == record.target


def test_a_record_that_is_too_large_is_refused(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_RECORD_BYTES", 1_000)
    numbers = kept.add() + kept.add(2, bytes(1_000)) + kept.add()

    assert kept.read() == numbers == [1, 4]
    assert kept.journal.not_kept == 2
    assert len(kept.told) == 1


class SlowDisk(Disk):
    """The first write seems to take long; later ones wait until it is `open`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.open = threading.Event()

    def __call__(self, descriptor: int, data: bytes) -> int:
        if threading.current_thread() is not threading.main_thread():
            assert self.open.wait(10)
        elif not self.open.is_set():
            self.clock.now += 2 * SLOW_S
        return super().__call__(descriptor, data)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "flows", SlowDisk)
    yield kept
    opened(kept).set()
    kept.journal.close()


def slow_disk_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if "slow disk" in one.name]


def opened(kept: Kept) -> threading.Event:
    assert isinstance(kept.disk, SlowDisk)
    return kept.disk.open


def test_a_slow_disk_does_not_hold_us_up(slow: Kept) -> None:
    numbers = slow.add(50)  # would never return

    assert len(numbers) == 50
    assert slow.read() == numbers[:1]
    assert len(slow.told) == 1
    assert "slow" in slow.journal.problem
    opened(slow).set()
    slow.journal.close()
    assert slow.read() == numbers
    assert tails(slow) == [Tail.ENDED]
    assert (slow.journal.kept, slow.journal.not_kept) == (50, 0)


def test_without_a_thread_it_goes_on_in_this_one(
    slow: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(journal_module, "Backlog", no_thread)
    numbers = slow.add(3)

    assert slow.read() == numbers == [1, 2, 3]
    assert slow.told == []


def test_what_waits_for_a_slow_disk_is_bounded(slow: Kept) -> None:
    slow.add()
    piece = bytes(1024 * 1024)
    taken = 0
    while slow.journal.append_piece(1, "response", piece):
        taken += 1

    assert taken == MAX_WAITING_BYTES // len(piece) - 1
    assert slow.add(3, piece) == []
    assert slow.journal.not_kept == 3
    assert len(slow.told) == 2
    assert "not kept until" in slow.journal.problem
    opened(slow).set()
    slow.journal.close()
    kinds = [kind for kind, _ in records_of(slow.segments[0])[0]]
    assert kinds == [FLOW, *[BODY] * taken, END][: len(kinds)]


def test_quick_again_it_writes_by_itself(slow: Kept) -> None:
    numbers = slow.add()
    opened(slow).set()
    while slow.journal.problem:  # bounded by the time-out of the test
        threading.Event().wait(0.001)
        numbers += slow.add()

    assert len(numbers) > QUICK_WRITES
    assert "quick again" in slow.told[1]
    assert not slow_disk_threads()
    assert slow.read() == numbers


def test_quick_again_under_load(slow: Kept) -> None:
    numbers = slow.add(2)
    opened(slow).set()
    while "quick again" not in slow.told[-1]:
        numbers += slow.add()  # never lets the thread run by itself

    assert slow.journal.not_kept == 0
    assert slow.read() == numbers


def test_what_was_accepted_is_written_in_order_or_nothing_after_it(slow: Kept) -> None:
    numbers = slow.add()
    slow.disk.error = OSError(errno.ENOSPC, "No space left on device")
    numbers += slow.add(20)
    opened(slow).set()
    while slow.disk.calls < 2:  # bounded by the time-out of the test
        threading.Event().wait(0.001)
    slow.disk.error = None
    slow.clock.now += RETRY_MAX_S
    numbers += slow.add(20)
    while slow.journal.kept < len(numbers):
        threading.Event().wait(0.001)
    slow.journal.close()

    assert slow.read() == numbers
    assert slow.journal.not_kept == 0


def test_at_the_end_a_failing_disk_is_not_waited_for(slow: Kept) -> None:
    kept = slow.add()
    slow.disk.error = OSError(errno.EIO, "Input/output error")
    slow.add(20)
    opened(slow).set()
    slow.journal.close()

    assert slow.read() == kept
    assert slow.journal.not_kept == 20


def test_at_the_end_a_dead_disk_is_not_waited_for(
    slow: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "CLOSE_S", 0.05)
    slow.add(5)
    slow.journal.close()

    assert slow.journal.kept == 1
    assert slow.journal.not_kept == 4
    (thread,) = slow_disk_threads()
    opened(slow).set()
    thread.join(5)
    assert not thread.is_alive()
