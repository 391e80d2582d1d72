"""Flows that end in one turn of the loop are kept together, before their answers end.

That each one by itself is kept before its end, `test_before_end` shows.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

import pytest

from int3rceptor.config.model import LimitsConfig
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.keeper import Ended
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.message import Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy import endings
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.h1_server import H1ServerConnection
from int3rceptor.proxy.h2_server import H2ServerConnection
from int3rceptor.proxy.onboarding import CaFiles, Onboarding
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import RequestHead
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import StreamEnd, StreamHead
from tests.support.fake_stream import FakeStream
from tests.support.noting import ScriptedOrigins
from tests.support.streams import eventually, turns
from tests.support.upstream import request

CONTENT = b"the answer"


class Together:
    """A keeper that notes which flows it was given at once, and what had been sent to
    each client by then."""

    def __init__(self) -> None:
        self.clients: list[FakeStream] = []
        self.at_once: list[list[bytes]] = []
        self.sent: list[list[bytes]] = []
        self.error: Exception | None = None

    @property
    def kept(self) -> list[bytes]:
        return list(itertools.chain.from_iterable(self.at_once))

    def begin(self, flow: Flow) -> None:
        """Nothing to note."""

    def answered(self, flow: Flow) -> None:
        """Nothing to note."""

    def finish(self, ended: Sequence[Ended]) -> None:
        self.at_once.append([flow.request.target for flow, _ in ended])
        self.sent.append([bytes(one.sent) for one in self.clients])
        if self.error is not None:
            raise self.error


class Bench:
    """Exchanges whose origin answers them all in the same turn, once it is let."""

    def __init__(self) -> None:
        self.keeper = Together()
        self.asked = 0
        self.may_answer = asyncio.Event()
        files = CaFiles(pem=b"", der=b"", mobileconfig=bytes, fingerprint="")
        self.exchanges = Exchanges(
            Dispatcher(sleep=asyncio.sleep),
            ScriptedOrigins(self._reply),
            Onboarding(files),
            self.keeper,
        )

    async def _reply(self, _: Request) -> Response:
        self.asked += 1
        await self.may_answer.wait()
        return Response(status=200, body=Body(CONTENT))

    async def answer(self, asked: int) -> None:
        """Once so many have asked, up to the instant at which they have ended."""
        await eventually(lambda: self.asked == asked)
        self.may_answer.set()
        await turns(1)


@contextlib.asynccontextmanager
async def clients(
    bench: Bench, *asking: bytes
) -> AsyncIterator[list[H1ServerConnection]]:
    """HTTP/1.1 clients, each of which has sent this."""
    servers = []
    tasks = []
    for sent in asking:
        stream = FakeStream()
        bench.keeper.clients.append(stream)
        session = Session(client=ClientInfo(address=("127.0.0.1", 1)))
        server = H1ServerConnection(
            stream, session, bench.exchanges, LimitsConfig(), no_connect
        )
        servers.append(server)
        tasks.append(asyncio.create_task(server.serve()))
        stream.arrive(sent)
    try:
        yield servers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def no_connect(_: RequestHead, stream: ByteStream) -> None:
    raise AssertionError("no CONNECT here")


def get(path: str, more: str = "") -> bytes:
    return f"GET http://a.test/{path} HTTP/1.1\r\nHost: a.test\r\n{more}\r\n".encode()


async def test_what_ends_in_one_turn_is_kept_at_once_and_before_any_of_it_leaves() -> (
    None
):
    bench = Bench()
    async with clients(bench, get("a"), get("b"), get("c")):
        await bench.answer(3)
        assert bench.keeper.at_once == []
        await turns(1)

        assert bench.keeper.at_once == [[b"/a", b"/b", b"/c"]]
        assert bench.keeper.sent == [[b"", b"", b""]]
        assert all(one.sent.endswith(CONTENT) for one in bench.keeper.clients)


async def test_no_more_than_the_limit_are_kept_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "MAX_TOGETHER", 2)
    bench = Bench()
    async with clients(bench, get("a"), get("b"), get("c")):
        await bench.answer(3)
        await turns(1)

        assert bench.keeper.at_once == [[b"/a", b"/b"], [b"/c"]]
        assert bench.keeper.sent[0] == [b"", b"", b""]
        assert bench.keeper.sent[1][2] == b""
        assert all(one.sent.endswith(CONTENT) for one in bench.keeper.clients)


async def test_who_is_alone_waits_for_nobody() -> None:
    bench = Bench()
    async with clients(bench, get("a")):
        await bench.answer(1)

        assert bench.keeper.at_once == [[b"/a"]]
        assert bench.keeper.sent == [[b""]]
        assert bench.keeper.clients[0].sent.endswith(CONTENT)


async def test_answers_to_pipelined_requests_keep_their_order() -> None:
    bench = Bench()
    async with clients(bench, get("a") + get("b") + get("c"), get("d")):
        await bench.answer(2)
        await turns(10)
        first = bench.keeper.clients[0].sent

        assert bench.keeper.at_once == [[b"/a", b"/b", b"/c", b"/d"]]
        assert bench.keeper.sent[0] == [b"", b""]
        assert first.count(CONTENT) == 3
        assert first == bytes(first[: len(first) // 3]) * 3


@pytest.mark.parametrize("more", ["Connection: close\r\n", ""])
async def test_an_answer_comes_before_the_close(more: str) -> None:
    """Of the connection, by the client's wish or because the proxy stops."""
    bench = Bench()
    async with clients(bench, get("a", more), get("b", more)) as servers:
        await bench.answer(2)
        if not more:
            for server in servers:
                server.drain()
        await turns(3)

        for one in bench.keeper.clients:
            assert one.sent.endswith(CONTENT)
            assert one.is_closed or one.is_aborted
        assert bench.keeper.kept == [b"/a", b"/b"]
        assert bench.keeper.sent[0] == [b"", b""]


async def test_a_client_that_has_left_holds_up_nobody() -> None:
    bench = Bench()
    async with clients(bench, get("a"), get("b")):
        await bench.answer(2)
        bench.keeper.clients[0].lose()
        await turns(3)

        assert bench.keeper.at_once == [[b"/a", b"/b"]]
        assert not bench.keeper.clients[0].sent
        assert bench.keeper.clients[1].sent.endswith(CONTENT)


async def test_clients_are_answered_whatever_becomes_of_the_records() -> None:
    bench = Bench()
    bench.keeper.error = RuntimeError("broken")
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context.get("exception"))
    )
    async with clients(bench, get("a"), get("b")):
        await bench.answer(2)
        await turns(3)

        assert told == [bench.keeper.error]
        assert all(one.sent.endswith(CONTENT) for one in bench.keeper.clients)


async def test_streams_of_one_connection_are_kept_at_once_and_sent_after_that() -> None:
    bench = Bench()
    stream = FakeStream()
    bench.keeper.clients.append(stream)
    session = Session(
        client=ClientInfo(address=("127.0.0.1", 1)),
        scheme="https",
        target=("a.test", 443),
        is_http2=True,
    )
    server = H2ServerConnection(stream, session, bench.exchanges, LimitsConfig())
    task = asyncio.create_task(server.serve())
    client = H2Codec("client")
    client.start()
    numbers = [client.open_stream(request("GET"), end=True) for _ in range(5)]
    stream.arrive(client.take_output())
    await eventually(lambda: bench.asked == 5)
    await turns()
    before = bytes(stream.sent)
    bench.may_answer.set()
    await turns(20)

    assert [len(one) for one in bench.keeper.at_once] == [5]
    assert bench.keeper.sent == [[before]]
    events = client.receive(bytes(stream.sent))
    heads = [one.stream_id for one in events if isinstance(one, StreamHead)]
    ends = [one.stream_id for one in events if isinstance(one, StreamEnd)]
    assert heads == ends == numbers
    stream.finish()
    await asyncio.wait([task])
