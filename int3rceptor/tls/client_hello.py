"""Reads a TLS ClientHello from its raw bytes: SNI and ALPN.

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
_SNI_HOST_NAME = 0

_BEFORE_SESSION_ID_BYTES = _MESSAGE_HEADER_BYTES + 2 + 32  # version and random
_EXTENSION_HEADER = struct.Struct(">HH")
_EXTENSION_HEADER_BYTES = _EXTENSION_HEADER.size

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
    garbage). `alpn` is in the client's order, without GREASE values (RFC 8701).
    `raw_len` is the length of the hello on the wire, record headers included.
    """

    sni: str | None
    alpn: tuple[bytes, ...]
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
    return _read_message(message, raw_len)


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


def _read_message(message: bytes, raw_len: int) -> ClientHello:
    """RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2.

    By positions and not by a reader that moves: each new connection pays for this.
    """
    session_id, position = _field(message, _BEFORE_SESSION_ID_BYTES, 1)
    if len(session_id) > 32:
        raise BadClientHello("the session id of the ClientHello is over 32 bytes")
    ciphers, position = _vector(message, position, 2, "cipher suite list")
    if len(ciphers) % 2:
        raise BadClientHello(_PAST_ITS_END)
    _, position = _vector(message, position, 1, "compression list")
    extensions = _read_extensions(message, position)
    sni = extensions.get(_EXTENSION_SNI)
    alpn = extensions.get(_EXTENSION_ALPN)
    return ClientHello(
        sni=None if sni is None else _read_sni(sni),
        alpn=() if alpn is None else _read_alpn(alpn),
        raw_len=raw_len,
    )


def _field(data: bytes, position: int, width: int) -> tuple[bytes, int]:
    """What follows its own length, which is `width` bytes; and where it ends."""
    start = position + width
    end = start + int.from_bytes(data[position:start], "big")
    if end > len(data):
        raise BadClientHello(_PAST_ITS_END)
    return data[start:end], end


def _vector(data: bytes, position: int, width: int, what: str) -> tuple[bytes, int]:
    """As `_field`, where an empty one is malformed."""
    content, end = _field(data, position, width)
    if not content:
        raise BadClientHello(f"the ClientHello has an empty {what}")
    return content, end


def _only_vector(extension: bytes, width: int, what: str, whole: str) -> bytes:
    """The vector that is all of an extension."""
    content, end = _vector(extension, 0, width, what)
    _judge_end(extension, end, whole)
    return content


def _judge_end(data: bytes, end: int, what: str) -> None:
    if end < len(data):
        raise BadClientHello(f"bytes follow the {what} of the ClientHello")


def _read_extensions(message: bytes, position: int) -> dict[int, bytes]:
    if position == len(message):
        return {}  # TLS 1.2 and older may leave the whole block out.
    block, end = _field(message, position, 2)
    _judge_end(message, end, "extensions")
    extensions: dict[int, bytes] = {}
    start, end = 0, len(block)
    unpack = _EXTENSION_HEADER.unpack_from
    while start < end:
        if start + _EXTENSION_HEADER_BYTES > end:
            raise BadClientHello(_PAST_ITS_END)
        kind, size = unpack(block, start)
        start += _EXTENSION_HEADER_BYTES
        if kind in extensions:
            # RFC 8446, section 4.2. Two SNIs could show two readers two hosts.
            raise BadClientHello(f"the ClientHello has extension {kind} twice")
        if start + size > end:
            raise BadClientHello(_PAST_ITS_END)
        extensions[kind] = block[start : start + size]
        start += size
    return extensions


def _read_sni(extension: bytes) -> str | None:
    names = _only_vector(
        extension, 2, "server name list", whole="server name extension"
    )
    position, host = 0, None
    while position < len(names):
        kind = names[position]
        name, position = _vector(names, position + 1, 2, "server name")
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


def _read_alpn(extension: bytes) -> tuple[bytes, ...]:
    names = _only_vector(extension, 2, "ALPN list", whole="ALPN extension")
    position = 0
    found: list[bytes] = []
    while position < len(names):
        name, position = _vector(names, position, 1, "ALPN name")
        if len(name) != 2 or not _is_grease(int.from_bytes(name, "big")):
            found.append(name)
    return tuple(found)


def _is_grease(value: int) -> bool:
    """RFC 8701, section 2: 0x0A0A, 0x1A1A, ... 0xFAFA."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF
