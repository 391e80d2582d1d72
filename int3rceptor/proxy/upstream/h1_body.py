"""The body of an answer in HTTP/1.1, as an exchange reads it."""

from collections import deque
from typing import Protocol

from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.proxy.limits import EAGER_BODY_BYTES
from int3rceptor.wire.events import Data, End


class Exchange(Protocol):
    """The exchange whose answer has the body."""

    async def next_event(self) -> Data | End:
        """The next piece of it."""
        ...

    def ready_event(self) -> Data | End | None:
        """A piece of it that is here already, if there is one."""
        ...

    def ended(self) -> None:
        """It is at its end."""
        ...


class ResponseBody:
    """A response's body as it comes in."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ready: deque[Data | End] = deque()
        self._trailers: Headers | None = None

    def take_ready(self) -> Body | None:
        """The whole body, if it is small and here; else what is here waits."""
        size = 0
        pieces: list[bytes] = []
        while size <= EAGER_BODY_BYTES:
            event = self._exchange.ready_event()
            if event is None:
                return None
            self._ready.append(event)
            if isinstance(event, End):
                self._exchange.ended()
                content = b"".join(pieces)
                return Body(content, length=size, trailers=event.trailers)
            pieces.append(event.data)
            size += len(event.data)
        return None

    async def next_chunk(self) -> bytes:
        if self._ready:
            event = self._ready.popleft()
        else:
            event = await self._exchange.next_event()
        if isinstance(event, End):
            self._trailers = event.trailers
            return b""
        return event.data

    def trailers(self) -> Headers | None:
        return self._trailers
