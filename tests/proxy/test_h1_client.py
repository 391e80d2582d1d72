import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
    OriginTimeout,
    StreamLost,
)
from int3rceptor.model.body import Body
from int3rceptor.model.message import Request
from int3rceptor.proxy.upstream import h1_client
from int3rceptor.proxy.upstream.h1_client import H1Exchange, H1Origin
from int3rceptor.wire.h1.chunks import MAX_CHUNKS_AT_ONCE
from int3rceptor.wire.h1.framing import judge_request
from tests.support.fake_stream import FakeStream
from tests.support.patience import PATIENT_S
from tests.support.pool import Deadlines
from tests.support.streams import stuck, turns
from tests.support.upstream import ORIGIN, Feed, Home, Informed, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SOON = Deadlines(first_byte_timeout_s=0.05, idle_timeout_s=0.05)


@dataclass(slots=True)
class Bench:
    stream: FakeStream = field(default_factory=FakeStream)
    home: Home = field(default_factory=Home)
    informed: Informed = field(default_factory=Informed)

    def connect(self, deadlines: Deadlines | None = None) -> H1Origin:
        return H1Origin(ORIGIN, self.stream, None, self.home, deadlines or Deadlines())

    async def ask(
        self, connection: H1Origin, what: Request | None = None
    ) -> asyncio.Task[H1Exchange]:
        task = asyncio.create_task(
            connection.exchange(what or request(), self.informed)
        )
        await turns()
        return task


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def turns_while(work: asyncio.Task[object]) -> int:
    """How often the others had their turn before `work` was done."""
    count = 0
    while not work.done():
        count += 1
        await asyncio.sleep(0)
    return count


async def test_a_flood_of_tiny_chunks_lets_others_run(bench: Bench) -> None:
    connection = bench.connect()
    asking = await bench.ask(connection)
    many = 50 * MAX_CHUNKS_AT_ONCE
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    bench.stream.arrive(head + b"1\r\na\r\n" * many + b"0\r\n\r\n")
    answer = await asking
    body = answer.response.body
    assert not body.is_whole

    reading: asyncio.Task[object] = asyncio.create_task(body.read(many))
    assert await turns_while(reading) >= 48
    assert body.content == b"a" * many


async def test_a_request_and_its_answer(bench: Bench) -> None:
    connection = bench.connect()
    asking = await bench.ask(connection)
    assert bytes(bench.stream.sent) == b"GET /p HTTP/1.1\r\nHost: a.test\r\n\r\n"
    bench.stream.arrive(OK)
    answer = await asking
    await answer.settle()

    assert answer.response.status == 200
    assert answer.response.body.content == b"ok"
    assert answer.info.version == "HTTP/1.1"
    assert answer.info.address == bench.stream.peer
    assert not answer.info.is_reused
    assert bench.home.told == ["release"]
    assert connection.is_idle
    await answer.aclose()
    assert bench.home.told == ["release"]


async def test_one_exchange_after_the_other(bench: Bench) -> None:
    connection = bench.connect()
    for _ in range(3):
        asking = await bench.ask(connection)
        bench.stream.arrive(OK)
        assert (await asking).response.body.content == b"ok"

    assert bench.home.told == ["release"] * 3


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_was_seen_before_binds_as_any_other(
    bench: Bench, method: str
) -> None:
    connection = bench.connect()
    raw = b"%b /p HTTP/1.1\r\nHost: a.test\r\nAuthorization: NTLM a\r\n\r\n"
    with_credentials = request(method)
    head, _ = judge_request(raw % method.encode(), "https")
    with_credentials.headers = head.headers
    for what in (request(), with_credentials):
        asking = await bench.ask(connection, what)
        bench.stream.arrive(OK)
        await asking

    assert bench.home.told == ["release", "bound", "release"]


async def test_a_streamed_answer_is_over_at_its_end(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = await asking
    body = answer.response.body
    bench.stream.arrive(b"3\r\nabc\r\n")
    assert await body.chunk() == b"abc"
    assert bench.home.told == []
    bench.stream.arrive(b"0\r\nCheck: 1\r\n\r\n")

    assert await body.chunk() == b""
    assert body.trailers is not None
    assert body.trailers["check"] == "1"
    assert bench.home.told == ["release"]


async def test_informational_responses_are_passed_on(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    await asking

    (head,) = bench.informed.heads
    assert (head.status, head.headers["link"]) == (103, "x")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more than was asked for",
    ],
)
async def test_a_connection_that_cannot_be_used_again_is_closed(
    bench: Bench, answer: bytes
) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(answer)

    assert (await asking).response.body.content == b"ok"
    assert bench.home.told == ["discard"]
    assert bench.stream.is_aborted


async def test_an_answer_may_end_with_the_connection(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"HTTP/1.1 200 OK\r\n\r\nall ")
    answer = await asking
    bench.stream.arrive(b"of it")
    bench.stream.finish()

    assert await answer.response.body.read(100) == b"all of it"
    assert bench.home.told == ["discard"]


async def test_a_connection_lost_in_such_an_answer_breaks_it_off(
    bench: Bench,
) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    answer = await asking
    bench.stream.lose()

    assert await answer.response.body.chunk() == b"half"
    with pytest.raises(OriginClosed):
        await answer.response.body.chunk()


@pytest.mark.parametrize("how", ["finish", "lose"])
async def test_silence_then_the_end(bench: Bench, how: str) -> None:
    asking = await bench.ask(bench.connect())
    if how == "finish":
        bench.stream.finish()
    else:
        bench.stream.lose()

    with pytest.raises(OriginClosed) as raised:
        await asking
    assert not raised.value.is_stale
    assert bench.home.told == ["discard"]


async def test_a_reused_connection_that_ends_without_an_answer_was_stale(
    bench: Bench,
) -> None:
    connection = bench.connect()
    connection.is_reused = True
    asking = await bench.ask(connection)
    bench.stream.finish()

    with pytest.raises(OriginClosed) as raised:
        await asking
    assert raised.value.is_stale


async def test_half_an_answer_is_not_stale(bench: Bench) -> None:
    connection = bench.connect()
    connection.is_reused = True
    asking = await bench.ask(connection)
    bench.stream.arrive(b"HTTP/1.1 200")
    await turns()
    bench.stream.finish()

    with pytest.raises(OriginClosed) as raised:
        await asking
    assert not raised.value.is_stale


async def test_a_body_that_breaks_off(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    answer = await asking
    bench.stream.finish()

    with pytest.raises(OriginClosed):
        await answer.response.body.read(100)
    await answer.aclose()
    assert bench.home.told == ["discard"]


async def test_nonsense_is_the_origins_fault(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    bench.stream.arrive(b"SSH-2.0-OpenSSH\r\n\r\n")

    with pytest.raises(OriginProtocolError):
        await asking
    assert bench.home.told == ["discard"]


async def test_an_origin_that_says_nothing(bench: Bench) -> None:
    asking = await bench.ask(bench.connect(SOON))

    with pytest.raises(OriginTimeout, match="sent nothing"):
        await asking
    assert bench.home.told == ["discard"]
    assert bench.stream.is_aborted


async def test_an_origin_that_falls_silent(bench: Bench) -> None:
    deadlines = Deadlines(first_byte_timeout_s=PATIENT_S, idle_timeout_s=0.05)
    asking = await bench.ask(bench.connect(deadlines))
    bench.stream.arrive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    body = (await asking).response.body
    assert await body.chunk() == b"abc"

    with pytest.raises(OriginTimeout):
        await body.chunk()


async def test_a_connection_lost_while_idle_tells_its_home(bench: Bench) -> None:
    connection = bench.connect()
    bench.stream.lose()
    connection.close()

    assert bench.home.told == ["discard"]


async def test_cancelled_it_closes(bench: Bench) -> None:
    asking = await bench.ask(bench.connect())
    asking.cancel()
    await asyncio.wait([asking])

    assert bench.home.told == ["discard"]
    assert bench.stream.is_aborted


async def test_an_upgrade_gives_the_stream_away(bench: Bench) -> None:
    headers = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    asking = await bench.ask(bench.connect(), request(headers=headers))
    bench.stream.arrive(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst frame"
    )
    answer = await asking
    await answer.settle()

    assert answer.upgraded is bench.stream
    assert await bench.stream.read(1.0) == b"first frame"
    assert bench.home.told == ["discard"]
    assert not bench.stream.is_aborted
    await answer.aclose()  # nobody relays it after all
    assert bench.stream.is_aborted


# --- uploads --------------------------------------------------------------------------


async def test_a_streamed_body_is_sent_as_it_comes(bench: Bench) -> None:
    feed = Feed()
    post = request("POST", body=Body(source=feed, length=6))
    asking = await bench.ask(bench.connect(), post)
    feed.put(b"abc")
    await turns()
    assert bench.stream.sent.endswith(b"Content-Length: 6\r\n\r\nabc")
    feed.put(b"def")
    feed.end()
    await turns()
    bench.stream.arrive(OK)
    answer = await asking
    await answer.settle()

    assert bench.stream.sent.endswith(b"\r\n\r\nabcdef")
    assert bench.home.told == ["release"]


async def test_an_early_answer_waits_for_the_rest_of_the_body(bench: Bench) -> None:
    feed = Feed()
    asking = await bench.ask(
        bench.connect(), request("POST", body=Body(source=feed, length=3))
    )
    bench.stream.arrive(OK)
    answer = await asking
    settling = asyncio.create_task(answer.settle())
    await turns()
    assert not settling.done()
    assert bench.home.told == []
    feed.put(b"abc")
    feed.end()
    await settling

    assert bench.home.told == ["release"]


async def test_an_answer_instead_of_a_100_ends_the_exchange(bench: Bench) -> None:
    post = request(
        "POST",
        body=Body(source=Feed(), length=3),
        headers=[(b"Expect", b"100-continue")],
    )
    asking = await bench.ask(bench.connect(), post)
    bench.stream.arrive(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
    answer = await asking

    assert not await stuck(answer.settle(), 5.0)
    assert bench.home.told == ["discard"]


@pytest.mark.parametrize(
    "error", [ClientProtocolError("bad chunk"), StreamLost("client gone")]
)
async def test_the_clients_failure_is_the_clients(
    bench: Bench, error: ClientProtocolError | StreamLost
) -> None:
    feed = Feed()
    asking = await bench.ask(
        bench.connect(), request("POST", body=Body(source=feed, length=3))
    )
    feed.fail(error)

    with pytest.raises(type(error), match=str(error)):
        await asking
    assert bench.home.told == ["discard"]


async def test_a_slow_upload_is_no_silence_of_the_origin(bench: Bench) -> None:
    feed = Feed()
    asking = await bench.ask(
        bench.connect(SOON), request("POST", body=Body(source=feed, length=3))
    )
    await asyncio.sleep(0.12)
    assert not asking.done()
    feed.put(b"abc")
    feed.end()
    bench.stream.arrive(OK)

    assert (await asking).response.status == 200


async def test_the_wait_for_an_answer_begins_when_the_request_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(h1_client, "time", SimpleNamespace(monotonic=lambda: now[0]))
    feed = Feed()
    deadlines = Deadlines(first_byte_timeout_s=60.0, idle_timeout_s=10.0)
    asking = await bench.ask(
        bench.connect(deadlines), request("POST", body=Body(source=feed, length=3))
    )
    now[0] += 40
    feed.put(b"abc")
    feed.end()
    await turns()
    now[0] += 40
    bench.stream.time_out()  # the wait that began with the request
    await turns(10)
    assert not asking.done()
    bench.stream.arrive(OK)

    assert (await asking).response.status == 200


async def test_an_origin_that_takes_no_request_is_not_waited_for(bench: Bench) -> None:
    feed = Feed()
    asking = await bench.ask(
        bench.connect(SOON), request("POST", body=Body(source=feed, length=3))
    )
    bench.stream.room = False
    feed.put(b"abc")
    feed.end()
    _, pending = await asyncio.wait([asking], timeout=PATIENT_S)
    asking.cancel()
    await asyncio.wait([asking])

    assert not pending
    assert isinstance(asking.exception(), OriginTimeout)
