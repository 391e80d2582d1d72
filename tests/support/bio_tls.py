"""A TLS client in memory over a raw connection: hellos in pieces, TLS inside TLS.

Knows bytes and their order, nothing of the proxy.
"""

import contextlib
import ssl
from collections.abc import Iterable
from pathlib import Path

from tests.support.h1_peer import H1Peer, Message, parse_fields
from tests.support.origin_tls import client_context


class BioTls:
    """TLS whose records the caller may send as they like.

    `outer` is a raw connection or another BioTls.
    """

    def __init__(self, outer: "H1Peer | BioTls", ca: Path, server_name: str) -> None:
        self._outer = outer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = client_context(ca, ["http/1.1"]).wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name
        )
        self._data = bytearray()

    def hello(self) -> bytes:
        """The ClientHello, to be sent by the caller; then `handshake`."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise AssertionError("a handshake cannot end before the server spoke")

    async def handshake(self) -> None:
        """Finish (or begin) the handshake; the certificate is verified."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    async def send_each(self, pieces: Iterable[bytes]) -> None:
        """Records of these, all at once."""
        for piece in pieces:
            self._tls.write(piece)
        await self._flush()

    async def finish(self) -> None:
        """End our direction by close_notify, and that alone."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        await self._flush()

    async def read(self) -> bytes:
        """Some bytes; b"" at the end."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self._feed()
            except ssl.SSLZeroReturnError:
                return b""

    async def read_response(self) -> Message:
        """A response with a Content-Length."""
        head = await self._read_until(b"\r\n\r\n")
        line, _, block = head.partition(b"\r\n")
        message = Message(head=head, start_line=line, headers=parse_fields(block))
        size = int(message.value("content-length") or 0)
        while len(self._data) < size:
            await self._more()
        message.body = bytes(self._data[:size])
        del self._data[:size]
        return message

    async def _read_until(self, end: bytes) -> bytes:
        while end not in self._data:
            await self._more()
        size = self._data.index(end) + len(end)
        found = bytes(self._data[:size])
        del self._data[:size]
        return found

    async def _more(self) -> None:
        data = await self.read()
        if not data:
            raise EOFError("the TLS stream ended")
        self._data += data

    async def _feed(self) -> None:
        data = await self._outer.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._outer.send(data)
