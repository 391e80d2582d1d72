"""An HTTP/2 origin that pushes although it was told not to (RFC 9113, 8.4)."""

import asyncio

import pytest

from tests.support import frames
from tests.support.asking import check_alive
from tests.support.clients import Proxy, h2_client
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Peer, H2Stream
from tests.support.origin_tls import OriginTls

PROTOCOL_ERROR = 1
PUSHED = b"\x82\x87\x84"  # GET https /, from the static table of HPACK


async def push(stream: H2Stream) -> None:
    promise = frames.push_promise(stream.id, 2, PUSHED)
    pushed = frames.header_block(2, b"\x88", end=False)  # :status 200
    await stream.peer.send_raw(promise + pushed + frames.data(2, b"pushed", end=True))


async def pushing(stream: H2Stream) -> None:
    """What it pushes, and when, is in the path; other paths are answered plainly."""
    await stream.wait_over()
    match stream.path:
        case b"/before":
            await push(stream)
            await stream.respond(200, b"after the push")
        case b"/between":
            await stream.send_headers([(b":status", b"200")])
            await stream.send_data(b"half")
            await push(stream)
            await stream.send_data(b"whole", end=True)
        case b"/never":
            await asyncio.Event().wait()
        case _:
            await stream.respond(200, b"plain")


def check_told(origin: H2Peer) -> None:
    """It was told beforehand not to push, and why its connection ended."""
    assert origin.h2.remote_settings.enable_push == 0
    assert origin.goaway is not None
    assert int.from_bytes(origin.goaway.payload[4:8], "big") == PROTOCOL_ERROR


@pytest.fixture
def origin(origin_tls: OriginTls) -> H2Origin:
    return H2Origin(pushing, tls=origin_tls.server(["h2"]))


async def test_a_push_before_the_answer_is_refused(
    proxy: Proxy, origin: H2Origin
) -> None:
    async with origin, h2_client(proxy, origin.netloc) as client:
        refused = await client.request("GET", origin.netloc, "/before")
        first = origin.peers[0]
        await first.wait_until(lambda: first.is_closed)
        after = await client.request("GET", origin.netloc, "/after")

        assert refused.status == 502
        assert refused.value("x-int3rceptor")
        assert b"PUSH_PROMISE" in refused.body
        assert (after.status, after.text) == (200, "plain")
        assert len(origin.peers) == 2
        assert [one.id for one in client.streams.values()] == [1, 3]
    check_told(first)
    await check_alive(proxy)


async def test_a_push_in_the_middle_of_an_answer_breaks_it_off(
    proxy: Proxy, origin: H2Origin
) -> None:
    async with origin, h2_client(proxy, origin.netloc) as client:
        broken = await client.request("GET", origin.netloc, "/between")
        after = await client.request("GET", origin.netloc, "/after")

        # What came is passed on or not, but it is never shown as whole.
        assert broken.status in (200, 502)
        assert (broken.reset_code is not None) or broken.status == 502
        assert b"whole" not in broken.body
        assert b"pushed" not in broken.body
        assert (after.status, after.text) == (200, "plain")
        first = origin.peers[0]
        await first.wait_until(lambda: first.is_closed)
    check_told(first)


async def test_a_push_takes_along_what_shares_its_connection(
    proxy: Proxy, origin: H2Origin
) -> None:
    async with origin, h2_client(proxy, origin.netloc) as client:
        assert (await client.request("GET", origin.netloc, "/first")).status == 200
        waiting = asyncio.create_task(client.request("GET", origin.netloc, "/never"))
        first = origin.peers[0]
        await first.wait_until(lambda: len(first.streams) == 2)
        refused = await client.request("GET", origin.netloc, "/before")
        other = await waiting
        after = await client.request("GET", origin.netloc, "/after")

        assert [one.status for one in (refused, other, after)] == [502, 502, 200]
        assert len(origin.peers) == 2
