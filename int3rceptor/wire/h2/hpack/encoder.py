"""Header blocks written: HPACK's encoder (RFC 7541), one for each connection."""

from collections import deque
from collections.abc import Iterable

from int3rceptor.wire.h2.hpack import huffman
from int3rceptor.wire.h2.hpack.table import (
    FIRST_DYNAMIC,
    STATIC,
    Field,
    NeverIndexed,
    entry_bytes,
    write_number,
)

MAX_TABLE_BYTES = 4_096
"""Our table, however much the peer allows: it is memory held for the peer."""

MAX_ENTRY_FRACTION = 4
"""A field larger than 1/4 of the table is not put into it: it would push out too much.
"""

MAX_INDEXED_COOKIE_BYTES = 20
"""A shorter Cookie could be guessed through the compression (RFC 7541, 7.1.3)."""

MAX_KNOWN_LITERALS = 128
"""Fields outside the table whose coding is remembered."""

MAX_KNOWN_VALUE_BYTES = 256
"""Longer values are coded anew each time, so that some 64 KiB at most are held."""

# Values of these differ from message to message: in the table they would only push out
# what repeats.
_PASSING = frozenset(
    (
        b":path",
        b"age",
        b"content-length",
        b"content-range",
        b"etag",
        b"if-modified-since",
        b"if-none-match",
        b"last-modified",
        b"location",
        b"range",
        b"set-cookie",
    )
)

_INDEXING, _NOT_INDEXED, _NEVER_INDEXED = (0x40, 0x3F), (0x00, 0x0F), (0x10, 0x0F)
"""First bits of a literal, and the mask of the number beside them."""

_STATIC_CODES: dict[Field, bytes] = {}
_STATIC_NAMES: dict[bytes, int] = {}
for _index in range(FIRST_DYNAMIC - 1, 0, -1):  # the lowest index of a name remains
    _STATIC_NAMES[STATIC[_index][0]] = _index
    if STATIC[_index][1]:
        _STATIC_CODES[STATIC[_index]] = bytes((0x80 | _index,))


class Section:
    """Fields that may be sent again on the same connection, their lines for the record,
    and their block, which stays the same while the encoder's table does."""

    __slots__ = ("block", "fields", "lines", "table")

    def __init__(self, fields: list[Field], lines: bytes) -> None:
        self.fields = fields
        self.lines = lines
        self.block = b""
        self.table = -1
        """For which state of the table `block` is."""


class Encoder:
    """Our compression state. Names are lower-case already."""

    __slots__ = (
        "_codes", "_entries", "_inserted", "_limit", "_names", "_numbers", "_resized",
        "_size", "_table",
    )  # fmt: skip

    def __init__(self) -> None:
        self._limit = MAX_TABLE_BYTES
        self._size = 0
        self._entries: deque[Field] = deque()
        # Entries have numbers in the order in which they came: the first has 1.
        self._inserted = 0
        self._numbers: dict[Field, int] = {}
        self._names: dict[bytes, int] = {}
        self._codes = _STATIC_CODES.copy()
        self._resized: list[int] = []
        self._table = 0
        """Counts the changes of the table."""

    def allow(self, table_bytes: int) -> None:
        """The peer allows a table of this size from now on (RFC 7541, 4.2)."""
        limit = min(table_bytes, MAX_TABLE_BYTES)
        if limit != self._limit:
            # Told with the next block: the smallest since the last one, and the last.
            smallest = min([limit, *self._resized])
            self._resized = [smallest, limit] if smallest < limit else [limit]
            self._limit = limit
            self._table += 1
            self._evict()

    def encode(self, fields: Iterable[Field]) -> bytes:
        """The block of a header list."""
        block = self._sizes() if self._resized else bytearray()
        codes = self._codes
        numbers = self._numbers
        for field in fields:
            if type(field) is NeverIndexed:
                block += self._literal(field, _NEVER_INDEXED)
            elif code := codes.get(field):
                block += code
            elif number := numbers.get(field):
                index = FIRST_DYNAMIC + self._inserted - number
                if index < 0x7F:
                    block.append(0x80 | index)
                else:
                    block += write_number(index, 0x7F, 0x80)
            else:
                block += self._new(field)
        return bytes(block)

    def encode_section(self, section: Section) -> bytes:
        """The block, or the part of one, of fields that may have been sent before."""
        if section.table != self._table:
            table = self._table
            # What is said only once: sizes, and what goes into the table now.
            is_lasting = not self._resized
            section.block = self.encode(section.fields)
            is_lasting = is_lasting and table == self._table
            section.table = table if is_lasting else -1
        return section.block

    def _sizes(self) -> bytearray:
        """What the table's size became since the last block."""
        sizes = [write_number(limit, 0x1F, 0x20) for limit in self._resized]
        self._resized = []
        return bytearray().join(sizes)

    def _new(self, field: Field) -> bytes:
        """The code of a field that has none yet."""
        name, value = field
        if name == b"authorization" or (
            name == b"cookie" and len(value) < MAX_INDEXED_COOKIE_BYTES
        ):
            return self._literal(field, _NEVER_INDEXED)
        if (
            name not in _PASSING
            and entry_bytes(field) * MAX_ENTRY_FRACTION <= self._limit
        ):
            code = self._literal(field, _INDEXING)
            self._insert(field)
            return code
        code = self._literal(field, _NOT_INDEXED)
        if name in _STATIC_NAMES and len(value) <= MAX_KNOWN_VALUE_BYTES:
            # The name's index never changes, and so neither does the code.
            if len(self._codes) >= MAX_KNOWN_LITERALS + len(_STATIC_CODES):
                self._codes.clear()
                self._codes.update(_STATIC_CODES)
            self._codes[field] = code
        return code

    def _literal(self, field: Field, kind: tuple[int, int]) -> bytes:
        name, value = field
        first, mask = kind
        index = _STATIC_NAMES.get(name, 0)
        if not index and (number := self._names.get(name)):
            index = FIRST_DYNAMIC + self._inserted - number
        code = write_number(index, mask, first)
        if not index:
            code += _string(name)
        return code + _string(value)

    def _insert(self, field: Field) -> None:
        self._entries.append(field)
        self._size += entry_bytes(field)
        self._inserted += 1
        self._table += 1
        self._numbers[field] = self._names[field[0]] = self._inserted
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            oldest = self._inserted - len(self._entries) + 1
            field = self._entries.popleft()
            self._size -= entry_bytes(field)
            if self._numbers[field] == oldest:
                del self._numbers[field]
            if self._names[field[0]] == oldest:
                del self._names[field[0]]


def _string(text: bytes) -> bytes:
    coded = huffman.encode(text)
    if len(coded) < len(text):
        return write_number(len(coded), 0x7F, 0x80) + coded
    return write_number(len(text), 0x7F, 0) + text
