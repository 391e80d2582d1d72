"""The states of all plugins of one proxy: kept between versions, on disk by choice.

A state on disk is one file a plugin, DIRECTORY/NAME.state, written whole and renamed,
so that it is never half there. It is written up to SAVE_S after a change and at the
end: a process that is killed loses that much of it, and nothing of any flow.

Of several workers each has files of its own: the first in DIRECTORY, where a proxy
without workers has them, number 2 in DIRECTORY/worker-2.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from int3rceptor.plugins.keyvalues import Entry, KeyValues

log = logging.getLogger("int3rceptor.plugins")

SAVE_S = 1.0
"""How long a change may wait to be written: a counter changes with every request."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Read at most: several times the largest quota, since keys cost a few bytes more."""

SUFFIX = ".state"
_DAMAGED = ".damaged"
_WORKER = "worker-"


class _File(msgspec.Struct, array_like=True):
    """What a file holds; `form` changes when an older reader could not read it."""

    form: int
    entries: list[Entry]


@dataclass(slots=True)
class _Held:
    state: KeyValues
    is_on_disk: bool
    saved: int = 0
    is_failing: bool = False


class PluginStates:
    """Gives each plugin its state, and saves those that are to outlive the process.

    Without `directory` (a library's proxy that keeps nothing) all are in memory.
    """

    def __init__(
        self, directory: Path | None, now_ms: Callable[[], int], *, worker: int = 1
    ) -> None:
        self._root = directory
        self._directory = directory
        if directory is not None and worker > 1:
            self._directory = directory / f"{_WORKER}{worker}"
        self._now_ms = now_ms
        self._held: dict[str, _Held] = {}

    def open(
        self, name: str, quota_bytes: int, *, is_on_disk: bool, carries: bool
    ) -> KeyValues:
        """The state of `name`; reads its file at first, so not on the event loop.

        `carries`: a state that an earlier version in this process left is gone on with.
        """
        held = self._held.get(name)
        if held is not None and carries:
            held.state.quota_bytes = quota_bytes
            held.is_on_disk = is_on_disk
            return held.state
        state = KeyValues(quota_bytes, self._now_ms, threading.Lock())
        if is_on_disk and carries:
            self._read(name, state)
        self._held[name] = _Held(state, is_on_disk, saved=state.changes)
        return state

    def forget(self, name: str) -> None:
        """Drop a state and its files, those of all workers: the plugin was deleted."""
        self._held.pop(name, None)
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

    def save(self) -> None:
        """Write every state that is to be kept and changed; never raises. A disk that
        cannot be written is told of once, and tried again with the next change."""
        for name, held in list(self._held.items()):
            if not _is_due(held):
                continue
            held.saved = held.state.changes
            try:
                self._write(name, held.state)
            except OSError as error:
                if not held.is_failing:
                    log.warning(
                        "the state of plugin %s cannot be kept: %s: %s",
                        name,
                        self._path(name),
                        error.strerror,
                    )
                held.is_failing = True
            else:
                held.is_failing = False

    def _path(self, name: str) -> Path:
        return (self._directory or Path()) / f"{name}{SUFFIX}"

    def _write(self, name: str, state: KeyValues) -> None:
        if self._root is None or self._directory is None:
            return
        data = msgspec.msgpack.encode(_File(1, state.snapshot()))
        # In steps: of the folders above one the mode would be anyone's.
        for folder in (self._root, self._directory):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(name)
        new = path.with_name(f"{path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(new, flags, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
        new.replace(path)

    def _read(self, name: str, state: KeyValues) -> None:
        if self._directory is None:
            return
        path = self._path(name)
        try:
            with path.open("rb") as file:
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


def _is_due(held: _Held) -> bool:
    return held.is_on_disk and (held.saved != held.state.changes or held.is_failing)
