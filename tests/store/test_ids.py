import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.store.journal.ids import (
    BLOCK,
    IDS_FILE,
    SHARED_BLOCK,
    Ids,
    make_durable,
)
from int3rceptor.store.locks import try_lock
from int3rceptor.store.trouble import RETRY_MAX_S, Trouble, new_notices
from tests.support.patience import PATIENT_S

EPOCH_MS = 1_600_000_000_000


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Taker:
    """Ids with what they reported."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.notices = new_notices()
        self.ids = Ids(directory, self.notices, Trouble(self.notices, self.clock))

    def take(self, count: int) -> list[int]:
        return [self.ids.next() for _ in range(count)]


def test_numbers_rise_from_one(tmp_path: Path) -> None:
    taker = Taker(tmp_path / "flows")

    assert taker.take(2 * BLOCK + 5) == list(range(1, 2 * BLOCK + 6))
    assert not taker.notices


def test_a_later_run_goes_on_above(tmp_path: Path) -> None:
    first = Taker(tmp_path).take(3)
    later = Taker(tmp_path).take(3)

    assert later == [BLOCK + 1, BLOCK + 2, BLOCK + 3]
    assert max(first) < min(later)


def test_two_in_one_process_share_none(tmp_path: Path) -> None:
    one, other = Taker(tmp_path), Taker(tmp_path)
    taken = [taker.ids.next() for _ in range(3 * BLOCK) for taker in (one, other)]

    assert len(set(taken)) == len(taken)


def test_file_is_private(tmp_path: Path) -> None:
    Taker(tmp_path / "flows").take(1)

    assert stat.S_IMODE((tmp_path / "flows").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "flows" / IDS_FILE).stat().st_mode) == 0o600


TAKE = """
import sys
from pathlib import Path
from int3rceptor.store.journal.ids import Ids
from int3rceptor.store.trouble import Trouble, new_notices
notices = new_notices()
ids = Ids(Path(sys.argv[1]), notices, Trouble(notices, lambda: 0.0))
print("ready", flush=True)
sys.stdin.readline()
print(*[ids.next() for _ in range(100_000)])
print(*notices)
"""


def test_processes_at_once_share_none(tmp_path: Path) -> None:
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )
        for _ in range(3)
    ]
    for taker in takers:
        assert taker.stdout
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin
        taker.stdin.write("go\n")
        taker.stdin.flush()
    outputs = [taker.communicate(timeout=PATIENT_S)[0].split("\n") for taker in takers]
    taken = [list(map(int, output[0].split())) for output in outputs]

    assert [output[1] for output in outputs] == ["", "", ""]
    for numbers in taken:
        assert numbers == sorted(numbers)
        assert numbers[0] > 0
    assert len(set().union(*taken)) == 300_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 21,
        b"00000000000000001001",
        b"00000000000000000000\n",
        b"99999999999999999999\n",
        b"1001\n",
        b"00000000000000001001\nx",
        b"-0000000000000001001\n",
        b"garbage",
    ],
)
@pytest.mark.parametrize("beside", ["store.sqlite", "journal/1-2.journal"])
def test_a_damaged_file_gives_no_number_again(
    tmp_path: Path, content: bytes, beside: str
) -> None:
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).touch()
    (tmp_path / IDS_FILE).write_bytes(content)
    taker = Taker(tmp_path)
    numbers = taker.take(BLOCK + 1)

    assert EPOCH_MS < numbers[0] <= time.time_ns() // 1_000_000
    assert numbers == list(range(numbers[0], numbers[0] + BLOCK + 1))
    assert len(taker.notices) == 1
    assert str(tmp_path / IDS_FILE) in taker.notices[0]
    assert Taker(tmp_path).take(1) == [numbers[0] + 2 * BLOCK]


def test_a_lost_file_gives_no_number_again(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch()

    assert Taker(tmp_path).take(1)[0] > EPOCH_MS


def test_an_empty_file_where_nothing_was_kept_is_a_fresh_one(tmp_path: Path) -> None:
    # A full disk lets a file be made and not written.
    (tmp_path / IDS_FILE).touch()

    assert Taker(tmp_path).take(1) == [1]


def test_a_file_that_was_set_back_gives_no_number_again(tmp_path: Path) -> None:
    taker = Taker(tmp_path)
    taken = taker.take(BLOCK)
    (tmp_path / IDS_FILE).write_bytes(b"%020d\n" % 1)

    assert taker.ids.next() == max(taken) + 1


def test_a_stopped_process_does_not_stop_us(tmp_path: Path) -> None:
    taker = Taker(tmp_path)
    descriptor = os.open(tmp_path / IDS_FILE, os.O_RDWR | os.O_CREAT)
    assert try_lock(descriptor)

    assert taker.take(3) == [-1, -2, -3]
    assert len(taker.notices) == 1
    assert "another process keeps it locked" in taker.ids.trouble.text

    os.close(descriptor)
    assert taker.take(1) == [-4]  # not tried again at once
    taker.clock.now += RETRY_MAX_S
    assert taker.take(2) == [1, 2]
    assert taker.ids.trouble.text == ""
    assert len(taker.notices) == 2


def test_a_file_in_the_directorys_place(tmp_path: Path) -> None:
    (tmp_path / "flows").touch()
    taker = Taker(tmp_path / "flows")

    assert taker.take(1) == [-1]
    assert str(tmp_path / "flows" / IDS_FILE) in taker.notices[0]


def test_durable_with_and_without_a_file(tmp_path: Path) -> None:
    make_durable(tmp_path)
    Taker(tmp_path).take(1)
    make_durable(tmp_path)

    assert Taker(tmp_path).take(1) == [BLOCK + 1]


def test_what_is_given_back_is_taken_again(tmp_path: Path) -> None:
    one, other = Taker(tmp_path), Taker(tmp_path)
    taken = []
    for taker in (one, other, one, one, other):
        taken += taker.take(2)
        taker.ids.give_back()

    assert taken == list(range(1, 11))


def test_what_others_have_gone_beyond_is_not_given_back(tmp_path: Path) -> None:
    one, other = Taker(tmp_path), Taker(tmp_path)
    assert one.take(1) == [1]
    assert other.take(1) == [BLOCK + 1]
    one.ids.give_back()

    assert one.take(1) == [2 * BLOCK + 1]
    assert other.take(1) == [BLOCK + 2]


def test_giving_back_twice_or_without_a_file_does_nothing(tmp_path: Path) -> None:
    taker = Taker(tmp_path / "flows")
    taker.ids.give_back()
    assert not (tmp_path / "flows").exists()
    taker.take(3)
    taker.ids.give_back()
    taker.ids.give_back()
    (tmp_path / "flows" / IDS_FILE).unlink()
    assert min(taker.take(1)) > 3


def test_what_a_link_leads_to_is_not_written(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.write_text("something that is somebody's")
    (tmp_path / IDS_FILE).symlink_to(chosen)
    taker = Taker(tmp_path)

    assert taker.take(2) == [-1, -2]
    assert str(tmp_path / IDS_FILE) in taker.ids.trouble.text
    assert chosen.read_text() == "something that is somebody's"


def test_numbers_that_cannot_be_given_back_are_left_alone(tmp_path: Path) -> None:
    taker = Taker(tmp_path)
    taker.take(3)
    with (tmp_path / IDS_FILE).open("rb") as held:
        assert try_lock(held.fileno())
        taker.ids.give_back()
    (tmp_path / IDS_FILE).chmod(0o600)

    assert taker.take(2) == [BLOCK + 1, BLOCK + 2]
    assert not taker.notices


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(1, 70))),
        max_size=30,
    )
)
def test_no_number_is_handed_out_twice_whoever_gives_back(
    steps: list[tuple[int, int | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        notices = new_notices()
        all_ = [
            Ids(Path(folder), notices, Trouble(notices, Clock()), SHARED_BLOCK)
            for _ in range(3)
        ]
        taken: list[list[int]] = [[], [], []]
        for which, count in steps:
            if count is None:
                all_[which].give_back()
            else:
                taken[which] += [all_[which].next() for _ in range(count)]

    together = [number for one in taken for number in one]
    assert len(set(together)) == len(together)
    assert all(one == sorted(one) for one in taken)
    assert not notices
