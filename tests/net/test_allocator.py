import ctypes
import platform
import subprocess
import sys

import pytest

from int3rceptor.net import allocator

CHUNKS = 200
CHUNK_BYTES = 256 * 1024

# What a chunk of a body does to the heap: it and its copies are made and freed at once.
CARRY = f"""
import resource
from int3rceptor.net.allocator import keep_freed_memory

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({CHUNKS}):
        copies = [bytes({CHUNK_BYTES}), bytes({CHUNK_BYTES}), bytes({CHUNK_BYTES})]
        del copies
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_chunks_come_from_the_same_memory() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CARRY], capture_output=True, text=True, check=True
    )
    before, after = map(int, ran.stdout.split())

    assert before > CHUNKS
    assert after < CHUNKS // 10


# What many connections do to the heap: between their buffers is what outlives them.
FALL = f"""
import asyncio
from pathlib import Path
from int3rceptor.net import allocator

allocator.LOOK_S = 0.001
allocator.keep_freed_memory()
connections, between = [], []

def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

async def main() -> None:
    for _ in range({allocator.FALL}):
        connections.append(bytearray({CHUNK_BYTES}))
        between.append(bytearray(1000))
    work = allocator.give_back_after_falls(lambda: len(connections))
    task = asyncio.create_task(work)
    await asyncio.sleep(0.05)
    full = rss_bytes()
    connections.clear()
    before = rss_bytes()
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if rss_bytes() < full // 2:
            break
    task.cancel()
    print(full, before, rss_bytes())

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's heap")
def test_the_memory_of_many_that_ended_goes_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FALL], capture_output=True, text=True, check=True
    )
    full, before, after = map(int, ran.stdout.split())

    assert full > allocator.FALL * CHUNK_BYTES
    assert before > full // 2
    assert after < full // 2


class Library:
    """A C library without glibc's function."""


async def test_another_c_library_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())

    allocator.keep_freed_memory()
    await allocator.give_back_after_falls(int)


async def test_another_system_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(ctypes, "CDLL")

    allocator.keep_freed_memory()
    await allocator.give_back_after_falls(int)
