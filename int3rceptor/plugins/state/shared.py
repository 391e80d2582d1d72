"""One plugin's key-value state for all workers: memory that they share, and a lock.

Each worker holds all keys, as `keyvalues` does. Before each step it takes in what
others did since its last one, from a log in the shared memory, and adds what it
changes. One word says how far the log goes. It is written last, so that who is killed
in the middle of a step has not begun it; the lock ends with its process.

The file is a row of slots, one a plugin: a page for the word and the plugin's name, and
two halves, of which one holds the log. When that has grown too long, what it comes to
is written into the other.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator

from int3rceptor.errors import PluginError
from int3rceptor.plugins.state.keyvalues import KeyValues, Unreachable, Value

MAX_SHARING = 64
"""Plugins, by their names, that may share keys in one run of a proxy."""

HALF_BYTES = 32 * 1024 * 1024
"""Twice the largest state: one step more always fits. Memory is taken for what was
written, not for this."""

LOG_SLACK_BYTES = 256 * 1024
"""How much longer than twice its sum a log may become: an addition is some 50 bytes."""

STEP_WAIT_S = 1.0
"""How long a step may wait for other workers', which take some microseconds: far longer
than a machine with much to do keeps one of them from its core. The event loop may stand
still for it, but once: see RecordLock.take."""

JOIN_WAIT_S = 10.0
"""How long a plugin that is loaded may wait for others that are: they read a file."""

_PAUSE_S = 0.0001
_PAGE_BYTES = 64 * 1024
"""A mapping begins at a multiple of this on every system."""

_SLOT_BYTES = _PAGE_BYTES + 2 * HALF_BYTES
_NAME_AT, _NAME_BYTES = 8, 32
_TAIL_BITS = 40
_TAIL = (1 << _TAIL_BITS) - 1
_HEAD = struct.Struct("<IIq")
_GONE = 0xFFFF_FFFF
"""In place of a value's length: the key was deleted."""

Change = tuple[bytes, bytes | None, int]
"""As an Entry; None in place of a value: the key was deleted."""

_JOINING = 0
"""The byte whose lock is held by who looks for a slot; a step's and a keeper's come
after it, two a slot."""


class SharedFile:
    """The memory of all plugins that share keys, by an open file that workers inherit.

    Nothing here is ever closed: that would let go of the locks that this process holds
    on any part of the file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._joining = RecordLock(descriptor, _JOINING)
        self._thread = threading.Lock()
        self._slots: dict[int, _Slot] = {}

    def join(
        self,
        name: str,
        quota_bytes: int,
        now_ms: Callable[[], int],
        fill: Callable[[KeyValues], None],
    ) -> "SharedKeyValues":
        """The keys of plugin `name`; the first who comes has `fill` put in what there
        was before. PluginError when there is no place, or it takes too long."""
        with self._thread:
            try:
                self._joining.take(JOIN_WAIT_S)
                state = SharedKeyValues(quota_bytes, now_ms, self._slot_of(name))
                if state.is_new:
                    fill(state)
                    state.settle()
            except Unreachable:
                raise PluginError(
                    f"plugin {name}: other workers hold the keys that it shares for"
                    f" more than {JOIN_WAIT_S:g} s"
                ) from None
            finally:
                self._joining.leave()
        return state

    def _slot_of(self, name: str) -> "_Slot":
        place = self._place_of(name)
        if place not in self._slots:
            self._slots[place] = _Slot(self._descriptor, place)
        return self._slots[place]

    def _place_of(self, name: str) -> int:
        wanted = hashlib.sha256(name.encode()).digest()
        for place in range(MAX_SHARING):
            start = place * _SLOT_BYTES
            found = os.pread(self._descriptor, _NAME_BYTES, start + _NAME_AT)
            if found == wanted:
                return place
            if not found.strip(b"\0"):
                os.ftruncate(self._descriptor, start + _SLOT_BYTES)
                os.pwrite(self._descriptor, wanted, start + _NAME_AT)
                return place
        raise PluginError(
            f"plugin {name}: {MAX_SHARING} plugins share keys between workers already,"
            " or did since the proxy was started"
        )


class SharedKeyValues(KeyValues):
    """The keys of one plugin in one worker. Each method but `get` is one step of all
    workers, and raises Unreachable when the others leave it no turn.

    Who has the lock `keeper` is the one worker that writes them to the disk.
    """

    def __init__(
        self, quota_bytes: int, now_ms: Callable[[], int], slot: "_Slot"
    ) -> None:
        super().__init__(quota_bytes, now_ms, lock=_Step(self))
        self._slot = slot
        self.keeper = slot.keeper
        self._seen = 0
        self._dirty: dict[bytes, None] = {}
        self.is_new = slot.word == 0

    @property
    def changes(self) -> int:
        """Differs after each change, whoever made it."""
        return self._slot.word

    def get(self, key: bytes) -> bytes | None:
        """The value, as `KeyValues.get`; without a step if no other made one."""
        if self._seen != self._slot.word:
            return super().get(key)
        value = self._values.get(key)
        if value is None or 0 < value.ends_ms <= self._now_ms():
            return None
        return value.data

    def settle(self) -> None:
        """Say that what is there is all that there was before."""
        with self._lock:
            self._rewrite()

    def begin(self) -> None:
        """Take the turn, and in what others did in theirs."""
        self._slot.thread.acquire()
        try:
            self._slot.step.take(STEP_WAIT_S)
            self._catch_up()
        except BaseException:
            self._give_away()
            raise

    def end(self) -> None:
        """Tell what was changed, and give the turn away."""
        try:
            self._publish()
        finally:
            self._give_away()

    def _give_away(self) -> None:
        self._slot.step.leave()
        self._slot.thread.release()

    def _note(self, key: bytes) -> None:
        self._dirty[key] = None

    def _catch_up(self) -> None:
        word = self._slot.word
        if word == self._seen:
            return
        values, size, start = self._values, self._size, self._seen & _TAIL
        if word >> _TAIL_BITS != self._seen >> _TAIL_BITS:
            values, size, start = {}, 0, 0  # beside those that `get` may read meanwhile
        ends: dict[bytes, int] = {}
        for key, data, ends_ms in self._slot.entries(word, start):
            old = values.get(key)
            size -= 0 if old is None else len(key) + len(old.data)
            if data is None:
                values.pop(key, None)
            else:
                values[key] = Value(data, ends_ms)
                size += len(key) + len(data)
                ends[key] = ends_ms
        self._values, self._size, self._seen = values, size, word
        for key, ends_ms in ends.items():
            self._will_end(key, ends_ms)

    def _publish(self) -> None:
        if not self._dirty:
            return
        data = b"".join(map(self._packed, self._dirty))
        generation, tail = self._seen >> _TAIL_BITS, self._seen & _TAIL
        if tail + len(data) > self._longest():
            self._rewrite()
            return
        self._slot.write(generation, tail, data)
        self._seen = self._slot.word
        self._dirty.clear()

    def _rewrite(self) -> None:
        data = b"".join(map(self._packed, self._values))
        self._slot.write((self._seen >> _TAIL_BITS) + 1, 0, data)
        self._seen = self._slot.word
        self._dirty.clear()

    def _longest(self) -> int:
        sum_ = self._size + _HEAD.size * len(self._values)
        return min(2 * sum_ + LOG_SLACK_BYTES, HALF_BYTES)

    def _packed(self, key: bytes) -> bytes:
        value = self._values.get(key)
        if value is None:
            return _HEAD.pack(len(key), _GONE, 0) + key
        return _HEAD.pack(len(key), len(value.data), value.ends_ms) + key + value.data


class _Step:
    """One step of all workers, as a lock."""

    def __init__(self, state: SharedKeyValues) -> None:
        self._state = state

    def __enter__(self) -> None:
        self._state.begin()

    def __exit__(self, *_: object) -> None:
        self._state.end()


class _Slot:
    """The memory of one plugin, and its locks: `step` for turns of processes, `thread`
    for those of this process's threads. The word has a generation, whose last bit says
    which half is meant, and how many bytes of that are the log."""

    def __init__(self, descriptor: int, place: int) -> None:
        offset = place * _SLOT_BYTES
        self._memory = memoryview(mmap.mmap(descriptor, _SLOT_BYTES, offset=offset))
        self._word = self._memory[:8].cast("Q")
        self.thread = threading.Lock()
        self.step = RecordLock(descriptor, 1 + 2 * place)
        self.keeper = RecordLock(descriptor, 2 + 2 * place)

    @property
    def word(self) -> int:
        return self._word[0]

    def write(self, generation: int, at: int, data: bytes) -> None:
        """Add to the log, or begin another. The word comes last."""
        start = _half(generation) + at
        self._memory[start : start + len(data)] = data
        self._word[0] = generation << _TAIL_BITS | at + len(data)

    def entries(
        self, word: int, start: int
    ) -> Iterator[tuple[bytes, bytes | None, int]]:
        """Key, value (None: deleted) and end of each change from there on."""
        base = _half(word >> _TAIL_BITS)
        log = bytes(self._memory[base + start : base + (word & _TAIL)])
        at = 0
        while at < len(log):
            key_len, data_len, ends_ms = _HEAD.unpack_from(log, at)
            at += _HEAD.size
            key, at = log[at : at + key_len], at + key_len
            if data_len == _GONE:
                yield key, None, 0
            else:
                yield key, log[at : at + data_len], ends_ms
                at += data_len


class RecordLock:
    """A lock of this process on one byte of the file, which ends with the process. Its
    threads are not kept from each other."""

    def __init__(self, descriptor: int, place: int) -> None:
        self._descriptor = descriptor
        self._place = place
        self._is_stuck = False

    def take(self, wait_s: float) -> None:
        """Wait for it so long, then Unreachable: it is tried without a wait from then
        on, until it was had again. Whoever holds it may be stopped for good."""
        if self.is_had():
            self._is_stuck = False
            return
        give_up = time.monotonic() + (0 if self._is_stuck else wait_s)
        while not self.is_had():
            if time.monotonic() >= give_up:
                self._is_stuck = True
                raise Unreachable
            time.sleep(_PAUSE_S)
        self._is_stuck = False

    def is_had(self) -> bool:
        """Take it if nobody has it; whether this process has it now."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
        except OSError:  # one of two, by the system
            return False
        return True

    def leave(self) -> None:
        """Give it away."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._place)


def _half(generation: int) -> int:
    """Where the log of a generation begins."""
    return _PAGE_BYTES + HALF_BYTES * (generation & 1)
