"""Header blocks read: HPACK's decoder (RFC 7541), one for each connection.

It judges no field: what a name or a value may hold is not HPACK's business.
"""

from collections.abc import Sequence

from int3rceptor.wire import hpack_huffman as huffman
from int3rceptor.wire.h2_faults import ConnectionFault, H2Code
from int3rceptor.wire.hpack_table import (
    ENTRY_OVERHEAD_BYTES,
    FIRST_DYNAMIC,
    STATIC,
    Field,
    NeverIndexed,
    entry_bytes,
    read_number,
)

TABLE_BYTES = 4_096
"""SETTINGS_HEADER_TABLE_SIZE: what we keep for the peer, the default of RFC 9113."""

MAX_KNOWN_BLOCKS = 32
"""Blocks whose fields are remembered. A block that leaves the table as it is means the
same until something changes the table, and then all are forgotten."""

MAX_KNOWN_BLOCK_BYTES = 512
"""Longer blocks are read anew each time: they seldom come twice."""

MAX_KNOWN_STRINGS = 128
"""Huffman strings whose text is remembered: origins repeat them in every response."""

MAX_KNOWN_STRING_BYTES = 128
"""Longer ones are decoded anew each time, so that 16 KiB at most are held."""


class Decoder:
    """The peer's compression state. After a ConnectionFault it cannot be used."""

    __slots__ = ("_blocks", "_entries", "_limit", "_max_list", "_size", "_strings")

    def __init__(self, max_list_bytes: int) -> None:
        self._max_list = max_list_bytes
        self._limit = TABLE_BYTES
        self._size = 0
        self._entries: list[Field] = []  # the newest last
        self._blocks: dict[bytes, list[Field]] = {}
        self._strings: dict[bytes, bytes] = {}

    def decode(self, block: bytes) -> Sequence[Field]:
        """The fields of a whole block; nobody may change the list.

        ConnectionFault when it is broken (COMPRESSION_ERROR), or means more than
        `max_list_bytes` (ENHANCE_YOUR_CALM).
        """
        known = self._blocks.get(block)
        if known is not None:
            return known
        try:
            decoded, is_lasting = self._decode(block)
        except IndexError:
            raise _broken("a header block that is cut off, or no such entry") from None
        except ValueError as error:
            raise _broken(str(error)) from None
        if not is_lasting:
            self._blocks.clear()
        elif len(block) <= MAX_KNOWN_BLOCK_BYTES:
            if len(self._blocks) >= MAX_KNOWN_BLOCKS:
                self._blocks.clear()
            self._blocks[block] = decoded
        return decoded

    def _decode(self, block: bytes) -> tuple[list[Field], bool]:
        fields: list[Field] = []
        size = position = 0
        is_lasting = True
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
                self._insert(field)
                is_lasting = False
            elif byte & 0x20:
                if fields:
                    raise ValueError("a table size update after a field")
                position = self._resize(block, position, byte & 0x1F)
                is_lasting = False
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
        return fields, is_lasting

    def _entry(self, index: int) -> Field:
        """IndexError when there is none."""
        if index >= FIRST_DYNAMIC:
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
        self._limit = limit
        self._evict()
        return position

    def _insert(self, field: Field) -> None:
        # RFC 7541, 4.4: one that is larger than the table empties it.
        self._entries.append(field)
        self._size += entry_bytes(field)
        if self._size > self._limit:
            self._evict()

    def _evict(self) -> None:
        entries = self._entries
        gone = 0
        while self._size > self._limit:
            self._size -= entry_bytes(entries[gone])
            gone += 1
        del entries[:gone]


def _broken(why: str) -> ConnectionFault:
    return ConnectionFault(H2Code.COMPRESSION_ERROR, f"HPACK: {why}")
