"""A client's connection before anyone knows what it speaks.

It can be peeked, consumed to the byte and answered, and goes on in the clear or in TLS
with what was peeked: that is read, and pushed back.
"""

import asyncio
import ssl

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tls_session import TlsContext
from int3rceptor.net.tls_stream import TlsStream
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.net.transport import TransportStream


class Inbound:
    """A stream whose next bytes decide what is spoken on it."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.peer = stream.peer

    async def peek(self, at_least: int, timeout_s: float) -> bytes:
        """What has arrived, without taking it: `at_least` bytes, fewer only at the end.

        StreamTimeout and StreamLost as of a stream.
        """
        data = b""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            while len(data) < at_least:
                more = await self.stream.read(deadline - loop.time())
                if not more:
                    break
                data += more
        finally:
            self.stream.unread(data)
        return data

    async def consume(self, count: int) -> None:
        """Take exactly `count` bytes that were peeked."""
        data = b""
        while len(data) < count:
            more = await self.stream.read(0.0)
            if not more:
                raise StreamLost("connection lost")
            data += more
        self.stream.unread(data[count:])

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send bytes in the clear."""
        self.stream.write(data)
        await self.stream.drain(timeout_s)

    async def to_tls(self, context: TlsContext, timeout_s: float) -> ByteStream:
        """Do the TLS handshake as a server; ssl.SSLError when it fails, StreamLost
        when the client leaves or takes longer than `timeout_s`."""
        below = self.stream
        try:
            if not isinstance(below, TransportStream) or below.ssl_object is not None:
                return await TlsStream.accept(below, context, timeout_s)
            self.stream = stream = TlsTransportStream(below, context, server_side=True)
            await stream.shake_hands(timeout_s)
        except ssl.SSLError:
            raise
        except (TimeoutError, StreamTimeout) as error:
            raise StreamLost(
                f"the client did not finish the TLS handshake within {timeout_s:g} s"
            ) from error
        except OSError as error:
            why = str(error) or "connection closed"
            raise StreamLost(f"the client left in the TLS handshake: {why}") from error
        return stream

    def abort(self) -> None:
        """Close at once."""
        self.stream.abort()
