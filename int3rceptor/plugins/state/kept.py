"""The states of all plugins of one proxy: kept between versions, on disk by choice.

A state on disk is one file a plugin, DIRECTORY/NAME.state, written whole and renamed,
so that it is never half there. It is written up to SAVE_S after a change and at the
end: a process that is killed loses that much of it, and nothing of any flow.

Of several workers each has files of its own: the first in DIRECTORY, where a proxy
without workers has them, number 2 in DIRECTORY/worker-2. A state that they share is one
file in DIRECTORY, which one of them writes.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from int3rceptor.errors import PluginError
from int3rceptor.files.reading import at_once
from int3rceptor.files.writing import NO_LINK
from int3rceptor.plugins.state.keyvalues import Entry, KeyValues, Unreachable

if TYPE_CHECKING:
    from int3rceptor.plugins.state.shared import RecordLock, SharedFile

log = logging.getLogger("int3rceptor.plugins")

SAVE_S = 1.0
"""How long a change may wait to be written: a counter changes with every request."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Read at most: several times the largest quota, since keys cost a few bytes more."""

LAST_LOOKS = 3
"""At the end. A change after each of them would have to come from workers that end in
the very moment of this one's."""

SUFFIX = ".state"
_NEVER = -1
_DAMAGED = ".damaged"
_WORKER = "worker-"


class _File(msgspec.Struct, array_like=True):
    """What a file holds; `form` changes when an older reader could not read it."""

    form: int
    entries: list[Entry]


@dataclass(slots=True)
class _Held:
    """`keeper` is had by the one worker that writes a state that all share."""

    state: KeyValues
    is_on_disk: bool
    saved: int
    keeper: "RecordLock | None" = None
    is_failing: bool = False


class PluginStates:
    """Gives each plugin its state, and saves those that are to outlive the process.

    Without `directory` (a library's proxy that keeps nothing) all are in memory. In
    `sharing`, of which a worker has the number, are those that workers share.
    """

    def __init__(
        self,
        directory: Path | None,
        now_ms: Callable[[], int],
        *,
        worker: int = 1,
        sharing: int | None = None,
    ) -> None:
        self._sharing = None if sharing is None else _shared_file(sharing)
        self._root = directory
        self._directory = directory
        if directory is not None and worker > 1:
            self._directory = directory / f"{_WORKER}{worker}"
        self._now_ms = now_ms
        self._held: dict[str, _Held] = {}

    def open(
        self,
        name: str,
        quota_bytes: int,
        *,
        is_on_disk: bool,
        carries: bool,
        is_shared: bool = False,
    ) -> KeyValues:
        """The state of `name`; reads its file at first, so not on the event loop.

        `carries`: a state that an earlier version in this process left is gone on with.
        `is_shared`: by all workers, where there are some; PluginError if it cannot be.
        """
        sharing = self._sharing if is_shared else None
        held = self._held.get(name) if carries else None
        if held is not None and (held.keeper is None) == (sharing is None):
            held.state.quota_bytes = quota_bytes
            held.is_on_disk = is_on_disk
            return held.state
        path = self._path(name, sharing is not None)
        fill = partial(self._fill, name, path if is_on_disk and carries else None, held)
        if sharing is None:
            state = KeyValues(quota_bytes, self._now_ms, threading.Lock())
            fill(state)
            self._held[name] = _Held(state, is_on_disk, state.changes)
            return state
        shared = sharing.join(name, quota_bytes, self._now_ms, fill)
        # Never saved here: who was to save what others changed may be gone.
        self._held[name] = _Held(shared, is_on_disk, _NEVER, shared.keeper)
        return shared

    def _fill(
        self, name: str, path: Path | None, held: _Held | None, state: KeyValues
    ) -> None:
        """Put in what there was before: in this process, or on the disk."""
        if held is not None:
            try:
                state.restore(held.state.snapshot())
            except Unreachable:
                reason = "other workers hold the keys that it shared"
                raise PluginError(f"plugin {name}: {reason}") from None
        elif path is not None:
            self._read(name, path, state)

    def forget(self, name: str) -> None:
        """Drop a state and its files, those of all workers: the plugin was deleted."""
        held = self._held.pop(name, None)
        if held is not None and held.keeper is not None:
            with contextlib.suppress(Unreachable):
                held.state.clear()
        if self._root is not None:
            file = f"{name}{SUFFIX}"
            for path in (self._root / file, *self._root.glob(f"{_WORKER}*/{file}")):
                with contextlib.suppress(OSError):
                    path.unlink()

    async def save_forever(self) -> None:
        """Write what changed, every SAVE_S."""
        while True:
            await asyncio.sleep(SAVE_S)
            if any(map(_is_due, self._held.values())):
                await asyncio.to_thread(self.save)

    def close(self) -> None:
        """Save for the last time, and leave what is shared to the other workers. One of
        them that ended meanwhile may have left it to this one, so it looks again."""
        for _ in range(LAST_LOOKS):
            self.save()
            for held in self._held.values():
                if held.keeper is not None:
                    held.keeper.leave()

    def save(self) -> None:
        """Write every state that is to be kept and changed; never raises. A disk that
        cannot be written is told of once, and tried again with the next change."""
        for name, held in list(self._held.items()):
            if not _is_due(held):
                continue
            held.saved = held.state.changes
            path = self._path(name, held.keeper is not None)
            try:
                _write(path, held.state)
            except Unreachable:
                held.saved = _NEVER
            except OSError as error:
                if not held.is_failing:
                    log.warning(
                        "the state of plugin %s cannot be kept: %s: %s",
                        *(name, path, error.strerror),
                    )
                held.is_failing = True
            else:
                held.is_failing = False

    def _path(self, name: str, is_shared: bool) -> Path | None:
        folder = self._root if is_shared else self._directory
        return None if folder is None else folder / f"{name}{SUFFIX}"

    def _read(self, name: str, path: Path, state: KeyValues) -> None:
        try:
            with open(path, "rb", opener=at_once) as file:  # a pipe
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
            kept = msgspec.msgpack.decode(data, type=_File)
            if kept.form != 1:
                raise ValueError("written by a newer version")
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.DecodeError) as error:
            self._set_aside(name, path, error)
            return
        if left_out := state.restore(kept.entries):
            log.warning(
                "plugin %s: %d keys of its state are left out: the quota is %d bytes",
                *(name, left_out, state.quota_bytes),
            )

    def _set_aside(self, name: str, path: Path, error: Exception) -> None:
        """What cannot be read is kept for whoever can, and not written over."""
        aside = path.with_name(f"{path.name}{_DAMAGED}")
        reason = error.strerror if isinstance(error, OSError) else str(error)
        try:
            path.replace(aside)
            where = f"; what was there is in {aside.name}"
        except OSError:
            where = ""
        log.warning(
            "plugin %s begins with an empty state: %s: %s%s",
            *(name, path, reason, where),
        )


def _write(path: Path | None, state: KeyValues) -> None:
    if path is None:
        return
    data = msgspec.msgpack.encode(_File(1, state.snapshot()))
    # In steps: of the folders above one the mode would be anyone's.
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_LINK
    with open(os.open(new, flags, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
    new.replace(path)


def _is_due(held: _Held) -> bool:
    if not held.is_on_disk:
        return False
    if held.saved == held.state.changes and not held.is_failing:
        return False
    return held.keeper is None or held.keeper.is_had()


def _shared_file(descriptor: int) -> "SharedFile":
    # Only for workers, and not on Windows.
    from int3rceptor.plugins.state.shared import SharedFile

    return SharedFile(descriptor)
