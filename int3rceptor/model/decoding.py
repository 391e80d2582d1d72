"""Takes the content codings off a message, as an intermediary that transforms must.

RFC 9110, 7.7: not with `no-transform`. What described the coded bytes (their digests,
length, ranges) goes; a strong validator becomes a weak one, since both forms of the
content mean the same and are not the same (RFC 9110, 8.8.1).
"""

from int3rceptor.errors import DecodeError
from int3rceptor.model.body import Body, ChunkSource
from int3rceptor.model.codings import FREE_BYTES, Decoding, codings_of, decode_whole
from int3rceptor.model.headers import Headers, to_text
from int3rceptor.model.turns import turn

MAX_WHOLE_BYTES = FREE_BYTES
"""Largest decoded body that stays whole: as large as any that is made whole."""

_OF_THE_CODED = frozenset(
    (
        b"accept-ranges",
        b"content-digest",
        b"content-encoding",
        b"content-md5",
        b"digest",
        b"repr-digest",
    )
)
"""Fields that are wrong of the decoded content (RFC 9530; RFC 3230; RFC 9110, 14.3)."""


def decode(
    headers: Headers,
    body: Body,
    *,
    is_partial: bool,
    limit_bytes: int = MAX_WHOLE_BYTES,
    may_stream: bool = True,
) -> int:
    """Have the message seen and sent without its codings; how many were taken off.

    A whole body stays whole up to `limit_bytes`; past them it becomes a stream, if it
    `may_stream`. A stream is decoded on its way. DecodeError, with nothing changed,
    when it cannot be done; what is damaged or a bomb further on breaks the stream off.
    """
    coding = coding_in(headers)
    count = len(codings_of(coding))
    if not count:
        return 0
    if is_partial or b"content-range" in headers:
        raise DecodeError("it is a part of a coded body", why="refused")
    if _forbids(headers):
        raise DecodeError("Cache-Control says no-transform", why="refused")
    decoding = Decoding(coding)
    content = body.content
    if content:
        try:
            body.replace(decode_whole(content, coding, limit_bytes))
        except DecodeError as error:
            if error.why != "too large" or not may_stream:
                raise
            content = None
        else:
            body.trailers = _without_digests(body.trailers)
    if content is None:
        body.wrap(lambda source: _undone(source, decoding, coding))
    _describe(headers, has_content=content != b"")
    return count


def coding_in(headers: Headers) -> str:
    """What Content-Encoding says, all of its lines in one."""
    return to_text(b",".join(headers.get_all_bytes(b"content-encoding")))


def _forbids(headers: Headers) -> bool:
    listed = b",".join(headers.get_all_bytes(b"cache-control")).lower()
    return b"no-transform" in (one.strip() for one in listed.split(b","))


def _describe(headers: Headers, *, has_content: bool) -> None:
    """Make the fields true of the decoded content."""
    gone = _OF_THE_CODED
    if not has_content:
        # Of an answer to HEAD, or a 304: it tells of the coded content.
        gone = gone | {b"content-length"}
    kept = [field for field in headers.raw if field[0].lower() not in gone]
    headers.raw[:] = map(_weakened, kept)


def _without_digests(section: Headers | None) -> Headers | None:
    """A trailer section for the decoded content: digests are often sent there."""
    if section is None:
        return None
    kept = [one for one in section.raw if one[0].lower() not in _OF_THE_CODED]
    return Headers(kept) if kept else None


def _weakened(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = field
    is_strong = name.lower() == b"etag" and value.startswith(b'"')
    return (name, b"W/" + value) if is_strong else field


def _undone(source: ChunkSource, decoding: Decoding, coding: str) -> ChunkSource:
    """DecodeError when nobody can have coded it: what is read is being decoded already.
    A plugin that claims so again and again would nest without an end."""
    if isinstance(source, _Decoded):
        raise DecodeError("its codings are being taken off already", why="damaged")
    return _Decoded(source, decoding, coding)


class _Decoded:
    """A source whose chunks are decoded."""

    def __init__(self, source: ChunkSource, decoding: Decoding, coding: str) -> None:
        self._source = source
        self._decoding = decoding
        self._coding = coding
        self._parts = decoding.decode(b"")
        self._problem: DecodeError | None = None
        self._has_ended = False
        self._is_in_chunk = False

    async def next_chunk(self) -> bytes:
        if self._problem is not None:
            raise self._problem
        try:
            return await self._next_part()
        except DecodeError as error:
            reason = f"the body cannot be decoded ({self._coding[:80]}): {error}"
            self._problem = DecodeError(reason, why=error.why)
            raise self._problem from None

    async def _next_part(self) -> bytes:
        if self._is_in_chunk:
            await turn()  # one chunk may hold hundreds of steps
        self._is_in_chunk = True
        while not (part := next(self._parts, None)):
            if part is not None:
                await turn()  # nothing came of this step: there may be thousands
                continue
            if self._has_ended:
                return b""
            self._is_in_chunk = False
            data = await self._source.next_chunk()
            if data:
                self._parts = self._decoding.decode(data)
            else:
                self._has_ended = True
                self._decoding.finish()
        return part

    def trailers(self) -> Headers | None:
        return _without_digests(self._source.trailers())
