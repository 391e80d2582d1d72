import asyncio

import pytest

from int3rceptor.errors import StreamTimeout
from int3rceptor.model.flow import ClientInfo, Flow, FlowKind
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request
from int3rceptor.proxy import tunnel
from int3rceptor.proxy.limits import TUNNEL_IDLE_S
from int3rceptor.proxy.tunnel import relay
from tests.support.h1_peer import H1Peer
from tests.support.streams import accepted, stuck, turns


@pytest.fixture
def flow() -> Flow:
    request = Request(
        method="CONNECT",
        scheme="https",
        host="a.test",
        port=443,
        target=b"a.test:443",
        authority="a.test:443",
        version="HTTP/1.1",
        headers=Headers(),
    )
    client = ClientInfo(address=("127.0.0.1", 1))
    return Flow(client=client, request=request, kind=FlowKind.TUNNEL)


class Ends:
    """A relay that runs, and what stands at both of its ends."""

    def __init__(self, client: H1Peer, origin: H1Peer, task: asyncio.Task[None]):
        self.client = client
        self.origin = origin
        self.task = task


async def begin(flow: Flow) -> Ends:
    one, client = await accepted()
    other, origin = await accepted()
    task = asyncio.create_task(relay(flow, one.stream, other.stream))
    return Ends(client, origin, task)


async def end(ends: Ends) -> None:
    ends.task.cancel()
    await asyncio.wait([ends.task])
    await ends.client.aclose()
    await ends.origin.aclose()


async def test_bytes_pass_both_ways_and_are_counted(flow: Flow) -> None:
    ends = await begin(flow)
    await ends.client.send(b"question")
    assert await ends.origin.read_exactly(8) == b"question"
    await ends.origin.send(b"answer")
    assert await ends.client.read_exactly(6) == b"answer"

    assert (flow.bytes_up, flow.bytes_down) == (8, 6)
    await end(ends)


@pytest.mark.parametrize("first", ["client", "origin"])
async def test_one_direction_may_end_before_the_other(flow: Flow, first: str) -> None:
    ends = await begin(flow)
    one, other = ends.client, ends.origin
    if first == "origin":
        one, other = other, one
    await one.send(b"last")
    one.send_eof()
    assert await other.read_to_end() == b"last"

    await other.send(b"x" * 1_000_000)
    other.send_eof()
    assert await one.read_to_end() == b"x" * 1_000_000
    await ends.task
    assert flow.error == ""
    await end(ends)


@pytest.mark.parametrize("first", ["client", "origin"])
async def test_a_reset_ends_both(flow: Flow, first: str) -> None:
    ends = await begin(flow)
    one, other = ends.client, ends.origin
    if first == "origin":
        one, other = other, one
    await one.send(b"x")
    await other.read_exactly(1)
    one.reset()

    assert await other.read_to_end() == b""
    await ends.task
    assert flow.error
    await end(ends)


async def test_who_does_not_read_is_not_written_to(flow: Flow) -> None:
    ends = await begin(flow)
    ends.origin.writer.write(bytes(32 * 1024 * 1024))
    # Time for all of it to pass, if nobody held it back.
    await stuck(asyncio.Event().wait())

    assert 0 < flow.bytes_down < 32 * 1024 * 1024
    ends.origin.writer.transport.abort()
    await end(ends)


async def test_a_quiet_tunnel_ends(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "TUNNEL_IDLE_S", 0.05)
    ends = await begin(flow)

    assert not await stuck(asyncio.shield(ends.task), 5.0)
    assert flow.error
    assert await ends.client.read_to_end() == b""
    await end(ends)


async def test_a_direction_may_be_quiet_while_the_other_is_busy(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = asyncio.Semaphore(0)

    async def wait_in_vain(timeout_s: float) -> bytes:
        assert timeout_s == TUNNEL_IDLE_S
        await over.acquire()
        raise StreamTimeout("no byte passed before the deadline")

    inbound, client = await accepted()
    other, origin = await accepted()
    monkeypatch.setattr(inbound.stream, "read", wait_in_vain)
    task = asyncio.create_task(relay(flow, inbound.stream, other.stream))
    ends = Ends(client, origin, task)
    for _ in range(12):
        await ends.origin.send(b"tick")
        assert await ends.client.read_exactly(4) == b"tick"
        over.release()
        await turns()
        assert not ends.task.done()

    over.release()
    await ends.task
    assert flow.error == "no byte passed before the deadline"
    await end(ends)


async def test_cancelled_it_closes_both(flow: Flow) -> None:
    ends = await begin(flow)
    await turns()
    ends.task.cancel()

    assert await ends.client.read_to_end() == b""
    assert await ends.origin.read_to_end() == b""
    await end(ends)
