"""Connects to a host by whichever of its addresses answers first (RFC 8305).

The event loop makes the connection from an address in text: for a socket of ours uvloop
would have even a literal address looked up by a thread, for twice the CPU.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, zip_longest

from int3rceptor.net.tasks import first_to_succeed
from int3rceptor.net.transport import TransportStream

HAPPY_EYEBALLS_S = 0.25
"""When the next address is tried beside one that does not answer (RFC 8305, 8)."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As getaddrinfo gives it; of IPv6 with flow and scope."""


async def connect(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[SocketAddress]
) -> TransportStream:
    """A connection to one of `addresses`, of which there is one at least; OSError."""
    if len(addresses) == 1:
        return await _connect_to(loop, addresses[0])
    attempts = [partial(_connect_to, loop, one) for one in _by_turns(addresses)]
    return await first_to_succeed(attempts, HAPPY_EYEBALLS_S, TransportStream.abort)


async def _connect_to(
    loop: asyncio.AbstractEventLoop, address: SocketAddress
) -> TransportStream:
    host, port, *more = address
    if more and (scope := more[1]):
        host = f"{host}%{scope}"  # of a link: the same address may be on several
    stream = TransportStream(loop)
    await loop.create_connection(lambda: stream, host, port)
    return stream


def _by_turns(addresses: Sequence[SocketAddress]) -> Iterator[SocketAddress]:
    """IPv6 and IPv4 by turns, beginning with the kind of the first (RFC 8305, 4)."""
    first = [one for one in addresses if len(one) == len(addresses[0])]
    other = [one for one in addresses if len(one) != len(addresses[0])]
    mixed = chain.from_iterable(zip_longest(first, other))
    return (one for one in mixed if one is not None)
