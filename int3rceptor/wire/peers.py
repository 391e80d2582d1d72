"""Who sent what: whose fault it is, and what no peer may ask of the next. Pure."""

from enum import Enum

from int3rceptor.errors import ClientProtocolError, OriginProtocolError, ProtocolError

MAX_CONTENT_LENGTH = 2**63 - 1
"""What fits the signed 64 bits that the next parser may count with."""


class Peer(Enum):
    """Who sent the bytes, which decides who is to blame and what is answered."""

    CLIENT = "client"
    ORIGIN = "origin"


def refusal(peer: Peer, message: str, status: int = 400) -> ProtocolError:
    """The error for a fault of `peer`; `status` is what a client is answered."""
    if peer is Peer.CLIENT:
        return ClientProtocolError(message, status=status)
    return OriginProtocolError(message)
