"""Which header fields belong to one hop only, for both serialisers. No framing here."""

from collections.abc import Container

from int3rceptor.model.headers import Headers, RawHeaders

# RFC 9110, 7.6.1, and the fields that older software treats alike. Proxy-Authenticate
# and Proxy-Authorization speak to the next proxy, which is us (RFC 9110, 11.7).
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)

# RFC 9110, 7.6.1: Connection must not name a field that is meant for every recipient.
# Obeying it would let a client strip what frames, routes or guards its own request.
NEVER_NAMED = frozenset(
    (
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"forwarded",
        b"host",
        b"set-cookie",
        b"trailer",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    )
)


# What nearly every Connection field says.
_COMMON_LISTS = {
    value: frozenset((value.lower(),))
    for value in (b"keep-alive", b"Keep-Alive", b"close")
}


def comma_tokens(values: list[bytes]) -> frozenset[bytes]:
    """The members of a comma-separated list, in lower case, without parameters."""
    joined = b",".join(values)
    if common := _COMMON_LISTS.get(joined):
        return common
    members = joined.lower().split(b",")
    return frozenset(m.partition(b";")[0].strip(b" \t") for m in members) - {b""}


def connection_options(headers: Headers) -> frozenset[bytes]:
    """What Connection names, in lower case."""
    if b"connection" not in headers.steering:
        return frozenset()
    return comma_tokens(headers.get_all_bytes(b"connection"))


def hop_by_hop(options: frozenset[bytes]) -> frozenset[bytes]:
    """The lower-case names of the fields that must not travel on, where Connection
    names `options`."""
    return HOP_BY_HOP | (options - NEVER_NAMED) if options else HOP_BY_HOP


def end_to_end(headers: Headers) -> RawHeaders:
    """The fields that travel on: in their own case, order and bytes."""
    dropped = hop_by_hop(connection_options(headers))
    return [field for field in headers.raw if field[0].lower() not in dropped]


def is_upgrade(options: Container[bytes], protocols: list[bytes]) -> bool:
    """Whether Connection's options and Upgrade's values ask for another protocol.

    A bare h2c does not count: RFC 9113, 3.1 made it obsolete, and answering it would
    turn plain HTTP into a tunnel that nobody can look into.
    """
    return b"upgrade" in options and bool(comma_tokens(protocols) - {b"h2c"})


def wants_upgrade(headers: Headers) -> bool:
    """Whether the sender asks, or agrees, to change the protocol (RFC 9110, 7.8)."""
    if b"upgrade" not in headers.steering:
        return False
    protocols = headers.get_all_bytes(b"upgrade")
    return is_upgrade(connection_options(headers), protocols)


def accepts_trailers(headers: Headers) -> bool:
    """Whether TE says that trailers are welcome (RFC 9110, 10.1.4)."""
    if b"te" not in headers.steering:
        return False
    return b"trailers" in comma_tokens(headers.get_all_bytes(b"te"))
