"""A message body: whole, or a stream of chunks that is read once.

It does not know who produces the chunks: the producer is a `ChunkSource`.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from int3rceptor.errors import LimitExceeded, TransformError
from int3rceptor.model.headers import Headers

Transform = Callable[[bytes], bytes | Awaitable[bytes]]
"""Takes a chunk, gives the bytes to send in its place; b"" for none yet."""


MAX_HELD_BYTES = 64 * 1024
"""Of a stream that may have to be sent again: forms and API calls are smaller, and each
upload under way holds as much."""


class ChunkSource(Protocol):
    """Where the chunks of a streamed body come from."""

    async def next_chunk(self) -> bytes:
        """The next chunk, never empty; b"" once the body is at its end."""
        ...

    def trailers(self) -> Headers | None:
        """The trailer section; known only after the end."""
        ...


class Tap(Protocol):
    """Told of every chunk of a stream; `held` is what it still has of them."""

    held: bytearray

    def __call__(self, data: bytes) -> None:
        """A chunk passes."""
        ...


class Body:
    """The content of a request or a response.

    Whole (`content` is bytes) or streamed (`content` is None; read with `chunk`). A
    stream becomes whole by `read`, up to a limit. `size` counts the bytes that have
    passed through `chunk`; `length` is what the head declared, if it did; `replaced`
    counts the calls of `replace` and `transform`, and `original` is the content before
    the first. `tap` is told of every chunk on its way to the next hop. `held` is what
    has passed of a stream, where that is kept for `rewind`.
    """

    __slots__ = (
        "_again", "_pending", "_source", "content", "held", "length", "original",
        "replaced", "size", "tap", "trailers",
    )  # fmt: skip

    def __init__(
        self,
        content: bytes | None = b"",
        *,
        source: ChunkSource | None = None,
        length: int | None = None,
        trailers: Headers | None = None,
    ) -> None:
        self.content: bytes | None = content if source is None else None
        self._source: ChunkSource | None = source
        self._pending: deque[bytes] | None = None
        self._again: int = 0  # bytes that will pass once more
        self.held: bytearray | None = None
        self.length: int | None = length
        self.size: int = 0
        self.replaced: int = 0
        self.original: bytes | None = None
        self.tap: Tap | None = None
        self.trailers: Headers | None = trailers

    @property
    def is_whole(self) -> bool:
        """Whether all of it is in memory."""
        return self.content is not None

    @property
    def is_empty(self) -> bool:
        """Whether it is known to have no content and no trailers."""
        return self.content == b"" and not self.trailers

    @property
    def has_ended(self) -> bool:
        """Whether all of it is here, or has passed."""
        is_whole = self.content is not None or self._source is None
        return is_whole or self.size == self.length

    @property
    def kept(self) -> bytes | None:
        """All of it, if it is still in memory: a whole body, or a stream that has
        passed and that its tap held."""
        if self.content is not None or self.tap is None or not self.has_ended:
            return self.content
        held = self.tap.held
        return bytes(held) if len(held) == self.size else None

    @property
    def passed(self) -> int:
        """Bytes of it that have passed: all of a whole body, `size` of a stream."""
        return self.size if self.content is None else len(self.content)

    async def chunk(self) -> bytes:
        """The next chunk; b"" at the end, and again b"" after it."""
        if self._source is None:
            return b""
        if self._pending:
            data = self._pending.popleft()
        else:
            data = await self._source.next_chunk()
        if not data:
            self.trailers = self._source.trailers()
            self._source = None
        elif self._again:
            self._again -= len(data)
        elif self.tap is not None:
            self.tap(data)
        self.size += len(data)
        if self.held is not None:
            self.held += data
            if self.size > MAX_HELD_BYTES:
                self.held = None
        return data

    def rewind(self) -> bool:
        """Begin anew, for a next hop that has not made anything of it. False, and
        nothing is done, when what has passed is not there any more."""
        held = self.held
        if self.content is not None or not self.size:
            return True
        if held is None or len(held) != self.size:
            return False
        if self._source is None:
            self._source = _Whole(b"", self.trailers)
        self._pending = deque([bytes(held), *(self._pending or ())])
        self._again = len(held)
        self.size = 0
        held.clear()
        return True

    async def read(self, limit_bytes: int) -> bytes:
        """Make the body whole and return it.

        Past `limit_bytes`, LimitExceeded: what was read goes back in front of the
        stream, so that it can still be passed on unchanged.
        """
        if self.content is not None:
            return self.content
        parts: list[bytes] = []
        total = 0
        # What is read here is not on its way yet: it may come back, or be replaced.
        tap, self.tap = self.tap, None
        while data := await self.chunk():
            parts.append(data)
            total += len(data)
            if total > limit_bytes:
                self._pending = deque([*parts, *(self._pending or ())])
                self.size -= total
                self.tap = tap
                raise LimitExceeded(f"the body is larger than {limit_bytes} bytes")
        self.tap = tap  # for a transform that makes it a stream again
        self.content = b"".join(parts)
        self.length = total
        return self.content

    def replace(self, content: bytes) -> None:
        """Put `content` in place of a body that is whole, or was read."""
        given: object = content
        if not isinstance(given, bytes):
            raise TypeError(f"a body is bytes, not {type(given).__name__}")
        if not self.replaced:
            self.original = self.content
        self.content = content
        self.replaced += 1
        self.length = len(content)
        self._source = None
        self._pending = None

    def transform(self, function: Transform) -> None:
        """Pass the chunks on their way through `function`, sync or async.

        It is called with each chunk as it comes and once with b"" at the end, to give
        what it kept back. The new length is not known beforehand: the message goes out
        in chunks, without Content-Length. Functions follow each other in the order in
        which they were given. A body known to be empty stays so: nothing is called.
        """
        if self.content != b"":
            self.wrap(lambda source: _Transformed(source, function))

    def wrap(
        self, wrapper: Callable[[ChunkSource], ChunkSource], *, is_reader: bool = False
    ) -> None:
        """Have what is left of the body come from `wrapper(source)`.

        A whole body becomes a stream. The length stays known only for an `is_reader`,
        which passes every byte as it is. Nothing happens when all of it has passed.
        """
        source, content = self._source, self.content
        if content is not None:
            source = _Whole(content, self.trailers)
            if not is_reader and not self.replaced:
                self.original = content
            self.length = len(content)
            self.content = None
        elif source is None:
            return
        elif self._pending:
            source = _Resumed(source, self._pending)
        self._source = wrapper(source)
        self._pending = None
        if not is_reader:
            self.length = None
            self.replaced += 1

    def snapshot(self) -> Callable[[], None]:
        """What makes it again what it is now, until more of it is read."""
        content, source, pending = self.content, self._source, self._pending
        length, replaced, original = self.length, self.replaced, self.original
        trailers = self.trailers

        def restore() -> None:
            self.trailers = trailers
            self.content, self._source, self._pending = content, source, pending
            self.length, self.replaced, self.original = length, replaced, original

        return restore

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.content is not None:
            if self.content:
                yield self.content
            return
        while data := await self.chunk():
            yield data


class _Whole:
    """Content that becomes a stream again."""

    def __init__(self, content: bytes, trailers: Headers | None) -> None:
        self._content = content
        self._trailers = trailers

    async def next_chunk(self) -> bytes:
        content, self._content = self._content, b""
        return content

    def trailers(self) -> Headers | None:
        return self._trailers


class _Resumed:
    """A source of which `pending` was read and put back."""

    def __init__(self, source: ChunkSource, pending: deque[bytes]) -> None:
        self._source = source
        self._pending = pending

    async def next_chunk(self) -> bytes:
        if self._pending:
            return self._pending.popleft()
        return await self._source.next_chunk()

    def trailers(self) -> Headers | None:
        return self._source.trailers()


class _Transformed:
    """A source whose chunks pass through a function."""

    def __init__(self, source: ChunkSource, function: Transform) -> None:
        self._source = source
        self._function = function
        self._has_ended = False
        self._is_broken = False

    async def next_chunk(self) -> bytes:
        if self._is_broken:
            raise self._failed("an earlier call did not end")
        while not self._has_ended:
            data = await self._source.next_chunk()
            self._has_ended = not data
            if given := await self._call(data):
                return given
        return b""

    def trailers(self) -> Headers | None:
        return self._source.trailers()

    async def _call(self, data: bytes) -> bytes:
        # Until it has returned: what a call that fails or is cancelled took is lost.
        self._is_broken = True
        try:
            given: object = self._function(data)
            if isawaitable(given):
                given = await given
            if not isinstance(given, bytes):
                raise TypeError(f"it gave {type(given).__name__}, not bytes")
        except Exception as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        self._is_broken = False
        return given

    def _failed(self, reason: str) -> TransformError:
        name = getattr(self._function, "__name__", type(self._function).__name__)
        return TransformError(f"{name} failed in the middle of a body: {reason}")
