"""Reads the blocks of lines in which a FlowRecord keeps heads and trailers. Pure."""

from dataclasses import dataclass

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


def values_in(block: bytes, *names: bytes) -> list[str]:
    """What `parse_head(block).value(name)` gives for each of `names`, without taking
    the block apart."""
    # A search for the plain bytes is ten times as quick as a pattern's.
    lowered = b"\n" + block.lower()
    return [_value_in(block, lowered, b"\n" + name + b":") for name in names]


def _value_in(block: bytes, lowered: bytes, line: bytes) -> str:
    at = lowered.find(line)
    if at < 0:
        return ""
    found = []
    while at >= 0:
        start = at + len(line) - 1
        end = lowered.find(b"\n", start + 1) - 1
        value = block[start:end] if end >= 0 else block[start:]
        found.append(value.partition(b"\r")[0].strip(b" \t"))
        at = lowered.find(line, start)
    return b", ".join(found).decode("utf-8", "surrogateescape")


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
