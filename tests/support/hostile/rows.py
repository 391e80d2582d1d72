"""What a row about a hostile guest says."""

from collections.abc import Iterator
from dataclasses import dataclass

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.plugins.abi.codes import Entry
from int3rceptor.plugins.engine.boundary import FaultKind
from int3rceptor.plugins.policy.manifest import Limits
from tests.support.guests import guest_file

PAGE = 65_536
EDGES = (0, 1, PAGE - 1, PAGE, PAGE + 1, 1 << 31, (1 << 32) - 1)


@dataclass(slots=True, frozen=True)
class Refused:
    """It is not loaded, with a line that says so."""

    line: str


@dataclass(slots=True, frozen=True)
class NotStarted:
    """It is loaded and does not come up, with this reason."""

    why: str


@dataclass(slots=True, frozen=True)
class Loses:
    """Each call is a fault of this kind, and changes nothing."""

    kind: FaultKind
    detail: str = ""


@dataclass(slots=True, frozen=True)
class GoesOn:
    """Each call ends well: the module got nothing that it should not get."""


@dataclass(slots=True, frozen=True)
class Decides:
    """Each call ends the exchange or holds it up, as whoever granted that allowed."""

    verdict: type[Verdict]


Must = Refused | NotStarted | Loses | GoesOn | Decides


@dataclass(slots=True, frozen=True, kw_only=True)
class Hostile:
    """One module. `entry` is where it acts; `limits` are those it is given, `reach`
    what it is granted beside what everyone is, of folders and the network."""

    name: str
    attempts: str
    must: Must
    source: str | bytes = ""
    entry: Entry = HookPoint.REQUEST
    limits: Limits | None = None
    is_granted: bool = True
    reach: tuple[str, ...] = ()

    @property
    def module(self) -> bytes:
        """Its bytes, WebAssembly text or binary."""
        if not self.source:
            return guest_file(self.name).read_bytes()
        return self.source.encode() if isinstance(self.source, str) else self.source

    @property
    def is_text(self) -> bool:
        """Whether its file is a .wat."""
        return not self.module.startswith(b"\0asm")


def rows(
    *rows: tuple[str, str, Must] | tuple[str, str, Must, str | bytes],
) -> Iterator[Hostile]:
    """From rows: name, what it attempts, what must be, source if it has no file."""
    for name, attempts, must, *source in rows:
        yield Hostile(
            name=name, attempts=attempts, must=must, source=source[0] if source else ""
        )


FUEL, TRAP = Loses(FaultKind.FUEL), FaultKind.TRAP
OUTSIDE = Loses(FaultKind.MEMORY)
BUDGET = Loses(FaultKind.HOST_BUDGET)
