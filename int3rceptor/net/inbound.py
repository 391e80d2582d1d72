"""A client's connection before anyone knows what it speaks.

Both kinds can be peeked, consumed to the byte, answered, and then become a ByteStream,
plain or with TLS:

- `SocketInbound` peeks in the kernel's buffer (MSG_PEEK), so that what comes first can
  be handed to a stream of its own kind untouched. It sleeps until enough bytes are
  there by SO_RCVLOWAT, which is set back to 1 on every way out.
- `StreamInbound` peeks by reading and pushing back; TLS then goes over that stream. It
  serves bytes that were read already, TLS inside TLS, and event loops that cannot
  watch a socket (Windows' proactor).
"""

import asyncio
import socket
import ssl
from typing import Protocol

from int3rceptor.errors import StreamLost
from int3rceptor.net.gate import Gate
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tls_session import TlsContext
from int3rceptor.net.tls_stream import TlsStream
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.net.transport import TransportStream

MAX_PEEK_BYTES = 128 * 1024
"""Most that is ever peeked at: a CONNECT head or ClientHello at their own limits."""

PEEK_BYTES = 8 * 1024
"""What is looked at beyond what is asked for. Heads and hellos are smaller; memory for
the most there could be would be taken from the system and given back at each look."""


class Inbound(Protocol):
    """A client's connection whose first bytes have not been taken yet."""

    async def peek(self, at_least: int, timeout_s: float) -> bytes:
        """What has arrived, without taking it: `at_least` bytes, fewer only at the end.

        StreamTimeout and StreamLost as of a stream.
        """
        ...

    async def consume(self, count: int) -> None:
        """Take exactly `count` bytes that were peeked."""
        ...

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Send bytes in the clear."""
        ...

    async def to_stream(self) -> ByteStream:
        """Go on in the clear."""
        ...

    async def to_tls(self, context: TlsContext, timeout_s: float) -> ByteStream:
        """Do the TLS handshake as a server; ssl.SSLError when it fails."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    @property
    def peer(self) -> tuple[str, int]:
        """The client's address."""
        ...


class SocketInbound:
    """A freshly accepted, non-blocking socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._stream: TransportStream | None = None
        self._readable = Gate(loop)
        peer = sock.getpeername()
        self.peer = (str(peer[0]), int(peer[1]))

    async def peek(self, at_least: int, timeout_s: float) -> bytes:
        data = self._look(at_least)
        if data is not None and (len(data) >= at_least or not data):
            return data
        if at_least > 1:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, at_least)
        self._loop.add_reader(self._sock, self._readable.open)
        try:
            # A readable socket with fewer bytes than asked for has ended, or the
            # kernel gives no more at once: either way, what there is must do.
            await self._readable.wait(timeout_s)
            return self._look(at_least) or b""
        finally:
            self._loop.remove_reader(self._sock)
            self._readable.close()
            if at_least > 1:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _look(self, at_least: int) -> bytes | None:
        size = min(at_least + PEEK_BYTES, MAX_PEEK_BYTES)
        try:
            return self._sock.recv(size, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise StreamLost(f"connection lost: {error}") from error

    async def consume(self, count: int) -> None:
        while count:
            try:
                taken = self._sock.recv(count)
            except OSError as error:
                raise StreamLost(f"connection lost: {error}") from error
            if not taken:
                raise StreamLost("connection lost")
            count -= len(taken)

    async def send(self, data: bytes, timeout_s: float) -> None:
        try:
            # A first answer of some bytes fits the send buffer: no wait is the rule.
            if self._sock.send(data) == len(data):
                return
            raise StreamLost("the client does not take the first answer")
        except OSError as error:
            raise StreamLost(f"connection lost: {error}") from error

    async def to_stream(self) -> ByteStream:
        if self._stream is None:
            self._stream = stream = TransportStream(self._loop)
            await self._loop.connect_accepted_socket(lambda: stream, self._sock)
        return self._stream

    async def to_tls(self, context: TlsContext, timeout_s: float) -> ByteStream:
        stream = TlsTransportStream(self._loop, context, server_side=True)
        self._stream = stream
        try:
            await self._loop.connect_accepted_socket(lambda: stream, self._sock)
            await stream.shake_hands(timeout_s)
        except ssl.SSLError:
            raise
        except OSError as error:
            why = str(error) or "connection closed"
            raise StreamLost(f"the client left in the TLS handshake: {why}") from error
        return stream

    def abort(self) -> None:
        # Once the event loop has the socket, closing it here would leave the loop with
        # a descriptor that the next connection may be given.
        if self._stream is None:
            self._sock.close()
        else:
            self._stream.abort()


class StreamInbound:
    """A stream whose next bytes decide what is spoken on it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.peer = stream.peer

    async def peek(self, at_least: int, timeout_s: float) -> bytes:
        data = b""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            while len(data) < at_least:
                more = await self._stream.read(deadline - loop.time())
                if not more:
                    break
                data += more
        finally:
            self._stream.unread(data)
        return data

    async def consume(self, count: int) -> None:
        data = b""
        while len(data) < count:
            more = await self._stream.read(0.0)
            if not more:
                raise StreamLost("connection lost")
            data += more
        self._stream.unread(data[count:])

    async def send(self, data: bytes, timeout_s: float) -> None:
        self._stream.write(data)
        await self._stream.drain(timeout_s)

    async def to_stream(self) -> ByteStream:
        return self._stream

    async def to_tls(self, context: TlsContext, timeout_s: float) -> ByteStream:
        return await TlsStream.accept(self._stream, context, timeout_s)

    def abort(self) -> None:
        self._stream.abort()
