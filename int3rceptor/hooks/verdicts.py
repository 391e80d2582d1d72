"""What a listener may answer. None means: continue."""

from dataclasses import dataclass
from itertools import chain
from types import UnionType
from typing import TYPE_CHECKING

from int3rceptor.model.body import Body
from int3rceptor.model.flow import Upstream
from int3rceptor.model.headers import Headers
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


def check(verdict: Verdict) -> None:
    """TypeError when it holds what it cannot, as that of a program that nobody has
    checked may."""
    if isinstance(verdict, Delay):
        _is_a("Delay.seconds", verdict.seconds, int | float)
    elif isinstance(verdict, Respond):
        response = verdict.response
        _is_a("Respond.response", response, Response)
        _is_a("Response.status", response.status, int)
        _is_a("Response.reason", response.reason, bytes)
        _is_a("Response.headers", response.headers, Headers)
        _is_a("Response.body", response.body, Body)
        _is_a("Body.content", response.body.content, bytes | None)
        for part in chain.from_iterable(response.headers.raw):
            _is_a("a part of Headers.raw", part, bytes)


def _is_a(what: str, value: object, kind: type | UnionType) -> None:
    if not isinstance(value, kind):
        wanted = getattr(kind, "__name__", str(kind))
        raise TypeError(f"{what} is {value!r:.80}, not of type {wanted}")


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
