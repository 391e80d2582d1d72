"""TLS in memory, over any ByteStream, as a ByteStream.

Needed where the event loop's own TLS cannot start: when bytes of the handshake have
already been read (CONNECT after another request on the same connection), for TLS
inside TLS, and on platforms without a peekable socket. It is also the only stream that
can half-close TLS: close_notify ends our direction alone (RFC 8446, 6.1).

How it works: OpenSSL reads ciphertext from `_incoming` and writes it to `_outgoing`,
two memory buffers. Every operation pumps: try; flush what OpenSSL wants sent; when it
wants to read, feed it what arrives below, and try again.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from int3rceptor.errors import StreamLost
from int3rceptor.net.stream import ByteStream, Chunks

READ_BYTES = 64 * 1024
"""Plaintext taken from OpenSSL at once: four full TLS records."""


class TlsStream(ByteStream):
    """TLS spoken over `below`; made by `TlsStream.accept`."""

    def __init__(self, below: ByteStream, context: ssl.SSLContext) -> None:
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._pushed_back = b""
        self._at_eof = False
        self._is_finished = False
        self._is_aborted = False

    @classmethod
    async def accept(
        cls, below: ByteStream, context: ssl.SSLContext, timeout_s: float
    ) -> "TlsStream":
        """Do the server's side of the handshake; ssl.SSLError when it fails.

        StreamTimeout when all of it takes longer than `timeout_s`.
        """
        stream = cls(below, context)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            try:
                stream._tls.do_handshake()
            except ssl.SSLWantReadError:
                stream._flush()
                # One deadline for all reads: a byte a second must not keep it going.
                await below.drain(deadline - loop.time())
                await stream._feed(deadline - loop.time())
                if stream._at_eof:
                    raise StreamLost("the client left during the handshake") from None
            except ssl.SSLError:
                stream._flush()  # the alert that tells the peer why
                raise
            else:
                stream._flush()
                return stream

    def when_lost(self, callback: Callable[[], None] | None) -> None:
        self._below.when_lost(callback)

    async def read(self, timeout_s: float) -> bytes:
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back, b""
            return data
        while True:
            try:
                data = self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                if self._at_eof:
                    return b""
                await self._feed(timeout_s)
            except ssl.SSLZeroReturnError:
                self._at_eof = True
                return b""
            except ssl.SSLError as error:
                raise StreamLost(f"TLS failed: {error.reason}") from error
            else:
                self._flush()  # key updates and tickets are answered in passing
                self._at_eof = self._at_eof or not data
                return data

    def unread(self, data: bytes) -> None:
        self._pushed_back = data + self._pushed_back

    def write(self, data: Chunks) -> None:
        if self._is_finished:
            return
        try:
            for piece in (data,) if isinstance(data, bytes) else data:
                if piece:
                    self._tls.write(piece)
        except ssl.SSLError:
            # A fatal alert ended the session: what is written goes nowhere, as on a
            # connection that is lost.
            self.abort()
        self._flush()

    async def drain(self, timeout_s: float) -> None:
        await self._below.drain(timeout_s)

    def send_eof(self) -> bool:
        if self._is_aborted:
            return False
        if not self._is_finished:
            self._is_finished = True
            # unwrap() also looks for the peer's close_notify, and would throw away the
            # data before it: there is nothing to see meanwhile.
            unread = self._incoming.read()
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._incoming.write(unread)
            self._flush()
        return True

    async def aclose(self) -> None:
        self.send_eof()
        await self._below.aclose()

    def abort(self) -> None:
        self._is_finished = self._is_aborted = True
        self._below.abort()

    def reset(self) -> None:
        self._is_finished = self._is_aborted = True
        self._below.reset()

    @property
    def has_room(self) -> bool:
        return self._below.has_room

    @property
    def is_usable(self) -> bool:
        return self._below.is_usable and not self._at_eof

    @property
    def has_unread(self) -> bool:
        waiting = self._tls.pending() or self._incoming.pending
        return bool(self._pushed_back or waiting) or self._below.has_unread

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        return self._tls

    @property
    def peer(self) -> tuple[str, int]:
        return self._below.peer

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.write(self._outgoing.read())

    async def _feed(self, timeout_s: float) -> None:
        data = await self._below.read(timeout_s)
        self._incoming.write(data)
        self._at_eof = not data
