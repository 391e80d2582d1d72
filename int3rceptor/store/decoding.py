"""Undoes content codings (RFC 9110, 8.4) and character sets, bounded. Pure.

For people and for search: what is kept stays as it passed.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

MAX_CODINGS = 4
"""Layers undone: servers apply one, careless ones two; more is an attack."""

MAX_GZIP_MEMBERS = 100
"""Members of one gzip body: each costs a copy of all that follows it."""

MAX_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window of the `zstd` coding (RFC 9659, 3): what decoding it may hold."""

STEP_BYTES = 64 * 1024
"""Decoded at a time: what damage in the middle can take with it."""

EARLY = "it ends early"

_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:+-]+)""", re.IGNORECASE)
_TEXT = re.compile(
    r"text/|application/(?:[\w.+-]*[+.-])?"
    r"(?:json|xml|javascript|ecmascript|x-www-form-urlencoded|yaml|graphql|toml)\b",
    re.IGNORECASE,
)
# Codecs of Python for names, not for text: quadratic in what a stranger sent.
_NO_CHARSETS = frozenset(("idna", "punycode"))


@dataclass(slots=True, frozen=True, kw_only=True)
class Decoded:
    """A body without its codings.

    `problem` says in a few words why `data` is not all of it, or still coded; "" when
    all went well. `is_cut` says that the limit was reached.
    """

    data: bytes
    problem: str = ""
    is_cut: bool = False


def decode_content(content: bytes, coding: str, limit_bytes: int) -> Decoded:
    """Undo `coding`, a Content-Encoding value ("" for none), up to `limit_bytes`.

    Never raises: what could be decoded of a damaged or cut body is there.
    """
    codings = [one.strip().lower() for one in coding.split(",")]
    codings = [one for one in codings if one not in ("", "identity")]
    if len(codings) > MAX_CODINGS:
        return _plain(content, limit_bytes, f"more than {MAX_CODINGS} codings")
    found = Decoded(data=content)
    for one in reversed(codings):
        undo = _UNDO.get(one)
        if undo is None:
            return _plain(found.data, limit_bytes, f"{one} is not decoded")
        if not found.data:
            break
        try:
            # The first problem, or the limit, is why a layer below it ends early.
            inner = undo(found.data, limit_bytes)
        except _DecodeError as error:
            return _plain(found.data, limit_bytes, f"not decoded as {one}: {error}")
        is_cut = found.is_cut or inner.is_cut
        problem = found.problem or ("" if is_cut else inner.problem)
        found = Decoded(data=inner.data, problem=problem, is_cut=is_cut)
    return found if codings else _plain(content, limit_bytes, "")


def text_of(data: bytes, content_type: str) -> str | None:
    """Decoded content as text; None when it is none.

    By the declared charset, else UTF-8. What is declared to be text is text, whatever
    its bytes; all else only when it is valid and holds no NUL.
    """
    declared = _CHARSET.search(content_type)
    is_declared = _TEXT.match(content_type.strip()) is not None
    charset = declared[1] if declared else "utf-8"
    if charset.lower() in _NO_CHARSETS:
        charset = "utf-8"
    try:
        text = data.decode(charset)
    except (LookupError, ValueError):
        return data.decode("utf-8", "backslashreplace") if is_declared else None
    return text if is_declared or "\0" not in text else None


class _DecodeError(Exception):
    """Not a byte could be decoded."""


def _plain(data: bytes, limit_bytes: int, problem: str) -> Decoded:
    return Decoded(
        data=data[:limit_bytes], problem=problem, is_cut=len(data) > limit_bytes
    )


def _inflate(data: bytes, limit_bytes: int, window_bits: int) -> Decoded:
    """Members of gzip, or one of zlib or raw deflate, as `window_bits` says."""
    found = bytearray()
    members = 1
    engine = zlib.decompressobj(window_bits)
    while len(found) <= limit_bytes:
        try:
            part = engine.decompress(data, STEP_BYTES)
        except zlib.error as error:
            return _broken(found, limit_bytes, error)
        found += part
        data = engine.unconsumed_tail
        if engine.eof:
            data = engine.unused_data
            # What follows may be padding: none is allowed, some servers send it.
            if window_bits != _GZIP or not data.startswith(b"\x1f\x8b"):
                break
            if (members := members + 1) > MAX_GZIP_MEMBERS:
                return _cut(found, limit_bytes, problem="it has too many members")
            engine = zlib.decompressobj(window_bits)
        elif not data and len(part) < STEP_BYTES:
            return _cut(found, limit_bytes, problem=EARLY)
    return _cut(found, limit_bytes)


_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def _gzip(data: bytes, limit_bytes: int) -> Decoded:
    return _inflate(data, limit_bytes, _GZIP)


def _deflate(data: bytes, limit_bytes: int) -> Decoded:
    try:
        return _inflate(data, limit_bytes, _ZLIB)
    except _DecodeError:
        # Some servers send it without the zlib wrapper (RFC 9110, 8.4.1.2).
        return _inflate(data, limit_bytes, _RAW)


def _zstd(data: bytes, limit_bytes: int) -> Decoded:
    import zstandard

    engine = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    reader = engine.stream_reader(BytesIO(data), read_across_frames=True)
    found = bytearray()
    while len(found) <= limit_bytes:
        try:
            part = reader.read(STEP_BYTES)
        except zstandard.ZstdError as error:
            return _broken(found, limit_bytes, error)
        if not part:
            break
        found += part
    return _cut(found, limit_bytes)


def _brotli(data: bytes, limit_bytes: int) -> Decoded:
    import brotli  # type: ignore[import-untyped]  # it has no types

    engine = brotli.Decompressor()
    found = bytearray()
    while len(found) <= limit_bytes and not engine.is_finished():
        try:
            part = engine.process(data, output_buffer_limit=STEP_BYTES)
        except brotli.error as error:
            return _broken(found, limit_bytes, error)
        if not part and not data:
            return _cut(found, limit_bytes, problem=EARLY)
        found += part
        data = b""
    return _cut(found, limit_bytes)


def _cut(found: bytearray, limit_bytes: int, *, problem: str = "") -> Decoded:
    is_cut = len(found) > limit_bytes
    return Decoded(
        data=bytes(found[:limit_bytes]),
        problem="" if is_cut else problem,
        is_cut=is_cut,
    )


def _broken(found: bytearray, limit_bytes: int, error: Exception) -> Decoded:
    """What came before the damage; _DecodeError when that is nothing."""
    # The libraries' words, without their numbers and prefixes.
    reason = str(error).rpartition(": ")[2] or type(error).__name__
    if not found:
        raise _DecodeError(reason)
    return _cut(found, limit_bytes, problem=reason)


_UNDO: dict[str, Callable[[bytes, int], Decoded]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
