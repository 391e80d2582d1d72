"""What the upstream files give each other: where to go, and what came back."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

from int3rceptor.errors import (
    Int3rceptorError,
    OriginTimeout,
    StreamError,
    TransformError,
)
from int3rceptor.model.flow import OriginInfo
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Response, format_authority
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import CANCELLED_WITHIN, is_cancelled
from int3rceptor.proxy.limits import MAX_KNOWN_ORIGINS
from int3rceptor.tls.verification import explain

PassOn = Callable[[Informational], None]
"""Takes an informational response for the client."""

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that may be sent again after an unclear failure (RFC 9110, 9.2.2)."""


_CREDENTIALS = frozenset((b"authorization", b"www-authenticate"))


class Origin(NamedTuple):
    """Where a request goes: the key of the pool.

    `via` is dialled in place of host and port; the names stay. Verification settings,
    client certificate and upstream proxy are the same for the whole process, so they
    need no place here.
    """

    scheme: str
    host: str
    port: int
    sni: str | None
    via: tuple[str, int] | None = None

    @property
    def dialled(self) -> tuple[str, int]:
        """The host and port that the connection goes to."""
        return self.via or (self.host, self.port)

    @property
    def name(self) -> str:
        """The name that its certificate is for: there it has no dot of DNS's root."""
        return self.sni or self.host.removesuffix(".")

    def __str__(self) -> str:
        return format_authority(self.host, self.port, self.scheme)


origin_of = lru_cache(MAX_KNOWN_ORIGINS)(Origin)
"""The origin of a scheme, host, port and SNI."""


class Answer(Protocol):
    """One exchange with an origin whose final response head has arrived."""

    response: Response
    info: OriginInfo
    upgraded: ByteStream | None
    """After 101: the stream, for who relays it; `aclose` aborts it."""

    async def settle(self) -> None:
        """After the response's body: let the request's body end too."""
        ...

    async def aclose(self) -> None:
        """Give up what remains; nobody reads the request's body after this."""
        ...


class _Reached(Protocol):
    @property
    def origin(self) -> Origin: ...

    @property
    def deadlines(self) -> "OriginDeadlines": ...


@contextlib.contextmanager
def reading_body() -> Iterator[None]:
    """Where a request's body is read, by a task that nobody waits for: an error of a
    function that makes or changes it is a TransformError, as is the end of something
    that such a function waits for."""
    try:
        yield
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise TransformError(CANCELLED_WITHIN) from error
    except Int3rceptorError:
        raise
    except Exception as error:
        what = f"the body cannot be read on: {type(error).__name__}: {error}"
        raise TransformError(what) from error


def is_bound(request: Headers, response: Headers) -> bool:
    """Whether this exchange authenticates its connection, not itself: then that serves
    one client from now on (RFC 4559, 6)."""
    asked, answered = request.steering, response.steering
    if _CREDENTIALS.isdisjoint(asked) and _CREDENTIALS.isdisjoint(answered):
        return False
    given = request.get_all("authorization")
    offered = response.get_all("www-authenticate")
    schemes = ("ntlm", "negotiate")
    return any(one.lower().startswith(schemes) for one in (*given, *offered))


def alert_of(error: StreamError, origin: Origin) -> Int3rceptorError | None:
    """What the origin's TLS said when it broke off, if it did: in TLS 1.3 the demand
    for a client certificate comes after the handshake (RFC 8446, 4.4.2.4)."""
    cause = error.__cause__
    if not isinstance(cause, ssl.SSLError):
        return None
    return explain(cause, origin.name).as_error()


def too_late(connection: _Reached) -> OriginTimeout:
    """The origin has the whole request, and says nothing."""
    wait_s = connection.deadlines.first_byte_timeout_s
    return OriginTimeout(
        f"{connection.origin} sent nothing for {wait_s:g} s",
        advice="Raise upstream.first_byte_timeout_s if it needs longer.",
    )


def not_taken(connection: _Reached) -> OriginTimeout:
    """The origin stopped reading in the middle of the request."""
    wait_s = connection.deadlines.idle_timeout_s
    return OriginTimeout(
        f"{connection.origin} took nothing of the request's body for {wait_s:g} s",
        advice="Raise upstream.idle_timeout_s if it needs longer.",
    )


class OriginDeadlines(Protocol):
    """The settings that bound waits on an origin, in seconds."""

    @property
    def first_byte_timeout_s(self) -> float:
        """From the whole request to the first byte of the response."""
        ...

    @property
    def idle_timeout_s(self) -> float:
        """Between two pieces of a message."""
        ...
