"""Threads that nobody waits for."""

import subprocess
import sys
import threading

import pytest

from int3rceptor.net.threads import DaemonThreads
from tests.support.patience import PATIENT_S

HANGING = """
import threading
from int3rceptor.net.threads import DaemonThreads

begun = threading.Event()

def hang():
    begun.set()
    threading.Event().wait()

threads = DaemonThreads(2, "test")
threads.submit(hang)
begun.wait()
threads.close()
"""


def test_a_call_has_its_result_or_its_error() -> None:
    threads = DaemonThreads(2, "test")

    assert threads.submit(divmod, 7, 2).result(PATIENT_S) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result(PATIENT_S)

    threads.close()


def test_so_many_calls_at_once_and_the_others_in_their_turn() -> None:
    threads = DaemonThreads(2, "test")
    meeting = threading.Barrier(3)
    threads.submit(threading.current_thread).result(PATIENT_S)  # one is idle by now
    both = [threads.submit(meeting.wait) for _ in range(2)]
    third = threads.submit(threading.current_thread)
    assert not third.done()

    meeting.wait(PATIENT_S)

    assert {one.result(PATIENT_S) for one in both} <= {0, 1, 2}
    assert third.result(PATIENT_S).daemon
    threads.close()


def test_what_waits_at_the_end_is_cancelled_and_the_threads_end() -> None:
    threads = DaemonThreads(1, "test")
    begun, free = threading.Event(), threading.Event()

    def hold() -> threading.Thread:
        begun.set()
        free.wait(PATIENT_S)
        return threading.current_thread()

    running = threads.submit(hold)
    begun.wait(PATIENT_S)
    waiting = threads.submit(divmod, 7, 2)
    threads.close()
    assert waiting.cancelled()

    free.set()
    thread = running.result(PATIENT_S)
    thread.join(PATIENT_S)
    assert not thread.is_alive()


def test_a_call_that_was_cancelled_is_not_made() -> None:
    threads = DaemonThreads(1, "test")
    free = threading.Event()
    threads.submit(free.wait, PATIENT_S)
    made: list[int] = []
    cancelled = threads.submit(made.append, 1)
    assert cancelled.cancel()
    free.set()
    threads.submit(made.append, 2).result(PATIENT_S)

    assert made == [2]
    threads.close()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], timeout=PATIENT_S)

    assert ended.returncode == 0
