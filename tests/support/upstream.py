"""What tests of the origin clients share: a home, requests, bodies fed by hand."""

import asyncio
from dataclasses import dataclass, field

from int3rceptor.errors import Int3rceptorError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, RawHeaders
from int3rceptor.model.message import Informational, Request
from int3rceptor.proxy.upstream.answer import Origin

ORIGIN = Origin("https", "a.test", 443, "a.test")


@dataclass(slots=True)
class Home:
    """What a connection told its pool, in order."""

    told: list[str] = field(default_factory=list)

    def release(self, connection: object) -> None:
        self.told.append("release")

    def bound(self, connection: object) -> None:
        self.told.append("bound")

    def discard(self, connection: object) -> None:
        self.told.append("discard")

    def retire(self, connection: object) -> None:
        self.told.append("retire")

    def has_room(self, connection: object) -> None:
        self.told.append("has_room")


class Informed:
    """Takes informational responses."""

    def __init__(self) -> None:
        self.heads: list[Informational] = []

    def __call__(self, head: Informational) -> None:
        self.heads.append(head)


class Feed:
    """A body's source that a test fills; `end` or `fail` close it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | Int3rceptorError] = asyncio.Queue()

    def put(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    def end(self) -> None:
        self._queue.put_nowait(b"")

    def fail(self, error: Int3rceptorError) -> None:
        self._queue.put_nowait(error)

    async def next_chunk(self) -> bytes:
        item = await self._queue.get()
        if isinstance(item, Int3rceptorError):
            raise item
        return item

    def trailers(self) -> Headers | None:
        return None


def request(
    method: str = "GET",
    *,
    body: Body | None = None,
    headers: RawHeaders | None = None,
    version: str = "HTTP/1.1",
) -> Request:
    return Request(
        method=method,
        scheme="https",
        host="a.test",
        port=443,
        target=b"/p",
        authority="a.test",
        version=version,
        headers=Headers([(b"Host", b"a.test"), *(headers or [])]),
        body=body or Body(),
    )
