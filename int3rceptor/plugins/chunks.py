"""A piece of a body as a guest is shown it, and what it gives back. Pure data."""

from dataclasses import dataclass

MAX_CHUNK_BYTES = 16 * 1024
"""Largest chunk that a guest is shown; what comes larger is split. The default fuel has
60 instructions for each of its bytes, and a loop over them stays under 1 ms. TLS and
HTTP/2 cut bodies up at this size anyway."""

MAX_GIVEN_BYTES = 1024 * 1024
"""Largest chunk that a guest may put in its place: it is held until it has left, and a
guest that kept something back has this much to give it out in at a time."""


@dataclass(slots=True, kw_only=True)
class Chunk:
    """`given` goes on in the place of `data`; None: it goes on as it is.

    The last one is the end of the body, and empty.
    """

    data: bytes
    is_last: bool
    given: bytes | None = None
