import os
import threading
from collections.abc import Iterator

import pytest

from int3rceptor.cli.output import line_writer
from int3rceptor.cli.output.line_writer import LineWriter


def gap(count: int) -> str:
    return f"… {count} lines not shown"


class Pipe:
    """A pipe whose ends are closed once, by the test or after it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._open = {self.reader, self.writer}

    def close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)

    def close_all(self) -> None:
        for descriptor in list(self._open):
            self.close(descriptor)

    def read_all(self) -> str:
        """Everything up to the end, which comes when the writer is closed."""
        parts = []
        while part := os.read(self.reader, 1 << 16):
            parts.append(part)
        return b"".join(parts).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    one = Pipe()
    yield one
    one.close_all()


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer, gap=gap)
    lines = [f"line {number} →" for number in range(500)]

    for line in lines:
        writer.write(line)
    writer.close()
    pipe.close(pipe.writer)

    assert pipe.read_all().splitlines() == lines


def test_first_line_does_not_wait_for_more(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer, gap=gap)

    writer.write("listening on 127.0.0.1:1")

    assert os.read(pipe.reader, 100) == b"listening on 127.0.0.1:1\n"
    writer.close()


def test_reader_that_stops_stalls_nobody_and_is_told_what_it_missed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_writer, "MAX_PENDING_CHARS", 10_000)
    writer = LineWriter(pipe.writer, gap=gap)
    line = "x" * 999
    total = 500  # far more than the pipe (64 KiB) and the limit hold

    for _ in range(total // 2):
        writer.write(line, line)
    # Only now does anybody read: all of the above came back without that.
    shown: list[str] = []
    thread = threading.Thread(target=lambda: shown.extend(pipe.read_all().splitlines()))
    thread.start()
    writer.close()
    pipe.close(pipe.writer)
    thread.join()

    lines = [one for one in shown if one == line]
    gaps = [int(one.split()[1]) for one in shown if one != line]
    assert gaps
    assert len(lines) + sum(gaps) == total
    # Once lines were left out, none is shown before the marker says so.
    assert shown[-1] != line


def test_close_gives_up_on_a_reader_that_stopped(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_writer, "CLOSE_S", 0.05)
    writer = LineWriter(pipe.writer, gap=gap)
    writer.write("x" * 1_000_000)

    assert not writer.close()

    # Its thread is still at it; let it end before the descriptors go.
    while not writer.close():
        os.read(pipe.reader, 1 << 16)


def test_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    pipe.close(pipe.reader)
    writer = LineWriter(pipe.writer, gap=gap)

    writer.write("nobody reads this")

    assert writer.close()


def test_descriptor_that_somebody_made_non_blocking_loses_nothing(
    pipe: Pipe,
) -> None:
    os.set_blocking(pipe.writer, False)
    writer = LineWriter(pipe.writer, gap=gap)
    lines = ["y" * 999] * 300

    shown: list[str] = []
    thread = threading.Thread(target=lambda: shown.extend(pipe.read_all().splitlines()))
    for line in lines:
        writer.write(line)
    thread.start()
    writer.close()
    pipe.close(pipe.writer)
    thread.join()

    assert shown == lines
