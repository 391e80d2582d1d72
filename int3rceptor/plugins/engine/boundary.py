"""The line between host and guest: what a guest engine offers, and how a turn ends.

Two implementations exist, `fastcall` (wasmtime's C API) and `stockcall` (wasmtime's
Python API); everything above them speaks only these types.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol


class FaultKind(Enum):
    """Why a plugin lost its turn."""

    FUEL = "out of fuel"
    WALL_CLOCK = "over the wall clock limit"
    HOST_BUDGET = "over the host work budget"
    STACK = "stack overflow"
    MEMORY = "access outside its memory"
    TRAP = "trap"
    START = "could not be started"
    RETURNED_ERROR = "returned an error"
    BAD_ANSWER = "returned RESPOND without an answer"
    NOT_GRANTED = "returned what it was not granted"
    EXITED = "ended itself"
    OVERLOADED = "too many calls were waiting for it"
    HOST_BUG = "a host function failed"


@dataclass(slots=True, frozen=True, kw_only=True)
class Fault:
    """One lost turn: what kind, and the details in one line."""

    kind: FaultKind
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value


Outcome = int | Fault
"""How a call ended: the hook's return code, or the fault that ended it."""


@dataclass(slots=True, frozen=True, kw_only=True)
class GuestLimits:
    """What one instance may use; `fuel` and `ticks` are per call.

    `ticks` counts epochs of `engine.TICK_S`.
    """

    fuel: int
    ticks: int
    memory_bytes: int
    tables: int
    table_elements: int


class HostCall(Protocol):
    """A host function: its parameters as one tuple of unsigned ints, which costs less
    than to spread them at each step; it never raises."""

    def __call__(self, values: tuple[int, ...], /) -> int:
        """Act; a status, a length or a fact."""
        ...


class Characters(Protocol):
    """Memory to copy out of."""

    def __getitem__(self, part: "slice[int, int, None]") -> bytes: ...


class Window(NamedTuple):
    """A guest's memory as it may be touched without asking the guest: `size` bytes from
    address 0. What is beyond may have been added since."""

    size: int = 0
    source: Characters = b""
    target: memoryview = memoryview(bytearray())


NO_WINDOW = Window()
"""Of a guest whose memory only it can touch."""


@dataclass(slots=True, frozen=True, kw_only=True)
class HostImport:
    """One import to satisfy; `result` is as the module declared it: i32, i64 or ""."""

    module: str
    name: str
    params: Sequence[str]
    result: str
    call: HostCall


class Guest(Protocol):
    """One instance in its own store. Used by one thread at a time."""

    def start(self) -> Fault | None:
        """Instantiate, under the same limits as any call; once, before all else."""
        ...

    def call(self, export: str) -> Outcome:
        """Run one export with fresh fuel and a fresh deadline; what it returned.

        That means nothing for an export without a result.
        """
        ...

    def fuel_used(self) -> int:
        """By the last call."""
        ...

    def read(self, address: int, length: int) -> bytes | None:
        """Copy out of the guest's memory; None outside of it."""
        ...

    def write(self, address: int, data: bytes) -> bool:
        """Copy into the guest's memory; False, and nothing written, outside of it."""
        ...

    def memory_bytes(self) -> int:
        """The memory's size now."""
        ...

    def window(self) -> Window:
        """What of the memory can be touched directly, for as long as the guest is."""
        ...

    def stop(self) -> None:
        """From a host function: let the guest run no further than its next check."""
        ...


class GuestMaker(Protocol):
    """What makes the guests of one module: the engine's part that is built once."""

    def new_guest(self) -> Guest:
        """A guest that is not started yet."""
        ...

    def close(self) -> None:
        """Let go of the engine's part. No guest of it is called any more."""
        ...


@dataclass(slots=True, frozen=True, kw_only=True)
class Blueprint:
    """What a guest is made from, apart from the compiled module."""

    imports: Sequence[HostImport]
    exports: Sequence[str]
    limits: GuestLimits
