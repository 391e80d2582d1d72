"""permessage-deflate (RFC 7692): what a 101 agreed on, and one direction of it.

Each direction is one deflate stream, or one for each message. Who stands in the middle
and changes a message makes the two ends' windows differ; `Deflate` knows when they do,
and when they are the same again.
"""

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from int3rceptor.errors import WebSocketError
from int3rceptor.model.codings import FREE_BYTES, MAX_RATIO, STEP_BYTES

MIN_WINDOW_BITS = 9
"""zlib can inflate a smaller window, and cannot make one: with 8 bits a message that is
framed anew goes out plain, which RFC 7692 always allows."""

WINDOW_BYTES = 32 * 1024
"""The largest window: bytes that are the same at both ends for as long as this
make their windows the same, whatever came before."""

_TAIL = b"\x00\x00\xff\xff"
_NAME = "permessage-deflate"
_BITS = re.compile(r'"?(8|9|1[0-5])"?')


class Side(NamedTuple):
    """How one end compresses: its window, and whether each message begins anew."""

    bits: int = 15
    forgets: bool = False


class Extensions(NamedTuple):
    """What the two ends agreed on. `is_deflated` False: no extension at all."""

    is_deflated: bool
    client: Side = Side()
    server: Side = Side()


def agreed(values: list[str]) -> Extensions:
    """What the Sec-WebSocket-Extensions of a 101 say.

    WebSocketError for what is not known: its frames cannot be read.
    """
    offers = [one.strip() for value in values for one in value.split(",")]
    offers = [one for one in offers if one]
    if not offers:
        return Extensions(is_deflated=False)
    name, *params = [one.strip() for one in offers[0].split(";")]
    if len(offers) > 1 or name.lower() != _NAME:
        raise WebSocketError(f"its extensions are not known: {', '.join(offers)[:100]}")
    found: dict[str, str] = {}
    for param in params:
        key, _, value = (one.strip() for one in param.partition("="))
        if key in found or not _is_param(key, value):
            raise WebSocketError(f"{_NAME} with a wrong parameter: {param[:100]}")
        found[key] = value.strip('"')
    return Extensions(
        is_deflated=True, client=_side("client", found), server=_side("server", found)
    )


def _is_param(key: str, value: str) -> bool:
    who, _, what = key.partition("_")
    if who not in ("client", "server"):
        return False
    if what == "no_context_takeover":
        return not value
    return what == "max_window_bits" and _BITS.fullmatch(value) is not None


def _side(who: str, found: dict[str, str]) -> Side:
    bits = int(found.get(f"{who}_max_window_bits", 15))
    return Side(bits, f"{who}_no_context_takeover" in found)


class Deflate:
    """One direction: reads what its sender compressed, writes what is changed.

    `is_apart`: the receiver's window is not the sender's, so that what the sender
    compresses means nothing to the receiver.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflater: zlib._Compress | None = None
        self.is_apart = False
        self._alike = 0
        self._taken = self._made = 0

    @property
    def can_write(self) -> bool:
        """Whether a message can be compressed here."""
        return self._side.bits >= MIN_WINDOW_BITS

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """What a piece of a message adds, a step at a time; WebSocketError where it is
        damaged, or a bomb."""
        self._taken += len(data)
        is_more = bool(data)
        while is_more:
            made = self._step(data)
            data = self._inflater.unconsumed_tail
            is_more = bool(data) or len(made) == STEP_BYTES
            self._made += len(made)
            if self._made > FREE_BYTES and self._made > MAX_RATIO * self._taken:
                raise WebSocketError(
                    f"a bomb: {self._made} bytes out of {self._taken} compressed ones"
                )
            if made:
                yield made

    def _step(self, data: bytes) -> bytes:
        try:
            made = self._inflater.decompress(data, STEP_BYTES)
        except zlib.error as error:
            raise WebSocketError(f"damaged compression ({error})") from None
        if self._inflater.eof:
            raise WebSocketError("a deflate stream that ends before its connection")
        return made

    def end(self) -> Iterator[bytes]:
        """What the end of a message adds."""
        if self._taken:
            yield from self.inflate(_TAIL)
        self._taken = self._made = 0
        if self._side.forgets:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    # What goes on to the receiver

    def passed(self) -> None:
        """A message went on as its sender compressed it."""
        self._deflater = None  # the receiver has seen what it has not

    def compress(self, data: bytes) -> bytes:
        """A piece of a message, compressed anew."""
        if self._deflater is None:
            self._deflater = zlib.compressobj(wbits=-self._side.bits)
        return self._deflater.compress(data)

    def finish(self) -> bytes:
        """The rest of it, without the four bytes that are never sent."""
        made = self.compress(b"")
        assert self._deflater is not None
        made += self._deflater.flush(zlib.Z_SYNC_FLUSH)
        if self._side.forgets:
            self._deflater = None
        return made.removesuffix(_TAIL)

    def part(self) -> None:
        """The receiver gets another message than was sent, or none."""
        self.is_apart, self._alike = not self._side.forgets, 0

    def match(self, size: int) -> None:
        """The receiver gets so many bytes as they were sent, compressed anew."""
        self._alike += size if self.can_write else 0
        if self._alike >= WINDOW_BYTES:
            self.is_apart = False
