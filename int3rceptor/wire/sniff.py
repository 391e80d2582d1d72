"""What the first bytes of a connection say it speaks. Bytes only."""

from enum import Enum

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

MAX_METHOD_BYTES = 32
"""Longest method looked for: the longest registered one (UPDATEREDIRECTREF) has 17."""

MAX_EMPTY_BYTES = 8
"""Four empty lines before a request: as many as HTTP/1.1 is read with here."""

_TLS_HANDSHAKE = 0x16
_SOCKS = (0x04, 0x05)
_METHOD_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Speech(Enum):
    """What a client speaks first."""

    TLS = "tls"
    SOCKS = "socks"
    HTTP2 = "http2"
    CONNECT = "connect"
    HTTP1 = "http1"
    OTHER = "other"
    UNDECIDED = "undecided"


def sniff(data: bytes) -> Speech:
    """What `data`, the first bytes, begins; UNDECIDED asks for more of them."""
    if not data:
        return Speech.UNDECIDED
    if data[0] == _TLS_HANDSHAKE:
        if len(data) < 2:
            return Speech.UNDECIDED
        return Speech.TLS if data[1] == 3 else Speech.OTHER
    if data[0] in _SOCKS:
        return Speech.SOCKS
    if data.startswith(H2_PREFACE[: len(data)]):
        return Speech.UNDECIDED if len(data) < len(H2_PREFACE) else Speech.HTTP2
    return _sniff_method(data)


def _sniff_method(data: bytes) -> Speech:
    # RFC 9112, 2.2: a server should ignore empty lines before the request line.
    line = data.lstrip(b"\r\n")
    if len(data) - len(line) > MAX_EMPTY_BYTES:
        return Speech.OTHER
    method, space, _ = line.partition(b" ")
    if not _METHOD_BYTES.issuperset(method.upper()) or len(method) > MAX_METHOD_BYTES:
        return Speech.OTHER
    if not space:
        return Speech.UNDECIDED
    return Speech.CONNECT if method == b"CONNECT" else Speech.HTTP1
