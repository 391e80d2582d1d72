"""Header fields as received: ordered, repeated, in their own case.

Fields are bytes on the wire and stay bytes in `raw`. The mapping methods speak text:
UTF-8 with surrogateescape, so that every byte survives a round trip.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, final

RawHeaders = list[tuple[bytes, bytes]]

STEERING = frozenset(
    (
        b"authorization",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"www-authenticate",
    )
)
"""Lower-case names of the fields that steer the connection, beside the message."""


def to_text(value: bytes) -> str:
    """Decode a field so that `to_bytes` gives the same bytes back."""
    return value.decode("utf-8", "surrogateescape")


def to_bytes(value: str | bytes) -> bytes:
    """Encode a field; the inverse of `to_text`."""
    return (
        value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    )


_new = object.__new__


@final
class Headers:
    """An ordered multi-map of header fields; names are compared without case.

    `raw` is the list of (name, value) pairs in wire order and may be edited in place.
    `headers["name"]` is the first value, or KeyError; `get_all` gives every value.
    Setting replaces the first occurrence where it stands and drops the others.
    """

    __slots__ = ("_facts", "_seen", "_steering", "raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.raw: RawHeaders = list(raw)
        self._seen: RawHeaders = []
        self._steering: frozenset[bytes] = frozenset()
        self._facts: object = None

    @classmethod
    def judged(
        cls, raw: RawHeaders, steering: frozenset[bytes], facts: object = None
    ) -> "Headers":
        """Fields of a parser that knows already which of STEERING are among them, and
        may know more: `facts`.

        `raw` is copied, and must not be changed afterwards.
        """
        made = _new(cls)
        made.raw, made._seen, made._steering = raw.copy(), raw, steering
        made._facts = facts
        return made

    def facts(self) -> object:
        """What their parser knows of them, as long as they are what it has read."""
        return self._facts if self._seen == self.raw else None

    @property
    def steering(self) -> frozenset[bytes]:
        """Which of STEERING are here, by their lower-case names."""
        if self._seen != self.raw:  # two lists of the same tuples compare at once
            self._seen = self.raw.copy()
            self._facts = None
            self._steering = STEERING.intersection([n.lower() for n, _ in self.raw])
        return self._steering

    def get_bytes(self, name: bytes) -> bytes | None:
        """The first value of `name` (which is given in lower case), or None."""
        size = len(name)  # compared first: most names differ in it, and it costs less
        for key, value in self.raw:
            if len(key) == size and key.lower() == name:
                return value
        return None

    def get_all_bytes(self, name: bytes) -> list[bytes]:
        """All values of `name` (which is given in lower case), in order."""
        size = len(name)
        return [v for k, v in self.raw if len(k) == size and k.lower() == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name` as text, or `default`."""
        value = self.get_bytes(to_bytes(name).lower())
        return default if value is None else to_text(value)

    def get_all(self, name: str) -> list[str]:
        """All values of `name` as text, in order."""
        return [to_text(v) for v in self.get_all_bytes(to_bytes(name).lower())]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str | bytes, value: str | bytes) -> None:
        self.put(checked_name(to_bytes(name)), checked_value(to_bytes(value)))

    def put(self, name: bytes, value: bytes) -> int:
        """Set a field whose name and value have been checked already; its place."""
        key, size, raw = name.lower(), len(name), self.raw
        at, place, has_more = 0, -1, False
        for one, _ in raw:  # counted by hand: enumerate makes a tuple of each
            if len(one) == size and one.lower() == key:
                if place < 0:
                    place = at
                else:
                    has_more = True
            at += 1  # noqa: SIM113
        if place < 0:
            return self.append(name, value)
        raw[place] = (raw[place][0], value.strip(b" \t"))
        if has_more:
            rest = raw[place + 1 :]
            raw[place + 1 :] = [one for one in rest if one[0].lower() != key]
        return place

    def add(self, name: str | bytes, value: str | bytes) -> None:
        """Append one more field, keeping those of the same name."""
        self.append(checked_name(to_bytes(name)), checked_value(to_bytes(value)))

    def append(self, name: bytes, value: bytes) -> int:
        """Add a field whose name and value have been checked already; its place."""
        self.raw.append((name, value.strip(b" \t")))
        return len(self.raw) - 1

    def remove(self, name: str | bytes) -> int:
        """Drop every field of this name; the number dropped (0 when absent)."""
        key = to_bytes(name).lower()
        before = len(self.raw)
        self.raw[:] = [(n, v) for n, v in self.raw if n.lower() != key]
        return before - len(self.raw)

    def __delitem__(self, name: str) -> None:
        if not self.remove(name):
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, (str, bytes)):
            return False
        return self.get_bytes(to_bytes(name).lower()) is not None

    def __iter__(self) -> Iterator[str]:
        return (to_text(name) for name, _ in self.raw)

    def items(self) -> Iterator[tuple[str, str]]:
        """Each field as text, in wire order, repeats included."""
        return ((to_text(n), to_text(v)) for n, v in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.raw == other.raw

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # mutable, so not a key

    def copy(self) -> "Headers":
        """An independent copy."""
        return Headers(self.raw)

    def __repr__(self) -> str:
        return f"Headers({self.raw!r})"


_TOKEN = (
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_FORBIDDEN_IN_VALUE = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))


def is_token(name: bytes) -> bool:
    """Whether `name` is a token (RFC 9110, 5.6.2)."""
    # Nearly all names are letters, digits and dashes, which are told at once.
    is_plain = name.replace(b"-", b"").isalnum()
    return is_plain or (bool(name) and not name.translate(None, _TOKEN))


def is_field_value(value: bytes) -> bool:
    """Whether `value` holds no control character but TAB (RFC 9110, 5.5)."""
    return len(value.translate(None, _FORBIDDEN_IN_VALUE)) == len(value)


def checked_name(name: bytes) -> bytes:
    """`name`, or ValueError when it cannot be a field name."""
    if not is_token(name):
        raise ValueError(f"not a header name: {name!r}")
    return name


def checked_value(value: bytes) -> bytes:
    """`value`, or ValueError when it would break the head it is put into."""
    if not is_field_value(value):
        raise ValueError(f"control character in a header value: {value!r}")
    return value
