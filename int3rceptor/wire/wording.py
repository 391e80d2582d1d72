"""How messages quote what was received: they go to a log that others may read."""

import re

from int3rceptor.model.headers import to_text

MAX_QUOTED_BYTES = 80
"""Enough to recognise a request by; a line may have 64 KiB."""

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://")


def quoted(received: bytes) -> str:
    """The beginning of a target, an authority or a start line, in quotes. User
    information and a query, either of which may be secret, are left out."""
    scheme = _SCHEME.match(received)
    begin = scheme[0] if scheme else b""
    secret, at, rest = received[len(begin) :].rpartition(b"@")
    if at:
        # What stands before may be a password, or a path with a query: no telling.
        rest = b"***" if b"?" in secret else b"***@" + rest
    what = begin + rest.partition(b"?")[0]
    return repr(to_text(what[:MAX_QUOTED_BYTES]))
