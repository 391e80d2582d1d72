"""A flow is kept before the last bytes of its answer leave, and once: in HTTP/2."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame

from int3rceptor.config.model import LimitsConfig
from int3rceptor.errors import ConnectError, OriginClosed
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.proxy.h2_server import H2ServerConnection
from int3rceptor.proxy.session import Session
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.limits import H2Limits
from tests.support.frames import read_frames
from tests.support.noting import NotedExchanges, Pieces, Reply
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually, turns
from tests.support.upstream import Feed, request

TRAILERS = Headers([(b"check", b"1")])
MUCH = 300_000
WINDOW = 65_535  # RFC 9113, 6.9.2: of a stream and of the connection, at first


@dataclass
class Client:
    """A client in HTTP/2; what it was sent stays in `noted.stream.sent`."""

    noted: NotedExchanges
    codec: H2Codec = field(default_factory=lambda: H2Codec("client"))
    heard: int = 0

    async def carry(self, rounds: int = 10) -> None:
        """Bytes in both directions; what came counts as read."""
        stream = self.noted.stream
        for _ in range(rounds):
            if output := self.codec.take_output():
                stream.arrive(output)
            await turns(4)
            data = bytes(stream.sent[self.heard :])
            self.heard += len(data)
            self.codec.receive(data)

    def ask(self, method: str = "GET") -> int:
        return self.codec.open_stream(request(method), end=True)


@contextlib.asynccontextmanager
async def serving(noted: NotedExchanges) -> AsyncIterator[Client]:
    session = Session(
        client=ClientInfo(address=("127.0.0.1", 1)),
        scheme="https",
        target=("a.test", 443),
        is_http2=True,
    )
    server = H2ServerConnection(noted.stream, session, noted.exchanges, LimitsConfig())
    client = Client(noted)
    client.codec.start()
    task = asyncio.create_task(server.serve())
    try:
        yield client
    finally:
        noted.stream.finish()
        await asyncio.wait([task], timeout=PATIENT_S)


def of_stream(sent: bytes, stream_id: int) -> list[Frame]:
    return [one for one in read_frames(sent) if one.stream_id == stream_id]


def has_ended(sent: bytes, stream_id: int) -> bool:
    return any(
        "END_STREAM" in one.flags
        for one in of_stream(sent, stream_id)
        if isinstance(one, HeadersFrame | DataFrame)
    )


def content(sent: bytes, stream_id: int) -> bytes:
    frames = of_stream(sent, stream_id)
    return b"".join(one.data for one in frames if isinstance(one, DataFrame))


def replies(make: Callable[[], Response]) -> Reply:
    async def reply(_: Request) -> Response:
        return make()

    return reply


def answer(
    *pieces: bytes,
    status: int = 200,
    length: int | None = None,
    trailers: Headers | None = None,
) -> Callable[[], Response]:
    """An answer whose body comes in pieces."""
    return lambda: Response(
        status=status,
        body=Body(source=Pieces(*pieces, trailers=trailers), length=length),
    )


def whole(
    body: bytes = b"", status: int = 200, trailers: Headers | None = None
) -> Callable[[], Response]:
    return lambda: Response(status=status, body=Body(body, trailers=trailers))


WITH_CONTENT: dict[str, Callable[[], Response]] = {
    "whole": whole(b"abc"),
    "whole, past a window": whole(bytes(MUCH)),
    "whole, with trailers": whole(b"abc", trailers=TRAILERS),
    "trailers alone": whole(trailers=TRAILERS),
    "counted": answer(b"a", b"bc", length=3),
    "counted, past a window": answer(bytes(MUCH), b"x", length=MUCH + 1),
    "counted, in one": answer(bytes(MUCH), length=MUCH),
    "counted, with trailers": answer(b"abc", length=3, trailers=TRAILERS),
    "counted, of nothing": answer(length=0),
    "not counted": answer(b"a", b"bc"),
    "not counted, empty": answer(),
    "not counted, with trailers": answer(b"abc", trailers=TRAILERS),
}
WITHOUT_CONTENT: dict[str, tuple[str, Callable[[], Response]]] = {
    "empty": ("GET", whole()),
    "204": ("GET", whole(status=204)),
    "304": ("GET", answer(status=304)),
    "HEAD": ("HEAD", whole()),
    "HEAD, in pieces": ("HEAD", answer(length=7)),
}


async def check(noted: NotedExchanges, method: str = "GET") -> None:
    """One exchange: its flow was finished once, before the answer was whole."""
    async with serving(noted) as client:
        number = client.ask(method)
        for _ in range(40):
            await client.carry(3)
            client.codec.consumed(number, WINDOW)
            if has_ended(bytes(noted.stream.sent), number):
                break
    sent, (note,) = bytes(noted.stream.sent), noted.keeper.notes

    assert has_ended(sent, number)
    assert not has_ended(note.sent, number)
    assert noted.keeper.begun == [note.flow]
    assert note.flow.response is not None
    got, length = content(note.sent, number), note.flow.response.body.length
    assert length in (0, None) or method == "HEAD" or len(got) < length


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
@pytest.mark.parametrize("name", WITH_CONTENT)
async def test_a_flow_is_kept_before_its_end(name: str, slow: bool) -> None:
    noted = NotedExchanges(replies(WITH_CONTENT[name]))
    if slow:
        noted.dawdle()

    await check(noted)


@pytest.mark.parametrize("name", ["whole, past a window", "counted, in one"])
async def test_a_flow_is_not_kept_while_a_window_is_waited_for(name: str) -> None:
    noted = NotedExchanges(replies(WITH_CONTENT[name]))
    async with serving(noted) as client:
        number = client.ask()
        await client.carry()
        assert not noted.keeper.notes
        client.codec.consumed(number, MUCH)
        await client.carry()

    (note,) = noted.keeper.notes
    assert 0 < len(content(note.sent, number)) < MUCH


@pytest.mark.parametrize("name", WITHOUT_CONTENT)
async def test_a_head_that_is_all_of_it_is_kept_before(name: str) -> None:
    method, make = WITHOUT_CONTENT[name]

    await check(NotedExchanges(replies(make)), method)


@pytest.mark.parametrize("name", WITHOUT_CONTENT)
async def test_a_head_that_is_all_of_it_waits_for_on_capture(name: str) -> None:
    method, make = WITHOUT_CONTENT[name]
    noted = NotedExchanges(replies(make))
    noted.dawdle()

    await check(noted, method)


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
async def test_a_failure_is_kept_before_its_page(slow: bool) -> None:
    async def fails(_: Request) -> Response:
        raise ConnectError("nothing listens")

    noted = NotedExchanges(fails)
    if slow:
        noted.dawdle()
    await check(noted)

    assert noted.keeper.notes[0].flow.error == "nothing listens"


@pytest.mark.parametrize("point", [HookPoint.REQUEST, HookPoint.RESPONSE])
async def test_what_is_dropped_is_kept_once(point: HookPoint) -> None:
    noted = NotedExchanges(replies(whole(b"abc")))
    noted.hooks.add(Listener(name="one", point=point, call=lambda _: Drop("no")))
    async with serving(noted) as client:
        number = client.ask()
        await client.carry()
    frames = of_stream(bytes(noted.stream.sent), number)

    (note,) = noted.keeper.notes
    assert note.flow.error == "dropped: no"
    assert [type(one) for one in frames] == [RstStreamFrame]


@pytest.mark.parametrize("length", [None, 5])
async def test_a_body_that_breaks_off_is_kept_once(length: int | None) -> None:
    source = Pieces(b"abc", error=OriginClosed("gone"))
    response = Response(status=200, body=Body(source=source, length=length))
    noted = NotedExchanges(replies(lambda: response))
    async with serving(noted) as client:
        number = client.ask()
        await client.carry()
    sent = bytes(noted.stream.sent)

    (note,) = noted.keeper.notes
    assert note.flow.error == "gone"
    assert not has_ended(sent, number)
    assert isinstance(of_stream(sent, number)[-1], RstStreamFrame)


@pytest.mark.parametrize("how", ["reset", "gone"])
@pytest.mark.parametrize("length", [None, 6])
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
async def test_a_client_that_leaves_in_the_middle(
    how: str, length: int | None, slow: bool
) -> None:
    feed = Feed()
    body = Body(source=feed, length=length)
    noted = NotedExchanges(replies(lambda: Response(status=200, body=body)))
    if slow:
        noted.dawdle()
    async with serving(noted) as client:
        number = client.ask()
        feed.put(b"abc")
        await client.carry()
        assert not noted.keeper.notes
        if how == "reset":
            client.codec.reset(number)
            await client.carry(2)
        else:
            noted.stream.finish()
        await eventually(lambda: bool(noted.keeper.notes))

    (note,) = noted.keeper.notes
    assert note.flow.error == "the client went away"
    assert note.flow.bytes_down == 3


async def test_each_of_many_streams_is_kept_before_its_end() -> None:
    noted = NotedExchanges(replies(answer(b"abc", b"def", length=6)))
    noted.dawdle()
    async with serving(noted) as client:
        numbers = [client.ask() for _ in range(10)]
        await client.carry()
    sent = bytes(noted.stream.sent)

    assert all(content(sent, number) == b"abcdef" for number in numbers)
    assert [note.flow for note in noted.keeper.notes] == noted.keeper.begun
    assert len(noted.keeper.notes) == 10
    assert all(b"def" not in note.sent for note in noted.keeper.notes[:1])


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
async def test_streams_that_share_a_window_do_not_overdraw_it(slow: bool) -> None:
    # Each looks at the connection's window, asks on_capture, and only then sends.
    noted = NotedExchanges(replies(whole(bytes(WINDOW))))
    if slow:
        noted.dawdle()
    async with serving(noted) as client:
        limits = H2Limits(stream_window=WINDOW, connection_window=WINDOW + 1)
        client.codec = H2Codec("client", limits)
        client.codec.start()
        numbers = [client.ask() for _ in range(3)]
        for _ in range(10):
            await client.carry(6)
            for number in numbers:
                client.codec.consumed(number, WINDOW)
    sent = bytes(noted.stream.sent)

    assert [len(content(sent, number)) for number in numbers] == [WINDOW] * 3
    assert len(noted.keeper.notes) == 3


async def test_an_unexpected_error_resets_its_stream_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def reply(asked: Request) -> Response:
        if asked.method == "PUT":
            raise OSError(errno.EMFILE, "Too many open files")
        return Response(status=200, body=Body(b"abc"))

    noted = NotedExchanges(reply)
    async with serving(noted) as client:
        broken, fine = client.ask("PUT"), client.ask("GET")
        await client.carry()
        sent = bytes(noted.stream.sent)

    assert any(isinstance(one, RstStreamFrame) for one in of_stream(sent, broken))
    assert any(isinstance(one, DataFrame) for one in of_stream(sent, fine))
    assert "internal error in h2" in caplog.text
