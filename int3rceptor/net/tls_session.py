"""The TLS of one connection in memory: ciphertext in, plaintext out, and back.

It moves no byte to or from the network: its owner does. OpenSSL reads from one memory
buffer and writes to another; both stay small, since what passes goes through them in
slices.
"""

import contextlib
import ssl
from collections.abc import Callable
from typing import Protocol

from int3rceptor.net.stream import Chunks

SLICE_BYTES = 64 * 1024
"""What passes OpenSSL's buffers at once. They never shrink: a connection would keep a
large body's 256 KiB, twice, until its end."""

RECORD_BYTES = 16 * 1024
"""Plaintext of the largest TLS record (RFC 8446, 5.1): OpenSSL gives one at once."""

MAX_RECORDS_AT_ONCE = 1024
"""Opened in one go: 3 ms. One read may hold 11,000 records of a byte each, and the
event loop reads many times in a turn where there is always more."""


class TlsContext(Protocol):
    """What is asked of an ssl.SSLContext."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """A new connection between two memory buffers."""
        ...


class TlsSession:
    """One side of a TLS connection. Methods raise ssl.SSLError when it fails.

    `owed` is what OpenSSL itself wants sent: its part of the handshake, alerts, answers
    to key updates. `is_over` says that the peer has sent close_notify, `is_behind` that
    more records may be here: `unseal` of nothing goes on with them.
    """

    __slots__ = (
        "_feed",
        "_incoming",
        "_pending",
        "_read",
        "_take",
        "_write",
        "is_behind",
        "is_over",
        "owed",
        "ssl_object",
    )
    _read: Callable[[int], bytes]
    _write: Callable[[bytes | memoryview], int]
    _pending: Callable[[], int]

    def __init__(
        self,
        context: TlsContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self.owed = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(
            self._incoming,
            self.owed,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        # OpenSSL's own below ssl's wrappers, which large bodies would call for each
        # record. Its place is private, and the same in all releases since 3.7; where it
        # is not, the wrappers do.
        inner = vars(self.ssl_object).get("_sslobj", self.ssl_object)
        self._read = inner.read
        self._write = inner.write
        self._pending = inner.pending
        self._feed = self._incoming.write
        self._take = self.owed.read
        self.is_over = False
        self.is_behind = False

    def shake_hands(self, data: bytes) -> bool:
        """Go on with the handshake by what arrived; whether it is done.

        `unseal` of nothing then gives the data that came with its end.
        """
        self._feed(data)
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def unseal(self, data: bytes) -> bytes:
        """The plaintext of what arrived; empty while no record is whole."""
        size = len(data)
        if size > SLICE_BYTES or self.is_behind:
            return b"".join(self._sliced(data))
        self._feed(data)
        try:
            plain = self._read(size or RECORD_BYTES)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            self.is_over = True
            return b""
        # To ask is cheaper than the exception that there is nothing more.
        if plain and not (self._incoming.pending or self._pending()):
            return plain
        return b"".join([plain, *self._records(b"", 1)])

    def _sliced(self, data: bytes) -> list[bytes]:
        plain = self._records(b"") if self.is_behind else []
        view = memoryview(data)
        for at in range(0, len(data), SLICE_BYTES):
            piece = view[at : at + SLICE_BYTES]
            plain += self._records(piece, len(plain))
        return plain

    def _records(self, data: bytes | memoryview, before: int = 0) -> list[bytes]:
        """The plaintext of the records that are whole with `data`; so many as may be
        opened at once, of which `before` were."""
        plain: list[bytes] = []
        self._feed(data)
        self.is_behind = False
        try:
            while before + len(plain) < MAX_RECORDS_AT_ONCE:
                piece = self._read(RECORD_BYTES)
                if not piece:
                    self.is_over = True
                    return plain
                plain.append(piece)
                if not (self._incoming.pending or self._pending()):
                    return plain
            self.is_behind = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_over = True
        return plain

    def seal(self, data: Chunks) -> Chunks:
        """The ciphertext of `data`; small pieces share a record."""
        if not isinstance(data, bytes):
            if sum(map(len, data)) > SLICE_BYTES:
                return [cipher for piece in data for cipher in self._slices(piece)]
            data = b"".join(data)
        elif len(data) > SLICE_BYTES:
            return self._slices(data)
        if data:
            self._write(data)
        return self._take()

    def _slices(self, data: bytes) -> list[bytes]:
        view = memoryview(data)
        sealed = []
        for at in range(0, len(data), SLICE_BYTES):
            self._write(view[at : at + SLICE_BYTES])
            sealed.append(self._take())
        return sealed

    def finish(self) -> bytes:
        """Our close_notify, to be sent; what arrived before it can still be read."""
        # unwrap() also looks for the peer's close_notify, and would throw away the
        # data before it: there is nothing to see meanwhile.
        unread = self._incoming.read()
        with contextlib.suppress(ssl.SSLError):  # the peer's has not come, mostly
            self.ssl_object.unwrap()
        self._feed(unread)
        return self._take()
