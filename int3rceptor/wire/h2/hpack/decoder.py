"""Header blocks read: HPACK's decoder (RFC 7541), one for each connection.

It judges no field: what a name or a value may hold is not HPACK's business.
"""

from collections.abc import Sequence

from int3rceptor.wire.h2.faults import ConnectionFault, H2Code
from int3rceptor.wire.h2.hpack import huffman
from int3rceptor.wire.h2.hpack.table import (
    ENTRY_OVERHEAD_BYTES,
    FIRST_DYNAMIC,
    STATIC,
    Field,
    FieldList,
    NeverIndexed,
    entry_bytes,
    read_number,
)

TABLE_BYTES = 4_096
"""SETTINGS_HEADER_TABLE_SIZE: what we keep for the peer, the default of RFC 9113."""

MAX_KNOWN_BLOCKS = 32
"""Blocks whose meaning is remembered, of each of two kinds: clients and origins repeat
them. One that names no entry of the table always means the same, and puts the same into
the table. One that names some, and adds none, means the same until the table changes.
"""

MAX_KNOWN_BLOCK_BYTES = 512
"""Longer blocks are read anew each time: they seldom come twice."""

MAX_KNOWN_STRINGS = 128
"""Huffman strings whose text is remembered: origins repeat them in every response."""

MAX_KNOWN_STRING_BYTES = 128
"""Longer ones are decoded anew each time, so that 16 KiB at most are held."""

MAX_OVERDUE_BYTES = 16_384
"""What may stand in the table past its limit until an entry is asked for: many senders
put the same into it with every block, and never name it."""

MAX_RESIZES = 2
"""Table size updates in one block: the smallest size since the last one, and the size
that holds (RFC 7541, 4.2). A block has room for 20,000."""


class Decoder:
    """The peer's compression state. After a ConnectionFault it cannot be used."""

    __slots__ = (
        "_entries", "_known", "_known_until_change", "_limit", "_max_list",
        "_names_entries", "_resizes", "_size", "_strings",
    )  # fmt: skip

    def __init__(self, max_list_bytes: int) -> None:
        self._max_list = max_list_bytes
        self._limit = TABLE_BYTES
        self._size = 0
        # The newest last; past `_limit`, the first are none any more.
        self._entries: list[Field] = []
        self._known: dict[bytes, tuple[FieldList, list[Field], int]] = {}
        self._known_until_change: dict[bytes, FieldList] = {}
        self._strings: dict[bytes, bytes] = {}
        # What the block that is read does, beside giving fields.
        self._names_entries = False
        self._resizes = 0

    def decode(self, block: bytes) -> FieldList:
        """The fields of a whole block.

        ConnectionFault when it is broken (COMPRESSION_ERROR), or means more than
        `max_list_bytes` (ENHANCE_YOUR_CALM).
        """
        if (fields := self._known_until_change.get(block)) is not None:
            return fields
        if (known := self._known.get(block)) is not None:
            fields, added, added_bytes = known
            if added:
                self._insert(added, added_bytes)
            return fields
        try:
            fields, added = self._read(block)
        except IndexError:
            raise _broken("a header block that is cut off, or no such entry") from None
        except ValueError as error:
            raise _broken(str(error)) from None
        if len(block) <= MAX_KNOWN_BLOCK_BYTES and not self._resizes:
            self._remember(block, fields, added)
        return fields

    def _remember(self, block: bytes, fields: FieldList, added: list[Field]) -> None:
        if not self._names_entries:
            if len(self._known) >= MAX_KNOWN_BLOCKS:
                self._known.clear()
            added_bytes = sum([entry_bytes(field) for field in added])
            self._known[block] = fields, added, added_bytes
        elif not added:
            if len(self._known_until_change) >= MAX_KNOWN_BLOCKS:
                self._known_until_change.clear()
            self._known_until_change[block] = fields

    def _read(self, block: bytes) -> tuple[FieldList, list[Field]]:
        """The fields, and which of them went into the table."""
        self._names_entries, self._resizes = False, 0
        fields = FieldList()
        added: list[Field] = []
        size = position = 0
        while position < len(block):
            byte = block[position]
            position += 1
            if byte & 0x80:
                index = byte & 0x7F
                if index == 0x7F:
                    index, position = read_number(block, position, index)
                field = self._entry(index)
            elif byte & 0x40:
                field, position = self._literal(block, position, byte & 0x3F, 0x3F)
                added.append(field)
                self._insert((field,), entry_bytes(field))
            elif byte & 0x20:
                if fields:
                    raise ValueError("a table size update after a field")
                position = self._resize(block, position, byte & 0x1F)
                continue
            else:
                field, position = self._literal(block, position, byte & 0x0F, 0x0F)
                if byte & 0x10:
                    field = NeverIndexed(field)
            fields.append(field)
            size += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD_BYTES
            if size > self._max_list:
                raise ConnectionFault(
                    H2Code.ENHANCE_YOUR_CALM, "a header list far above our limit"
                )
        return fields, added

    def _entry(self, index: int) -> Field:
        """IndexError when there is none."""
        if index >= FIRST_DYNAMIC:
            self._names_entries = True
            if self._size > self._limit:
                self._evict()
            return self._entries[FIRST_DYNAMIC - 1 - index]
        if not index:
            raise IndexError
        return STATIC[index]

    def _literal(
        self, block: bytes, position: int, index: int, mask: int
    ) -> tuple[Field, int]:
        if index == mask:
            index, position = read_number(block, position, index)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = self._string(block, position)
        value, position = self._string(block, position)
        return (name, value), position

    def _string(self, block: bytes, position: int) -> tuple[bytes, int]:
        byte = block[position]
        length = byte & 0x7F
        position += 1
        if length == 0x7F:
            length, position = read_number(block, position, length)
        end = position + length
        if end > len(block):
            raise IndexError
        coded = block[position:end]
        if byte < 0x80:
            return coded, end
        text = self._strings.get(coded)
        return (self._text(coded) if text is None else text), end

    def _text(self, coded: bytes) -> bytes:
        text = huffman.decode(coded)
        if text is None:
            raise ValueError("a broken Huffman code")
        if len(coded) <= MAX_KNOWN_STRING_BYTES:
            if len(self._strings) >= MAX_KNOWN_STRINGS:
                self._strings.clear()
            self._strings[coded] = text
        return text

    def _resize(self, block: bytes, position: int, limit: int) -> int:
        if limit == 0x1F:
            limit, position = read_number(block, position, limit)
        if limit > TABLE_BYTES:
            raise ValueError(f"a table of {limit} bytes; {TABLE_BYTES} are allowed")
        self._resizes += 1
        if self._resizes > MAX_RESIZES:
            raise ValueError(f"more than {MAX_RESIZES} table size updates in a block")
        self._evict()
        self._limit = limit
        self._evict()
        self._known_until_change.clear()
        return position

    def _insert(self, fields: Sequence[Field], size: int) -> None:
        """Add entries of `size` bytes together."""
        self._entries += fields
        self._size += size
        self._known_until_change.clear()
        if self._size > self._limit + MAX_OVERDUE_BYTES:
            self._evict()

    def _evict(self) -> None:
        """Let the oldest go. An entry that is larger than the table empties it (RFC
        7541, 4.4)."""
        size, gone = self._size, 0
        for field in self._entries:  # what stays is not looked at, however often
            if size <= self._limit:
                break
            size -= entry_bytes(field)
            gone += 1
        del self._entries[:gone]
        self._size = size


def _broken(why: str) -> ConnectionFault:
    return ConnectionFault(H2Code.COMPRESSION_ERROR, f"HPACK: {why}")
