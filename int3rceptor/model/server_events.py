"""Server-sent events: cuts a stream up as the HTML standard reads it (HTML, 9.2). Pure.

What nobody changes keeps its bytes: the pieces of a stream, joined, are the stream.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from int3rceptor.model.headers import Headers

MEDIA_TYPE = b"text/event-stream"

MAX_EVENT_BYTES = 1024 * 1024
"""Of one event that is looked at: it is held until it is whole. Events are lines of a
few hundred bytes, the largest that APIs send (a whole answer at its end) a few hundred
KiB; a hundred streams that never end an event hold 100 MiB."""

MAX_FIELD_BYTES = 64 * 1024
"""Of a field that is set: as of a header's value."""

FIELDS = (b"event", b"id", b"retry")
"""What an event has beside its data: its type, what a client that comes back names as
the last that it saw, and after how many milliseconds it comes back."""

MAX_RETRY_DIGITS = 18
"""Of `retry`: more is no number of milliseconds, and costs time to read as one."""

_BOM = b"\xef\xbb\xbf"
_ENDING = re.compile(rb"\r\n|\r|\n")
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")


def is_event_stream(headers: Headers) -> bool:
    """Whether a response's fields say that it is a stream of events."""
    values = headers.get_all_bytes(b"content-type")
    return any(one.partition(b";")[0].strip().lower() == MEDIA_TYPE for one in values)


class Kind(Enum):
    """What a piece of a stream is."""

    EVENT = "a whole event"
    OTHER = "what a client gets no event from: comments, empty lines, ids alone"
    LARGE = "a part of an event that is over the limit"


class Piece(NamedTuple):
    """A piece of a stream, as it came."""

    raw: bytes
    kind: Kind


class EventCutter:
    """Cuts one stream up, as its bytes come.

    An event comes out when the line that ends it does. What belongs to no event is not
    held back, but for the beginning of a line that may become one.
    """

    def __init__(self, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit_bytes
        self._start: bytes | None = b""  # of the stream, while it may be a BOM
        self._held = bytearray()  # lines of an event that is not whole
        self._line = 0  # where its last line begins
        self._has_data = False
        self._is_after_cr = False
        self._passing: Kind | None = None  # a comment's line, or a large event
        self._is_in_line = False  # of a large event

    def feed(self, data: bytes) -> Iterator[Piece]:
        """What `data` adds, in the order of the stream."""
        other = bytearray()
        for piece in self._pieces(data):
            if piece.kind is Kind.OTHER:
                other += piece.raw
                continue
            if other:
                yield Piece(bytes(other), Kind.OTHER)
                other.clear()
            yield piece
        if other:
            yield Piece(bytes(other), Kind.OTHER)

    def rest(self) -> bytes:
        """The stream is over: the beginning of an event that will never be one."""
        held = self._start or bytes(self._held)
        self._start = None
        self._held.clear()
        return held

    def _pieces(self, data: bytes) -> Iterator[Piece]:
        if self._start is not None:
            data = self._start + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._start = data
                return
            self._start = None
            if data.startswith(_BOM):
                yield Piece(_BOM, Kind.OTHER)
                data = data[len(_BOM) :]
        at = 0
        if self._is_after_cr and data.startswith(b"\n"):
            at = 1
            if piece := self._line_feed():
                yield piece
        for ending in _ENDING.finditer(data, at):
            if piece := self._end_line(data[at : ending.start()], ending[0]):
                yield piece
            at = ending.end()
        if data:
            self._is_after_cr = data.endswith(b"\r")
        if at < len(data) and (piece := self._begin_line(data[at:])):
            yield piece

    def _line_feed(self) -> Piece | None:
        """It belongs to the CR that came before it."""
        if not self._held:
            return Piece(b"\n", self._passing or Kind.OTHER)
        self._held += b"\n"
        self._line = len(self._held)
        return None

    def _begin_line(self, part: bytes) -> Piece | None:
        """More of a line of which the end is not here."""
        if self._passing is not None:
            self._is_in_line = True
            return Piece(part, self._passing)
        self._held += part
        if self._line == 0 and self._held.startswith(b":"):
            self._passing = Kind.OTHER
        elif len(self._held) > self._limit:
            self._passing, self._is_in_line = Kind.LARGE, True
        return None if self._passing is None else self._take(self._passing)

    def _end_line(self, part: bytes, ending: bytes) -> Piece | None:
        if self._passing is not None:
            return self._end_passing_line(part, ending)
        held, line = self._held, self._line
        if not held and part.startswith(b":"):
            return Piece(part + ending, Kind.OTHER)
        held += part
        is_empty, is_large = len(held) == line, len(held) > self._limit
        self._has_data |= held[line:] == b"data" or held.startswith(b"data:", line)
        held += ending
        if is_large:
            if not is_empty:
                self._passing = Kind.LARGE
            return self._take(Kind.LARGE)
        if is_empty:
            return self._take(Kind.EVENT if self._has_data else Kind.OTHER)
        self._line = len(held)
        return None

    def _end_passing_line(self, part: bytes, ending: bytes) -> Piece:
        kind = self._passing or Kind.OTHER
        if kind is Kind.OTHER or not (part or self._is_in_line):
            self._passing = None
        self._is_in_line = False
        return Piece(part + ending, kind)

    def _take(self, kind: Kind) -> Piece:
        piece = Piece(bytes(self._held), kind)
        self._held.clear()
        self._line, self._has_data = 0, False
        return piece


class Event:
    """One event; `raw` is how it came.

    `data` or `text`, `type`, `id` and `retry` may be set, and `drop` lets it go no
    further. All else that it came with (comments, fields that nobody knows) stays.
    """

    __slots__ = ("_fields", "_given", "_lines", "is_dropped", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: bytes = raw
        self.is_dropped: bool = False
        self._given: bytes | None = None
        self._fields: dict[bytes, bytes] = {}  # those that were set
        self._lines: list[tuple[bytes, bytes, bytes]] = [
            (*_split(match[1]), match[1]) for match in _LINE.finditer(raw)
        ]

    @property
    def data(self) -> bytes:
        """As a client gets it: the lines, joined by LF."""
        return self._came() if self._given is None else self._given

    @data.setter
    def data(self, value: bytes) -> None:
        self._given = None if value == self._came() else value

    def _came(self) -> bytes:
        return b"\n".join([value for name, value, _ in self._lines if name == b"data"])

    @property
    def text(self) -> str:
        """The data as text; bytes that are no UTF-8 are replaced, as by a client."""
        return self.data.decode("utf-8", "replace")

    @text.setter
    def text(self, value: str) -> None:
        self.data = value.encode()

    @property
    def type(self) -> str:
        """What a client's listeners know it by."""
        return (self.field(b"event") or b"message").decode("utf-8", "replace")

    @type.setter
    def type(self, value: str) -> None:
        self.set_field(b"event", value.encode())

    @property
    def id(self) -> str | None:
        """The id that it came with; None: the one before it is still the last."""
        value = self.field(b"id")
        return None if value is None else value.decode("utf-8", "replace")

    @id.setter
    def id(self, value: str) -> None:
        self.set_field(b"id", value.encode())

    @property
    def retry(self) -> int | None:
        """Milliseconds until a client comes back; None: it does not say."""
        value = self.field(b"retry")
        return None if value is None else int(value)

    @retry.setter
    def retry(self, value: int) -> None:
        self.set_field(b"retry", b"%d" % value)

    @property
    def is_changed(self) -> bool:
        """Whether something was set."""
        return self._given is not None or bool(self._fields)

    def drop(self) -> None:
        """Have it go no further."""
        self.is_dropped = True

    def restore(self) -> None:
        """Have it go on as it came."""
        self._given = None
        self._fields.clear()
        self.is_dropped = False

    def field(self, name: bytes) -> bytes | None:
        """A field of FIELDS as a client takes it: the last that is valid."""
        found = self._fields.get(name)
        if found is not None:
            return found
        for key, value, _ in reversed(self._lines):
            if key == name and _is_valid(name, value):
                return value
        return None

    def set_field(self, name: bytes, value: bytes) -> None:
        """Set one of FIELDS; ValueError for what would be no such field."""
        if name not in FIELDS or not _is_valid(name, value):
            raise ValueError(f"not a value of {name[:8]!r}: {value[:40]!r}")
        self._fields[name] = value

    def written(self) -> bytes:
        """What goes on: `raw`, where nothing was set."""
        if self.is_dropped:
            return b""
        if not self.is_changed:
            return self.raw
        # One kind of ending throughout: a CR before a line that ends with LF alone
        # would swallow that line if it were empty.
        ending = b"\r\n" if b"\r\n" in self.raw else b"\n"
        return b"".join([line + ending for line in self._written_lines()])

    def _written_lines(self) -> Iterator[bytes]:
        left = {name: [name + b": " + value] for name, value in self._fields.items()}
        if self._given is not None:
            parts = _ENDING.split(self._given)
            left[b"data"] = [b"data: " + one for one in parts]
        is_set = set(left)
        came = {name for name, _, _ in self._lines}
        for name in FIELDS:
            if name not in came:
                yield from left.pop(name, ())
        for name, _, line in self._lines:
            if name not in is_set:
                yield line
            else:
                yield from left.pop(name, ())


def _split(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of a line; a comment has no name."""
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")


def _is_valid(name: bytes, value: bytes) -> bool:
    if b"\r" in value or b"\n" in value:
        return False
    if name == b"retry":
        return value.isdigit() and len(value) <= MAX_RETRY_DIGITS
    return name != b"id" or b"\0" not in value
