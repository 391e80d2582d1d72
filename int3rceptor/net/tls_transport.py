"""ByteStream over an event-loop transport with TLS inside: the stream of most clients
and origins.

The transport is plain TCP, and TLS is ours (`tls_session.py`): the event loops' own
TLS keeps a read buffer of a quarter megabyte for each connection, whose pages stay
touched while it is idle. Here all connections share the loop's one.
"""

import asyncio
import ssl

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net.stream import Chunks
from int3rceptor.net.tls_session import TlsContext, TlsSession
from int3rceptor.net.transport import TransportStream


class TlsTransportStream(TransportStream):
    """The connection of `below`, which says nothing in the clear any more; in TLS once
    `shake_hands` has returned."""

    def __init__(
        self,
        below: TransportStream,
        context: TlsContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__(below._loop, below.peer)
        self._session = TlsSession(
            context, server_side=server_side, server_hostname=server_hostname
        )
        self._is_client = not server_side
        self._below: TransportStream | None = below
        self._is_secure = False
        self._is_behind = False
        self._failure: ssl.SSLError | None = None

    async def shake_hands(self, timeout_s: float) -> None:
        """Do the handshake; TimeoutError after `timeout_s`, else OSError, of which
        ssl.SSLError is one, when it fails. The connection is aborted then."""
        below, self._below = self._below, None
        if below is None:
            raise RuntimeError("a second handshake")
        below._hand_over(self)
        if self._is_client:
            self.data_received(b"")
        try:
            await self._shaken(timeout_s)
        except BaseException:
            # Cancelled in the very turn in which it was done: nobody gets this either.
            self.abort()
            raise

    async def _shaken(self, timeout_s: float) -> None:
        try:
            if not (self._is_secure or self._is_lost):
                await self._readable.wait(timeout_s)
            if not self._is_secure:
                raise self._lost()
        except StreamTimeout:
            raise TimeoutError(f"no TLS handshake within {timeout_s:g} s") from None
        except StreamLost:
            # The frames of what is raised hold this stream: it lets go of that.
            cause, self._cause = self._cause, None
            raise cause or ConnectionResetError("connection closed") from None

    # The event loop's side

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return  # left to be read only so that the peer can read to our end
        session = self._session
        try:
            if not self._is_secure:
                self._go_on_shaking_hands(data)
                return
            plain = session.unseal(data)
        except ssl.SSLError as error:
            self._break_off(error)
            return
        if session.owed.pending:
            self._pay()
        if plain:
            self._arrived(plain)
        if session.is_over:
            if not self._at_eof:
                self._end()
        elif session.is_behind and not self._is_behind:
            self._let_others_run()

    def _let_others_run(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._is_behind = True
            self._transport.pause_reading()
            self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        """Go on with the records that are here."""
        self._is_behind = False
        self.data_received(b"")
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not (self._is_behind or self._is_reading_paused or self._is_closing):
            transport.resume_reading()

    def _go_on_shaking_hands(self, data: bytes) -> None:
        if not self._session.shake_hands(data):
            self._pay()
            return
        self._is_secure = True
        self._readable.open()
        # After who waits for it has run: our last bytes of the handshake go with the
        # first that are written, and what came with the peer's last is read.
        self._loop.call_soon(self.data_received, b"")

    def _pay(self) -> None:
        if self._takes_writes:
            self._send(self._session.owed.read())

    def eof_received(self) -> bool:
        # Without close_notify before it, too: many peers save themselves that.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(self._failure or exc)
        self._failure = None

    def _break_off(self, error: ssl.SSLError) -> None:
        # Its frames hold this stream, which must not hold them in turn.
        self._failure = error.with_traceback(None)
        self._pay()  # the alert that says why
        self._takes_writes = False
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        """The peer has finished: as a rule it waits for our end, and nothing else."""
        self._hold_no_more()
        super().eof_received()
        if self._takes_writes:
            self._send(self._session.finish())
        self._takes_writes = False
        if self._transport is not None:
            self._transport.close()

    # Our side

    def write(self, data: Chunks) -> None:
        if self._hurry is not None:
            self._hold(data, self._hurry)
            return
        if not self._takes_writes:
            return
        try:
            self._send(self._session.seal(data))
        except ssl.SSLError as error:
            self._break_off(error)

    def send_eof(self) -> bool:
        return False  # close_notify ends both directions, as most peers understand it

    def _begin_close(self, transport: asyncio.Transport) -> None:
        if self._is_secure and self._takes_writes:
            self._send(self._session.finish())
            if super().send_eof():
                # To close with unread bytes would reset what the peer has yet to read.
                transport.resume_reading()
                return
        transport.close()

    @property
    def ssl_object(self) -> ssl.SSLObject:
        return self._session.ssl_object
