"""The bytes of a leaf: what is the same in all, and what differs from host to host.

The first is taken from a certificate that cryptography made. To have it make each one
takes 190 µs, of which 30 are the signature. Knows the encoding (DER), not what belongs
into a leaf.
"""

import datetime
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509

_INTEGER, _BIT_STRING, _OCTET_STRING = 0x02, 0x03, 0x04
_UTF8_STRING, _UTC_TIME, _GENERALIZED_TIME = 0x0C, 0x17, 0x18
_SEQUENCE, _SET, _EXTENSIONS = 0x30, 0x31, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87  # RFC 5280, section 4.2.1.6
_COMMON_NAME = bytes.fromhex("0603550403")
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_CRITICAL = bytes.fromhex("0101ff")

_LONG_FORM = 0x80
_UTC_TIME_ENDS = 2050  # RFC 5280, section 4.1.2.5


class LeafForm:
    """Writes leaves like `sample`, which has no subject and no alternative name."""

    def __init__(self, sample: x509.Certificate) -> None:
        fields = _parts(sample.tbs_certificate_bytes)
        self._version, _, self._algorithm, self._issuer, *_ = fields
        *_, self._public_key, extensions = fields
        self._extensions = _parts(_parts(extensions)[0])

    def to_be_signed(
        self,
        *,
        serial: int,
        validity: tuple[datetime.datetime, datetime.datetime],
        common_name: str,
        name: str | IPv4Address | IPv6Address,
    ) -> bytes:
        """The part that the signature is over. `common_name` may be empty."""
        extensions = (*self._extensions, _alternative_name(name, not common_name))
        return _der(
            _SEQUENCE,
            self._version,
            # One bit more than it has: with the top bit set it would be negative.
            _der(_INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
            self._algorithm,
            self._issuer,
            _der(_SEQUENCE, *map(_time, validity)),
            _subject(common_name),
            self._public_key,
            _der(_EXTENSIONS, _der(_SEQUENCE, *extensions)),
        )

    def signed(self, to_be_signed: bytes, signature: bytes) -> bytes:
        """The certificate; the signature is by the algorithm of the sample's."""
        bits = _der(_BIT_STRING, b"\0", signature)  # no bit of its last byte is unused
        return _der(_SEQUENCE, to_be_signed, self._algorithm, bits)


def _subject(common_name: str) -> bytes:
    if not common_name:
        return _der(_SEQUENCE)
    text = _der(_UTF8_STRING, common_name.encode())
    return _der(_SEQUENCE, _der(_SET, _der(_SEQUENCE, _COMMON_NAME, text)))


def _alternative_name(
    name: str | IPv4Address | IPv6Address, is_critical: bool
) -> bytes:
    if isinstance(name, str):
        encoded = _der(_DNS_NAME, name.encode("ascii"))
    else:
        encoded = _der(_IP_ADDRESS, name.packed)
    value = _der(_OCTET_STRING, _der(_SEQUENCE, encoded))
    critical = _CRITICAL if is_critical else b""
    return _der(_SEQUENCE, _SUBJECT_ALTERNATIVE_NAME, critical, value)


def _time(moment: datetime.datetime) -> bytes:
    if moment.year < _UTC_TIME_ENDS:
        return _der(_UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return _der(_GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _der(tag: int, *parts: bytes) -> bytes:
    """A value with its tag and length (X.690, sections 8.1 and 10.1)."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + content


def _parts(der: bytes) -> list[bytes]:
    """The values inside of a value, each with its tag and length."""
    start, end = _content(der, 0)
    parts = []
    while start < end:
        _, after = _content(der, start)
        parts.append(der[start:after])
        start = after
    return parts


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at a place begins and ends."""
    size, start = der[at + 1], at + 2
    if size & _LONG_FORM:
        width = size & ~_LONG_FORM
        size = int.from_bytes(der[start : start + width], "big")
        start += width
    return start, start + size
