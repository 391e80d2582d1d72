"""A tunnel's flow is kept once, when it is over, or before it is refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import pytest

from int3rceptor.config.model import Config, LimitsConfig, TlsConfig
from int3rceptor.errors import ConnectError
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop, PassThrough, Respond, Verdict
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow, FlowKind
from int3rceptor.model.message import Request, Response
from int3rceptor.net.inbound import Inbound
from int3rceptor.proxy.connection import ESTABLISHED, Connection
from int3rceptor.proxy.services import Services
from tests.support.fake_stream import FakeStream
from tests.support.noting import NotedExchanges
from tests.support.streams import eventually, turns

if TYPE_CHECKING:
    from int3rceptor.tls.contexts import ServerContexts

HEAD = b"CONNECT a.test:22 HTTP/1.1\r\nHost: a.test:22\r\n\r\n"


async def no_reply(_: Request) -> Response:
    raise AssertionError("nothing is asked in HTTP")


@pytest.fixture
async def noted() -> NotedExchanges:
    return NotedExchanges(no_reply)


@contextlib.asynccontextmanager
async def serving(
    noted: NotedExchanges,
    config: Config | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    services = Services(
        loop=asyncio.get_running_loop(),
        settings=config or Config(),
        hooks=noted.hooks,
        origins=noted.origins,
        exchanges=noted.exchanges,
        # Nothing here gets as far as TLS.
        contexts=cast("ServerContexts", None),
    )
    client = ClientInfo(address=("127.0.0.1", 1))
    connection = Connection(services, client, "127.0.0.1:1")
    task = asyncio.create_task(connection.serve(Inbound(noted.stream)))
    try:
        yield task
    finally:
        noted.stream.finish()
        await asyncio.wait([task], timeout=2.0)
        task.cancel()
        await asyncio.wait([task])


def admit(noted: NotedExchanges, verdict: Verdict) -> None:
    async def decide(_: Flow) -> Verdict:
        return verdict

    noted.hooks.add(Listener(name="one", point=HookPoint.CONNECT, call=decide))


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "in time"])
@pytest.mark.parametrize("kind", ["not TLS", "passed through", "by a listener"])
async def test_a_tunnel_is_kept_when_it_is_over(
    noted: NotedExchanges, kind: str, slow: bool
) -> None:
    origin = FakeStream()
    noted.origins.tunnels.append(origin)
    config = Config()
    if kind == "passed through":
        config = Config(tls=TlsConfig(passthrough=("a.test:22",)))
    elif kind == "by a listener":
        admit(noted, PassThrough())
    if slow:
        noted.dawdle()
    async with serving(noted, config) as task:
        noted.stream.arrive(HEAD + b"SSH-2.0-x\r\n")
        origin.arrive(b"SSH-2.0-y\r\nmore")
        await turns(30)
        assert noted.stream.sent == ESTABLISHED + b"SSH-2.0-y\r\nmore"
        assert origin.sent == b"SSH-2.0-x\r\n"
        origin.finish()
        await turns(20)
        assert not noted.keeper.notes
        noted.stream.finish()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert noted.keeper.begun == [note.flow]
    assert note.flow.kind is FlowKind.TUNNEL
    assert (note.flow.bytes_up, note.flow.bytes_down) == (11, 15)


@pytest.mark.parametrize("who", ["client", "origin"])
async def test_a_tunnel_that_breaks_is_kept_once(
    noted: NotedExchanges, who: str
) -> None:
    origin = FakeStream()
    noted.origins.tunnels.append(origin)
    async with serving(noted) as task:
        noted.stream.arrive(HEAD + b"SSH-2.0-x\r\n")
        await turns(30)
        (noted.stream if who == "client" else origin).lose()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error == "connection lost"


async def test_a_tunnel_whose_proxy_stops_is_kept_once(noted: NotedExchanges) -> None:
    noted.origins.tunnels.append(FakeStream())
    async with serving(noted) as task:
        noted.stream.arrive(HEAD + b"SSH-2.0-x\r\n")
        await turns(30)
        assert not noted.keeper.notes
        task.cancel()
        await asyncio.wait([task])

    assert len(noted.keeper.notes) == 1


async def test_a_client_that_left_in_the_dial_leaves_no_origin_open(
    noted: NotedExchanges,
) -> None:
    origin = FakeStream()
    noted.origins.tunnels.append(origin)
    admit(noted, PassThrough())
    async with serving(noted) as task:
        noted.stream.arrive(HEAD)
        noted.stream.lose()
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert origin.is_aborted
    assert note.flow.error == "connection lost"


async def test_a_stop_while_both_are_silent_leaves_no_origin_open(
    noted: NotedExchanges,
) -> None:
    origin = FakeStream()
    noted.origins.tunnels.append(origin)
    config = Config(limits=LimitsConfig(silent_client_ms=10))
    async with serving(noted, config) as task:
        noted.stream.arrive(HEAD)
        await eventually(lambda: not noted.origins.tunnels)
        await turns(10)
        task.cancel()
        await asyncio.wait([task])

    assert origin.is_aborted


async def test_a_tunnel_without_an_origin_is_kept_once(noted: NotedExchanges) -> None:
    noted.origins.tunnels.append(ConnectError("nothing listens"))
    async with serving(noted) as task:
        noted.stream.arrive(HEAD + b"SSH-2.0-x\r\n")
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error == "nothing listens"
    assert noted.stream.is_aborted


async def test_a_tunnel_that_is_dropped_is_kept_once(noted: NotedExchanges) -> None:
    admit(noted, Drop("no"))
    async with serving(noted) as task:
        noted.stream.arrive(HEAD)
        await asyncio.wait([task])

    (note,) = noted.keeper.notes
    assert note.flow.error.startswith("dropped")
    assert not noted.stream.sent


async def test_a_tunnel_that_holds_requests_is_not_kept_itself() -> None:
    async def reply(_: Request) -> Response:
        return Response(status=200, body=Body(b"abc"))

    noted = NotedExchanges(reply)
    async with serving(noted):
        noted.stream.arrive(HEAD + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" * 2)
        await turns(40)

    assert noted.stream.sent.startswith(ESTABLISHED + b"HTTP/1.1 200 ")
    assert noted.keeper.begun == [note.flow for note in noted.keeper.notes]
    assert [note.flow.kind for note in noted.keeper.notes] == [FlowKind.HTTP] * 2


async def refuse(noted: NotedExchanges, why: str) -> None:
    """A CONNECT that is answered with a page."""
    config = Config()
    if why == "no origin":
        config = Config(tls=TlsConfig(passthrough=("a.test:22",)))
        noted.origins.tunnels.append(ConnectError("nothing listens"))
    else:
        admit(noted, Respond(Response(status=403, body=Body(b"no"))))
    async with serving(noted, config) as task:
        noted.stream.arrive(HEAD)
        await turns(20)
        noted.stream.finish()
        await asyncio.wait([task])


@pytest.mark.parametrize("why", ["no origin", "by a listener"])
async def test_a_refused_tunnel_is_kept_once(noted: NotedExchanges, why: str) -> None:
    await refuse(noted, why)

    (note,) = noted.keeper.notes
    assert noted.stream.sent.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 403 "))
    assert note.flow.response is not None


@pytest.mark.parametrize("why", ["no origin", "by a listener"])
async def test_a_refused_tunnel_is_kept_before_its_page(
    noted: NotedExchanges, why: str
) -> None:
    await refuse(noted, why)

    (note,) = noted.keeper.notes
    assert len(note.sent) < len(noted.stream.sent)


async def test_a_refused_tunnel_whose_client_left_is_kept_once(
    noted: NotedExchanges,
) -> None:
    async def leave(_: Flow) -> Verdict:
        noted.stream.abort()
        return Respond(Response(status=403))

    noted.hooks.add(Listener(name="one", point=HookPoint.CONNECT, call=leave))
    async with serving(noted) as task:
        noted.stream.arrive(HEAD)
        await asyncio.wait([task])

    assert len(noted.keeper.notes) == 1
