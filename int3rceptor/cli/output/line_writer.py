"""Writes lines from a thread of its own, so that no slow reader stalls the loop.

A terminal stopped with Ctrl-S or a pipe that nobody reads blocks its writer. Making the
descriptor non-blocking instead would change it for every program that shares it.
"""

import os
import select
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

from int3rceptor.cli.output.turns import Turn

MAX_PENDING_CHARS = 1024 * 1024
"""Text that waits for a slow reader: some thousand lines, a second of heavy traffic.
The lines of the one call that goes past it are kept whole."""

BATCH_S = 0.05
"""Pause after each write: wakes the thread, and takes the GIL, 20 times a second."""

CLOSE_S = 1.0
"""How long the last lines may take; a reader that stopped reading loses them."""


class Write(Protocol):
    """What takes lines."""

    def __call__(self, *lines: str) -> None:
        """Write these, each given without its end."""
        ...


class LineWriter:
    """Lines for one descriptor, in order, written soon.

    Past MAX_PENDING_CHARS lines are counted and left out; `gap` makes the line that
    says how many. `turn` is taken to write where other processes write, too. Close it:
    the thread ends with it, or with the process.
    """

    def __init__(
        self, descriptor: int, *, gap: Callable[[int], str], turn: Turn | None = None
    ) -> None:
        self._descriptor = descriptor
        self._gap = gap
        self._turn = turn
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._pending: list[str] = []
        self._pending_chars = 0
        self._missed = 0
        self._thread = threading.Thread(
            target=self._run, name=f"int3rceptor-writer-{descriptor}", daemon=True
        )
        self._thread.start()

    def write(self, *lines: str) -> None:
        """Queue lines, given without their ends. Never blocks, never raises."""
        with self._lock:
            if self._missed or self._pending_chars > MAX_PENDING_CHARS:
                self._missed += len(lines)
                return
            is_first = not self._pending
            self._pending += lines
            self._pending_chars += sum(map(len, lines))
        if is_first:  # else the thread knows already
            self._wake.set()

    def close(self) -> bool:
        """Write what is pending, for at most CLOSE_S; whether that was enough."""
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._write_pending()
            self._closing.wait(BATCH_S)
        self._write_pending()

    def _write_pending(self) -> None:
        with self._lock:
            lines, missed = self._pending, self._missed
            self._pending, self._pending_chars, self._missed = [], 0, 0
        if missed:
            lines.append(self._gap(missed))
        if not lines:
            return
        text = "\n".join(lines) + "\n"
        try:
            with self._turn.taken() if self._turn else nullcontext(False) as was_cut:
                # Of a killed process: what it left of a line is a line by itself.
                start = "\n" if was_cut else ""
                self._write_all((start + text).encode("utf-8", "backslashreplace"))
        except OSError:
            # The reader is gone or the disk is full; if it comes back, it is told.
            with self._lock:
                self._missed += len(lines)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Somebody else made the shared descriptor non-blocking.
                select.select([], [self._descriptor], [])
