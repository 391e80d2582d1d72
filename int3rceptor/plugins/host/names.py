"""Field names as one plugin gives them, each judged once. Pure.

Plugins name the same few fields at every call.
"""

from dataclasses import dataclass

from int3rceptor.model.headers import is_token
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.wire.h1.framing import FORBIDDEN_TRAILERS

PROTECTED_FIELDS = FORBIDDEN_TRAILERS - {b"expect"}
"""Framing, hop-by-hop and routing fields (RFC 9110, 7.2 and 7.6.1): written by a guest
they could make two parsers disagree about where a message ends or whom it is for."""

MAX_KNOWN = 256
"""Names remembered of one instance: more than any plugin deals in. A guest that makes
names up starts over at each 256th."""

MAX_KNOWN_BYTES = 256
"""Of one: real names are a tenth; longer ones are judged anew each time."""


@dataclass(slots=True, frozen=True)
class Name:
    """What is known of a name: its lower case, whether it is masked for this plugin,
    and why a field of it is never written (OK: it is)."""

    key: bytes
    is_masked: bool
    problem: Status


class Names(dict[bytes, Name]):
    """Name -> what is known of it, found out when it is first asked for."""

    def __init__(self, masked: frozenset[bytes]) -> None:
        super().__init__()
        self._masked = masked

    def __missing__(self, name: bytes) -> Name:
        key, problem = name.lower(), Status.OK
        if not is_token(name):
            problem = Status.BAD_ARGUMENT
        elif key in PROTECTED_FIELDS:
            problem = Status.PROTECTED
        known = Name(key, key in self._masked, problem)
        if len(name) <= MAX_KNOWN_BYTES:
            if len(self) >= MAX_KNOWN:
                self.clear()
            self[name] = known
        return known
