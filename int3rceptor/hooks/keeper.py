"""Who keeps finished flows. The proxy calls it; what it writes to is its own affair."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from int3rceptor.model.flow import Flow

BeforeEnd = Callable[[], Awaitable[None]]
"""Called once before the last bytes of an answer leave: the flow is kept then, so that
nothing that a client received whole can be lost."""


class Ended(NamedTuple):
    """A flow that is over, or about to be: its last byte has yet to leave.

    Not `is_wanted`: a listener of on_capture said that it is not to be kept.
    """

    flow: Flow
    is_wanted: bool


class Keeper(Protocol):
    """Called in the course of every exchange, in the loop's own thread: never waits."""

    def begin(self, flow: Flow) -> None:
        """A flow begins: its number, and an ear at its request's body."""
        ...

    def answered(self, flow: Flow) -> None:
        """`flow.response` is set and its body has not passed yet."""
        ...

    def finish(self, ended: Sequence[Ended]) -> None:
        """These flows ended in the same turn of the loop: kept when this returns."""
        ...
