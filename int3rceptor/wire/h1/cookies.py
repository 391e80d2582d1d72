"""Heads that are known but for their cookies.

A client repeats all of a head but its first line, cookies among it; and those must not
stay in memory. So what is remembered is the rest: a cookie says nothing to a parser.
"""

import re
from dataclasses import replace
from typing import NamedTuple

from int3rceptor.wire.h1.block import Block
from int3rceptor.wire.h1.lines import TEXT

MAX_CUT_FIELDS_BYTES = 16 * 1024
"""The fields of a head that is looked through for a cookie: what servers accept."""

_START = (
    b"\r\nCookie: "  # as all browsers write it; in any other form it is not cut out
)
_VALUE = re.compile(TEXT)


class Cut(NamedTuple):
    """All `fields`, and the `rest`: without the line of the first Cookie, which was at
    `place`. `is_trim`: no space is to be cut off its value."""

    fields: bytes
    rest: bytes
    field: tuple[bytes, bytes]
    place: int
    is_trim: bool


def cut_cookie(fields: bytes) -> Cut | None:
    """`fields` cut, if they have a Cookie in the common form, which is not the first
    of them, and end with their first empty line."""
    at = fields.find(_START, 0, MAX_CUT_FIELDS_BYTES)
    # What is behind an empty line is no field, and must not be taken for one.
    if at < 0 or fields.find(b"\r\n\r\n") != len(fields) - 4:
        return None
    end = fields.index(b"\r\n", at + len(_START))
    value = fields[at + len(_START) : end]
    if len(fields) > MAX_CUT_FIELDS_BYTES or _VALUE.fullmatch(value) is None:
        return None
    place = fields.count(b"\r\n", 0, at) + 1
    trim = value.strip(b" \t")
    rest = fields[:at] + fields[end:]
    return Cut(fields, rest, (b"Cookie", trim), place, trim == value)


def with_cookie(known: Block, cut: Cut) -> Block:
    """What all the fields say, by what the rest of them does."""
    place, steering = cut.place, known.steering
    raw = [*known.raw[:place], cut.field, *known.raw[place:]]
    block = Block(raw, steering, known.host, known.authority, known.framing)
    block.is_plain = known.is_plain
    block.rest = known
    # What goes on byte for byte does so with a cookie in it.
    if cut.is_trim and known.next_hop == b"\r\n" + cut.rest:
        block.next_hop = b"\r\n" + cut.fields
    return block


def without_cookie(block: Block, cut: Cut) -> Block:
    """The opposite."""
    raw = block.raw[: cut.place] + block.raw[cut.place + 1 :]
    return replace(block, raw=raw)
