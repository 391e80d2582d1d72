"""The authority of a URL or a Host field: `host[:port]`, judged and split."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.headers import to_bytes, to_text
from int3rceptor.wire.wording import quoted

MAX_PORT = 65_535

MAX_KNOWN_AUTHORITIES = 1024
"""Authorities whose reading is remembered: each request of a connection names the same
one, up to three times."""

MAX_KNOWN_AUTHORITY_CHARS = 300
"""Longer ones are read anew each time: a DNS name has 253 characters at most, and a
stranger's 32 KiB must not be kept a thousand times."""

# RFC 3986, 3.2.2: reg-name or IPv4 (unreserved, sub-delims, pct-encoded), or an IP
# literal in brackets. Bytes >= 0x80 are let through: some clients send U-labels raw,
# and what they mean is the resolver's business. No "@": user information never passes.
_AUTHORITY = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]{2,45})\]"
    rb"|((?:[A-Za-z0-9._~!$&'()*+,;=\x80-\xff-]|%[0-9A-Fa-f]{2})++))"
    rb"(?::([0-9]{0,5}))?"
)


def parse_authority(authority: str | bytes, default_port: int) -> tuple[str, int]:
    """Split `authority` into host and port.

    The host keeps its case and loses its brackets; an absent or empty port gives
    `default_port`. ClientProtocolError for anything else than `host[:port]`: user
    information, spaces, a path, a port outside 1..65535, a broken IPv6 address.
    """
    if len(authority) > MAX_KNOWN_AUTHORITY_CHARS:
        return _parse(authority, default_port)
    return _known(authority, default_port)


def parse_host(host: str) -> str:
    """A host alone, in lower case; an IPv6 address with or without brackets.
    ClientProtocolError for anything else."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    if not host.isascii() or (name.startswith("[") and not name.endswith("]")):
        raise _invalid(to_bytes(host), "not a host alone")
    return _parse(name, MAX_PORT)[0].lower()


@lru_cache(MAX_KNOWN_AUTHORITIES)
def _known(authority: str | bytes, default_port: int) -> tuple[str, int]:
    return _parse(authority, default_port)


def _parse(authority: str | bytes, default_port: int) -> tuple[str, int]:
    raw = to_bytes(authority)
    found = _AUTHORITY.fullmatch(raw)
    if found is None:
        raise _invalid(raw, "not host[:port]")
    literal, name, port = found.groups()
    if literal is not None:
        _check_ipv6(raw, literal)
    number = int(port) if port else default_port
    if not 0 < number <= MAX_PORT:
        raise _invalid(raw, f"the port is not in 1..{MAX_PORT}")
    return to_text(literal if name is None else name), number


def _check_ipv6(raw: bytes, literal: bytes) -> None:
    try:
        IPv6Address(literal.decode("ascii"))
    except AddressValueError:
        raise _invalid(raw, "not an IPv6 address") from None


def _invalid(raw: bytes, why: str) -> ClientProtocolError:
    return ClientProtocolError(f"invalid authority {quoted(raw)}: {why}")
