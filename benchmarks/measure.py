"""What a process and its tree cost: CPU time and resident memory, from /proc (Linux).

Knows nothing of proxies or load. Also starts processes on a chosen core, because a
figure means little when the thing measured and its load fight for one core.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT_S = 15.0  # a draining proxy is given this long before it is killed
POLL_S = 0.02  # how often a start is looked at
QUIET_S = 2.0  # children that used next to nothing for so long have caught up
QUIET_CPU_S = 0.03  # next to nothing for each: timers that tick, no work that is done
CHILD_TIMEOUT_S = 15.0  # a hub that is started again must be back by then
SETTLE_TIMEOUT_S = 600.0  # more than the largest load of one sample leaves behind


class BenchmarkError(Exception):
    """The run cannot give an honest figure; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A process at one moment, `own` alone, the rest with its children and theirs.

    A tree is a sum: shared pages count each time. Peaks are the kernel's own
    high-water marks, so no sample is missed.
    """

    cpu_s: float
    own_cpu_s: float
    rss_bytes: int
    own_rss_bytes: int
    peak_rss_bytes: int
    own_peak_rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stat:
    pid: int
    parent: int
    cpu_s: float
    own_cpu_s: float


def _clock_s(pid: int) -> float | None:
    """CPU seconds of a process, of threads that ended too, to the nanosecond.

    /proc tells them in ticks of 10 ms, which are several per cent of a short load.
    The number is what clock_getcpuclockid(3) makes of a process id.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None  # it has just ended


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and brackets: the fields begin after the last.
    fields = text[text.rindex(")") + 2 :].split()
    # utime, stime, and those of children already waited for: a live child is counted by
    # itself, so nothing is counted twice and nothing that ended is lost.
    user, system, waited_user, waited_system = (int(field) for field in fields[11:15])
    own_cpu_s = _clock_s(pid)
    if own_cpu_s is None:
        own_cpu_s = (user + system) / TICKS_PER_S
    return _Stat(
        pid=pid,
        parent=int(fields[1]),
        cpu_s=own_cpu_s + (waited_user + waited_system) / TICKS_PER_S,
        own_cpu_s=own_cpu_s,
    )


def _tree(root: int) -> list[_Stat]:
    everyone = [
        stat
        for entry in PROC.iterdir()
        if entry.name.isdigit() and (stat := _read_stat(int(entry.name))) is not None
    ]
    members = [stat for stat in everyone if stat.pid == root]
    if not members:
        raise BenchmarkError(f"process {root} is gone: it cannot be measured")
    for member in members:  # grows while it is walked: children of children
        members.extend(stat for stat in everyone if stat.parent == member.pid)
    return members


def _memory(pid: int) -> tuple[int, int]:
    rss = peak = 0
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    for line in lines:
        if line.startswith("VmRSS:"):
            rss = int(line.split()[1]) * 1024
        elif line.startswith("VmHWM:"):
            peak = int(line.split()[1]) * 1024
    return rss, peak


def usage(root: int) -> Usage:
    """CPU seconds and memory of `root`, and of it and everything below it."""
    members = _tree(root)  # the root comes first
    memory = [_memory(member.pid) for member in members]
    return Usage(
        cpu_s=sum(member.cpu_s for member in members),
        own_cpu_s=members[0].own_cpu_s,
        rss_bytes=sum(rss for rss, _ in memory),
        own_rss_bytes=memory[0][0],
        peak_rss_bytes=sum(peak for _, peak in memory),
        own_peak_rss_bytes=memory[0][1],
    )


def settle(root: int) -> None:
    """Wait until the children of `root` have finished what the load left them.

    There must be some: one that is gone or not up yet would look as cheap as nothing.
    """
    now = time.monotonic()
    deadline, child_deadline = now + SETTLE_TIMEOUT_S, now + CHILD_TIMEOUT_S
    while now < deadline:
        before = {member.pid: member.cpu_s for member in _tree(root)[1:]}
        time.sleep(QUIET_S)
        after = {member.pid: member.cpu_s for member in _tree(root)[1:]}
        spent_s = sum(after.values()) - sum(before.values())
        is_quiet = spent_s <= QUIET_CPU_S * len(after)
        if before and before.keys() == after.keys() and is_quiet:
            return
        now = time.monotonic()
        if not after and now >= child_deadline:
            raise BenchmarkError(f"process {root} has no children: is its hub down?")
    raise BenchmarkError(
        f"the children of process {root} were still busy {SETTLE_TIMEOUT_S:.0f} s after"
        " the load: their share cannot be told"
    )


def reset_peak(root: int) -> None:
    """Start the high-water marks of the tree again from its present size."""
    for member in _tree(root):
        try:
            (PROC / str(member.pid) / "clear_refs").write_text("5")  # proc(5)
        except (FileNotFoundError, ProcessLookupError):
            continue  # a child that has just ended
        except PermissionError as error:
            raise BenchmarkError(
                f"cannot reset the memory peak of process {member.pid}: "
                "run the benchmark as the user that owns it"
            ) from error


def spawn(
    command: list[str], core: int, *, output: IO[bytes] | int, talk: bool = False
) -> subprocess.Popen[bytes]:
    """Start `command` on one core, in its own session; `talk` keeps stdin and stdout.

    The child inherits the caller's core from its very first instruction: pinning it
    after the start would miss threads that it had made by then.
    """
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talk else output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the run, which stops them in order
        )
    except FileNotFoundError as error:
        raise BenchmarkError(
            f"{command[0]}: not found; install it and run again"
        ) from error
    finally:
        os.sched_setaffinity(0, mine)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process that `spawn` started; its exit code (negative: a signal)."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def two_cores() -> tuple[int, int]:
    """(core for origin and load, core for the proxy)."""
    if not hasattr(os, "sched_getaffinity"):
        raise BenchmarkError(
            "the benchmarks read /proc and pin cores: run them on Linux"
        )
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError(
            "two cores are needed: one for the load, one for the proxy"
        )
    return cores[0], cores[1]


def pause() -> None:
    """One step of waiting for another program to be ready."""
    time.sleep(POLL_S)
