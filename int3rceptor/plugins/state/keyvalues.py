"""One plugin's key-value state: bytes by key, with a quota and a life for each key.

Shared by all instances of the plugin, which may run in several threads: `lock` is held
around each step. It knows no file: `state/kept` saves what `snapshot` gives.
"""

import heapq
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

DEFAULT_STATE_BYTES = 1024 * 1024
"""Keys and values of one plugin: a counter for each of 20,000 clients."""

MAX_KEY_BYTES = 256
"""Of one key: a URL's host and path fit."""

MAX_VALUE_BYTES = 64 * 1024
"""Of one value: a list of tokens, not a body."""

MAX_KEYS = 20_000
"""Of one plugin: each costs some 200 bytes of our memory besides what it holds."""

ENDS_SLACK = 1024
"""Ends that were given and do not count any more, beside one for each key: past that
they are forgotten, all at once."""

MAX_NUMBER = (1 << 63) - 1
"""What `add` can reach; it stays there."""

Entry = tuple[bytes, bytes, int]
"""Key, value, and when it ends in milliseconds since 1970 (0: never)."""


class OverQuota(Exception):
    """What was to be kept does not fit; nothing was changed."""


class Unreachable(Exception):
    """The keys are shared, and others did not let go of them in time; nothing was
    done."""


@dataclass(slots=True)
class Value:
    """What stands under a key, and when that ends, as in an Entry."""

    data: bytes
    ends_ms: int = 0


class KeyValues:
    """`quota_bytes` bounds keys and values together. No method waits."""

    def __init__(
        self,
        quota_bytes: int,
        now_ms: Callable[[], int],
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.quota_bytes = quota_bytes
        self._now_ms = now_ms
        self._values: dict[bytes, Value] = {}
        self._ends: list[tuple[int, bytes]] = []
        self._size = 0
        self._lock = lock or nullcontext()
        self._changes = 0

    @property
    def changes(self) -> int:
        """Differs after every change, so that whoever saves knows when to."""
        return self._changes

    @property
    def count(self) -> int:
        """How many keys there are, those past their end included."""
        return len(self._values)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None: never set, deleted, or past its end."""
        with self._lock:
            value = self._live(key)
        return None if value is None else value.data

    def set(self, key: bytes, data: bytes) -> None:
        """Keep `data` for good. OverQuota when it does not fit."""
        with self._lock:
            self._put(key, data, 0)

    def add(self, key: bytes, delta: int) -> int | None:
        """Add to a number, 0 if there is none, and return it; never below 0.

        A key that ends keeps its end. None, and nothing changed, when the value is no
        number. OverQuota when a new one does not fit.
        """
        with self._lock:
            value = self._live(key)
            old = b"0" if value is None else value.data
            if len(old) > 19 or not old.isdigit():
                return None
            number = min(max(int(old) + delta, 0), MAX_NUMBER)
            ends_ms = 0 if value is None else value.ends_ms
            self._put(key, b"%d" % number, ends_ms)
        return number

    def expire(self, key: bytes, milliseconds: int) -> bool:
        """Let a key end that long from now; False when there is none."""
        with self._lock:
            value = self._live(key)
            if value is None:
                return False
            value.ends_ms = self._now_ms() + milliseconds
            self._will_end(key, value.ends_ms)
            self._note(key)
        return True

    def delete(self, key: bytes) -> bool:
        """Forget a key; False when there was none."""
        with self._lock:
            return self._live(key) is not None and self._drop(key)

    def keys(self, prefix: bytes) -> list[bytes]:
        """The keys that begin so, in order."""
        with self._lock:
            self._drop_ended()
            return sorted(key for key in self._values if key.startswith(prefix))

    def clear(self) -> None:
        """Forget all keys."""
        with self._lock:
            for key in [*self._values]:
                self._drop(key)

    def snapshot(self) -> list[Entry]:
        """Everything, to be saved."""
        with self._lock:
            self._drop_ended()
            return [(key, one.data, one.ends_ms) for key, one in self._values.items()]

    def restore(self, entries: Iterable[Entry]) -> int:
        """Take in what was saved; how many did not fit any more."""
        left_out = 0
        with self._lock:
            for key, data, ends_ms in entries:
                try:
                    self._put(key, data, ends_ms)
                except OverQuota:
                    left_out += 1
        return left_out

    def _live(self, key: bytes) -> Value | None:
        value = self._values.get(key)
        if value is not None and value.ends_ms and value.ends_ms <= self._now_ms():
            self._drop(key)
            return None
        return value

    def _put(self, key: bytes, data: bytes, ends_ms: int) -> None:
        if not 0 < len(key) <= MAX_KEY_BYTES or len(data) > MAX_VALUE_BYTES:
            raise OverQuota
        if self._growth(key, data) > self.quota_bytes or self._has_no_place(key):
            self._drop_ended()
            if self._growth(key, data) > self.quota_bytes or self._has_no_place(key):
                raise OverQuota
        self._size = self._growth(key, data)
        self._values[key] = Value(data, ends_ms)
        self._will_end(key, ends_ms)
        self._note(key)

    def _growth(self, key: bytes, data: bytes) -> int:
        """The size with `data` at `key`."""
        old = self._values.get(key)
        freed = 0 if old is None else len(key) + len(old.data)
        return self._size - freed + len(key) + len(data)

    def _has_no_place(self, key: bytes) -> bool:
        return len(self._values) >= MAX_KEYS and key not in self._values

    def _drop(self, key: bytes) -> bool:
        self._size -= len(key) + len(self._values.pop(key).data)
        self._note(key)
        return True

    def _note(self, key: bytes) -> None:
        """What stands under a key is not what it was."""
        self._changes += 1

    def _will_end(self, key: bytes, ends_ms: int) -> None:
        """Have it found by `_drop_ended`, which must not look through all keys: a
        plugin whose quota is used up comes there with every call."""
        if not ends_ms:
            return
        heapq.heappush(self._ends, (ends_ms, key))
        if len(self._ends) > 2 * len(self._values) + ENDS_SLACK:
            lasting = self._values.items()
            self._ends = [(one.ends_ms, key) for key, one in lasting if one.ends_ms]
            heapq.heapify(self._ends)

    def _drop_ended(self) -> None:
        now = self._now_ms()
        while self._ends and self._ends[0][0] <= now:
            ends_ms, key = heapq.heappop(self._ends)
            value = self._values.get(key)
            if value is not None and value.ends_ms == ends_ms:
                self._drop(key)
