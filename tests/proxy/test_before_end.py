"""A flow is kept before the last bytes of its answer leave, and once: in HTTP/1."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from int3rceptor.config.model import LimitsConfig
from int3rceptor.errors import ConnectError, OriginClosed, OriginProtocolError
from int3rceptor.hooks.dispatcher import Answer, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop, Respond
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.h1_server import H1ServerConnection
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import End, RequestHead
from tests.support.fake_stream import FakeStream
from tests.support.h1_codec import client_asking, collect
from tests.support.noting import NotedExchanges, Pieces, Reply
from tests.support.streams import eventually, turns
from tests.support.upstream import Feed

TRAILERS = Headers([(b"check", b"1")])
URL = "http://a.test/x"


def asked(method: str = "GET", url: str = URL, version: str = "HTTP/1.1") -> bytes:
    return f"{method} {url} {version}\r\nHost: a.test\r\n\r\n".encode()


def is_whole(sent: bytes, method: str, *, is_closed: bool) -> bool:
    """Whether a client that got this has the whole answer."""
    pieces = [sent, b""] if is_closed else [sent]
    return any(isinstance(one, End) for one in collect(client_asking(method), pieces))


async def no_connect(_: RequestHead, stream: ByteStream) -> None:
    raise AssertionError("no CONNECT here")


@contextlib.asynccontextmanager
async def serving(noted: NotedExchanges) -> AsyncIterator[asyncio.Task[None]]:
    session = Session(client=ClientInfo(address=("127.0.0.1", 1)))
    limits = LimitsConfig()
    server = H1ServerConnection(
        noted.stream, session, noted.exchanges, limits, no_connect
    )
    task = asyncio.create_task(server.serve())
    try:
        yield task
    finally:
        noted.stream.finish()
        await turns(20)
        task.cancel()
        await asyncio.wait([task])


def replies(make: Callable[[], Response]) -> Reply:
    async def reply(_: Request) -> Response:
        return make()

    return reply


async def never(_: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets it")


async def fails(_: Request) -> Response:
    raise ConnectError("nothing listens")


async def babbles(_: Request) -> Response:
    raise OriginProtocolError("nonsense")


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
    content: bytes = b"",
    status: int = 200,
    length: int | None = None,
    trailers: Headers | None = None,
) -> Callable[[], Response]:
    return lambda: Response(
        status=status, body=Body(content, length=length, trailers=trailers)
    )


GET, HEAD, OLD = asked(), asked("HEAD"), asked(version="HTTP/1.0")
ANSWERS: dict[str, tuple[bytes, Callable[[], Response]]] = {
    "whole": (GET, whole(b"abc")),
    "whole, empty": (GET, whole()),
    "whole, with trailers": (GET, whole(b"abc", trailers=TRAILERS)),
    "whole, to 1.0": (OLD, whole(b"abc")),
    "204": (GET, whole(status=204)),
    "304": (GET, whole(status=304, length=7)),
    "HEAD": (HEAD, whole(length=7)),
    "counted": (GET, answer(b"a", b"bc", length=3)),
    "counted, in one": (GET, answer(b"abc", length=3)),
    "counted, to 1.0": (OLD, answer(b"ab", b"c", length=3)),
    "counted, with trailers": (GET, answer(b"abc", length=3, trailers=TRAILERS)),
    "chunked": (GET, answer(b"a", b"bc")),
    "chunked, empty": (GET, answer()),
    "chunked, with trailers": (GET, answer(b"abc", trailers=TRAILERS)),
    "until close": (OLD, answer(b"a", b"bc")),
    "own page": (asked(url="http://int3rceptor.local/ca.pem"), whole()),
    "own page, absent": (asked(url="/absent"), whole()),
}
# What an HTTP/2 origin says in HEADERS without END_STREAM and an empty DATA.
HEADS_ALONE: dict[str, tuple[bytes, Callable[[], Response]]] = {
    "HEAD, in pieces": (HEAD, answer(length=7)),
    "204, in pieces": (GET, answer(status=204)),
    "304, in pieces": (GET, answer(status=304)),
    "counted, of nothing": (GET, answer(length=0)),
}


async def check(noted: NotedExchanges, request: bytes, *, slow: bool) -> None:
    """One exchange: its flow was finished once, before the answer was whole."""
    if slow:
        noted.dawdle()
    method = request.split(b" ")[0].decode()
    async with serving(noted):
        noted.stream.arrive(request)
        await turns(60)
    sent, (note,) = bytes(noted.stream.sent), noted.keeper.notes

    assert is_whole(sent, method, is_closed=noted.stream.is_closed)
    assert sent.startswith(note.sent)
    assert not is_whole(note.sent, method, is_closed=note.is_closed)
    assert noted.keeper.begun == [note.flow]


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_a_flow_is_kept_before_its_end(name: str, slow: bool) -> None:
    request, make = ANSWERS[name]

    await check(NotedExchanges(replies(make)), request, slow=slow)


@pytest.mark.parametrize("name", HEADS_ALONE)
async def test_a_head_that_is_all_of_it_is_kept_before(name: str) -> None:
    request, make = HEADS_ALONE[name]

    await check(NotedExchanges(replies(make)), request, slow=False)


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
@pytest.mark.parametrize("reply", [fails, babbles])
async def test_a_failure_is_kept_before_its_page(reply: Reply, slow: bool) -> None:
    noted = NotedExchanges(reply)
    await check(noted, GET, slow=slow)

    assert noted.keeper.notes[0].sent == b""
    assert noted.keeper.notes[0].flow.error


def hear(noted: NotedExchanges, point: HookPoint, verdict: Answer) -> None:
    noted.hooks.add(Listener(name="one", point=point, call=lambda _: verdict))


@pytest.mark.parametrize("point", [HookPoint.REQUEST, HookPoint.RESPONSE])
async def test_a_listeners_answer_is_kept_before_its_end(point: HookPoint) -> None:
    noted = NotedExchanges(replies(answer(b"abc")))
    hear(noted, point, Respond(Response(status=200, body=Body(b"mine"))))

    await check(noted, GET, slow=True)


async def test_a_listeners_failure_is_kept_before_its_page() -> None:
    def fail(_: Flow) -> None:
        raise RuntimeError("broken")

    noted = NotedExchanges(replies(whole(b"abc")))
    noted.hooks.add(
        Listener(name="one", point=HookPoint.REQUEST, call=fail, on_error="block")
    )
    await check(noted, GET, slow=True)


@pytest.mark.parametrize("point", [HookPoint.REQUEST, HookPoint.RESPONSE])
async def test_what_is_dropped_is_kept_once(point: HookPoint) -> None:
    noted = NotedExchanges(replies(whole(b"abc")))
    hear(noted, point, Drop("no"))
    async with serving(noted):
        noted.stream.arrive(GET)
        await turns(20)

    (note,) = noted.keeper.notes
    assert note.flow.error == "dropped: no"
    assert not noted.stream.sent


@pytest.mark.parametrize("length", [None, 5])
async def test_a_body_that_breaks_off_is_kept_once(length: int | None) -> None:
    source = Pieces(b"abc", error=OriginClosed("gone"))
    response = Response(status=200, body=Body(source=source, length=length))
    noted = NotedExchanges(replies(lambda: response))
    async with serving(noted):
        noted.stream.arrive(GET)
        await turns(30)

    (note,) = noted.keeper.notes
    assert note.flow.error == "gone"
    assert noted.stream.is_aborted
    assert not is_whole(bytes(noted.stream.sent), "GET", is_closed=False)


async def test_each_of_a_connections_flows_is_kept_before_its_end() -> None:
    noted = NotedExchanges(replies(answer(b"abc", length=3)))
    async with serving(noted):
        noted.stream.arrive(GET * 3)
        await turns(60)
    sent = bytes(noted.stream.sent)
    each = sent[: len(sent) // 3]

    assert each * 3 == sent
    starts = [note.sent for note in noted.keeper.notes]
    assert starts == [each[:-3], each + each[:-3], each * 2 + each[:-3]]
    assert [note.flow for note in noted.keeper.notes] == noted.keeper.begun


# --- clients that leave ---------------------------------------------------------------


async def test_a_client_that_leaves_before_its_answer() -> None:
    noted = NotedExchanges(never)
    async with serving(noted) as task:
        noted.stream.arrive(GET)
        await turns()
        assert not noted.keeper.notes
        noted.stream.lose()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error == "the client went away"


@pytest.mark.parametrize("length", [None, 6])
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
async def test_a_client_that_leaves_in_the_middle(
    length: int | None, slow: bool
) -> None:
    feed = Feed()
    body = Body(source=feed, length=length)
    noted = NotedExchanges(replies(lambda: Response(status=200, body=body)))
    if slow:
        noted.dawdle()
    async with serving(noted) as task:
        noted.stream.arrive(GET)
        feed.put(b"abc")
        await eventually(lambda: b"abc" in noted.stream.sent)
        assert not noted.keeper.notes
        noted.stream.lose()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error == "the client went away"
    assert note.flow.bytes_down == 3


async def test_a_client_that_leaves_while_its_flow_is_kept() -> None:
    noted = NotedExchanges(replies(whole(b"abc")))
    noted.dawdle()
    async with serving(noted) as task:
        noted.stream.arrive(GET)
        await turns(6)
        assert not noted.keeper.notes
        noted.stream.lose()
        await asyncio.wait([task])

    assert len(noted.keeper.notes) == 1
    assert not noted.stream.sent


async def test_a_client_that_takes_nothing() -> None:
    noted = NotedExchanges(replies(answer(b"abc", b"def")))
    noted.stream.room = False
    async with serving(noted) as task:
        noted.stream.arrive(GET)
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error
    assert noted.stream.is_aborted


# --- 101 ------------------------------------------------------------------------------


async def test_an_upgraded_flow_is_kept_when_both_sides_have_ended() -> None:
    upgrade = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    noted = NotedExchanges(
        replies(lambda: Response(status=101, headers=Headers(upgrade)))
    )
    origin = noted.origins.upgraded = FakeStream()
    lines = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with serving(noted) as task:
        noted.stream.arrive(GET[:-2] + lines)
        origin.arrive(b"abc")
        noted.stream.arrive(b"abcde")
        await turns(20)
        assert noted.stream.sent.startswith(b"HTTP/1.1 101 ")
        assert noted.stream.sent.endswith(b"\r\n\r\nabc")
        assert not noted.keeper.notes
        origin.finish()
        await turns(20)
        assert not noted.keeper.notes
        noted.stream.finish()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert (note.flow.bytes_up, note.flow.bytes_down) == (5, 3)
