"""What a certificate can name: a DNS name in A-label form or an IP address.

Pure text in, values out. Knows nothing of TLS, certificates or sockets.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from int3rceptor.errors import ProtocolError

IpAddress = IPv4Address | IPv6Address

# RFC 1035, section 2.3.4: 255 octets on the wire are 253 characters of text.
MAX_HOST_NAME_CHARS = 253

# Underscores are not host names by RFC 1123, but such hosts exist and browsers open
# them, so a certificate must be able to carry them.
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")

# IDNA 2003 and IDNA 2008 turn these (sharp s, final sigma, the joiners) into different
# names: whichever was chosen, the certificate might name another site.
_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


class BadHostName(ProtocolError):
    """A host that no certificate can name; the message says why."""


def is_dns_name(text: str) -> bool:
    """Say whether `text` is a lower-case A-label DNS name and not an IP literal."""
    if not 0 < len(text) <= MAX_HOST_NAME_CHARS:
        return False
    # URL parsers read a name whose last label is digits as an IPv4 address.
    if text[text.rfind(".") + 1 :].isdigit():
        return False
    return _NAME.fullmatch(text) is not None


def parse_host(text: str) -> str | IpAddress:
    """Turn a host as a client wrote it into what its certificate names.

    Takes DNS names (A-labels or U-labels, any case, one trailing dot) and IP literals
    (IPv6 with or without brackets; a zone id means nothing off this machine and is
    dropped). Raises BadHostName for anything else.
    """
    address = _parse_address(text)
    if address is not None:
        return address
    name = _to_ascii(text.removesuffix(".")).lower()
    if not is_dns_name(name):
        raise BadHostName(f"{text[:80]!r} is neither a host name nor an IP address")
    return name


def _parse_address(text: str) -> IpAddress | None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    address = bare.partition("%")[0]
    # To ask for an address in vain takes five times as long as all the rest.
    if ":" not in address and not address[-1:].isdigit():
        return None
    try:
        return ip_address(address)
    except ValueError:
        return None


def _to_ascii(name: str) -> str:
    """Apply IDNA label by label, as the resolver does when the name is dialled."""
    if name.isascii():
        return name
    # The codec's cost grows with the square of the length, so judge length first.
    if len(name) > MAX_HOST_NAME_CHARS:
        raise BadHostName(f"the host name {name[:80]!r}... is too long")
    if not _DEVIATIONS.isdisjoint(name):
        raise BadHostName(
            f"{name!r} means different hosts to different software;"
            " use its xn-- form instead"
        )
    from encodings.idna import ToASCII  # with its tables, for who has such a name

    try:
        return ".".join(ToASCII(label).decode("ascii") for label in name.split("."))
    except UnicodeError:
        raise BadHostName(f"{name!r} is not an international host name") from None
