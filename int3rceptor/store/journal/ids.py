"""Flow numbers: unique and rising over all runs and processes of one data directory.

The file `ids` holds the next free number. A process takes a block under the file's
lock and hands it out from memory; what is left of a block at its end is never used.
Processes that share a directory give it back again and again, so that their numbers
rise together.
"""

import os
import re
import time
from pathlib import Path

from int3rceptor.files.writing import NO_LINK
from int3rceptor.store.locks import try_lock
from int3rceptor.store.trouble import Notices, Trouble

IDS_FILE = "ids"
BLOCK = 1_000
"""Numbers taken at once: taking them costs some 20 µs, so 20 ns a flow."""

SHARED_BLOCK = 50
"""The same where several processes give out numbers at the same time: they rise the
more evenly, and what cannot be given back leaves a small gap."""

LOST_GAP = 10_000
"""Numbers left out when the file was lost under processes that run: more than any of
them is ahead of another."""

LOCK_WAIT_S = 0.5
"""Longest wait for another process, which holds the lock for microseconds unless it was
stopped or has no processor. Traffic stands still meanwhile."""
_LOCK_POLL_S = 0.001

_FORM = re.compile(rb"[0-9]{20}\n")
_LARGEST = 2**53 - BLOCK
"""Above it JavaScript, and so the console, cannot tell two numbers apart."""


class Ids:
    """Hands out the numbers of `directory`, which is made at first need.

    While no block can be taken, numbers are negative and unique in this object only:
    what carries one must not be kept.
    """

    def __init__(
        self, directory: Path, notices: Notices, trouble: Trouble, block: int = BLOCK
    ) -> None:
        self.trouble = trouble
        self._block = block
        self._notices = notices
        self._directory = directory
        self._next = 0
        self._end = 0
        self._unkept = 0

    def next(self) -> int:
        """The next number; negative when none can be taken. Never raises."""
        number = self._next
        if number == self._end:
            if not self._take():
                self._unkept -= 1
                return self._unkept
            number = self._next
        self._next = number + 1
        return number

    def give_back(self) -> None:
        """Let go of the rest of the block: the next number is asked of the file. If no
        other process has taken one meanwhile, they are free again. Never raises."""
        first, end = self._next, self._end
        if first == end:
            return
        self._end = first
        try:
            descriptor = os.open(self._directory / IDS_FILE, os.O_RDWR | NO_LINK)
            try:
                # Another time will do: nobody waits for this.
                if try_lock(descriptor) and os.pread(descriptor, 64, 0) == _spell(end):
                    _write(descriptor, _spell(first))
            finally:
                os.close(descriptor)
        except OSError:
            return  # then they are never used

    def begin_anew(self) -> None:
        """The file may be lost, or be an older one: the next number is well above ours,
        and so above those that other processes have in use. Never raises."""
        self._next = self._end = self._end + LOST_GAP
        self._take()  # now: once there are flows again, a file that is lost looks odd

    def _take(self) -> bool:
        if self.trouble.is_pausing:
            return False
        path = self._directory / IDS_FILE
        try:
            start = self._take_block(path)
        except OSError as error:
            self.trouble.begin(
                f"cannot take flow numbers from {path}: {error.strerror or error};"
                " traffic goes on, flows are counted but not kept; free space there or"
                " make it writable, and they are kept again"
            )
            return False
        if self.trouble.text:
            self.trouble.end(f"flow numbers can be taken from {path} again")
        self._next, self._end = start, start + self._block
        return True

    def _take_block(self, path: Path) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o600)
        try:
            _lock(descriptor)
            start = max(self._first_free(os.pread(descriptor, 64, 0)), self._end)
            _write(descriptor, _spell(start + self._block))
        finally:
            os.close(descriptor)
        return start

    def _first_free(self, content: bytes) -> int:
        if _FORM.fullmatch(content) and 0 < int(content) <= _LARGEST:
            return int(content)
        if not content and not self._has_flows():
            return 1
        start = time.time_ns() // 1_000_000
        self._notices.append(
            f"{self._directory / IDS_FILE} is lost or damaged; flow numbers go on from"
            f" {start}, nothing needs to be done"
        )
        return start

    def _has_flows(self) -> bool:
        """Whether numbers were handed out here before: something holds flows."""
        return any(
            next(self._directory.glob(pattern), None) is not None
            for pattern in ("store.sqlite*", "journal/*.journal")
        )


def make_durable(directory: Path) -> None:
    """Put the file on the disk for certain.

    For whoever is about to commit flows durably: after a power cut, a number that was
    stored must not be handed out again. It waits for the disk, so not in the proxy.
    """
    try:
        descriptor = os.open(directory / IDS_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _spell(number: int) -> bytes:
    return b"%020d\n" % number


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            raise TimeoutError("another process keeps it locked")
        time.sleep(_LOCK_POLL_S)


def _write(descriptor: int, content: bytes) -> None:
    if os.pwrite(descriptor, content, 0) != len(content):
        raise OSError("only part of it could be written")
    os.ftruncate(descriptor, len(content))
