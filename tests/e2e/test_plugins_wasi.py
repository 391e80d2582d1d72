"""Programs built for WASI as plugins on live traffic: log, files, fetches."""

import json
import shutil
from pathlib import Path

import pytest

from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.compiling import compiled
from tests.e2e.conftest import StartProxy
from tests.e2e.test_plugins import h1_get
from tests.support.clients import secure
from tests.support.h1_peer import response
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, echo, fixed
from tests.support.process import ProxyProcess
from tests.support.wasi_guests import BUILD_S, build

pytestmark = [pytest.mark.guests, pytest.mark.timeout(BUILD_S + 60)]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wasi-guests-live")


@pytest.fixture(scope="session")
def compiled_go(builds: Path) -> Path:
    """A data directory in which the Go program is compiled: that takes seconds, on a
    busy machine more than a test waits for a proxy to start."""
    folder = builds / "data"
    folder.mkdir(mode=0o700)
    module = build("go", builds)
    compiled(module.read_bytes(), str(module), ModuleCache(folder))
    return folder


@pytest.fixture
def go(compiled_go: Path, builds: Path, tmp_path: Path) -> Path:
    """The Go program, compiled already for the proxy of the test."""
    shutil.copytree(compiled_go, tmp_path / "proxy" / "data")
    return build("go", builds)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("out of reach")
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "in.txt").write_text("hello\n")
    return granted


def settings(name: str, folder: Path, *grants: str) -> str:
    granted = json.dumps([f"files:{folder}:rw", *grants])
    return f"""
[plugins.{name}]
grant = {granted}
[plugins.{name}.limits]
fuel = 20_000_000
[plugins.{name}.wasi]
env = {{ MODE = "live", FOLDER = {json.dumps(str(folder))} }}
"""


async def fetched(proxy: ProxyProcess, netloc: str, url: str) -> bytes | None:
    """What the Go program fetched beside the request, as it told the client."""
    async with secure(proxy, netloc, server_name="localhost") as client:
        await client.send(
            f"GET / HTTP/1.1\r\nHost: {netloc}\r\nX-Fetch: {url}\r\n\r\n".encode()
        )
        received = await client.read_response()
        assert received.status == 200
        return received.value("x-fetched")


async def test_a_c_program_logs_and_writes_a_file(
    start_proxy: StartProxy, builds: Path, folder: Path, origin_tls: OriginTls
) -> None:
    config = settings("c", folder)
    proxy = start_proxy("--plugin", build("c", builds), config=config)
    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        for _ in range(3):
            assert (await h1_get(proxy, origin.netloc, "/"))[0] == 200
    proxy.wait_for_line(r"^plugin c: \S+ request 3 live$")
    proxy.wait_for_line(r"^plugin c: \S+ ready$")
    assert (folder / "out.txt").read_text() == "line 1\nline 2\nline 3\n"
    refused = [line for line in proxy.stderr if line.endswith("escape refused")]
    assert len(refused) == 3


async def test_a_go_program_fetches_beside_a_request(
    start_proxy: StartProxy, go: Path, folder: Path, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response(b"a fact")), tls=origin_tls.server()) as facts,
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
    ):
        grant = f"network.private:localhost:{facts.port}"
        config = settings("go", folder, grant)
        proxy = start_proxy("--plugin", go, config=config)
        for _ in range(2):
            seen = await fetched(proxy, origin.netloc, f"{facts.url}/fact")
            assert seen == b"200 a fact"
        assert [one.target for one in facts.requests] == [b"/fact", b"/fact"]
        assert facts.requests[0].value("accept") == b"text/plain"
    proxy.wait_for_line(rf"^plugin go: \S+ fetched from {facts.url}: 200 in \d+ ms$")


async def test_a_fetch_goes_only_where_it_was_granted(
    start_proxy: StartProxy, go: Path, folder: Path, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(fixed(response(b"a fact"))) as facts,
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
    ):
        config = settings(
            "go", folder, "network:localhost:*", "network.private:127.0.0.1:*"
        )
        proxy = start_proxy("--control", "127.0.0.1:0", "--plugin", go, config=config)
        netloc = origin.netloc
        # A host that leads to this machine, without the word for that.
        assert await fetched(proxy, netloc, facts.url) == b"failed -5"
        # One that nobody granted.
        assert await fetched(proxy, netloc, "http://example.com/") == b"failed -5"
        assert facts.peers == []
        # By its address it was granted, but for the proxy's own ports.
        by_address = f"http://127.0.0.1:{facts.port}/"
        assert await fetched(proxy, netloc, by_address) == b"200 a fact"
        assert await fetched(proxy, netloc, f"{proxy.url}/") == b"failed -9"
        assert await fetched(proxy, netloc, f"{proxy.control}/") == b"failed -9"
    proxy.wait_for_line(r"^plugin go: \S+ could not fetch .* not a public address")
    proxy.wait_for_line(r"^plugin go: \S+ could not fetch .* the proxy's own address")
