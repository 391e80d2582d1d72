"""A message body: whole, or a stream of chunks that is read once.

It does not know who produces the chunks: the producer is a `ChunkSource`.
"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from int3rceptor.errors import LimitExceeded
from int3rceptor.model.headers import Headers


class ChunkSource(Protocol):
    """Where the chunks of a streamed body come from."""

    async def next_chunk(self) -> bytes:
        """The next chunk, never empty; b"" once the body is at its end."""
        ...

    def trailers(self) -> Headers | None:
        """The trailer section; known only after the end."""
        ...


class Body:
    """The content of a request or a response.

    Whole (`content` is bytes) or streamed (`content` is None; read with `chunk`). A
    stream becomes whole by `read`, up to a limit. `size` counts the bytes that have
    passed through `chunk`; `length` is what the head declared, if it did; `replaced`
    counts the calls of `replace`.
    """

    __slots__ = (
        "_pending", "_source", "content", "length", "replaced", "size", "trailers",
    )  # fmt: skip

    def __init__(
        self,
        content: bytes | None = b"",
        *,
        source: ChunkSource | None = None,
        length: int | None = None,
        trailers: Headers | None = None,
    ) -> None:
        self.content = content if source is None else None
        self._source = source
        self._pending: deque[bytes] = deque()
        self.length = length
        self.size = 0
        self.replaced = 0
        self.trailers = trailers

    @property
    def is_whole(self) -> bool:
        """Whether all of it is in memory."""
        return self.content is not None

    @property
    def is_empty(self) -> bool:
        """Whether it is known to have no content and no trailers."""
        return self.content == b"" and not self.trailers

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
        self.size += len(data)
        return data

    async def read(self, limit_bytes: int) -> bytes:
        """Make the body whole and return it.

        Past `limit_bytes`, LimitExceeded: what was read goes back in front of the
        stream, so that it can still be passed on unchanged.
        """
        if self.content is not None:
            return self.content
        parts: list[bytes] = []
        total = 0
        while data := await self.chunk():
            parts.append(data)
            total += len(data)
            if total > limit_bytes:
                self._pending.extendleft(reversed(parts))
                self.size -= total
                raise LimitExceeded(f"the body is larger than {limit_bytes} bytes")
        self.content = b"".join(parts)
        self.length = total
        return self.content

    def replace(self, content: bytes) -> None:
        """Put `content` in place of a body that is whole, or was read."""
        self.content = content
        self.replaced += 1
        self.length = len(content)
        self._source = None
        self._pending.clear()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.content is not None:
            if self.content:
                yield self.content
            return
        while data := await self.chunk():
            yield data
