import threading
from collections.abc import Callable

from int3rceptor.store.journal.slow_disk import (
    BATCH_BYTES,
    MAX_WAITING_BYTES,
    QUICK_WRITES,
    Backlog,
)
from tests.support.patience import PATIENT_S


class Disk:
    """What the thread writes to: each write waits for its turn, given by `let`."""

    def __init__(self) -> None:
        self.written: list[tuple[bytes, int]] = []
        self.works = True
        self._turns = threading.Semaphore(0)
        self._begun = threading.Semaphore(0)

    def write(self, frames: bytes, flows: int) -> bool:
        self._begun.release()
        assert self._turns.acquire(timeout=PATIENT_S)
        if self.works:
            self.written.append((frames, flows))
        return self.works

    def wait_for_write(self) -> None:
        """Until the thread is in a write that was not waited for yet."""
        assert self._begun.acquire(timeout=PATIENT_S)

    def let(self, writes: int = 1) -> None:
        self._turns.release(writes)


def until(condition: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(int(PATIENT_S / 0.001)):
        if condition():
            return
        waited.wait(0.001)
    raise AssertionError("it does not happen")


def made_quick(disk: Disk) -> Backlog:
    backlog = Backlog(disk.write)
    for _ in range(QUICK_WRITES):
        assert not backlog.is_needless
        assert backlog.offer(b"a", 1)
        disk.wait_for_write()
        disk.let()
    until(lambda: backlog.is_needless)
    return backlog


def test_what_waited_is_written_at_once_and_in_order() -> None:
    disk = Disk()
    backlog = Backlog(disk.write)
    assert backlog.offer(b"first", 1)
    disk.wait_for_write()
    for number in range(50):
        assert backlog.offer(b"%d " % number, number % 2)
    disk.let(2)

    assert backlog.close(PATIENT_S) == 0
    assert backlog.has_ended
    expected = b"".join(b"%d " % number for number in range(50))
    assert disk.written == [(b"first", 1), (expected, 25)]


def test_batches_are_bounded() -> None:
    disk = Disk()
    backlog = Backlog(disk.write)
    backlog.offer(b"first", 0)
    disk.wait_for_write()
    piece = bytes(BATCH_BYTES // 2 + 1)
    for _ in range(3):
        assert backlog.offer(piece, 0)
    assert backlog.offer(bytes(2 * BATCH_BYTES), 0)
    disk.let(5)
    backlog.close(PATIENT_S)

    sizes = [len(frames) for frames, _ in disk.written]
    assert sizes == [5, *[len(piece)] * 3, 2 * BATCH_BYTES]


def test_what_is_being_written_counts_as_waiting() -> None:
    disk = Disk()
    backlog = Backlog(disk.write)
    assert backlog.offer(bytes(MAX_WAITING_BYTES), 1)
    disk.wait_for_write()

    assert not backlog.offer(b"x", 1)
    disk.let()
    until(lambda: backlog.offer(b"y", 1))
    disk.let()
    assert backlog.close(PATIENT_S) == 0


def test_it_retires_once_the_disk_is_quick() -> None:
    disk = Disk()
    backlog = made_quick(disk)

    assert backlog.retire(PATIENT_S)
    assert len(disk.written) == QUICK_WRITES


def test_it_writes_what_waits_before_it_retires() -> None:
    disk = Disk()
    backlog = made_quick(disk)
    assert backlog.offer(b"last", 1)
    disk.let()

    assert backlog.retire(PATIENT_S)
    assert disk.written[-1] == (b"last", 1)


def test_it_goes_on_when_the_disk_stalls_again() -> None:
    disk = Disk()
    backlog = made_quick(disk)
    assert backlog.offer(b"stalls", 1)
    disk.wait_for_write()
    assert not backlog.retire(0.01)

    disk.let()
    until(lambda: len(disk.written) == QUICK_WRITES + 1)
    assert backlog.offer(b"later", 1)
    disk.let()
    assert backlog.close(PATIENT_S) == 0
    assert [frames for frames, _ in disk.written[-2:]] == [b"stalls", b"later"]


def test_it_tries_again_until_it_is_told_to_give_up() -> None:
    disk = Disk()
    disk.works = False
    backlog = Backlog(disk.write)
    assert backlog.offer(b"lost", 1)
    assert backlog.offer(b"too", 1)
    assert backlog.offer(b"and no flow", 0)
    for _ in range(3):
        disk.wait_for_write()
        disk.let()
    disk.let()

    assert backlog.close(PATIENT_S) == 2
    assert backlog.has_ended
    assert disk.written == []


def test_a_write_that_hangs_is_left_behind() -> None:
    disk = Disk()
    backlog = Backlog(disk.write)
    assert backlog.offer(b"hangs", 1)
    disk.wait_for_write()

    assert backlog.close(0.01) == 1
    assert not backlog.has_ended
    disk.let()
    until(lambda: backlog.has_ended)
