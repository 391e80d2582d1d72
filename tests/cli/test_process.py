"""The real command: starts, refusals and stops, as a script or a person sees them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENT_S
from tests.support.process import (
    ProxyProcess,
    environment,
    run_once,
    without_judgement,
)

pytestmark = [pytest.mark.e2e, pytest.mark.measured]

ROOT = Path(__file__).resolve().parents[2]
LOGGER = ROOT / "guest-plugins" / "example-logger" / "example_logger.wasm"

ASKS_FOR_MORE = """(module
  (import "env" "host_drop" (func $drop (result i32)))
  (func (export "on_request") (result i32) i32.const 0))"""

UNMEASURED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
"""Coverage, where it runs, loads modules and takes memory of its own."""


def own_page(proxy: tuple[str, int]) -> bytes:
    """The proxy's own page, asked for through the proxy: an exchange without origin."""
    parts = []
    with socket.create_connection(proxy, 5) as client:
        client.sendall(
            b"GET http://int3rceptor.local/ HTTP/1.1\r\n"
            b"Host: int3rceptor.local\r\nConnection: close\r\n\r\n"
        )
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever the test finds, its process does not outlive it."""
    try:
        yield
    finally:
        process.kill()


def refused(folder: Path, *arguments: str | Path) -> str:
    """The one line of a refused start, without its prefix."""
    ended = run_once(folder, arguments)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("int3rceptor: error: ")
    return ended.stderr


def test_first_line_is_the_ready_line_with_the_real_port(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path) as proxy:
        assert proxy.port != 0
        assert proxy.stdout[0] == f"listening on 127.0.0.1:{proxy.port}"
        assert proxy.ca.exists()
        proxy.wait_for_line(rf"curl --proxy {proxy.url} --cacert .*ca\.pem")
        socket.create_connection(proxy.address, 5).close()


def test_run_can_be_spelled_out(tmp_path: Path) -> None:
    class SpelledOut(ProxyProcess):
        def command(self) -> list[str]:
            command = super().command()
            position = command.index("int3rceptor") + 1
            return [*command[:position], "run", *command[position:]]

    with SpelledOut(tmp_path, "--quiet") as proxy:
        ready = f"listening on 127.0.0.1:{proxy.port}"
    assert proxy.stdout == [ready]


def test_starts_without_the_plugin_engine_and_its_like(tmp_path: Path) -> None:
    code = (
        # What measures coverage may be there before.
        "import sys; before = set(sys.modules);"
        "import int3rceptor.cli.main, int3rceptor.cli.run;"
        "print([name for name in"
        " ('typer', 'pydantic', 'rich', 're2', 'wasmtime', 'fastapi', 'sqlite3')"
        " if name in sys.modules and name not in before])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        check=True,
    )

    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("count", "--host", "a")])
def test_a_plain_question_loads_what_answers_it_alone(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    # Each of these takes longer to load than the answer.
    unused = {"typer", "pydantic", "rich", "int3rceptor.config.model", "asyncio"}
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "int3rceptor", "flows", *words],
        capture_output=True,
        text=True,
        env={**environment(tmp_path), **UNMEASURED},
        check=False,
    )
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}

    assert "int3rceptor.store.asking.queries" in loaded
    assert loaded & unused == set()


def test_a_start_with_a_plugin_loads_what_the_plugin_uses_alone(
    tmp_path: Path,
) -> None:
    # Each of these weighs 0.2 to 2 MB, and is loaded when somebody needs it.
    unused = {
        "email.message", "encodings.idna", "fastapi", "html.entities", "http.client",
        "int3rceptor.plugins.authoring", "int3rceptor.plugins.network.fetching",
        "int3rceptor.plugins.wasi.functions", "int3rceptor.plugins.wasi.state",
        "int3rceptor.proxy.h2_server", "int3rceptor.proxy.upstream.h2_client",
        "int3rceptor.proxy.websocket", "int3rceptor.rules.listener", "plistlib",
        "int3rceptor.rules.parsing", "int3rceptor.wire.h2.connection", "mimetypes",
        "pydantic", "rich", "sqlite3", "tempfile", "typer",
    }  # fmt: skip
    variables = {**UNMEASURED, "PYTHONPROFILEIMPORTTIME": "1"}
    with ProxyProcess(tmp_path, "--plugin", LOGGER, variables=variables) as proxy:
        proxy.wait_for_line("plugin example-logger loaded")
        loaded = {line.rpartition("|")[2].strip() for line in proxy.stderr}

    assert "wasmtime" in loaded
    assert loaded & unused == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_start_with_a_plugin_takes_little_memory_of_its_own(tmp_path: Path) -> None:
    def started() -> ProxyProcess:
        return ProxyProcess(tmp_path, "--plugin", LOGGER, variables=UNMEASURED)

    with started():
        pass  # the first one compiles Python and the plugin
    with started() as proxy:
        proxy.wait_for_line("plugin example-logger loaded")
        status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    found = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)

    assert found is not None
    # 60 MB in all are promised; how much of libraries' files counts, 28 MB here, is up
    # to the kernel's read-ahead.
    assert int(found[1]) * 1024 <= 31_500_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_with_exit_code_0(number: int, tmp_path: Path) -> None:
    with without_judgement(ProxyProcess(tmp_path)) as proxy:
        proxy.process.send_signal(number)

        assert proxy.process.wait(10) == 0
    assert [line for line in proxy.stderr if "stopping" not in line] == []


def test_json_mode_prints_nothing_but_json(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "--log-format", "json") as proxy:
        own_page(proxy.address)
        proxy.wait_for_line('"type":"exchange"')
    records = [json.loads(line) for line in proxy.lines]
    assert records[0]["type"] == "ready"
    assert any(record.get("status") == 200 for record in records)


def test_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(
            tmp_path, "--listen", f"127.0.0.1:{port}", "--data-dir", tmp_path
        )

    assert "127.0.0.1" in line
    assert str(port) in line
    assert "in use" in line


def test_foreign_address_is_refused(tmp_path: Path) -> None:
    line = refused(tmp_path, "--listen", "192.0.2.1:0", "--data-dir", tmp_path)

    assert "192.0.2.1" in line


def test_unresolvable_listen_host_is_refused(tmp_path: Path) -> None:
    line = refused(tmp_path, "--listen", "no.invalid:0", "--data-dir", tmp_path)

    assert "no.invalid" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_data_dir_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        line = refused(tmp_path, "--data-dir", tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)

    assert str(tmp_path) in line
    assert "--data-dir" in line


def test_data_dir_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    assert str(file) in refused(tmp_path, "--data-dir", file)
    assert str(file) in refused(tmp_path, "--data-dir", file / "below")


def test_damaged_ca_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "ca.key").write_text("no key")

    line = refused(tmp_path, "--listen", "127.0.0.1:0", "--data-dir", tmp_path)

    assert "ca.pem" in line


@pytest.mark.parametrize("name", ["gone.wasm", "gone.txt"])
def test_missing_plugin_is_refused(name: str, tmp_path: Path) -> None:
    plugin = tmp_path / name

    line = refused(
        tmp_path,
        *("--listen", "127.0.0.1:0", "--data-dir", tmp_path, "--plugin", plugin),
    )

    assert str(plugin) in line


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_upstream_ca_is_refused(content: str | None, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.pem"
    if content is not None:
        anchors.write_text(content)

    line = refused(
        tmp_path,
        *("--listen", "127.0.0.1:0", "--data-dir", tmp_path),
        *("--upstream-ca", anchors),
    )

    assert str(anchors) in line


def test_bad_file_and_flag_are_refused(tmp_path: Path) -> None:
    (tmp_path / "int3rceptor.toml").write_text("[limits]\n\ndrain = 1\n")

    line = refused(tmp_path, "--data-dir", tmp_path)

    assert "int3rceptor.toml:3: limits.drain: no such key" in line
    assert "--listen" in refused(tmp_path, "--listen", "x")


def test_insecure_upstream_is_loud(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, "--insecure-upstream", "--quiet") as proxy:
        proxy.wait_for_line("WARNING: --insecure-upstream")
    assert proxy.stderr[0].startswith("WARNING")


def test_reader_that_went_away_does_not_stop_the_proxy(tmp_path: Path) -> None:
    command = ProxyProcess(tmp_path).command()
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment(tmp_path)
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2])
        process.stdout.close()
        for _ in range(3):
            assert own_page(("127.0.0.1", port)).startswith(b"HTTP/1.1 200")
        process.terminate()
        assert process.wait(10) == 0


OUTPUTS = (["--help"], ["config"], ["ca", "show"], ["flows", "count"])
"""Through rich and without, larger and smaller than a buffer."""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
@pytest.mark.parametrize("arguments", OUTPUTS, ids=lambda one: one[0])
def test_output_that_cannot_be_written_is_one_line(
    arguments: list[str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = with_output(full.fileno(), arguments, tmp_path)

    line = "int3rceptor: error: standard output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (2, line)


@pytest.mark.parametrize("arguments", OUTPUTS, ids=lambda one: one[0])
def test_a_reader_that_leaves_ends_the_command_without_a_word(
    arguments: list[str], tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = with_output(write, arguments, tmp_path)
    finally:
        os.close(write)

    assert (ended.returncode, ended.stderr) == (0, "")


def with_output(
    descriptor: int, arguments: list[str], home: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "int3rceptor", *arguments],
        stdout=descriptor,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
        check=False,
        timeout=PATIENT_S,
    )


def test_quiet_leaves_no_warning_out(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path) as proxy:
        key = proxy.data_dir / "ca.key"
    key.chmod(0o644)
    folder = proxy.data_dir / "plugins"
    folder.mkdir()
    (folder / "asks.wat").write_text(ASKS_FOR_MORE)

    with ProxyProcess(tmp_path, "--quiet") as proxy:
        proxy.wait_for_line(
            "int3rceptor: warning: plugin asks loaded without what it asks for: "
        )

    assert proxy.stdout == [f"listening on 127.0.0.1:{proxy.port}"]
    said = f"int3rceptor: warning: other users could read {key}; it is private now;"
    assert any(line.startswith(said) for line in proxy.stderr)


def test_closed_standard_streams_are_no_obstacle(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ProxyProcess(tmp_path).command()
    command[command.index("127.0.0.1:0")] = f"127.0.0.1:{port}"
    with (
        subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command],
            text=True,
            env=environment(tmp_path),
        ) as process,
        killed_at_the_end(process),
    ):
        wait_for_port(port)
        process.terminate()
        assert process.wait(10) == 0


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENT_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("nothing listens")
