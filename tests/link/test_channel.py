import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.link import channel as channel_module
from int3rceptor.link.channel import MAX_MESSAGE_BYTES, Channel, frame, open_channel
from int3rceptor.link.messages import (
    Began,
    FlowSummary,
    Gap,
    Message,
    Problem,
    Stats,
    ToHub,
    ToProxy,
    Watch,
    hub_decoder,
    proxy_decoder,
)
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually


def summary(number: int = 1, host: str = "example.com") -> FlowSummary:
    return FlowSummary(
        number, 1.5, "http", "GET", "https", host, 443, b"/\xff", "HTTP/2"
    )


class Ends:
    """A hub's end and a proxy's end, and what each received."""

    def __init__(self) -> None:
        self.at_hub: list[ToHub] = []
        self.at_proxy: list[ToProxy] = []


@contextlib.asynccontextmanager
async def linked() -> AsyncIterator[tuple[Channel[ToProxy], Channel[ToHub], Ends]]:
    ends = Ends()
    one, two = socket.socketpair()
    proxy = await open_channel(one, proxy_decoder, ends.at_proxy.append)
    hub = await open_channel(two, hub_decoder, ends.at_hub.append)
    try:
        yield proxy, hub, ends
    finally:
        proxy.abort()
        hub.abort()
        await proxy.wait_closed()
        await hub.wait_closed()


@contextlib.asynccontextmanager
async def raw_peer() -> AsyncIterator[
    tuple[Channel[ToHub], socket.socket, list[ToHub]]
]:
    """A hub's end whose other end is a plain socket."""
    received: list[ToHub] = []
    one, two = socket.socketpair()
    two.setblocking(False)
    with two:
        channel = await open_channel(one, hub_decoder, received.append)
        yield channel, two, received
        channel.abort()
        await channel.wait_closed()


async def test_messages_arrive_in_order_both_ways() -> None:
    sent: list[Message] = [Began(summary(number)) for number in range(500)]
    async with linked() as (proxy, hub, ends):
        for message in sent:
            proxy.send(message)
        hub.send(Watch(True))
        hub.send(Problem("é"))
        await eventually(lambda: len(ends.at_hub) == 500 and len(ends.at_proxy) == 2)

    assert ends.at_hub == sent
    assert ends.at_proxy == [Watch(True), Problem("é")]


async def test_what_is_queued_is_sent_before_the_end() -> None:
    async with linked() as (proxy, hub, ends):
        for number in range(100):
            proxy.send(Began(summary(number)))
        proxy.close()
        await hub.wait_closed()

    assert len(ends.at_hub) == 100


async def test_text_that_is_no_unicode_travels_escaped() -> None:
    async with linked() as (proxy, _, ends):
        proxy.send(Began(summary(host="a\udc80b")))
        await eventually(lambda: len(ends.at_hub) == 1)

    assert ends.at_hub == [Began(summary(host="a\\udc80b"))]


async def test_a_slow_reader_misses_events_and_is_told_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "MAX_QUEUED_BYTES", 10_000)
    async with raw_peer() as (channel, peer, _):
        offered = 0
        while not channel.dropped:
            channel.offer(Began(summary(offered)))
            offered += 1
        channel.offer(Began(summary(offered)))
        assert channel.is_behind
        assert channel.dropped == 2
        seen: list[ToHub] = []
        left = b""
        while Gap(2) not in seen:
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                left += peer.recv(65536)
            messages, left = read(left)
            seen += messages
        await eventually(lambda: not channel.is_behind)

    assert seen == [*(Began(summary(number)) for number in range(offered - 1)), Gap(2)]


def read(data: bytes) -> tuple[list[ToHub], bytes]:
    """The whole messages in `data`, and what is left."""
    found = []
    while len(data) >= 4 and len(data) >= 4 + (
        size := struct.unpack("<I", data[:4])[0]
    ):
        found.append(hub_decoder.decode(data[4 : 4 + size]))
        data = data[4 + size :]
    return found, data


async def test_a_reader_that_reads_nothing_at_all_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "MAX_STUCK_BYTES", 10_000)
    async with raw_peer() as (channel, _, _received):
        async with asyncio.timeout(PATIENT_S):
            while not channel.is_closed:
                channel.send(Stats(counters={"begun": 1.0}))
                await asyncio.sleep(0)
            await channel.wait_closed()
        channel.send(Stats(counters={}))  # to nobody, without an error


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<I", MAX_MESSAGE_BYTES + 1),
        struct.pack("<I", 3) + b"\xc1\xc1\xc1",
        struct.pack("<I", 0),
        frame(Watch(True)),  # a message, but not one for a hub
    ],
    ids=["too long", "no msgpack", "empty", "another's"],
)
async def test_what_is_no_message_ends_the_link(data: bytes) -> None:
    async with raw_peer() as (channel, peer, received):
        peer.send(frame(Gap(1)) + data + frame(Gap(2)))
        async with asyncio.timeout(PATIENT_S):
            await channel.wait_closed()

    assert received == [Gap(1)]


async def test_the_other_ends_death_is_noticed() -> None:
    async with raw_peer() as (channel, peer, received):
        peer.send(frame(Gap(1))[:-1])
        peer.close()
        async with asyncio.timeout(PATIENT_S):
            await channel.wait_closed()

    assert received == []


@given(
    counts=st.lists(st.integers(0, 2**40), max_size=20),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=40),
)
def test_it_does_not_matter_how_the_bytes_come(
    counts: list[int], cuts: list[int]
) -> None:
    received: list[ToHub] = []
    data = b"".join(frame(Gap(count)) for count in counts)

    async def feed() -> None:
        channel = Channel(hub_decoder, received.append)
        channel.connection_made(_NoTransport())
        start = 0
        while start < len(data):
            cut = cuts[start % len(cuts)]
            channel.data_received(data[start : start + cut])
            start += cut

    asyncio.run(feed())
    assert received == [Gap(count) for count in counts]


class _NoTransport(asyncio.Transport):
    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        pass
