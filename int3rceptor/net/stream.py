"""The one contract for byte streams. Everything above net reads and writes through it.

Implementations: `transport.TransportStream` (TCP), `tls_transport.TlsTransportStream`
(TLS on that), and `tls_stream.TlsStream` (TLS over any other stream).
"""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

MAX_UNREAD_BYTES = 256 * 1024
"""Bytes a stream holds before it stops reading from the peer: one large read of the
event loop. A connection costs at most this much RAM on its inbound side."""

MAX_UNSENT_BYTES = 256 * 1024
"""Bytes queued for a peer before `drain` waits, for the same reason."""

Chunks = bytes | Sequence[bytes]


class ByteStream(ABC):
    """A connected, ordered stream of bytes with back-pressure both ways.

    One task reads, one task writes. Errors are StreamLost and StreamTimeout.
    """

    @abstractmethod
    def when_lost(self, callback: Callable[[], None] | None) -> None:
        """Have `callback` called, once, when the peer is gone; None takes it back."""

    @abstractmethod
    async def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; b"" once the peer has finished."""

    @abstractmethod
    def unread(self, data: bytes) -> None:
        """Put bytes back in front of what `read` gives next."""

    @abstractmethod
    def write(self, data: Chunks) -> None:
        """Queue bytes; never blocks. Follow with `drain` where volumes matter."""

    @abstractmethod
    def cork(self, hurry: Callable[[], None]) -> bool:
        """Hold what is written until `uncork`; False when that is so already.

        `hurry` has to call that: it is called when too much is held, and before the
        stream is finished or closed in order. `abort` and `reset` drop what is held.
        """

    @abstractmethod
    def uncork(self) -> None:
        """Send what was held."""

    @abstractmethod
    async def drain(self, timeout_s: float) -> None:
        """Wait until the peer has taken enough of what was written."""

    @abstractmethod
    def send_eof(self) -> bool:
        """Finish our direction, keep reading; False where that cannot be done."""

    @abstractmethod
    async def aclose(self) -> None:
        """Flush and close within a bounded time; never raises for a dead peer."""

    @abstractmethod
    def abort(self) -> None:
        """Close at once; what is queued is lost."""

    @abstractmethod
    def reset(self) -> None:
        """Close at once, so that the peer cannot take it for an end."""

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """Whether `drain` would return at once."""

    @property
    @abstractmethod
    def is_usable(self) -> bool:
        """False once the peer has finished or the connection is gone."""

    def is_quiet(self) -> bool:
        """Whether it is usable, and nothing waits to be read."""
        return self.is_usable and not self.has_unread

    @property
    @abstractmethod
    def has_unread(self) -> bool:
        """Whether bytes wait to be read."""

    @property
    @abstractmethod
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session below, if there is one."""

    @property
    @abstractmethod
    def peer(self) -> tuple[str, int]:
        """The other end's address."""
