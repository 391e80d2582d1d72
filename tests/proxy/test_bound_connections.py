"""A connection that was authenticated, while others wait for one to the same origin."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from int3rceptor.config.model import UpstreamConfig
from int3rceptor.model.headers import Headers, RawHeaders
from int3rceptor.model.message import Request
from int3rceptor.proxy.upstream.answer import Answer, Origin
from int3rceptor.proxy.upstream.dial import Dialer
from int3rceptor.proxy.upstream.origins import Origins
from int3rceptor.tls.contexts import OriginContexts, OriginVerification
from tests.support.h1_peer import H1Peer, response
from tests.support.origins import ScriptedOrigin
from tests.support.streams import eventually, turns
from tests.support.upstream import Informed

ONE_AT_A_TIME = UpstreamConfig(max_connections_per_origin=1)
NTLM = [(b"Authorization", b"NTLM abc")]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
OFFER = response(b"", "401 Unauthorized", {"WWW-Authenticate": "Negotiate"})


@pytest.fixture
async def origins() -> AsyncIterator[Origins]:
    loop = asyncio.get_running_loop()
    contexts = OriginContexts(OriginVerification())
    dialer = Dialer(loop, contexts, ONE_AT_A_TIME, own=(("127.0.0.1", 1),))
    made = Origins(loop, dialer, ONE_AT_A_TIME)
    yield made
    await made.aclose()
    dialer.close()
    await turns()


def send(
    origins: Origins, port: int, owner: object, headers: RawHeaders
) -> asyncio.Task[Answer]:
    request = Request(
        method="GET",
        scheme="http",
        host="127.0.0.1",
        port=port,
        target=b"/",
        authority=f"127.0.0.1:{port}",
        version="HTTP/1.1",
        headers=Headers([(b"Host", b"a.test"), *headers]),
    )
    where = Origin("http", "127.0.0.1", port, None)
    return asyncio.create_task(
        origins.send(request, where, Informed(), client_is_http2=False, owner=owner)
    )


async def finish(answer: Answer) -> None:
    await answer.response.body.read(100)
    await answer.settle()


@pytest.mark.parametrize(
    ("asks_with", "answer"),
    [(NTLM, response()), (NTLM, CHUNKED), ([], OFFER)],
    ids=["counted", "chunked", "offered"],
)
async def test_who_waits_is_not_given_what_another_authenticated(
    origins: Origins, asks_with: RawHeaders, answer: bytes
) -> None:
    may_answer = asyncio.Event()

    async def serve(peer: H1Peer) -> None:
        while True:
            await peer.read_request()
            await may_answer.wait()
            await peer.send(answer)

    async with ScriptedOrigin(serve) as origin:
        first = send(origins, origin.port, object(), asks_with)
        await eventually(lambda: bool(origin.peers and origin.peers[0].received))
        second = send(origins, origin.port, object(), [])
        await turns()
        assert not second.done()
        may_answer.set()
        await finish(await first)
        await finish(await second)

        assert len(origin.peers) == 2


async def test_who_waits_is_given_what_nobody_authenticated(origins: Origins) -> None:
    may_answer = asyncio.Event()

    async def serve(peer: H1Peer) -> None:
        while True:
            await peer.read_request()
            await may_answer.wait()
            await peer.send(response())

    async with ScriptedOrigin(serve) as origin:
        first = send(origins, origin.port, object(), [])
        await eventually(lambda: bool(origin.peers and origin.peers[0].received))
        second = send(origins, origin.port, object(), [])
        await turns()
        may_answer.set()
        await finish(await first)
        await finish(await second)

        assert len(origin.peers) == 1
