"""A guest's descriptors: numbers for outputs, granted folders, what it opened there.

The table closes what it drops, and all of it when the instance ends: no descriptor of
the system outlives the guest that had it, and none of its numbers is ever told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from int3rceptor.plugins.abi.wasi_codes import FileType
from int3rceptor.plugins.wasi.files import Listing, close
from int3rceptor.plugins.wasi.output import Output

MAX_DESCRIPTORS = 64
"""Open at a time in one instance, the standard three included: a process has 1,024
by default, of which clients need most."""

FIRST_FOLDER = 3
"""Granted folders follow the standard descriptors, as every WASI library expects."""


class Input:
    """Standard input: always at its end."""

    kind = FileType.CHARACTER_DEVICE


@dataclass(slots=True)
class Folder:
    """An open folder; `granted_as` is its path for one that was granted, else ""."""

    number: int
    grant: int
    may_write: bool
    granted_as: str = ""
    listing: Listing = field(default_factory=list)
    kind = FileType.DIRECTORY


@dataclass(slots=True)
class File:
    """An open regular file, and where the guest stands in it."""

    number: int
    may_read: bool
    may_write: bool
    is_append: bool
    offset: int = 0
    kind = FileType.REGULAR_FILE


Descriptor = Input | Output | Folder | File


class Descriptors:
    """The table, by number."""

    def __init__(self) -> None:
        self._open: dict[int, Descriptor] = {}

    def __iter__(self) -> Iterator[Descriptor]:
        return iter(self._open.values())

    def get(self, number: int) -> Descriptor | None:
        """What a number stands for."""
        return self._open.get(number)

    def is_full(self) -> bool:
        """Whether another one would be too many: asked before it is opened."""
        return len(self._open) >= MAX_DESCRIPTORS

    def add(self, one: Descriptor) -> int:
        """Give it the lowest number that is free."""
        number = next(n for n in range(len(self._open) + 1) if n not in self._open)
        self._open[number] = one
        return number

    def move(self, number: int, to: int) -> None:
        """Let `to` stand for what `number` does, and `number` for nothing."""
        self.close(to)
        self._open[to] = self._open.pop(number)

    def close(self, number: int) -> None:
        """Close one that is open."""
        one = self._open.pop(number)
        if isinstance(one, Folder | File):
            close(one.number)

    def close_all(self) -> None:
        """Close what is open."""
        for number in list(self._open):
            self.close(number)
