"""What the judge says of a head's fields."""

from dataclasses import dataclass

from int3rceptor.model.headers import RawHeaders


@dataclass(slots=True, frozen=True)  # read more often than made
class Framing:
    """How a message's body ends, and what Connection says (lower-case options).

    Neither chunked nor a length: no body in a request, until close in a response.
    """

    length: int | None
    is_chunked: bool
    options: frozenset[bytes]
    is_upgrade: bool


@dataclass(slots=True)
class Block:
    """What the fields of a head say. `host` of requests only; `authority` is what it
    reads as, and None where that has to be judged with the target. `next_hop` is for
    the serialiser: how they go on when nothing but them decides it.

    `is_plain`: they ask for nothing but a message that ends by count, on a connection
    that stays; a request has no body then. Of a response the whole head is known, the
    status line too; `counted` is its length where it has a body that ends so, else -1.

    `rest` is what is remembered of them where they have a cookie: the same without it.
    """

    raw: RawHeaders
    steering: frozenset[bytes]
    host: bytes | None
    authority: str | None
    framing: Framing
    is_plain: bool = False
    version: str = ""
    status: int = 0
    reason: bytes = b""
    counted: int = -1
    next_hop: bytes | None = None
    rest: "Block | None" = None


def canonical_fields(framing: Framing, *, close: bool) -> bytes:
    """What frames the message, in the simplest form."""
    fields = b"Connection: close\r\n" if close else b""
    if framing.is_chunked:
        return fields + b"Transfer-Encoding: chunked\r\n"
    if framing.length is not None:
        return fields + b"Content-Length: %d\r\n" % framing.length
    return fields
