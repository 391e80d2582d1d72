"""One end of an HTTP/1 connection, byte for byte: for raw clients and scripted origins.

Deliberately simple and lenient: it records what came and sends what it is given.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from tests.support.patience import PATIENT_S

MAX_HEAD_BYTES = 4 * 1024 * 1024
READ_BYTES = 65536
NO_LINGER = struct.pack("ii", 1, 0)

Fields = list[tuple[bytes, bytes]]


@dataclass(slots=True, kw_only=True)
class Message:
    """A request or response as it stood on the wire, and its parts."""

    head: bytes
    start_line: bytes
    headers: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    is_chunked: bool = False

    def values(self, name: str) -> list[bytes]:
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key.lower() == wanted]

    def value(self, name: str) -> bytes | None:
        return next(iter(self.values(name)), None)

    @property
    def method(self) -> bytes:
        return self.start_line.split(b" ", 1)[0]

    @property
    def target(self) -> bytes:
        return self.start_line.split(b" ", 2)[1]

    @property
    def status(self) -> int:
        return int(self.start_line.split(b" ", 2)[1])

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def parse_fields(block: bytes) -> Fields:
    fields = []
    for line in block.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            fields.append((name, value.strip(b" \t")))
    return fields


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close in order, at once when that takes long."""
    writer.close()
    try:
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
    finally:
        # In CPython 3.11.2, Debian 12's, a TLS transport that has closed has lost what
        # its own `abort` asks for.
        with contextlib.suppress(AttributeError):
            writer.transport.abort()


class H1Peer:
    """A connection that remembers every byte it read; all waits are bounded."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.received = bytearray()
        self.read_s = PATIENT_S

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def alpn(self) -> str | None:
        tls = self.writer.get_extra_info("ssl_object")
        return tls.selected_alpn_protocol() if tls else None

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        async with asyncio.timeout(PATIENT_S):
            await self.writer.start_tls(context, server_hostname=server_name)

    async def send(self, data: bytes) -> None:
        """Write it all; ConnectionResetError once the peer is gone."""
        if self.writer.is_closing():
            raise ConnectionResetError("the peer is gone")
        self.writer.write(data)
        async with asyncio.timeout(PATIENT_S):
            await self.writer.drain()
        # drain() does not yield while there is room, and a flood would starve the loop.
        await asyncio.sleep(0)

    def send_eof(self) -> None:
        self.writer.write_eof()

    def stop_reading(self) -> None:
        """Take nothing more from the network: what comes fills the kernel's buffers."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def reset(self) -> None:
        """Close with a TCP RST."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.writer.transport.abort()

    async def aclose(self) -> None:
        await hang_up(self.writer)

    async def read(self, at_most: int = READ_BYTES) -> bytes:
        """Some bytes; b"" at the end."""
        async with asyncio.timeout(self.read_s):
            data = await self.reader.read(at_most)
        self.received += data
        return data

    async def read_exactly(self, size: int) -> bytes:
        async with asyncio.timeout(self.read_s):
            data = await self.reader.readexactly(size)
        self.received += data
        return data

    async def read_until(self, end: bytes) -> bytes:
        data = bytearray()
        async with asyncio.timeout(self.read_s):
            while not data.endswith(end):
                data += await self.reader.readuntil(end[-1:])
                assert len(data) <= MAX_HEAD_BYTES
        self.received += data
        return bytes(data)

    async def read_to_end(self) -> bytes:
        """Everything up to the end of the stream; a reset counts as an end."""
        data = bytearray()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while chunk := await self.read():
                data += chunk
        return bytes(data)

    async def read_head(self) -> Message:
        head = await self.read_until(b"\r\n\r\n")
        line, _, block = head.partition(b"\r\n")
        return Message(head=head, start_line=line, headers=parse_fields(block))

    async def read_request(self) -> Message:
        message = await self.read_head()
        await self.read_body(message)
        return message

    async def read_response(self, method: bytes = b"GET") -> Message:
        message = await self.read_head()
        if message.status not in (204, 304) and method != b"HEAD":
            await self.read_body(message, until_end=True)
        return message

    async def read_body(self, message: Message, *, until_end: bool = False) -> None:
        if (message.value("transfer-encoding") or b"").lower().endswith(b"chunked"):
            message.is_chunked = True
            message.body = b"".join([chunk async for chunk in self.chunks()])
            block = b""
            while (line := await self.read_until(b"\r\n")) != b"\r\n":
                block += line
            message.trailers = parse_fields(block)
        elif (length := message.value("content-length")) is not None:
            message.body = await self.read_exactly(int(length))
        elif until_end:
            message.body = await self.read_to_end()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks of a chunked body, without the trailer section."""
        while size := int((await self.read_until(b"\r\n")).split(b";")[0], 16):
            yield await self.read_exactly(size)
            assert await self.read_exactly(2) == b"\r\n"


def fields(head: Fields | dict[str, str]) -> bytes:
    items = head.items() if isinstance(head, dict) else head
    lines = []
    for name, value in items:
        raw_name = name.encode() if isinstance(name, str) else name
        raw_value = value.encode() if isinstance(value, str) else value
        lines.append(raw_name + b": " + raw_value + b"\r\n")
    return b"".join(lines)


def response(
    body: bytes = b"ok", status: str = "200 OK", headers: dict[str, str] | None = None
) -> bytes:
    """A whole HTTP/1.1 response with a Content-Length."""
    shown = {"Content-Length": str(len(body)), **(headers or {})}
    return f"HTTP/1.1 {status}\r\n".encode() + fields(shown) + b"\r\n" + body


def chunked(*chunks: bytes, trailers: dict[str, str] | None = None) -> bytes:
    """A chunked body, whole."""
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return framed + b"0\r\n" + fields(trailers or {}) + b"\r\n"
