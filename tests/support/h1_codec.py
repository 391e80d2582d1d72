"""Feeding an HTTP/1 codec in pieces; what it says, in a form that compares easily."""

import random
from collections.abc import Iterable, Iterator

from int3rceptor.errors import OriginError, ProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request
from int3rceptor.wire.events import Data, End, Event, RequestHead, ResponseHead
from int3rceptor.wire.h1.server import H1Client, H1Server, Signal

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = (
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-t: 1\r\n\r\n"
)
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
CONNECT = b"CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
SWITCH = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
WANTS_UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))

Outcome = Event | Signal | tuple[str, int, str]


def collect(codec: H1Server | H1Client, pieces: Iterable[bytes]) -> list[Outcome]:
    """Every event of `pieces`, bodies joined; a refusal ends the list, as a tuple."""
    seen: list[Outcome] = []
    for piece in pieces:
        codec.receive(piece)
        try:
            _drain(codec, seen)
        except (ProtocolError, OriginError) as error:
            seen.append((type(error).__name__, error.status, str(error)))
            break
    return seen


def _drain(codec: H1Server | H1Client, seen: list[Outcome]) -> None:
    while True:
        event = codec.next_event()
        if isinstance(event, Data) and seen and isinstance(seen[-1], Data):
            seen[-1] = Data(seen[-1].data + event.data)
        elif isinstance(event, Signal):
            if event is Signal.CLOSED:
                seen.append(event)
            return
        else:
            seen.append(event)


def splits(data: bytes, *, seed: int = 1, times: int = 5) -> Iterator[list[bytes]]:
    """`data` whole, byte by byte, and cut at random places."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    chance = random.Random(seed)
    for _ in range(times):
        cuts = sorted(chance.sample(range(len(data) + 1), min(4, len(data))))
        yield [
            piece
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
            if (piece := data[start:end])
        ]


def shown(events: list[Outcome]) -> list[str]:
    """One short word for each event."""
    return [_shown(event) for event in events]


def _shown(event: Outcome) -> str:
    match event:
        case RequestHead():
            return f"{event.method} {event.target.decode('latin-1')}"
        case ResponseHead():
            return f"{event.status}"
        case Data():
            return f"data {event.data.decode('latin-1')}"
        case End():
            return "end" if event.trailers is None else f"end {event.trailers.raw}"
        case Signal():
            return event.value
        case (name, status, _):
            return f"{name} {status}"


def a_request(
    method: str = "GET",
    *fields: tuple[bytes, bytes],
    target: bytes = b"/",
    authority: str = "a.test",
    version: str = "HTTP/1.1",
    body: Body | None = None,
) -> Request:
    """A request to http://a.test."""
    return Request(
        method=method,
        scheme="http",
        host="a.test",
        port=80,
        target=target,
        authority=authority,
        version=version,
        headers=Headers(fields),
        body=body or Body(),
    )


class Nothing:
    """A stream whose chunks the test sends itself."""

    async def next_chunk(self) -> bytes:
        return b""

    def trailers(self) -> Headers | None:
        return None


def client_asking(method: str = "GET", *fields: tuple[bytes, bytes]) -> H1Client:
    """A client that has sent a request without a body."""
    client = H1Client()
    client.head(a_request(method, *fields))
    client.end()
    return client
