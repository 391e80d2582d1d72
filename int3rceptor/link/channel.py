"""Messages over a stream socket: framing, bounds, and what is left out when the reader
is slow. It knows nothing of what the messages mean.

A frame is the payload's length in 4 bytes, little endian, and the payload.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import msgspec

from int3rceptor.link.messages import Gap, Message

log = logging.getLogger("int3rceptor.link")

Incoming = TypeVar("Incoming")

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest payload: a worker's settings, which come from a file of 4 MiB at most. A
flow's summary with the longest target and tags is far below."""

MAX_QUEUED_BYTES = 1024 * 1024
"""Bytes that wait for a slow reader; past it events are left out and counted."""

MAX_STUCK_BYTES = 4 * MAX_QUEUED_BYTES
"""Bytes that wait when even what must not be left out does not get through: the reader
is as good as dead."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()


class Channel(asyncio.Protocol, Generic[Incoming]):
    """One end of a link. `received` is called with each message, in order."""

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[Incoming],
        received: Callable[[Incoming], None],
    ) -> None:
        self._decoder = decoder
        self._received = received
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self._missed = 0
        self._closed = asyncio.Event()
        self.dropped = 0

    @property
    def is_behind(self) -> bool:
        """Whether the reader is: MAX_QUEUED_BYTES wait for it."""
        return self._is_paused

    @property
    def is_closed(self) -> bool:
        """Whether the link is over."""
        return self._closed.is_set()

    def send(self, message: Message) -> None:
        """Send what must arrive; a reader that lets it all lie is cut off."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() > MAX_STUCK_BYTES:
            self._fail("the other process does not read")
            return
        transport.write(frame(message))

    def offer(self, event: Message) -> None:
        """Send an event, unless the reader is behind: then it gets a Gap later."""
        if not self._is_paused:
            self.send(event)
            return
        self._missed += 1
        self.dropped += 1

    def close(self) -> None:
        """Send what is queued, then end the link."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the link now."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Until the link is over, whoever ended it."""
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_QUEUED_BYTES)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._closed.set()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._missed:
            missed, self._missed = self._missed, 0
            self.send(Gap(missed))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH.size and self._transport is not None:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_MESSAGE_BYTES:
                self._fail(f"a message of {length} bytes")
                return
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            self._take(bytes(memoryview(buffer)[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]

    def _take(self, payload: bytes) -> None:
        try:
            message = self._decoder.decode(payload)
        except msgspec.MsgspecError as error:
            self._fail(f"a message that is none ({error})")
            return
        self._received(message)

    def _fail(self, why: str) -> None:
        log.error("the link between proxy and hub is cut: %s", why)
        self.abort()
        self._transport = None


def frame(message: Message) -> bytes:
    """A message as it travels."""
    payload = _encode(message)
    return _LENGTH.pack(len(payload)) + payload


def _encode(message: Message) -> bytes:
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        # Text from a client may hold bytes that were no UTF-8, as lone surrogates.
        plain = msgspec.to_builtins(message, builtin_types=(bytes,))
        return _encoder.encode(_without_surrogates(plain))


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case list() | tuple():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {key: _without_surrogates(item) for key, item in value.items()}
        case _:
            return value


async def open_channel(
    sock: socket.socket,
    decoder: msgspec.msgpack.Decoder[Incoming],
    received: Callable[[Incoming], None],
) -> Channel[Incoming]:
    """A channel over one end of a socket pair, which it owns from now on."""
    loop = asyncio.get_running_loop()
    try:
        _, channel = await loop.create_unix_connection(
            lambda: Channel(decoder, received), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return channel
