"""Which header fields hold secrets, and what a plugin is shown in their place. Pure.

A plugin without `secrets.read` sees MASK. It cannot write it back: who lists headers,
changes one and sets them all again must hear that it would have destroyed a secret.
"""

from int3rceptor.model.headers import Headers

MASK = b"***"

SECRET_FIELDS = frozenset(
    {b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"}
)
"""Lower-case names of the fields that carry credentials (RFC 9110, 11.6.2 and 11.7.2;
RFC 6265, 4). A manifest can add to them, never take away."""


def shown_values(
    masked: frozenset[bytes], name: bytes, headers: Headers
) -> list[bytes]:
    """Every value of `name`, which is in lower case, as the plugin sees them."""
    values = headers.get_all_bytes(name)
    return [MASK] * len(values) if name in masked else values


def shown_items(masked: frozenset[bytes], headers: Headers) -> list[bytes]:
    """All fields as the plugin sees them: name, value, name, value."""
    items: list[bytes] = []
    for name, value in headers.raw:
        items += (name, MASK if name.lower() in masked else value)
    return items
