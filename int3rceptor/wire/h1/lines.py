"""Field lines of HTTP/1: judged once, remembered, taken apart and put together.

Most lines of most heads have passed before (User-Agent, Server, Accept): to look one up
costs a tenth of judging it. So have all lines of many heads together, as a program asks
for one thing after the other. It knows lines only, no start lines and no framing.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from int3rceptor.model.headers import STEERING

MAX_KNOWN_LINES = 4096
"""Lines remembered for reading, and as many for writing: some sites' worth. When they
are full, all are forgotten: lines that are really common are back at once."""

MAX_KNOWN_LINE_BYTES = 256
"""Longer lines are seldom seen twice. It bounds what is remembered to some MiB."""

MAX_KNOWN_BLOCKS = 512
"""Whole sets of lines remembered, for reading requests, for reading responses and for
writing each: what the clients and origins of a busy minute repeat."""

MAX_KNOWN_BLOCK_BYTES = 2048
"""Larger sets hold what changes each time. It bounds each of the three to some MiB."""

# What must not stay in memory once its exchange is over.
_SECRET = frozenset(
    (
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"set-cookie",
        b"x-api-key",
        b"x-auth-token",
    )
)

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
TEXT = rb"[^\x00-\x08\x0a-\x1f\x7f]*+"  # RFC 9110, 5.5: no control character but TAB

_LINE = re.compile(rb"(%s):(%s)" % (TOKEN, TEXT))
_NAME = re.compile(TOKEN)
_VALUE = re.compile(TEXT)


Key = TypeVar("Key")
Value = TypeVar("Value")


class BadLine(ValueError):
    """Bytes that are no field line."""


class Line(NamedTuple):
    """One field: the pair as a message holds it, its lower-case name, its line as it is
    sent, and whether the name is one of STEERING."""

    field: tuple[bytes, bytes]
    key: bytes
    sent: bytes
    is_steering: bool


class _Known(dict[bytes, Line]):
    """Lines as received, without their line end; BadLine for what is none."""

    def __missing__(self, line: bytes) -> Line:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadLine
        name, value = match.groups()
        known = _line(name, value.strip(b" \t"))
        if _is_worth_knowing(known, len(line)):
            _make_room(self)
            self[line] = known
        return known


class _Sendable(dict[tuple[bytes, bytes], Line]):
    """Fields as a message holds them; BadLine for what would break a head apart."""

    def __missing__(self, field: tuple[bytes, bytes]) -> Line:
        name, value = field
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise BadLine
        known = _line(name, value)
        if _is_worth_knowing(known, len(known.sent)):
            _make_room(self)
            self[field] = known
        return known


class KnownBlocks(dict[Key, Value]):
    """What sets of lines meant. The key is all that the meaning follows from."""

    def remember(
        self, key: Key, value: Value, lines: Iterable[Line], size: int
    ) -> None:
        """Keep `value`, unless `lines` (`size` bytes together) must not stay."""
        if size > MAX_KNOWN_BLOCK_BYTES:
            return
        if _SECRET.isdisjoint([line.key for line in lines]):
            if len(self) >= MAX_KNOWN_BLOCKS:
                self.clear()
            self[key] = value


def problem_of(line: bytes) -> str:
    """What is wrong with a line that is no field; "" of one that is."""
    if b"\r" in line or b"\n" in line:
        return "bare CR or LF"  # RFC 9112, 2.2
    if line[:1] in (b" ", b"\t"):
        return "a folded line"  # RFC 9112, 5.2
    name, colon, value = line.partition(b":")
    if not colon:
        return f"no colon after {name[:40]!r}"
    if name != name.rstrip(b" \t"):
        return f"space before the colon of {name[:40]!r}"  # RFC 9112, 5.1
    if not _NAME.fullmatch(name):
        return f"the invalid name {name[:40]!r}"
    if not _VALUE.fullmatch(value):
        return f"a control character in the value of {name[:40].decode()}"
    return ""


def _line(name: bytes, value: bytes) -> Line:
    key = name.lower()
    return Line((name, value), key, b"%b: %b" % (name, value), key in STEERING)


def _is_worth_knowing(line: Line, size: int) -> bool:
    return size <= MAX_KNOWN_LINE_BYTES and line.key not in _SECRET


def _make_room(known: dict[bytes, Line] | dict[tuple[bytes, bytes], Line]) -> None:
    if len(known) >= MAX_KNOWN_LINES:
        known.clear()


received = _Known().__getitem__
"""The Line of a line as received (no line end); BadLine when it is none."""

sendable = _Sendable().__getitem__
"""The Line of a field that is to be sent; BadLine when it would break a head apart."""
