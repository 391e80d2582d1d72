"""ByteStream over an event-loop transport: TCP as it is.

A Protocol with its own small buffer instead of StreamReader/StreamWriter: measured at
190 against 270 µs of CPU per proxied request.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import cast

from int3rceptor.errors import StreamError, StreamLost
from int3rceptor.net.gate import Gate
from int3rceptor.net.stream import (
    MAX_UNREAD_BYTES,
    MAX_UNSENT_BYTES,
    ByteStream,
    Chunks,
)

CLOSE_GRACE_S = 2.0
"""How long a close may flush to a peer that has stopped reading."""

LARGE_BYTES = 64 * 1024
"""From here on what arrived is read as it came: to copy it together with what came
after it would cost more than one more turn."""

NOBODY = ("", 0)
"""A peer that is not known yet: the connection tells."""

MAX_HELD_BYTES = 64 * 1024
"""Most that a corked stream holds: many small answers, and no large one, which has
more to wait for than the rest of a turn of the loop."""

_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, not the end of the stream."""


class TransportStream(asyncio.Protocol, ByteStream):
    """One connection of the event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, peer: tuple[str, int] = NOBODY
    ) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._unread_bytes = 0
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._at_eof = False
        self._is_lost = False
        self._cause: Exception | None = None
        self._is_closing = False
        self._is_aborted = False
        self._takes_writes = False
        self._hurry: Callable[[], None] | None = None
        self._held: list[bytes] = []
        self._readable = Gate(loop)
        self._writable = Gate(loop)
        self._closed = Gate(loop)
        self._peer = peer
        self._on_lost: Callable[[], None] | None = None

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        self._takes_writes = not self._is_aborted
        if self._peer is NOBODY:
            peer = transport.get_extra_info("peername")
            if isinstance(peer, tuple):
                self._peer = (str(peer[0]), int(peer[1]))
        if self._is_aborted:
            self._transport.abort()

    def _hand_over(self, heir: "TransportStream") -> None:
        """Let `heir` go on with the connection, from the first byte that is unread.
        This stream is not used any more."""
        heir._transport, transport = self._transport, self._transport
        heir._takes_writes = self._takes_writes
        heir._is_writing_paused = self._is_writing_paused
        unread = b"".join(self._chunks)
        self._chunks.clear()
        self._close_gates()
        if transport is not None:
            transport.set_protocol(heir)
        if unread:
            heir.data_received(unread)
        if self._at_eof and not heir.eof_received() and transport is not None:
            transport.close()
        if self._is_lost:
            heir.connection_lost(self._cause)
        elif self._is_reading_paused and transport is not None:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._arrived(data)

    def _arrived(self, data: bytes) -> None:
        self._chunks.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > MAX_UNREAD_BYTES and not self._is_reading_paused:
            self._is_reading_paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        self._readable.open()

    def eof_received(self) -> bool:
        self._at_eof = True
        self._readable.open()
        return True  # it stays open for our half (RFC 9293, 3.6)

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._writable.open()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._takes_writes = False
        self._cause = exc
        if exc is None and not self._is_aborted:
            self._at_eof = True
            self._readable.open()
        else:
            # An abort is no end of the peer's bytes either: who reads a body that ends
            # with the connection must not take it for whole.
            self._readable.fail(self._lost())
        self._writable.fail(self._lost())
        self._closed.open()
        self._close_gates()
        if self._on_lost is not None:
            self._on_lost()

    def _close_gates(self) -> None:
        for gate in (self._readable, self._writable, self._closed):
            gate.close()

    # Our side

    def when_lost(self, callback: Callable[[], None] | None) -> None:
        self._on_lost = callback

    async def read(self, timeout_s: float) -> bytes:
        chunks = self._chunks
        if not chunks:
            if self._at_eof:
                return b""
            if self._is_lost or self._is_aborted:
                raise self._lost()
            await self._readable.wait(timeout_s)
            if not chunks:
                return b""
        if len(chunks) == 1 or len(chunks[0]) >= LARGE_BYTES:
            data = chunks.pop(0)
        else:
            data = b"".join(chunks)
            chunks.clear()
        self._unread_bytes -= len(data)
        if self._is_reading_paused and self._unread_bytes <= MAX_UNREAD_BYTES:
            self._is_reading_paused = False
            if self._transport is not None and not self._is_lost:
                self._transport.resume_reading()
        return data

    def _lost(self) -> StreamLost:
        lost = StreamLost(f"connection lost: {self._cause or 'aborted'}")
        lost.__cause__ = self._cause
        return lost

    def unread(self, data: bytes) -> None:
        if data:
            self._chunks.insert(0, data)
            self._unread_bytes += len(data)

    def write(self, data: Chunks) -> None:
        if self._hurry is not None:
            self._hold(data, self._hurry)
        elif self._takes_writes:
            self._send(data)

    def cork(self, hurry: Callable[[], None]) -> bool:
        if self._hurry is not None:
            return False
        self._hurry = hurry
        return True

    def uncork(self) -> None:
        self._hurry = None
        if held := self._held:
            self._held = []
            self.write(held)

    def _hold(self, data: Chunks, hurry: Callable[[], None]) -> None:
        if isinstance(data, bytes):
            self._held.append(data)
        else:
            self._held.extend(data)
        if sum(map(len, self._held)) > MAX_HELD_BYTES:
            hurry()

    def _hold_no_more(self) -> None:
        if self._hurry is not None:
            self._hurry()

    def _send(self, data: Chunks) -> None:
        assert self._transport is not None
        if isinstance(data, bytes):
            self._transport.write(data)
        else:
            self._transport.writelines(data)

    async def drain(self, timeout_s: float) -> None:
        if self._is_lost or self._is_closing:
            raise self._lost()
        while self._is_writing_paused:
            await self._writable.wait(timeout_s)

    def send_eof(self) -> bool:
        self._hold_no_more()
        if self._transport is None or self._is_lost or self._is_closing:
            return False
        self._takes_writes = False
        try:
            self._transport.write_eof()
        except OSError:  # reset by the peer, and the loop has yet to tell
            self.abort()
            return False
        return True

    async def aclose(self) -> None:
        self._hold_no_more()
        if self._transport is None or self._is_lost:
            return
        self._on_lost = None
        self._begin_close(self._transport)
        self._is_closing, self._takes_writes = True, False
        if self._closed.is_awaited:
            return
        try:
            await self._closed.wait(CLOSE_GRACE_S)
        except StreamError:
            self.abort()
        except asyncio.CancelledError:
            self.abort()
            raise

    def _begin_close(self, transport: asyncio.Transport) -> None:
        transport.close()

    def abort(self) -> None:
        if self._is_lost:
            return
        self._on_lost = None
        self._is_closing = self._is_aborted = True
        self._takes_writes = False
        # A loop that was cancelled while it made the transport brings it yet.
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        if self._transport is not None and not self._is_lost:
            with contextlib.suppress(OSError):  # it is gone: the peer knows
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    @property
    def socket(self) -> socket.socket:
        """For its addresses and options: the event loop reads from it and writes."""
        assert self._transport is not None
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    @property
    def has_room(self) -> bool:
        return not self._is_writing_paused

    @property
    def is_usable(self) -> bool:
        return not (self._is_lost or self._is_closing or self._at_eof)

    def is_quiet(self) -> bool:
        is_ending = self._is_lost or self._is_closing or self._at_eof
        return not (is_ending or self._chunks)

    @property
    def has_unread(self) -> bool:
        return bool(self._chunks)

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        return None

    @property
    def peer(self) -> tuple[str, int]:
        return self._peer
