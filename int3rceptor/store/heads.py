"""Reads the blocks of lines in which a FlowRecord keeps heads and trailers. Pure."""

import re
from dataclasses import dataclass
from functools import cache

Fields = list[tuple[bytes, bytes]]


@dataclass(slots=True, frozen=True, kw_only=True)
class Head:
    """One head, taken apart.

    `start` is the line before the fields, b"" in HTTP/2, where pseudo fields
    (`:status`) stand among `fields`. Names and values are as they passed.
    """

    start: bytes
    fields: Fields

    def value(self, name: bytes) -> str:
        """All values of `name` (given in lower case), with commas between; "" if none.

        Bytes that are no UTF-8 stay, as surrogates.
        """
        found = [value for key, value in self.fields if key.lower() == name]
        return b", ".join(found).decode("utf-8", "surrogateescape")


def value_in(block: bytes, name: bytes) -> str:
    """What `parse_head(block).value(name)` gives, without taking the block apart."""
    found = [value.strip(b" \t") for value in _lines_named(name).findall(block)]
    return b", ".join(found).decode("utf-8", "surrogateescape")


@cache
def _lines_named(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)(?:^|\n)%b:([^\r\n]*)" % re.escape(name))


def lines_of(block: bytes) -> list[bytes]:
    """The block's lines without their ends; no empty one at its end."""
    lines = [line.removesuffix(b"\r") for line in block.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def fields_of(block: bytes) -> Fields:
    """A block that has fields only: trailers."""
    return [_field(line) for line in lines_of(block)]


def parse_head(block: bytes) -> Head:
    """A request's or a response's head; b"" gives an empty one."""
    lines = lines_of(block)
    if not lines or lines[0].startswith(b":"):
        return Head(start=b"", fields=[_field(line) for line in lines])
    return Head(start=lines[0], fields=[_field(line) for line in lines[1:]])


def _field(line: bytes) -> tuple[bytes, bytes]:
    # A pseudo field's name begins with a colon.
    name, _, value = line[1:].partition(b":")
    return line[:1] + name, value.strip(b" \t")
