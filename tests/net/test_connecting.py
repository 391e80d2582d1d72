"""Connecting to whichever address answers first, over 127.0.0.1."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from int3rceptor.net import connecting
from int3rceptor.net.connecting import SocketAddress, connect
from int3rceptor.net.transport import TransportStream
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually, turns

HERE = "127.0.0.1"


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[object]]]:
    """Its port, and what came to it and has not ended."""
    open_: list[object] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.append(reader)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        open_.remove(reader)

    async with await asyncio.start_server(serve, HERE, 0) as server:
        yield server.sockets[0].getsockname()[1], open_
        await turns()
        await eventually(lambda: not open_)


def refusing() -> int:
    """A port of ours that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        return int(sock.getsockname()[1])


async def connected(*addresses: SocketAddress) -> TransportStream:
    async with asyncio.timeout(PATIENT_S):
        return await connect(asyncio.get_running_loop(), addresses)


async def test_one_address_is_connected_to() -> None:
    async with listening() as (port, open_):
        stream = await connected((HERE, port))

        assert stream.peer == (HERE, port)
        await eventually(lambda: bool(open_))
        stream.abort()
        await eventually(lambda: not open_)


async def test_where_one_refuses_the_next_is_tried() -> None:
    async with listening() as (port, _):
        stream = await connected((HERE, refusing()), (HERE, port))

        assert stream.peer == (HERE, port)
        stream.abort()


async def test_where_one_is_silent_the_next_is_tried_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "HAPPY_EYEBALLS_S", 0.01)
    real = connecting._connect_to
    given_up: list[SocketAddress] = []

    async def connect_to(
        loop: asyncio.AbstractEventLoop, address: SocketAddress
    ) -> TransportStream:
        if address[1] == 1:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.append(address)
        return await real(loop, address)

    monkeypatch.setattr(connecting, "_connect_to", connect_to)
    async with listening() as (port, _):
        stream = await connected((HERE, 1), (HERE, port))

        assert stream.peer == (HERE, port)
        assert given_up == [(HERE, 1)]
        stream.abort()


async def test_who_comes_second_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "HAPPY_EYEBALLS_S", 0.0)
    real = connecting._connect_to
    both = asyncio.Barrier(2)

    async def connect_to(
        loop: asyncio.AbstractEventLoop, address: SocketAddress
    ) -> TransportStream:
        stream = await real(loop, address)
        await both.wait()
        return stream

    monkeypatch.setattr(connecting, "_connect_to", connect_to)
    async with listening() as (port, open_):
        stream = await connected((HERE, port), (HERE, port))

        await eventually(lambda: len(open_) == 1)
        assert stream.is_usable
        stream.abort()
        await eventually(lambda: not open_)


async def test_what_all_fail_on_is_said_once() -> None:
    with pytest.raises(ConnectionRefusedError) as failed:
        await connected((HERE, refusing()), (HERE, refusing()))

    assert failed.value.errno == errno.ECONNREFUSED


async def test_different_failures_are_all_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect_to(
        loop: asyncio.AbstractEventLoop, address: SocketAddress
    ) -> TransportStream:
        raise OSError(address[1], f"because of {address[1]}")

    monkeypatch.setattr(connecting, "_connect_to", connect_to)
    with pytest.raises(OSError, match=r"^because of 2; because of 1$"):
        await connected((HERE, 2), (HERE, 1), (HERE, 2))


async def test_who_is_cancelled_leaves_no_connection() -> None:
    async with listening() as (port, open_):
        work = asyncio.create_task(connected((HERE, port), (HERE, port)))
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait([work])

        assert work.cancelled()
        await eventually(lambda: not open_)


V4 = [("192.0.2.1", 1), ("192.0.2.2", 1)]
V6 = [("2001:db8::1", 1, 0, 0), ("2001:db8::2", 1, 0, 0), ("2001:db8::3", 1, 0, 0)]


@pytest.mark.parametrize(
    ("given", "tried"),
    [
        ([*V6, *V4], [V6[0], V4[0], V6[1], V4[1], V6[2]]),
        ([*V4, *V6], [V4[0], V6[0], V4[1], V6[1], V6[2]]),
        ([V4[0], V4[1]], [V4[0], V4[1]]),
    ],
)
def test_kinds_of_addresses_take_turns(
    given: list[SocketAddress], tried: list[SocketAddress]
) -> None:
    assert list(connecting._by_turns(given)) == tried


async def test_an_address_of_a_link_keeps_its_scope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    loop = asyncio.new_event_loop()

    async def create_connection(factory: object, host: str, port: int) -> None:
        asked.append((host, port))

    monkeypatch.setattr(loop, "create_connection", create_connection, raising=False)
    await connecting.connect(loop, [("fe80::1", 443, 0, 7)])
    loop.close()

    assert asked == [("fe80::1%7", 443)]
