"""What a rule is: which flows it matches, and what it does to them. Plain values."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from int3rceptor.hooks.points import HookPoint
from int3rceptor.rules.patterns import Pattern

DEFAULT_ORDER = 100


class Phase(Enum):
    """When a rule is asked. The value is how `on` names it."""

    CONNECT = "connect"
    REQUEST = "request"
    RESPONSE = "response"

    @property
    def point(self) -> HookPoint:
        """The hook point of this phase."""
        return HookPoint[self.name]


@dataclass(slots=True, frozen=True, kw_only=True)
class HeaderMatch:
    """A field of this name (in lower case) has a value that one of `values` fits."""

    name: bytes
    values: tuple[Pattern, ...]


@dataclass(slots=True, frozen=True, kw_only=True)
class Match:
    """Every part that is not empty must agree, by one of its patterns.

    `host` is judged by all the names that a flow goes by; `path` is without the query,
    `query` without its question mark; `headers` are those of the phase's message.
    """

    host: tuple[Pattern, ...] = ()
    method: tuple[Pattern, ...] = ()
    path: tuple[Pattern, ...] = ()
    query: tuple[Pattern, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()
    status: frozenset[int] = frozenset()

    def patterns(self) -> tuple[Pattern, ...]:
        """All of its patterns."""
        fields = (pattern for one in self.headers for pattern in one.values)
        return (*self.host, *self.method, *self.path, *self.query, *fields)


@dataclass(slots=True, frozen=True)
class Tag:
    """Add a tag to the flow."""

    name: str


@dataclass(slots=True, frozen=True)
class RemoveHeader:
    """Drop every field of this name from the phase's message."""

    name: bytes


@dataclass(slots=True, frozen=True)
class SetHeader:
    """Replace the first field of this name, drop the others; append if none."""

    name: bytes
    value: bytes


@dataclass(slots=True, frozen=True)
class AddHeader:
    """Append a field, keeping those of the same name."""

    name: bytes
    value: bytes


PathPart = bytes | int
"""A piece of a new path: as it is, or the number of a capture."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Rewrite:
    """Send the request elsewhere. What is None stays.

    `path` without a question mark keeps the request's query. Host follows the new URL
    unless `keeps_host`.
    """

    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    path: tuple[PathPart, ...] | None = None
    keeps_host: bool = False


@dataclass(slots=True, frozen=True)
class Wait:
    """Let the exchange wait, then go on."""

    seconds: float


@dataclass(slots=True, frozen=True, kw_only=True)
class Answer:
    """Answer the client; at a response, in place of it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@dataclass(slots=True, frozen=True)
class Block:
    """Refuse: a 403 page, or no answer at all."""

    how: Literal["page", "drop"]


@dataclass(slots=True, frozen=True)
class LeaveAlone:
    """Relay the connection unread."""


Step = Tag | RemoveHeader | SetHeader | AddHeader | Rewrite | Wait
"""What the exchange goes on after."""

Ending = Answer | Block | LeaveAlone
"""What ends the phase: no rule after it is asked."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Rule:
    """One rule. `steps` are taken in order, then `ending`; `place` is its FILE:LINE.

    A lower `order` is asked first; rules of the same order as they stand in the files.
    """

    name: str
    place: str
    phase: Phase
    match: Match
    steps: tuple[Step, ...] = ()
    ending: Ending | None = None
    is_enabled: bool = True
    order: int = DEFAULT_ORDER

    @property
    def author(self) -> str:
        """Who a flow's record says it was."""
        return f"rule {self.name}"
