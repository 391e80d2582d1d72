"""Reads a TLS ClientHello from its raw bytes: SNI, ALPN and versions.

Bytes in, values out: knows no socket, no ssl module and no policy. It judges only the
structure; whether the handshake can succeed is for the TLS library to say.
"""

import struct
from dataclasses import dataclass

from int3rceptor.errors import ClientProtocolError
from int3rceptor.tls.host_names import is_dns_name

# Browsers send 0.5 to 2 KiB (a post-quantum key share alone is 1.2 KiB), session
# tickets may add a few KiB. 64 KiB is far above any real hello and far below harm.
MAX_CLIENT_HELLO_BYTES = 64 * 1024

# A hello of the largest size fits in 5 records; tools that split it to get past
# filters use a handful. More only makes us parse headers.
MAX_CLIENT_HELLO_RECORDS = 64

_RECORD_HEADER_BYTES = 5
_MAX_FRAGMENT_BYTES = 1 << 14  # RFC 8446, section 5.1
_MESSAGE_HEADER_BYTES = 4
_HANDSHAKE = 22
_CLIENT_HELLO = 1

_EXTENSION_SNI = 0  # RFC 6066, section 3
_EXTENSION_ALPN = 16  # RFC 7301
_EXTENSION_VERSIONS = 43  # RFC 8446, section 4.2.1
_SNI_HOST_NAME = 0

_EXTENSION_HEADER = struct.Struct(">HH")

_PAST_ITS_END = "a field of the ClientHello runs past its end"


class NotTls(ClientProtocolError):
    """The first bytes are not those of a TLS connection."""


class BadClientHello(ClientProtocolError):
    """TLS was begun, but not by a ClientHello that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedMore:
    """The hello is not whole: it takes `at_least` bytes in total, perhaps more."""

    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What a client says before a certificate is chosen.

    `sni` is a valid lower-case A-label DNS name or None (absent, an IP literal,
    garbage). `alpn` and `versions` are in the client's order, without GREASE values
    (RFC 8701); before TLS 1.3 `versions` is the highest one alone. `raw_len` is the
    length of the hello on the wire, record headers included.
    """

    sni: str | None
    alpn: tuple[bytes, ...]
    versions: tuple[int, ...]
    raw_len: int


def parse_client_hello(data: bytes) -> ClientHello | NeedMore:
    """Read the hello at the start of `data`, which holds all bytes seen so far.

    Raises NotTls when another protocol is spoken, BadClientHello when the hello is
    malformed or over a limit; both as soon as the bytes show it.
    """
    joined = _join_records(data)
    needed = joined.at_least if isinstance(joined, NeedMore) else joined[1]
    if needed > MAX_CLIENT_HELLO_BYTES:
        raise BadClientHello(
            f"the ClientHello is larger than {MAX_CLIENT_HELLO_BYTES} bytes"
        )
    if isinstance(joined, NeedMore):
        return joined
    message, raw_len = joined
    return _read_message(_Reader(message[_MESSAGE_HEADER_BYTES:]), raw_len)


def _join_records(data: bytes) -> tuple[bytes, int] | NeedMore:
    """Take the handshake message out of the records that carry it."""
    message = b""
    position = 0
    for _ in range(MAX_CLIENT_HELLO_RECORDS):
        length = _read_record_header(data, position)
        if isinstance(length, NeedMore):
            return length
        start = position + _RECORD_HEADER_BYTES
        position = start + length
        message += data[start:position]
        missing = _count_missing(message)
        if position > len(data):
            after_this_record = max(0, missing - (position - len(data)))
            return NeedMore(at_least=position + _wire_size(after_this_record))
        if missing == 0:
            return message, position
    raise BadClientHello(
        f"the ClientHello is spread over more than {MAX_CLIENT_HELLO_RECORDS} records"
    )


def _read_record_header(data: bytes, position: int) -> int | NeedMore:
    """Judge as much of the record header as is there; give its fragment's length."""
    header = data[position : position + _RECORD_HEADER_BYTES]
    if position == 0 and header and header[0] & 0x80:
        return _judge_ssl2(header)
    if header and header[0] != _HANDSHAKE:
        raise _not_a_record(position, f"a byte {header[0]:#04x} instead of 0x16")
    if len(header) > 1 and header[1] != 3:
        raise _not_a_record(position, f"record version {header[1]} instead of 3")
    if len(header) < _RECORD_HEADER_BYTES:
        # One more than the header: RFC 8446, section 5.1, forbids empty fragments.
        return NeedMore(at_least=position + _RECORD_HEADER_BYTES + 1)
    length = int.from_bytes(header[3:], "big")
    if not 0 < length <= _MAX_FRAGMENT_BYTES:
        raise BadClientHello(f"a TLS record of {length} bytes is not allowed")
    return length


def _judge_ssl2(header: bytes) -> NeedMore:
    """SSL 2.0 begins with two bytes of length, top bit set, then the message type."""
    if len(header) < 3:
        return NeedMore(at_least=3)
    if header[2] == _CLIENT_HELLO:
        raise BadClientHello("the client speaks SSL 2.0, which is not supported")
    raise _not_a_record(0, f"a byte {header[0]:#04x} instead of 0x16")


def _not_a_record(position: int, found: str) -> NotTls | BadClientHello:
    if position == 0:
        return NotTls(f"this is not TLS: {found}")
    return BadClientHello(f"the ClientHello breaks off: {found}")


def _count_missing(message: bytes) -> int:
    """Count the bytes of the message that are known to be still to come."""
    if message and message[0] != _CLIENT_HELLO:
        raise BadClientHello(f"handshake message {message[0]} instead of a ClientHello")
    if len(message) < _MESSAGE_HEADER_BYTES:
        return _MESSAGE_HEADER_BYTES - len(message)
    length = int.from_bytes(message[1:_MESSAGE_HEADER_BYTES], "big")
    missing = _MESSAGE_HEADER_BYTES + length - len(message)
    if missing < 0:
        raise BadClientHello("bytes follow the ClientHello in its record")
    return missing


def _wire_size(message_bytes: int) -> int:
    """The least that so many bytes of message take on the wire."""
    records = -(-message_bytes // _MAX_FRAGMENT_BYTES)
    return message_bytes + records * _RECORD_HEADER_BYTES


class _Reader:
    """Takes fields off the front of a byte string; never reads past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise BadClientHello(_PAST_ITS_END)
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int, what: str) -> "_Reader":
        """Take a vector whose length is `width` bytes; an empty one is malformed."""
        content = self.take(self.number(width))
        if not content:
            raise BadClientHello(f"the ClientHello has an empty {what}")
        return _Reader(content)

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def end(self, what: str) -> None:
        if self:
            raise BadClientHello(f"bytes follow the {what} of the ClientHello")


def _read_message(reader: _Reader, raw_len: int) -> ClientHello:
    """RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2."""
    legacy_version = reader.number(2)
    reader.take(32)
    if len(reader.take(reader.number(1))) > 32:
        raise BadClientHello("the session id of the ClientHello is over 32 bytes")
    _judge_even(reader.vector(2, "cipher suite list").rest())
    reader.vector(1, "compression list")
    extensions = _read_extensions(reader)
    versions: tuple[int, ...] = (legacy_version,)
    if _EXTENSION_VERSIONS in extensions:
        versions = _read_versions(_Reader(extensions[_EXTENSION_VERSIONS]))
    sni = extensions.get(_EXTENSION_SNI)
    alpn = extensions.get(_EXTENSION_ALPN)
    return ClientHello(
        sni=None if sni is None else _read_sni(_Reader(sni)),
        alpn=() if alpn is None else _read_alpn(_Reader(alpn)),
        versions=versions,
        raw_len=raw_len,
    )


def _read_extensions(reader: _Reader) -> dict[int, bytes]:
    if not reader:
        return {}  # TLS 1.2 and older may leave the whole block out.
    block = reader.take(reader.number(2))
    reader.end("extensions")
    extensions: dict[int, bytes] = {}
    start, end = 0, len(block)
    while start < end:
        # There may be dozens, and each new connection pays for them: no reader here.
        if start + _EXTENSION_HEADER.size > end:
            raise BadClientHello(_PAST_ITS_END)
        kind, size = _EXTENSION_HEADER.unpack_from(block, start)
        start += _EXTENSION_HEADER.size
        if kind in extensions:
            # RFC 8446, section 4.2. Two SNIs could show two readers two hosts.
            raise BadClientHello(f"the ClientHello has extension {kind} twice")
        if start + size > end:
            raise BadClientHello(_PAST_ITS_END)
        extensions[kind] = block[start : start + size]
        start += size
    return extensions


def _read_sni(reader: _Reader) -> str | None:
    names = reader.vector(2, "server name list")
    reader.end("server name extension")
    host: bytes | None = None
    while names:
        kind = names.number(1)
        name = names.vector(2, "server name").rest()
        if kind != _SNI_HOST_NAME:
            continue
        if host is not None:
            raise BadClientHello("the ClientHello names two hosts")
        host = name
    if host is None or not host.isascii():
        return None
    # RFC 6066 wants no trailing dot; clients that send one mean the same host.
    text = host.decode("ascii").lower().removesuffix(".")
    return text if is_dns_name(text) else None


def _read_alpn(reader: _Reader) -> tuple[bytes, ...]:
    names = reader.vector(2, "ALPN list")
    reader.end("ALPN extension")
    found: list[bytes] = []
    while names:
        name = names.vector(1, "ALPN name").rest()
        if len(name) != 2 or not _is_grease(int.from_bytes(name, "big")):
            found.append(name)
    return tuple(found)


def _read_versions(reader: _Reader) -> tuple[int, ...]:
    offered = _read_numbers(reader.vector(1, "version list"))
    reader.end("version extension")
    return tuple(version for version in offered if not _is_grease(version))


def _read_numbers(reader: _Reader) -> tuple[int, ...]:
    content = reader.rest()
    _judge_even(content)
    numbers: tuple[int, ...] = struct.unpack(f">{len(content) // 2}H", content)
    return numbers


def _judge_even(numbers: bytes) -> None:
    """A list of numbers of two bytes each must not end inside one."""
    if len(numbers) % 2:
        raise BadClientHello(_PAST_ITS_END)


def _is_grease(value: int) -> bool:
    """RFC 8701, section 2: 0x0A0A, 0x1A1A, ... 0xFAFA."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF
