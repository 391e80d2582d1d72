"""A body's source that gives what it was made with."""

from collections import deque

from int3rceptor.model.headers import Headers


class Chunks:
    """Gives these chunks, then the end or an error; counts what was asked of it."""

    def __init__(
        self,
        *chunks: bytes,
        error: Exception | None = None,
        trailers: Headers | None = None,
    ) -> None:
        self._chunks = deque(chunks)
        self._error = error
        self._trailers = trailers
        self.asked = 0

    async def next_chunk(self) -> bytes:
        self.asked += 1
        if self._chunks:
            return self._chunks.popleft()
        if self._error is not None:
            raise self._error
        return b""

    def trailers(self) -> Headers | None:
        return self._trailers
