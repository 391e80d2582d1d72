"""What a listener may answer. None means: continue."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from int3rceptor.model.flow import Upstream
from int3rceptor.model.message import Response, format_authority
from int3rceptor.model.websocket import Drop as Drop

if TYPE_CHECKING:
    from collections.abc import Awaitable

MAX_DELAY_S = 300.0
"""Longest delay that is granted: longer than clients wait is a drop in disguise."""


@dataclass(slots=True, frozen=True)
class Respond:
    """Answer the client with this; the origin is not asked (or its answer replaced)."""

    response: Response


@dataclass(slots=True, frozen=True)
class Delay:
    """Wait, then ask the next listener. At most MAX_DELAY_S."""

    seconds: float


@dataclass(slots=True, frozen=True)
class Hold:
    """Wait until someone decides; what `release` gives is the verdict."""

    release: "Awaitable[Verdict | None]"


@dataclass(slots=True, frozen=True)
class PassThrough:
    """on_connect only: relay this connection blind, do not intercept it."""


@dataclass(slots=True, frozen=True)
class Fail:
    """The listener `author` failed, and says that flows must not pass without it."""

    author: str
    reason: str


Verdict = Respond | Drop | Delay | Hold | PassThrough | Upstream | Fail
"""Upstream is for on_connect only: dial there, then ask the next listener."""


def describe(verdict: Verdict) -> str:
    """A verdict in a few words, for the flow's record."""
    match verdict:
        case Respond(response=response):
            return f"answered {response.status}"
        case Drop(reason=reason):
            return f"dropped: {reason}" if reason else "dropped"
        case PassThrough():
            return "passed through"
        case Upstream(host=host, port=port):
            return f"to be dialled at {format_authority(host, port, '')}"
        case Fail(reason=reason):
            return f"blocked: {reason}"
        case Delay(seconds=seconds):
            return f"delayed by {seconds:g} s"
        case Hold():
            return "held"
