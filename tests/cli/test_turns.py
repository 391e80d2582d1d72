"""Whose turn it is to write, between processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from int3rceptor.cli.output.line_writer import LineWriter
from int3rceptor.cli.output.turns import Turn
from int3rceptor.files.unnamed import unnamed_file

HOLDER = """
import os, sys
from int3rceptor.cli.output.turns import Turn
with Turn(int(sys.argv[1]), 1).taken() as was_cut:
    os.write(1, b"cut" if was_cut else b"whole")
    if len(sys.argv) > 2:
        os.write(1, b" half a li")
        os.kill(os.getpid(), 9)
"""

WRITER = """
import sys
from int3rceptor.cli.output.line_writer import LineWriter
from int3rceptor.cli.output.turns import Turn
writer = LineWriter(1, gap=str, turn=Turn(int(sys.argv[1]), 1))
for number in range(2_000):
    writer.write(sys.argv[2] * 97 + str(number))
    if number % 50 == 0:
        writer._wake.set()
assert writer.close()
"""


def started(program: str, turns: int, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", program, str(turns), *words],
        stdout=subprocess.PIPE,
        pass_fds=[turns],
    )


def said(program: str, turns: int, *words: str) -> bytes:
    with started(program, turns, *words) as process:
        return process.communicate(timeout=30)[0]


def test_one_killed_in_the_middle_is_noticed_by_the_next_alone() -> None:
    with unnamed_file() as turns:
        assert said(HOLDER, turns) == b"whole"
        assert said(HOLDER, turns, "dies") == b"whole half a li"
        with Turn(turns, 2).taken() as was_cut:  # another stream's
            assert not was_cut
        assert said(HOLDER, turns) == b"cut"
        assert said(HOLDER, turns) == b"whole"


def test_what_a_killed_process_left_is_a_line_by_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT)
    with unnamed_file() as turns:
        os.write(descriptor, said(HOLDER, turns, "dies"))
        writer = LineWriter(descriptor, gap=str, turn=Turn(turns, 1))
        writer.write("the next")
        assert writer.close()
    os.close(descriptor)

    assert out.read_text().splitlines() == ["whole half a li", "the next"]


@pytest.mark.parametrize("size", [97])
def test_lines_of_several_processes_stay_whole_in_a_pipe(size: int) -> None:
    reading, writing = os.pipe()
    with unnamed_file() as turns:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(turns), letter],
                stdout=writing,
                pass_fds=[turns],
            )
            for letter in "abc"
        ]
        os.close(writing)
        with os.fdopen(reading) as lines:
            found = lines.read().splitlines()
        assert [one.wait(30) for one in processes] == [0, 0, 0]

    for letter in "abc":
        own = [line for line in found if line.startswith(letter)]
        assert own == [f"{letter * size}{number}" for number in range(2_000)]
    assert len(found) == 6_000
