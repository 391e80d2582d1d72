"""on_sse_event on live traffic: an origin sends each event when the last has come."""

import asyncio
import contextlib
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import Running
from tests.support import tools
from tests.support.clients import environment, kill_group, run
from tests.support.h1_peer import H1Peer
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import ScriptedOrigin
from tests.support.pairs import Version
from tests.support.patience import PATIENT_S
from tests.support.process import STORE_ALONE, ProxyProcess

ROOT = Path(__file__).parents[2]
GUESTS = ROOT / "tests" / "guests"
HEAD = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
MIB = 1024 * 1024
MAX_GROWTH_BYTES = 16 * MIB

Events = "asyncio.Queue[bytes]"


@contextlib.asynccontextmanager
async def event_origin(
    far: Version, tls: OriginTls, coding: bytes = b""
) -> AsyncIterator[tuple[str, Events]]:
    """Sends what is put into the queue, as it is put; b"" ends the stream."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    head = [*HEAD, (b"content-encoding", coding)] if coding else HEAD

    async def serve_h1(peer: H1Peer) -> None:
        await peer.read_head()
        lines = b"".join(b"%b: %b\r\n" % field for field in head)
        await peer.send(
            b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n" % lines
        )
        while data := await queue.get():
            await peer.send(b"%x\r\n%b\r\n" % (len(data), data))
        await peer.send(b"0\r\n\r\n")

    async def serve_h2(stream: H2Stream) -> None:
        await stream.wait_over()
        await stream.send_headers([(b":status", b"200"), *head])
        while data := await queue.get():
            await stream.send_data(data)
        await stream.send_data(b"", end=True)

    origin: ScriptedOrigin | H2Origin
    if far == "h1":
        origin = ScriptedOrigin(serve_h1, tls=tls.server(["http/1.1"]))
    else:
        origin = H2Origin(serve_h2, tls=tls.server(["h2"]))
    async with origin:
        yield f"https://{origin.netloc}/events", queue


class Received:
    """What a client has of a stream, read until a wanted piece is there."""

    def __init__(self, read: Callable[[], "asyncio.Future[bytes]"]) -> None:
        self._read = read
        self.data = b""

    async def wait_for(self, wanted: bytes) -> None:
        async with asyncio.timeout(PATIENT_S):
            while len(self.data) < len(wanted):
                data = await self._read()
                assert data, self.data
                self.data += data
        assert self.data == wanted
        self.data = b""


@contextlib.asynccontextmanager
async def httpx_reader(
    proxy: ProxyProcess, near: Version, url: str
) -> AsyncIterator[Received]:
    async with (
        httpx.AsyncClient(
            proxy=proxy.url,
            verify=client_context(proxy.ca),
            http2=near == "h2",
            trust_env=False,
            timeout=PATIENT_S,
        ) as client,
        client.stream("GET", url) as response,
    ):
        assert response.headers["content-type"] == "text/event-stream"
        chunks = response.aiter_bytes()
        yield Received(lambda: anext(chunks, b""))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def curl_reader(
    proxy: ProxyProcess, near: Version, url: str, home: Path
) -> AsyncIterator[Received]:
    process = await asyncio.create_subprocess_exec(
        tools.require("curl"),
        *("-N", "--silent", "--cacert", str(proxy.ca), "--proxy", proxy.url),
        *("--http2" if near == "h2" else "--http1.1", url),
        stdout=asyncio.subprocess.PIPE,
        env=environment(home),
        start_new_session=True,
    )
    assert process.stdout is not None
    stdout = process.stdout
    try:
        yield Received(lambda: stdout.read(65_536))  # type: ignore[arg-type,return-value]
    finally:
        kill_group(process.pid)
        await process.wait()


STEPS = [
    (b"data: a\n\n", b"data: a\n\n"),
    (b": keep-alive\r\n", b": keep-alive\r\n"),
    (b"\r\nevent: e\r\ndata: x\r\n\r\n", b"\r\nevent: e\r\ndata: !\r\ndata: ?\r\n\r\n"),
    (b"data: dropped\n\ndata: b\n\n", b"data: b\n\n"),
    (b"data: trap\n\n", b"data: trap\n\n"),
    (b"data: i\n\n", b"id: 9\ndata: i\n\n"),
]
"""What the origin sends when all before it has come, and what the client gets of it."""


async def test_each_event_comes_before_the_next_is_sent(
    running: Running, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    proxy = running("event_moods")
    async with (
        event_origin(far, origin_tls) as (url, queue),
    ):
        queue.put_nowait(b"retry: 100\n")
        queue.put_nowait(b"\n")
        async with httpx_reader(proxy, near, url) as received:
            await received.wait_for(b"retry: 100\n\n")
            for sent, wanted in STEPS:
                queue.put_nowait(sent)
                await received.wait_for(wanted)
            queue.put_nowait(b"data: unfinished")
            queue.put_nowait(b"")
            await received.wait_for(b"data: unfinished")


async def test_curl_gets_each_event_as_it_comes(
    running: Running, origin_tls: OriginTls, near: Version, home: Path
) -> None:
    proxy = running("event_moods")
    async with (
        event_origin("h1", origin_tls) as (url, queue),
        curl_reader(proxy, near, url, home) as received,
    ):
        for sent, wanted in STEPS:
            queue.put_nowait(sent)
            await received.wait_for(wanted)
        queue.put_nowait(b"")


async def test_an_event_cut_at_each_byte_is_the_same_event(
    running: Running, origin_tls: OriginTls, far: Version
) -> None:
    proxy = running("event_moods")
    event = b"id: 1\r\nevent: e\r\ndata: x\r\n\r\n"
    changed = b"id: 1\r\nevent: e\r\ndata: !\r\ndata: ?\r\n\r\n"
    async with (
        event_origin(far, origin_tls) as (url, queue),
        httpx_reader(proxy, "h1", url) as received,
    ):
        for at in range(1, len(event) - 1):
            queue.put_nowait(event[:at])
            await asyncio.sleep(0)
            queue.put_nowait(event[at:])
            await received.wait_for(changed)
        # Whole with its last CR: the LF follows.
        for part, wanted in ((event[:-1], changed), (b"\n", b"\n")):
            queue.put_nowait(part)
            await received.wait_for(wanted)
        queue.put_nowait(b"")


async def test_compressed_events_are_decoded_as_they_are_flushed(
    running: Running, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    proxy = running("event_decoder")
    engine = zlib.compressobj(wbits=31)
    async with event_origin(far, origin_tls, coding=b"gzip") as (url, queue):
        flush = engine.flush
        queue.put_nowait(engine.compress(b"data: 0\n\n") + flush(zlib.Z_SYNC_FLUSH))
        async with httpx_reader(proxy, near, url) as received:
            await received.wait_for(b"data: !\n\n")
            for number in range(1, 4):
                data = engine.compress(b"data: %d\n\n" % number)
                queue.put_nowait(data + flush(zlib.Z_SYNC_FLUSH))
                await received.wait_for(b"data: !\n\n")
            queue.put_nowait(engine.flush())
            queue.put_nowait(b"")


@pytest.mark.slow
async def test_ten_thousand_events_and_a_large_one_take_no_memory(
    running: Running, origin_tls: OriginTls, near: Version, far: Version
) -> None:
    proxy = running("event_moods")
    resident = psutil.Process(proxy.process.pid).memory_info
    async with (
        event_origin(far, origin_tls) as (url, queue),
        httpx_reader(proxy, near, url) as received,
    ):
        before = 0
        for block in range(10):
            queue.put_nowait(b"data: x and more of it\n\ndata: d\n\n" * 500)
            await received.wait_for(b"data: !\ndata: ?\n\n" * 500)
            before = before or resident().rss
            assert resident().rss - before < MAX_GROWTH_BYTES, block
        piece = b"y" * (64 * 1024)
        queue.put_nowait(b"data: x")
        await received.wait_for(b"")
        for count in range(256):
            queue.put_nowait(piece)
            if count == 8:
                await received.wait_for(b"data: x" + piece * 9)
            elif count > 8:
                await received.wait_for(piece)
        assert resident().rss - before < MAX_GROWTH_BYTES
        queue.put_nowait(b"\n\ndata: x\n\n")
        await received.wait_for(b"\n\ndata: !\ndata: ?\n\n")
        queue.put_nowait(b"")


async def test_what_happened_is_in_the_flows_record(
    tmp_path: Path, origin_tls: OriginTls, home: Path
) -> None:
    arguments = ("--upstream-ca", origin_tls.ca, "--plugin", GUESTS / "event_moods.wat")
    with ProxyProcess(tmp_path / "kept", *arguments, planes=STORE_ALONE) as proxy:
        async with event_origin("h1", origin_tls) as (url, queue):
            queue.put_nowait(b"data: a\n\ndata: x\n\ndata: d\n\ndata: t\n\n")
            queue.put_nowait(b"")
            async with httpx_reader(proxy, "h1", url) as received:
                await received.wait_for(b"data: a\n\ndata: !\ndata: ?\n\ndata: t\n\n")
    outcome = await run(
        *(sys.executable, "-m", "int3rceptor", "flows", "show", "1", "--explain"),
        *("--data-dir", proxy.data_dir),
        home=home,
        cwd=ROOT,
    )
    shown = outcome.ok().text
    assert "events changed, from event 2 on" in shown
    assert "events dropped, from event 3 on" in shown
    assert "failed: trap: unreachable" in shown
