"""Undoes the codings and character sets of what was kept, bounded. Pure.

For people and for search: what is kept stays as it passed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from int3rceptor.errors import DecodeError
from int3rceptor.model.codings import MAX_CODINGS, Decoder, codings_of, decoder_of

MAX_KNOWN_TYPES = 256
"""Content types that need not be taken apart again: there are few in use."""
MAX_TYPE_CHARS = 1024
"""Looked at of each: a charset stands in the first hundred."""

_DEFAULT = "utf-8"
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
    codings = codings_of(coding) if coding else ()
    if len(codings) > MAX_CODINGS:
        return _plain(content, limit_bytes, f"more than {MAX_CODINGS} codings")
    found = Decoded(data=content)
    for one in reversed(codings):
        decoder = decoder_of(one)
        if decoder is None:
            return _plain(found.data, limit_bytes, f"{one} is not decoded")
        if not found.data:
            break
        try:
            # The first problem, or the limit, is why a layer below it ends early.
            inner = _undo(decoder, found.data, limit_bytes)
        except DecodeError as error:
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
    charset, is_declared = _declared(content_type[:MAX_TYPE_CHARS])
    if charset == _DEFAULT and not is_declared and b"\0" in data:
        return None
    try:
        text = data.decode(charset)
    except (LookupError, ValueError):
        return data.decode("utf-8", "backslashreplace") if is_declared else None
    return text if is_declared or "\0" not in text else None


@lru_cache(maxsize=MAX_KNOWN_TYPES)
def _declared(content_type: str) -> tuple[str, bool]:
    """The charset, and whether the type is one of text."""
    declared = _CHARSET.search(content_type)
    charset = declared[1] if declared else _DEFAULT
    if charset.lower() in _NO_CHARSETS:
        charset = _DEFAULT
    return charset, _TEXT.match(content_type.strip()) is not None


def _plain(data: bytes, limit_bytes: int, problem: str) -> Decoded:
    return Decoded(
        data=data[:limit_bytes], problem=problem, is_cut=len(data) > limit_bytes
    )


def _undo(decoder: Decoder, data: bytes, limit_bytes: int) -> Decoded:
    """One layer. What came before damage counts; DecodeError when that is nothing."""
    found = bytearray()
    try:
        for part in decoder.decode(data):
            found += part
            if len(found) > limit_bytes:
                return Decoded(data=bytes(found[:limit_bytes]), is_cut=True)
    except DecodeError as error:
        if not found:
            raise
        return Decoded(data=bytes(found), problem=str(error))
    return Decoded(data=bytes(found), problem=decoder.problem())
