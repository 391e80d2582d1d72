"""What ended connections leave: nothing that would wait for the garbage collector.

The collector looks seldom, and what it does not count weighs most: a TLS session is
some 15 KB of OpenSSL's.
"""

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from int3rceptor import Config, Flow, Proxy
from int3rceptor.net.tls_session import TlsSession
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.net.transport import TransportStream
from int3rceptor.proxy.connection import Connection
from int3rceptor.proxy.h1_server import H1ServerConnection
from tests.support.clients import raw, secure, tunnel
from tests.support.h1_peer import H1Peer
from tests.support.streams import eventually, turns

OWN = "int3rceptor.local"
STREAMS = (TransportStream, TlsTransportStream, TlsSession)
KINDS = (Connection, Flow, H1ServerConnection, *STREAMS)
CLIENTS = 3


class Running:
    """A proxy as the clients of tests want it."""

    def __init__(self, proxy: Proxy) -> None:
        self.address = proxy.address
        self.ca = proxy.ca_path


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in KINDS)


async def ask(peer: H1Peer, target: str = "/") -> None:
    await peer.send(f"GET {target} HTTP/1.1\r\nHost: {OWN}\r\n\r\n".encode())
    head = await peer.read_head()
    assert head.status == 200
    await peer.read_body(head)


async def in_the_clear(proxy: Running, *, is_reset: bool) -> None:
    async with raw(proxy) as peer:
        await ask(peer, f"http://{OWN}/")
        if is_reset:
            peer.reset()


async def in_tls(proxy: Running, *, is_reset: bool) -> None:
    async with secure(proxy, f"{OWN}:443", server_name=OWN) as peer:
        await ask(peer)
        await ask(peer)
        if is_reset:
            peer.reset()


async def silent_in_a_tunnel(proxy: Running, *, is_reset: bool) -> None:
    async with tunnel(proxy, f"{OWN}:443") as peer:
        if is_reset:
            peer.reset()


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("visit", [in_the_clear, in_tls, silent_in_a_tunnel])
async def test_nothing_waits_for_the_collector(
    config: Config, visit: object, is_reset: bool
) -> None:
    assert callable(visit)
    async with Proxy(config) as proxy:
        running = Running(proxy)
        await visit(running, is_reset=is_reset)
        await eventually(lambda: proxy.statistics.open_connections == 0)
        await turns()  # the event loop lets go of what was aborted a turn later
        with uncollected():
            before = alive()
            for _ in range(CLIENTS):
                await visit(running, is_reset=is_reset)
            await eventually(lambda: proxy.statistics.open_connections == 0)
            await eventually(lambda: alive() == before)
