"""What both directions of HPACK share: the static table, and how numbers are written
(RFC 7541, 5.1 and appendix A)."""

Field = tuple[bytes, bytes]
"""A field's name and value."""

ENTRY_OVERHEAD_BYTES = 32
"""What each entry of a table counts beside its bytes (RFC 7541, 4.1)."""

MAX_NUMBER_BYTES = 5
"""Bytes of one number: enough for 2**32, and more would only waste time."""


class NeverIndexed(tuple[bytes, bytes]):
    """A field that no table may hold, here and further on (RFC 7541, 6.2.3)."""

    __slots__ = ()


class FieldList(list[Field]):
    """A header list as it was decoded; nobody may change it. A block that comes again
    gives the same one: who judges it may leave the judgement there."""

    __slots__ = ("judged",)

    def __init__(self) -> None:
        self.judged: object = None


_STATIC_TEXT = """\
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""


def _static() -> list[Field]:
    lines = [line.partition(" ") for line in _STATIC_TEXT.splitlines()]
    return [(name.encode(), value.encode()) for name, _, value in lines]


STATIC: list[Field] = [(b"", b""), *_static()]
"""The static table by index. Index 0 is no entry, and no lookup may give it."""

FIRST_DYNAMIC = len(STATIC)
"""The index of the dynamic table's newest entry."""


def entry_bytes(field: Field) -> int:
    """What a field counts, in a table and in a header list."""
    return ENTRY_OVERHEAD_BYTES + len(field[0]) + len(field[1])


def write_number(number: int, mask: int, first: int) -> bytes:
    """A number whose first byte has room for `mask`, beside the bits of `first`."""
    if number < mask:
        return bytes((first | number,))
    written = [first | mask]
    number -= mask
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def read_number(data: bytes, position: int, number: int) -> tuple[int, int]:
    """The rest of a number that did not fit into its first byte, which held `number`;
    and where it ends. ValueError when it is too long, IndexError when it is cut off."""
    for shift in range(0, 7 * MAX_NUMBER_BYTES, 7):
        byte = data[position]
        position += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number of too many bytes")
