import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from benchmarks import measure
from benchmarks.measure import (
    BenchmarkError,
    reset_peak,
    settle,
    spawn,
    stop,
    usage,
)

if not sys.platform.startswith("linux"):
    pytest.skip("the benchmarks read /proc", allow_module_level=True)

CORE = min(os.sched_getaffinity(0))
MIB = 1024**2
# Reads a command a line, does it, and says so: nothing here waits for a clock.
WORKER = """
import subprocess, sys, time
kept = []
for line in sys.stdin:
    match line.split():
        case ["burn"]:
            end = time.process_time() + 0.3
            while time.process_time() < end: pass
        case ["child"]:
            subprocess.run([sys.executable, "-c", "while __import__('time')"
                ".process_time() < 0.3: pass"])
        case ["keep"]:
            kept.append(b"x" * (64 << 20))
        case ["drop"]:
            kept.clear()
    print("done", flush=True)
"""


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = spawn(
        [sys.executable, "-c", WORKER],
        CORE,
        output=subprocess.DEVNULL,
        talk=True,
    )
    try:
        do(process, "nothing")
        yield process
    finally:
        stop(process)


def do(process: subprocess.Popen[bytes], command: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{command}\n".encode())
    process.stdin.flush()
    assert process.stdout.readline() == b"done\n"


@pytest.mark.parametrize(("command", "is_own"), [("burn", True), ("child", False)])
def test_cpu_of_the_process_and_of_children_that_have_ended(
    command: str, is_own: bool
) -> None:
    with worker() as process:
        before = usage(process.pid)
        do(process, command)
        after = usage(process.pid)
    assert after.cpu_s - before.cpu_s >= 0.2
    own_s = after.own_cpu_s - before.own_cpu_s
    assert own_s >= 0.2 if is_own else own_s < 0.1


def test_a_living_child_belongs_to_the_tree(tmp_path: Path) -> None:
    marker = tmp_path / "ready"
    child = (
        f"open({str(marker)!r}, 'w'); kept = b'x' * (64 << 20); print(1, flush=True)"
    )
    child += "; __import__('sys').stdin.read()"  # ends with our end of the pipe
    parent = (
        f"import subprocess as s, sys; p = s.Popen([sys.executable, '-c', {child!r}])"
    )
    parent += "; p.wait()"
    process = spawn(
        [sys.executable, "-c", parent],
        CORE,
        output=subprocess.DEVNULL,
        talk=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"  # the child shares the pipe
        read = usage(process.pid)
        assert read.rss_bytes > read.own_rss_bytes + 64 * MIB
    finally:
        stop(process)


BUSY_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c",
    "import time, sys\\nwhile time.process_time() < 0.6: pass\\nsys.stdin.read()"])
print(child.pid, flush=True)
child.wait()
"""


def test_a_child_that_still_works_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "QUIET_S", 0.3)
    process = spawn(
        [sys.executable, "-c", BUSY_CHILD], CORE, output=subprocess.DEVNULL, talk=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        settle(process.pid)
        read = usage(process.pid)
        assert read.cpu_s - read.own_cpu_s >= 0.5
        monkeypatch.setattr(measure, "SETTLE_TIMEOUT_S", 0.0)
        with pytest.raises(BenchmarkError, match="still busy"):
            settle(process.pid)
    finally:
        stop(process)


@pytest.mark.parametrize(("each_s", "is_quiet"), [(0.02, True), (0.04, False)])
def test_a_crew_is_quiet_when_each_of_it_does_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, each_s: float, is_quiet: bool
) -> None:
    seen = 0

    def tree(root: int) -> list[measure._Stat]:
        nonlocal seen
        seen += 1
        return [
            measure._Stat(pid=pid, parent=root, cpu_s=seen * each_s, own_cpu_s=0.0)
            for pid in (root, 2, 3, 4, 5)
        ]

    monkeypatch.setattr(measure, "_tree", tree)
    monkeypatch.setattr(measure, "QUIET_S", 0.001)
    monkeypatch.setattr(measure, "SETTLE_TIMEOUT_S", 0.05)
    with nullcontext() if is_quiet else pytest.raises(BenchmarkError, match="busy"):
        settle(1)


def test_a_hub_that_is_not_there_is_not_taken_for_a_quiet_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "QUIET_S", 0.05)
    monkeypatch.setattr(measure, "CHILD_TIMEOUT_S", 0.1)
    with worker() as process, pytest.raises(BenchmarkError, match="no children"):
        settle(process.pid)


def test_peak_is_kept_after_the_memory_is_given_back_and_can_be_reset() -> None:
    with worker() as process:
        start = usage(process.pid).rss_bytes
        do(process, "keep")
        do(process, "drop")
        after = usage(process.pid)
        assert after.rss_bytes < start + 32 * MIB
        assert after.peak_rss_bytes > start + 60 * MIB
        reset_peak(process.pid)
        assert usage(process.pid).peak_rss_bytes < start + 32 * MIB


def test_a_process_that_is_gone_gives_an_error_not_zero() -> None:
    with worker() as process:
        pass
    with pytest.raises(BenchmarkError, match="is gone"):
        usage(process.pid)


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(BenchmarkError, match="no-such-program: not found"):
        spawn(["no-such-program"], CORE, output=subprocess.DEVNULL)
