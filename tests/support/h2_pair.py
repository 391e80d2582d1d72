"""A client codec and a server codec that hear each other, and messages to say."""

import random
from collections.abc import Iterator

from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    H2Event,
    StreamData,
    StreamHead,
)
from int3rceptor.wire.h2.limits import H2Limits
from tests.support.frames import all_of


class Pair:
    """A client codec and a server codec that hear each other, in pieces if asked."""

    def __init__(
        self, limits: H2Limits | None = None, pieces: random.Random | None = None
    ) -> None:
        self.client = H2Codec("client", limits)
        self.server = H2Codec("server", limits)
        self._pieces = pieces
        self.client.start()
        self.server.start()
        self.run()

    def run(self) -> tuple[list[H2Event], list[H2Event]]:
        """Carry bytes until both are silent: (what the client heard, the server)."""
        at_client: list[H2Event] = []
        at_server: list[H2Event] = []
        while True:
            up, down = self.client.take_output(), self.server.take_output()
            if not up and not down:
                return at_client, at_server
            for piece in self._cut(up):
                at_server += all_of(self.server, piece)
            for piece in self._cut(down):
                at_client += all_of(self.client, piece)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = len(data)
            if self._pieces is not None:
                size = self._pieces.choice([1, 2, 8, 9, 10, 100, 5000])
            yield data[:size]
            data = data[size:]


def request(
    method: str = "GET",
    *fields: tuple[bytes, bytes],
    body: Body | None = None,
    target: bytes = b"/x?y=1",
) -> Request:
    return Request(
        method=method,
        scheme="https",
        host="a.test",
        port=443,
        target=target,
        authority="a.test",
        version="HTTP/1.1",
        headers=Headers(fields),
        body=body or Body(),
    )


def response(
    *fields: tuple[bytes, bytes], status: int = 200, body: bytes = b""
) -> Response:
    return Response(status=status, headers=Headers(fields), body=Body(body))


def heads(events: list[H2Event]) -> list[RequestHead | ResponseHead]:
    return [event.head for event in events if isinstance(event, StreamHead)]


def content(events: list[H2Event], stream_id: int) -> bytes:
    return b"".join(
        event.data
        for event in events
        if isinstance(event, StreamData) and event.stream_id == stream_id
    )
