"""Plugin files that change, break, appear and go while the proxy carries traffic."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.asking import ask_secure
from tests.support.clients import h2_client, secure
from tests.support.guests import burner, put, sayer, stamper
from tests.support.h1_peer import Message, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin
from tests.support.process import ProxyProcess

RELOADS = 50
VERSIONS = ("first", "second", "third")
H1_CLIENTS, H2_STREAMS = 4, 4


@pytest.fixture
async def origin(origin_tls: OriginTls) -> AsyncIterator[AnsweringOrigin]:
    async with AnsweringOrigin(stamped, tls=origin_tls.server()) as running:
        yield running


@pytest.fixture
async def h2_origin(origin_tls: OriginTls) -> AsyncIterator[H2Origin]:
    async with H2Origin(stamped_h2, tls=origin_tls.server(["h2"])) as running:
        yield running


def stamped(request: Message) -> bytes:
    """An answer whose body is the version that touched the request."""
    return response(request.value("x-version") or b"none")


async def stamped_h2(stream: H2Stream) -> None:
    await stream.wait_over()
    await stream.respond(200, stream.value("x-version") or b"none")


@dataclass(slots=True)
class Traffic:
    """What clients got until they were told to stop."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)

    def judge(self, status: int, version: bytes | None, body: bytes) -> None:
        """Whole, and touched by one version in both hooks."""
        assert status == 200
        assert version is not None
        assert version == body
        self.seen.append(version.decode())

    async def h1(self, proxy: ProxyProcess, netloc: str) -> None:
        async with secure(proxy, netloc, server_name="localhost") as client:
            while not self.stop.is_set():
                await client.send(f"GET / HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
                got = await client.read_response()
                self.judge(got.status, got.value("x-version"), got.body)

    async def h2(self, proxy: ProxyProcess, netloc: str) -> None:
        async with h2_client(proxy, netloc) as client, asyncio.TaskGroup() as group:

            async def ask_on() -> None:
                while not self.stop.is_set():
                    got = await client.request("GET", netloc, "/")
                    self.judge(got.status, got.value("x-version"), bytes(got.body))

            for _ in range(H2_STREAMS):
                group.create_task(ask_on())


async def told(proxy: ProxyProcess, line: str, count: int = 1) -> None:
    """Until the proxy has said so this often; the loop serves the origin meanwhile."""
    await asyncio.to_thread(proxy.wait_for_line, re.escape(line), 30.0, count)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_fifty_reloads_at_full_traffic_fail_no_request(
    start_proxy: StartProxy,
    origin: AnsweringOrigin,
    h2_origin: H2Origin,
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "one", stamper(VERSIONS[0]))
    proxy = start_proxy("--plugin", path)
    traffic = Traffic()
    async with asyncio.TaskGroup() as clients:
        for _ in range(H1_CLIENTS):
            clients.create_task(traffic.h1(proxy, origin.netloc))
        clients.create_task(traffic.h2(proxy, h2_origin.netloc))
        for number in range(1, RELOADS + 1):
            put(tmp_path, "one", stamper(VERSIONS[number % len(VERSIONS)]))
            proxy.process.send_signal(signal.SIGHUP)
            await told(proxy, "plugin one reloaded", number)
        traffic.stop.set()
    assert set(traffic.seen) == set(VERSIONS)
    assert len(traffic.seen) > 2 * RELOADS
    assert not [line for line in proxy.stderr if "one" in line and "fail" in line]


async def test_a_saved_file_counts_by_itself_and_a_broken_one_does_not(
    start_proxy: StartProxy, origin: AnsweringOrigin, tmp_path: Path
) -> None:
    proxy = start_proxy("--plugin", put(tmp_path, "one", stamper("1")))

    async def version() -> bytes | None:
        return (await ask_secure(proxy, origin.netloc)).value("x-version")

    assert await version() == b"1"
    put(tmp_path, "one", stamper("2"))
    await told(proxy, "plugin one reloaded")
    assert await version() == b"2"

    put(tmp_path, "one", "(module")
    await told(proxy, "not a usable WebAssembly module")
    await told(proxy, "; the version of before serves on")
    assert await version() == b"2"

    put(tmp_path, "one", burner().replace("on_request", "on_connect"))
    await told(proxy, "plugin one reloaded", 2)
    assert await version() is None
    assert len([line for line in proxy.stderr if "usable" in line]) == 1


async def test_the_folder_is_followed_into_and_out_of_being(
    start_proxy: StartProxy, origin: AnsweringOrigin
) -> None:
    """A proxy that began without plugins loads the engine for the first."""
    proxy = start_proxy()
    folder = proxy.data_dir / "plugins"
    put(folder, "late", sayer("here"))
    await told(proxy, "plugin late loaded")
    await ask_secure(proxy, origin.netloc)
    await told(proxy, "plugin late: INFO here")

    put(folder, "late", sayer("again"), "priority = 3")
    await told(proxy, "plugin late reloaded")
    (folder / "late.wat").unlink()
    await told(proxy, "plugin late unloaded: its file is gone")
    before = len(proxy.stderr)
    await ask_secure(proxy, origin.netloc)
    assert not [line for line in proxy.stderr[before:] if "plugin late" in line]


async def test_a_version_that_asks_for_more_waits_for_a_grant_in_the_file(
    start_proxy: StartProxy, origin: AnsweringOrigin
) -> None:
    proxy = start_proxy()
    folder = proxy.data_dir / "plugins"
    put(folder, "one", sayer("old"))
    await told(proxy, "plugin one loaded")
    put(folder, "one", stamper("new"))
    await told(proxy, "+request.modify +response.modify")
    assert (await ask_secure(proxy, origin.netloc)).value("x-version") is None

    grants = proxy.data_dir / "plugin-grants.toml"
    grants.write_text('[one]\ngrant = ["request.modify", "response.modify"]\n')
    await told(proxy, "plugin one reloaded")
    assert (await ask_secure(proxy, origin.netloc)).value("x-version") == b"new"


async def test_hanging_up_reads_rules_again_at_once(
    start_proxy: StartProxy, origin: AnsweringOrigin, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("")
    proxy = start_proxy("--rules", rules)
    rules.write_text('[[rules]]\nname = "no"\nmatch = {}\nblock = true\n')
    proxy.process.send_signal(signal.SIGHUP)
    await told(proxy, "rules in force: 1")
    assert (await ask_secure(proxy, origin.netloc)).status == 403
