"""TLS over any ByteStream, as a ByteStream.

Needed for TLS inside TLS. It is also the only stream that can half-close TLS:
close_notify ends our direction alone (RFC 8446, 6.1).
"""

import asyncio
import ssl
from collections.abc import Callable

from int3rceptor.errors import StreamLost
from int3rceptor.model.turns import turn
from int3rceptor.net.stream import ByteStream, Chunks
from int3rceptor.net.tls_session import TlsContext, TlsSession


class TlsStream(ByteStream):
    """TLS spoken over `below`; made by `TlsStream.accept`."""

    def __init__(self, below: ByteStream, context: TlsContext) -> None:
        self._below = below
        self._session = TlsSession(context, server_side=True)
        self._pushed_back = b""
        self._at_eof = False
        self._is_finished = False
        self._is_aborted = False

    @classmethod
    async def accept(
        cls, below: ByteStream, context: TlsContext, timeout_s: float
    ) -> "TlsStream":
        """Do the server's side of the handshake; ssl.SSLError when it fails.

        StreamTimeout when all of it takes longer than `timeout_s`.
        """
        stream = cls(below, context)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            # One deadline for all reads: a byte a second must not keep it going.
            while data := await below.read(deadline - loop.time()):
                if stream._session.shake_hands(data):
                    stream._pushed_back = stream._unsealed(b"")
                    return stream
                stream._flush()
                await below.drain(deadline - loop.time())
        finally:
            stream._flush()  # also the alert that tells the peer why
        raise StreamLost("the client left during the handshake")

    def when_lost(self, callback: Callable[[], None] | None) -> None:
        self._below.when_lost(callback)

    async def read(self, timeout_s: float) -> bytes:
        plain, self._pushed_back = self._pushed_back, b""
        if not plain and self._session.is_behind:
            await turn()
            plain = self._unsealed(b"")
        while not plain and not self._at_eof:
            data = await self._below.read(timeout_s)
            self._at_eof = not data
            plain = self._unsealed(data)
        return plain

    def _unsealed(self, data: bytes) -> bytes:
        session = self._session
        try:
            plain = session.unseal(data)
        except ssl.SSLError as error:
            raise StreamLost(f"TLS failed: {error.reason}") from error
        self._at_eof = self._at_eof or session.is_over
        self._flush()  # key updates and tickets are answered in passing
        return plain

    def unread(self, data: bytes) -> None:
        self._pushed_back = data + self._pushed_back

    def write(self, data: Chunks) -> None:
        if self._is_finished:
            return
        try:
            self._below.write(self._session.seal(data))
        except ssl.SSLError:
            # A fatal alert ended the session: what is written goes nowhere, as on a
            # connection that is lost.
            self.abort()

    def cork(self, hurry: Callable[[], None]) -> bool:
        return self._below.cork(hurry)

    def uncork(self) -> None:
        self._below.uncork()

    async def drain(self, timeout_s: float) -> None:
        await self._below.drain(timeout_s)

    def send_eof(self) -> bool:
        if self._is_aborted:
            return False
        if not self._is_finished:
            self._is_finished = True
            self._below.write(self._session.finish())
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
        has_ours = bool(self._pushed_back) or self._session.is_behind
        return has_ours or self._below.has_unread

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        return self._session.ssl_object

    @property
    def peer(self) -> tuple[str, int]:
        return self._below.peer

    def _flush(self) -> None:
        if self._session.owed.pending:
            self._below.write(self._session.owed.read())
