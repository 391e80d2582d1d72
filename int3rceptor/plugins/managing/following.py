"""Notices which plugin files appeared, changed or went, once they are whole.

It looks, and says what it saw; `service` acts.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from int3rceptor.files.reading import Stamp, Watched, listing, stamp

log = logging.getLogger("int3rceptor.plugins")

POLL_S = 0.5
"""How often files are looked at. A change counts when two looks agree on it, so after a
second at most; a file costs some µs."""

MAX_MODULES = 256
"""Plugins in the folder; each that matches is asked about every flow."""


@dataclass(slots=True, frozen=True)
class Seen:
    """What has changed by this look."""

    appeared: tuple[Path, ...]
    changed: tuple[Path, ...]


class Following:
    """The plugin files of one proxy: those it knows, and those of a folder."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        self._folder = folder
        self._suffixes = suffixes
        self._was_full = False
        self._is_unread = False
        self._unsettled: dict[Path, tuple[Stamp, ...]] = {}

    def in_folder(self) -> tuple[Path, ...]:
        """The modules of the folder, by name; () when it cannot be read. That, and
        that past MAX_MODULES they are left out, is told of once."""
        try:
            found = listing(self._folder, self._suffixes)
        except OSError as error:
            if not self._is_unread:
                log.error(
                    "%s: cannot be read: %s; no plugin in it is loaded before it can",
                    *(self._folder, error.strerror),
                )
            self._is_unread = True
            return ()
        self._is_unread = False
        is_full = len(found) > MAX_MODULES
        if is_full and not self._was_full:
            log.error(
                "%s: more than %d plugins; %s and those after it are left out: remove "
                "some",
                *(self._folder, MAX_MODULES, found[MAX_MODULES].name),
            )
        self._was_full = is_full
        return found[:MAX_MODULES]

    def look(self, known: Iterable[tuple[Path, Watched]]) -> Seen:
        """What is new since the files were read, and the same as at the last look: a
        file that is still being written is not whole."""
        changed, sources = [], set()
        unsettled: dict[Path, tuple[Stamp, ...]] = {}
        for source, watched in known:
            sources.add(source)
            if watched.has_changed():
                unsettled[source] = watched.now()
                changed.append(source)
        fresh = [path for path in self.in_folder() if path not in sources]
        for path in fresh:
            unsettled[path] = (stamp(path), stamp(path.with_suffix(".toml")))
        before, self._unsettled = self._unsettled, unsettled
        return Seen(
            appeared=tuple(one for one in fresh if before.get(one) == unsettled[one]),
            changed=tuple(one for one in changed if before.get(one) == unsettled[one]),
        )
