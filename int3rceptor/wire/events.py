"""What the codecs say: one vocabulary for HTTP/1 and HTTP/2, both directions.

Heads here are as received; framing has been judged, hop-by-hop fields are still there.
"""

from dataclasses import dataclass

from int3rceptor.model.headers import Headers


@dataclass(slots=True)  # frozen ones cost 2 µs each, for every head
class RequestHead:
    """A request's head. `target` is as received; "" of authority means none was given.

    `version` is "HTTP/1.0", "HTTP/1.1" or "HTTP/2". `length` is the declared
    Content-Length; `has_body` is False when no body byte can follow. `is_absolute`: the
    target itself named scheme and authority, as a request to a proxy does. `block` is
    the head as it came, without its empty line: in HTTP/2 one field a line.
    """

    method: str
    target: bytes
    authority: str
    scheme: str
    version: str
    headers: Headers
    has_body: bool
    length: int | None
    is_absolute: bool = False
    block: bytes = b""


@dataclass(slots=True)
class ResponseHead:
    """A response's head; `status` below 200 is informational (101 included).

    `block` is as of a request.
    """

    status: int
    reason: bytes
    version: str
    headers: Headers
    has_body: bool
    length: int | None
    block: bytes = b""


@dataclass(slots=True, frozen=True)
class Data:
    """A piece of body, never empty."""

    data: bytes


@dataclass(slots=True, frozen=True)
class End:
    """The message is whole."""

    trailers: Headers | None


Event = RequestHead | ResponseHead | Data | End
