"""A relay between two streams, with half-close and back-pressure both ways."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from int3rceptor.errors import StreamError, StreamTimeout
from int3rceptor.model.flow import Flow
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import Tasks
from int3rceptor.proxy.limits import TUNNEL_IDLE_S


class Passage(Protocol):
    """What the bytes of one direction pass through."""

    def take(self, data: bytes) -> AsyncIterator[bytes]:
        """What goes on now that these have come; b"" has come at their end."""
        ...


async def relay(
    flow: Flow,
    client: ByteStream,
    origin: ByteStream,
    up: Passage | None = None,
    down: Passage | None = None,
) -> None:
    """Pass bytes until both directions have ended; counted in `flow`.

    The end of one direction is passed on as such, where the streams can say it. Both
    streams are closed when this returns.
    """
    tasks = Tasks(f"tunnel {flow.id}")
    try:
        pumps = (
            tasks.spawn(_pump(flow, client, origin, up, is_up=True), "up"),
            tasks.spawn(_pump(flow, origin, client, down, is_up=False), "down"),
        )
        await asyncio.wait(pumps)
    finally:
        await tasks.close()
        await origin.aclose()
        await client.aclose()


async def _pump(
    flow: Flow,
    source: ByteStream,
    sink: ByteStream,
    passage: Passage | None,
    *,
    is_up: bool,
) -> None:
    try:
        while data := await _read(flow, source):
            if is_up:
                flow.bytes_up += len(data)
            else:
                flow.bytes_down += len(data)
            if passage is not None:
                await _pass(data, passage, sink)
                continue
            sink.write(data)
            await sink.drain(TUNNEL_IDLE_S)
        if passage is not None:
            await _pass(b"", passage, sink)
    except StreamError as error:
        flow.error = flow.error or str(error)
        source.abort()
        sink.abort()
        return
    if not sink.send_eof():
        await sink.aclose()


async def _pass(data: bytes, passage: Passage, sink: ByteStream) -> None:
    async for piece in passage.take(data):
        sink.write(piece)
        await sink.drain(TUNNEL_IDLE_S)


async def _read(flow: Flow, source: ByteStream) -> bytes:
    """The next bytes; a quiet direction waits while the other one is busy."""
    while True:
        before = flow.bytes_up + flow.bytes_down
        try:
            return await source.read(TUNNEL_IDLE_S)
        except StreamTimeout:
            if flow.bytes_up + flow.bytes_down == before:
                raise
