"""Undoes content codings (RFC 9110, 8.4) piece by piece, in bounded steps. Pure.

What a decoder gives comes lazily: no more of its output exists than was asked for, so
that a bomb is stopped while it grows. The libraries are imported where they are used:
most runs of the proxy decode nothing.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from int3rceptor.errors import DecodeError

MAX_CODINGS = 4
"""Layers undone: servers apply one, careless ones two; more is an attack."""

MAX_FRAMES = 100
"""Members of a gzip body, frames of a zstd body, beside one for each KiB of it: each
costs microseconds to begin, whatever little is in it. bgzip makes one for each 20 KiB.
"""

MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window of the `zstd` coding (RFC 9659, 3): what decoding it may hold."""

STEP_BYTES = 64 * 1024
"""Decoded at a time: what one step holds the loop for, and what damage in the middle
can take with it."""

ZSTD_INPUT_BYTES = 256
"""Given to zstd at a time: its binding has no limit on what comes out, and a block of
4 bytes is 128 KiB decoded. So one step makes at most 8 MiB."""

GZIP_INPUT_BYTES = 4096
"""Given to gzip at a time: what follows a member is copied when it ends."""

FREE_BYTES = 8 * 1024 * 1024
"""Up to this size a body may grow at any ratio: no more than one that is made whole."""

MAX_RATIO = 250
"""Past FREE_BYTES, decoded bytes for each coded one. Pages and logs are at 5 to 100;
deflate cannot pass 1,032, brotli and zstd reach 100,000 with zeros."""

CODED_BYTES = 64 * 1024
"""How much larger than what may come of it something coded may be: what cannot be made
smaller gets a little larger."""

EARLY = "it ends early"


class Decoder(Protocol):
    """Undoes one coding of one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds, a step at a time; DecodeError where it is damaged."""
        ...

    def problem(self) -> str:
        """Why what was decoded so far is not all; "" when it is."""
        ...


def codings_of(value: str) -> list[str]:
    """The codings that a Content-Encoding value names, in the order of applying."""
    names = [one.strip().lower() for one in value.split(",")]
    return [one for one in names if one not in ("", "identity")]


def decoder_of(coding: str) -> Decoder | None:
    """A decoder of one coding by its name; None: it is not known here."""
    make = _DECODERS.get(coding)
    return None if make is None else make()


class Decoding:
    """Undoes all codings of one body, and stops it when it grows like a bomb.

    DecodeError when `value` names one that is not known, or too many; and when more
    than `limit_bytes` come of the body, or would have to: what is coded, by itself or
    under another coding, is little larger than what comes of it.
    """

    def __init__(self, value: str, limit_bytes: int | None = None) -> None:
        names = codings_of(value)
        if len(names) > MAX_CODINGS:
            raise DecodeError(f"more than {MAX_CODINGS} codings", why="unknown")
        self._layers: list[Decoder] = []
        for name in reversed(names):
            decoder = decoder_of(name)
            if decoder is None:
                raise DecodeError(f"{name[:40]} is not decoded here", why="unknown")
            self._layers.append(decoder)
        self._grown = [0] * len(self._layers)
        self._taken = 0
        self._limit_bytes = limit_bytes

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds to the decoded body, a step at a time.

        b"" is a step of which nothing came: a body may be long and hold nothing.
        """
        for at, piece in enumerate(pieces_of(data, STEP_BYTES)):
            if at:
                yield b""
            self._taken += len(piece)
            self._bound(self._taken, CODED_BYTES)
            yield from self._through(0, piece)

    def finish(self) -> None:
        """No more data: DecodeError when the body is not whole."""
        if not self._taken:
            return  # an empty body, whatever its head says of it
        for layer in self._layers:
            if problem := layer.problem():
                raise DecodeError(problem, why="damaged")

    def _through(self, level: int, data: bytes) -> Iterator[bytes]:
        if level == len(self._layers):
            yield data
            return
        for part in self._layers[level].decode(data):
            # At each layer: what one makes, the next may throw away.
            grown = self._grown[level] = self._grown[level] + len(part)
            if grown > FREE_BYTES and grown > MAX_RATIO * self._taken:
                raise DecodeError(
                    f"it grows to more than {MAX_RATIO} times its size",
                    why="too large",
                )
            is_last = level + 1 == len(self._layers)
            self._bound(grown, 0 if is_last else CODED_BYTES)
            yield from self._through(level + 1, part)
            if not is_last:
                yield b""

    def _bound(self, size: int, slack: int) -> None:
        limit = self._limit_bytes
        if limit is not None and size > limit + slack:
            raise DecodeError(f"it is larger than {limit} bytes", why="too large")


def decode_whole(content: bytes, value: str, limit_bytes: int) -> bytes:
    """All of a body without its codings; DecodeError also past `limit_bytes`."""
    decoding = Decoding(value, limit_bytes)
    found = b"".join(decoding.decode(content))
    decoding.finish()
    return found


class _Frames:
    """Counts the frames of one body."""

    def __init__(self) -> None:
        self._left = MAX_FRAMES
        self._odd_bytes = 0

    def saw(self, size: int) -> None:
        self._odd_bytes += size
        self._left += self._odd_bytes // 1024
        self._odd_bytes %= 1024

    def begin(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DecodeError("it has too many members", why="damaged")


class _Inflate:
    """Members of gzip, or one stream of deflate."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._engine = zlib.decompressobj(_GZIP) if is_gzip else None
        self._frames = _Frames()
        self._held = b""
        self._has_padding = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        for piece in pieces_of(data, GZIP_INPUT_BYTES):
            self._frames.saw(len(piece))
            while piece := self._before(piece):
                engine = self._engine
                assert engine is not None
                yield from _inflated(engine, piece)
                piece = engine.unused_data

    def _before(self, piece: bytes) -> bytes:
        """What is there for the engine; between members, first see what follows."""
        engine = self._engine
        if self._has_padding or (engine is not None and not engine.eof):
            return b"" if self._has_padding else piece
        piece = self._held + piece
        self._held = b""
        if len(piece) < 2:
            self._held = piece
            return b""
        if engine is None:
            # Some servers send it without the zlib wrapper (RFC 9110, 8.4.1.2).
            is_wrapped = piece[0] & 15 == 8 and not int.from_bytes(piece[:2]) % 31
            self._engine = zlib.decompressobj(_ZLIB if is_wrapped else _RAW)
        elif self._is_gzip and piece.startswith(b"\x1f\x8b"):
            self._frames.begin()
            self._engine = zlib.decompressobj(_GZIP)
        else:
            # None is allowed, some servers send it.
            self._has_padding = True
            return b""
        return piece

    def problem(self) -> str:
        is_whole = self._engine is not None and self._engine.eof
        return "" if is_whole else EARLY


_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def _inflated(engine: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while True:
        try:
            part = engine.decompress(data, STEP_BYTES)
        except zlib.error as error:
            raise _damaged(error) from None
        if part:
            yield part
        data = engine.unconsumed_tail
        if engine.eof or (not data and len(part) < STEP_BYTES):
            return


class _Zstd:
    """Frames of zstd, one after the other."""

    def __init__(self) -> None:
        import zstandard

        self._errors = zstandard.ZstdError
        self._maker = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
        self._engine = self._maker.decompressobj()
        self._frames = _Frames()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for piece in pieces_of(data, ZSTD_INPUT_BYTES):
            self._frames.saw(len(piece))
            while piece:
                if self._engine.eof:
                    self._frames.begin()
                    self._engine = self._maker.decompressobj()
                try:
                    part = self._engine.decompress(piece)
                except self._errors as error:
                    raise _damaged(error) from None
                yield from pieces_of(part, STEP_BYTES)
                piece = self._engine.unused_data

    def problem(self) -> str:
        return "" if self._engine.eof else EARLY


class _Brotli:
    """One stream of brotli. Its library takes no padding, so none is taken at all."""

    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]  # it has no types

        self._errors: type[Exception] = brotli.error
        self._engine = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        engine = self._engine
        if data and engine.is_finished():
            raise DecodeError("it goes on after its end", why="damaged")
        while not engine.is_finished():
            try:
                part: bytes = engine.process(data, output_buffer_limit=STEP_BYTES)
            except self._errors as error:
                raise _damaged(error) from None
            if not part and not data:
                return
            data = b""
            if part:
                yield part

    def problem(self) -> str:
        return "" if self._engine.is_finished() else EARLY


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    """`data` in pieces of at most `size` bytes; none of an empty one."""
    if len(data) <= size:
        if data:
            yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _damaged(error: Exception) -> DecodeError:
    # The libraries' words, without their numbers and prefixes.
    reason = str(error).rpartition(": ")[2] or type(error).__name__
    return DecodeError(reason, why="damaged")


def _gzip() -> Decoder:
    return _Inflate(is_gzip=True)


def _deflate() -> Decoder:
    return _Inflate(is_gzip=False)


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _Zstd,
    "br": _Brotli,
}
