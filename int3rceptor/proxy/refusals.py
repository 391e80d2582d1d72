"""Answers to connections that cannot go on, sent so that they arrive."""

import asyncio

from int3rceptor.errors import StreamError
from int3rceptor.hooks.keeper import BeforeEnd
from int3rceptor.model.message import Response
from int3rceptor.net.inbound import Inbound
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.limits import LINGER_S, MAX_LINGER_BYTES
from int3rceptor.wire.h1.server import H1Server

SOCKS_REFUSALS = {
    4: b"\x00\x5b\x00\x00\x00\x00\x00\x00",  # request rejected
    5: b"\x05\xff",  # no acceptable authentication method (RFC 1928, 3)
}
"""What tells a SOCKS client at once that it is not served here, by its version."""

TLS_REFUSAL = b"\x15\x03\x03\x00\x02\x02\x28"
"""The alert handshake_failure (RFC 8446, 6): who began TLS reads no page."""


async def send_answer(
    inbound: Inbound, response: Response, before_end: BeforeEnd | None = None
) -> None:
    """Answer in HTTP/1.1, in the clear, and close."""
    head = H1Server().head(response, close=True)
    content = response.body.content or b""
    if before_end is not None:
        await before_end()
    inbound.stream.write([head, content])
    await linger(inbound.stream)


async def linger(stream: ByteStream) -> None:
    """Close so that the peer can read what was sent: to close with unread bytes makes
    the kernel send a reset, which overtakes it (RFC 9112, 9.6)."""
    stream.send_eof()
    left = MAX_LINGER_BYTES
    try:
        async with asyncio.timeout(LINGER_S):
            while left > 0 and (data := await stream.read(LINGER_S)):
                left -= len(data)
    except (TimeoutError, StreamError):
        pass
    await stream.aclose()
