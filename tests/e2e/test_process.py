"""The process itself: start, ready line, refused starts, drain and stop, exit codes."""

import asyncio
import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import StartProxy
from tests.support.clients import h2_client, raw, refuses_connections, secure
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream, request_head
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess, run_once, without_judgement

pytestmark = pytest.mark.measured


def refused(tmp_path: Path, *arguments: str | Path, word: str) -> str:
    """A start that must fail with one clear line; that line."""
    ended = run_once(tmp_path, ["--listen", "127.0.0.1:0", *arguments])

    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "listening on" not in ended.stdout
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, ended.stderr
    assert word.lower() in lines[0].lower()
    return lines[0]


def test_ready_line_ca_and_a_curl_line(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path) as proxy:
        proxy.wait_for_line("try: curl ")
        lines = proxy.stdout

    assert lines[0] == f"listening on 127.0.0.1:{proxy.port}"
    assert any(str(proxy.ca) in line for line in lines)
    assert stat.S_IMODE((proxy.data_dir / "ca.key").stat().st_mode) == 0o600


def test_quiet_keeps_the_ready_line_alone(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "--quiet") as proxy:
        pass

    assert proxy.stdout == [f"listening on 127.0.0.1:{proxy.port}"]


def test_accepted_flags_of_later_releases(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "--control", "off", "--no-store") as proxy:
        assert proxy.port


def test_ca_is_kept_between_runs(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path) as proxy:
        first = proxy.ca.read_bytes()
    with ProxyProcess(tmp_path) as proxy:
        second = proxy.ca.read_bytes()

    assert first == second


def test_missing_data_dir_is_made(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path / "not/there/yet") as proxy:
        assert proxy.ca.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with without_judgement(ProxyProcess(tmp_path)) as proxy:
        proxy.process.send_signal(number)
        code = proxy.process.wait(PATIENT_S)

    assert code == 0
    assert "Traceback" not in "\n".join(proxy.lines)


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = run_once(
            tmp_path, ["--listen", f"127.0.0.1:{port}", "--data-dir", tmp_path / "data"]
        )

    assert ended.returncode == 2
    assert str(port) in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_read_only_data_dir(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        # Modes do not stop root; the kernel's own file system does.
        folder = Path("/proc/self")

    refused(tmp_path, "--data-dir", folder, word=str(folder))


def test_data_dir_that_cannot_be_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    refused(tmp_path, "--data-dir", file, word=str(file))
    refused(tmp_path, "--data-dir", file / "below", word=str(file))


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
@pytest.mark.parametrize(
    "content", [b"", b"garbage", None], ids=["empty", "bad", "gone"]
)
def test_damaged_ca_pair(tmp_path: Path, name: str, content: bytes | None) -> None:
    with ProxyProcess(tmp_path) as proxy:
        pass
    path = proxy.data_dir / name
    kept = {file.name: file.read_bytes() for file in proxy.data_dir.glob("ca.*")}
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    refused(tmp_path, "--data-dir", proxy.data_dir, word=name)

    # What is left of the pair was not overwritten by a new one.
    (other,) = {"ca.pem", "ca.key"} - {name}
    assert (proxy.data_dir / other).read_bytes() == kept[other]


def test_mismatched_ca_pair(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        with ProxyProcess(tmp_path / folder):
            pass
    one, two = tmp_path / "one/data", tmp_path / "two/data"
    (one / "ca.key").write_bytes((two / "ca.key").read_bytes())

    refused(tmp_path, "--data-dir", one, word="ca.key")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--no-such-flag"], "--no-such-flag"),
        (["--listen", "nonsense"], "nonsense"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--listen", "\udcff:0"], "cannot listen on \\xff port 0"),
        (["--plugin", "missing.wasm"], "missing.wasm"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--upstream-ca", "missing.pem"], "missing.pem"),
        (["--quiet", "--verbose"], "quiet"),
    ],
    ids=["flag", "address", "port", "byte", "plugin", "config", "upstream-ca", "both"],
)
def test_bad_flag(tmp_path: Path, arguments: list[str], word: str) -> None:
    ended = run_once(tmp_path, ["--data-dir", tmp_path / "data", *arguments])

    assert ended.returncode == 2
    assert word in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("quiet = 'sometimes'", "quiet"),
        ("no_such_key = 1", "no_such_key"),
        ("[tls]\nclient_http2 = 'maybe'", "client_http2"),
        ("[upstream]\nconnect_timeout_s = -1", "connect_timeout_s"),
        ("not toml at all", "int3rceptor.toml"),
    ],
    ids=["type", "unknown", "choice", "bound", "syntax"],
)
def test_bad_config_file(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "int3rceptor.toml"
    path.write_text(text)

    refused(tmp_path, "--data-dir", tmp_path / "d", "--config", path, word=word)


async def test_stop_lets_a_running_exchange_end(tmp_path: Path) -> None:
    asked, stopping = asyncio.Event(), asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await stopping.wait()
        await peer.send(response(b"after the signal"))

    proxy = ProxyProcess(tmp_path)
    with without_judgement(proxy):
        async with ScriptedOrigin(slow) as origin, raw(proxy) as client:
            await client.send(
                f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
            )
            await asked.wait()
            proxy.process.send_signal(signal.SIGTERM)
            # New connections are refused once the signal was heard.
            await refuses_connections(proxy)
            stopping.set()
            answer = await client.read_response()
            rest = await client.read_to_end()
        code = await asyncio.to_thread(proxy.process.wait, PATIENT_S)

    assert (answer.text, rest, code) == ("after the signal", b"", 0)


async def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.read_to_end()

    config = "[limits]\ndrain_s = 600\n"
    with without_judgement(ProxyProcess(tmp_path, config=config)) as proxy:
        async with ScriptedOrigin(silent) as origin, raw(proxy) as client:
            head = f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n"
            await client.send(head.encode())
            await asked.wait()
            for number in (signal.SIGTERM, signal.SIGINT):
                proxy.process.send_signal(number)
            assert await asyncio.to_thread(proxy.process.wait, PATIENT_S) == 0
            assert not client.received

    told = "int3rceptor: warning: cutting 1 connections that did not end"
    assert proxy.stderr == [told]


async def test_stop_drains_http2(tmp_path: Path, origin_tls: OriginTls) -> None:
    asked, stopping = asyncio.Event(), asyncio.Event()

    async def slow(stream: H2Stream) -> None:
        asked.set()
        await stopping.wait()
        await stream.respond(200, b"after the signal")

    proxy = ProxyProcess(tmp_path, "--upstream-ca", origin_tls.ca)
    with without_judgement(proxy):
        async with (
            H2Origin(slow, tls=origin_tls.server(["h2"])) as origin,
            h2_client(proxy, origin.netloc) as client,
        ):
            stream = await client.open(request_head("GET", origin.netloc, "/"))
            await asked.wait()
            proxy.process.send_signal(signal.SIGTERM)
            await client.wait_until(lambda: client.goaway is not None)
            stopping.set()
            await stream.wait_over()
        code = await asyncio.to_thread(proxy.process.wait, PATIENT_S)

    assert (stream.text, stream.is_ended, code) == ("after the signal", True, 0)


async def test_live_line_per_exchange(start_proxy: StartProxy) -> None:
    proxy = start_proxy()

    async with (
        AnsweringOrigin(fixed(response(b"shown"))) as origin,
        raw(proxy) as client,
    ):
        await client.send(
            f"GET {origin.url}/live HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
        )
        await client.read_response()

        line = proxy.wait_for_line("/live")
    assert "GET" in line
    assert " 200 " in line
    assert origin.netloc in line


async def test_no_live_line_when_quiet(start_proxy: StartProxy) -> None:
    proxy = start_proxy("--quiet")

    async with AnsweringOrigin(fixed(response())) as origin, raw(proxy) as client:
        await client.send(
            f"GET {origin.url}/live HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
        )
        await client.read_response()

    assert not [line for line in proxy.stdout if "/live" in line]


async def test_connections_leave_nothing_open(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy(config="[upstream]\nidle_expiry_s = 0.2\n")
    process = psutil.Process(proxy.process.pid)

    async def visit(netloc: str, *, rudely: bool) -> None:
        async with secure(proxy, netloc) as client:
            head = f"GET / HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode()
            await client.send(head[:20] if rudely else head)
            if rudely:
                client.reset()
            else:
                await client.read_response()

    async with AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin:
        await visit(origin.netloc, rudely=False)
        before = process.num_fds()
        for _ in range(5):
            visits = [visit(origin.netloc, rudely=bool(one % 2)) for one in range(20)]
            await asyncio.gather(*visits)
        # The kept origin connection of `before` may be gone by then, not doubled.
        async with asyncio.timeout(PATIENT_S):
            while process.num_fds() > before:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.1)
