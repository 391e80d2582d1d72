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


class Library:
    """A C library without glibc's function."""


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())

    allocator.keep_freed_memory()


def test_another_system_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(ctypes, "CDLL")

    allocator.keep_freed_memory()
