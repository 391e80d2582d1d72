"""The origins of the tests leave nothing behind, whenever a client comes."""

import gc
import socket

import pytest

from tests.support.accepting import HOST
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin, answer
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.streams import eventually, turns


@pytest.mark.parametrize("turns_later", range(8))
@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("is_h2", [False, True])
async def test_an_origin_takes_those_with_it_that_it_was_about_to_accept(
    origin_tls: OriginTls, turns_later: int, secured: bool, is_h2: bool
) -> None:
    tls = origin_tls.server() if secured else None
    origin: AnsweringOrigin | H2Origin
    if is_h2:
        origin = H2Origin(answer, tls=tls)
    else:
        origin = AnsweringOrigin(fixed(response()), tls=tls)
    with socket.socket() as client:
        async with origin:
            client.connect((HOST, origin.port))
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01")
            await turns(turns_later)
    gc.collect()  # a warning of what was left fails the test


async def test_an_origin_ends_while_it_hangs_up_on_who_reads_nothing() -> None:
    async def pour(peer: H1Peer) -> None:
        await peer.read(4)
        peer.writer.write(bytes(50_000_000))

    with socket.socket() as client:
        async with ScriptedOrigin(pour) as origin:
            client.connect((HOST, origin.port))
            client.send(b"more")
            await eventually(lambda: unsent(origin) and is_hanging_up(origin))
        assert not unsent(origin)


def unsent(origin: ScriptedOrigin) -> int:
    """Bytes that wait in its transports."""
    return sum(peer.writer.transport.get_write_buffer_size() for peer in origin.peers)


def is_hanging_up(origin: ScriptedOrigin) -> bool:
    return all(peer.writer.is_closing() for peer in origin.peers)
