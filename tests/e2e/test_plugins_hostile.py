"""All hostile guests at once in one proxy that serves: the flows of others go well."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import StartProxy
from tests.support.clients import h2_client, secure
from tests.support.guests import guest_file, put
from tests.support.h1_peer import response
from tests.support.hostile import hostile
from tests.support.hostile.live import (
    VICTIM,
    faulty,
    in_service,
    live,
    put_all,
    settings,
)
from tests.support.load import until
from tests.support.nginx import SMALL, Nginx
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.process import ProxyProcess

BYSTANDER = "127.0.0.1"
REQUESTS = 25
"""Of each client: five faults are a quarantine."""

H1_CLIENTS, H2_STREAMS = 3, 6
ANSWER_S = 60.0
"""Of a request that all of them act on, until they are in quarantine: each up to its
own limits, one after the other, on a machine that runs other tests too."""

LOAD_S = 240.0
"""A hundred modules are compiled one after the other, each in a process."""

MAX_GROWTH_BYTES = 96 * 1024 * 1024
"""What the proxy may grow by while all of them act: sixty instances whose memories are
16 MiB at most, most of which is never touched."""

QUARANTINED = re.compile(r"plugin (\w+) is in quarantine")

MAX_UNTOLD = 5
"""Of what they print, 14 MB, a busy machine does not show some hundred lines, and says
so; a few of ours may be among them."""

MORE_THREADS = 8 + 1 + 6
"""What plugins leave: threads for slow calls and the clock of their limits, which wait
for the next plugin; and the event loop's own, which read files."""


@asynccontextmanager
async def served(
    start_proxy: StartProxy, config: str
) -> AsyncIterator[tuple[ProxyProcess, psutil.Process, Path]]:
    proxy = start_proxy(config=config)
    yield proxy, psutil.Process(proxy.process.pid), proxy.data_dir / "plugins"


def open_files(process: psutil.Process) -> Counter[str]:
    """What it holds open besides connections, which wait for the next request."""
    held: Counter[str] = Counter()
    for one in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            held[re.sub(r"\d+", "", str(one.readlink()))] += 1
    del held["socket:[]"]
    return held


async def closed_again(process: psutil.Process, before: Counter[str]) -> None:
    """Until it holds no more files open than before."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: open_files(process) <= before)
    assert not open_files(process) - before


async def told(proxy: ProxyProcess, pattern: str, within_s: float = 30.0) -> None:
    await asyncio.to_thread(proxy.wait_for_line, pattern, within_s)


def has_said(proxy: ProxyProcess, pattern: str) -> bool:
    return any(re.search(pattern, line) for line in proxy.stderr)


def untold(proxy: ProxyProcess) -> set[str]:
    """Those that should be in quarantine, and whose line is not there."""
    out = {name for name in faulty() if not name.startswith("chunk_")}
    for line in proxy.stderr:
        if " is in quarantine" in line and (found := QUARANTINED.search(line)):
            out.discard(found[1])
    return out


def is_told(proxy: ProxyProcess) -> bool:
    """Whether all of them were told of, but for a few in lines that were left out."""
    left = len(untold(proxy))
    return not left or (left <= MAX_UNTOLD and has_said(proxy, "lines not shown"))


async def h1_asks(proxy: ProxyProcess, netloc: str, mark: str) -> None:
    async with secure(proxy, netloc, server_name=BYSTANDER) as client:
        client.read_s = ANSWER_S
        for number in range(REQUESTS):
            path = f"/small.txt?{mark}-{number}"
            await client.send(f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
            got = await client.read_response()
            assert (got.status, got.body) == (200, SMALL)


async def h2_asks(proxy: ProxyProcess, netloc: str) -> None:
    async with h2_client(proxy, netloc, server_name=BYSTANDER) as client:
        client.wait_s = ANSWER_S
        for number in range(REQUESTS):
            asked = (
                client.request("GET", netloc, f"/small.txt?{number}-{stream}")
                for stream in range(H2_STREAMS)
            )
            for got in await asyncio.gather(*asked):
                assert (got.status, bytes(got.body)) == (200, SMALL)


async def bystanders(proxy: ProxyProcess, nginx: Nginx) -> None:
    """Several clients at once; each answer must be whole and right."""
    h1, h2 = (f"{BYSTANDER}:{nginx.ports[one]}" for one in ("h1", "h2"))
    async with asyncio.TaskGroup() as clients:
        for number in range(H1_CLIENTS):
            clients.create_task(h1_asks(proxy, h1, f"c{number}"))
        clients.create_task(h2_asks(proxy, h2))


async def victim_gets(proxy: ProxyProcess, nginx: Nginx) -> bytes:
    """What one request whose exchange plugins may end gets: nothing, or an answer."""
    netloc = f"{VICTIM}:{nginx.ports['h1']}"
    try:
        async with secure(proxy, netloc, server_name=VICTIM) as client:
            await client.send(f"GET / HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
            return (await client.read_response()).body
    except (EOFError, OSError):
        return b""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_all_at_once_hurt_nobody_else(
    start_proxy: StartProxy, nginx: Nginx
) -> None:
    config = f'{settings()}\n[plugins.guard]\ngrant = ["respond"]\n'
    async with served(start_proxy, config) as (proxy, process, folder):
        await bystanders(proxy, nginx)
        files, threads = open_files(process), process.num_threads()

        put_all(folder)
        serving = in_service()
        for one in live():
            if one.name not in serving:
                await told(proxy, rf"{one.name}\b.*: ", LOAD_S)
        for name in sorted(serving):
            await told(proxy, rf"plugin {name} loaded", LOAD_S)
        before = process.memory_info().rss

        await bystanders(proxy, nginx)
        assert await victim_gets(proxy, nginx) in (b"", b"mine")
        await bystanders(proxy, nginx)

        assert process.memory_info().rss - before < MAX_GROWTH_BYTES
        await until(lambda: is_told(proxy))
        good = serving - {*faulty(), "everything_ungranted"}  # that one may look
        assert not [name for name in good if has_said(proxy, f"{name} is in quarant")]

        for path in folder.iterdir():
            path.unlink()
        for name in sorted(serving):
            await told(proxy, rf"plugin {name} unloaded", LOAD_S)
        lines = len(proxy.stderr)
        await bystanders(proxy, nginx)
        assert not [line for line in proxy.stderr[lines:] if "plugin" in line]
        assert await victim_gets(proxy, nginx) not in (b"", b"mine")
        await closed_again(process, files)
        assert process.num_threads() <= threads + MORE_THREADS

        put(folder, "guard", guest_file("unreachable").read_bytes(), BLOCKS)
        await told(proxy, "plugin guard loaded")
        assert b"guard" in await victim_gets(proxy, nginx)
        assert not any("guard" in str(one["uri"]) for one in nginx.requests())


BLOCKS = 'on_error = "block"\n'

GROWN = 900 * 1024
BODY = bytes(256 * 1024)
PIECE = 16 * 1024


@pytest.mark.slow
async def test_a_body_grown_fifty_fold_does_not_grow_the_proxy(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    """What a plugin makes of a chunk waits for its client before the next is asked."""
    (grower,) = (one for one in hostile() if one.name == "chunk_growth")
    grants = '[plugins.grower]\ngrant = ["body.modify"]\n'
    async with (
        served(start_proxy, grants) as (proxy, process, folder),
        AnsweringOrigin(fixed(response(BODY)), tls=origin_tls.server()) as origin,
    ):
        put(folder, "grower", grower.module)
        await told(proxy, "plugin grower loaded")
        before = process.memory_info().rss
        async with secure(proxy, origin.netloc) as client:
            ask = f"GET / HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n"
            await client.send(ask.encode())
            got = await client.read_response()
        assert len(got.body) >= len(BODY) // PIECE * GROWN
        assert process.memory_info().rss - before < MAX_GROWTH_BYTES
