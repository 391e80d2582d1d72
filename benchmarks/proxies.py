"""Who is measured: how each proxy is installed, started and stopped.

Each starts with a fresh data directory on the proxy core, verifies origins against the
benchmark's CA, and prints no line of its own per request.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError, pause, spawn, stop
from benchmarks.origin import ADDRESS, HOST, Origin, free_port, wait_for_port
from benchmarks.tunnel import Route

REPOSITORY = Path(__file__).parent.parent
PEER_VENV = REPOSITORY / "benchmarks" / ".venv-mitmproxy"
EXAMPLE_LOGGER = REPOSITORY / "guest-plugins" / "example-logger" / "example_logger.wasm"
START_TIMEOUT_S = 20.0
READY_LINE = re.compile(r"listening on (\S+):(\d+)")
PYTHONS = ("python3.14", "python3.13", "python3.12")
DIRECT, INT3RCEPTOR, MITMDUMP = "direct", "int3rceptor", "mitmdump"
SYSTEMS = (DIRECT, MITMDUMP, INT3RCEPTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every start needs."""

    origin: Origin
    workspace: Path
    proxy_core: int
    plugin: Path
    mitmdump: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running proxy, or the origin itself (`pid` None) for comparison."""

    name: str
    via: tuple[str, int] | None
    ca_pem: Path
    pid: int | None
    log: Path

    def route(self, origin: Origin, version: str) -> Route:
        """The way through this system to the origin's port for `version`."""
        port = origin.port(version)
        via = self.via or (ADDRESS, port)
        return Route(via=via, is_proxy=self.via is not None, host=HOST, port=port)


@contextmanager
def running(name: str, setup: Setup, *, is_bulk: bool = False) -> Iterator[System]:
    """Start `name` (one of `SYSTEMS`), as fits the scenario; its log outlives it."""
    folder = setup.workspace / f"{name}-{time.monotonic_ns()}"
    folder.mkdir()
    log = folder / "output.log"
    if name == DIRECT:
        yield System(name=name, via=None, ca_pem=setup.origin.ca_pem, pid=None, log=log)
        return
    port = free_port()
    command = (
        _int3rceptor_command(setup, folder)
        if name == INT3RCEPTOR
        else _mitmdump_command(setup, folder, port, is_bulk)
    )
    with log.open("wb") as output:
        process = spawn(command, setup.proxy_core, output=output)
    try:
        if name == INT3RCEPTOR:
            port = _wait_for_ready_line(process, log)
            ca_pem = folder / "ca.pem"
        else:
            wait_for_port(port, process, log)
            ca_pem = folder / "mitmproxy-ca-cert.pem"
        via = (ADDRESS, port)
        yield System(name=name, via=via, ca_pem=ca_pem, pid=process.pid, log=log)
    finally:
        code = stop(process)
    if name == INT3RCEPTOR and (code != 0 or "Traceback" in log.read_text()):
        shown = log.read_text()[-2000:]
        raise BenchmarkError(f"int3rceptor ended badly (exit code {code}):\n{shown}")


def _int3rceptor_command(setup: Setup, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "int3rceptor", "--listen", f"{ADDRESS}:0"]
    command += ["--data-dir", str(folder), "--upstream-ca", str(setup.origin.ca_pem)]
    # Quiet leaves out its own lines; those of the plugin are still written.
    return [*command, "--plugin", str(setup.plugin), "--quiet"]


def _mitmdump_command(
    setup: Setup, folder: Path, port: int, is_bulk: bool
) -> list[str]:
    settings = [
        f"confdir={folder}",
        # It then trusts this CA alone and need not load the usual hundred.
        f"ssl_verify_upstream_trusted_ca={setup.origin.ca_pem}",
    ]
    if is_bulk:
        # By default it keeps each body whole in memory: no match for a gigabyte.
        settings.append("stream_large_bodies=1m")
    command = [str(setup.mitmdump), "-q", "--listen-host", ADDRESS]
    command += ["--listen-port", str(port)]
    return [*command, *(part for each in settings for part in ("--set", each))]


def _wait_for_ready_line(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready := READY_LINE.search(log.read_text(errors="replace")):
            return int(ready[2])
        pause()
    shown = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"int3rceptor did not get ready:\n{shown}")


def installed_mitmdump() -> Path:
    """mitmdump in a virtual environment of its own, made on first use."""
    mitmdump = PEER_VENV / "bin" / "mitmdump"
    if mitmdump.exists():
        return mitmdump
    print(f"installing mitmproxy into {PEER_VENV.relative_to(REPOSITORY)}")
    pip = str(PEER_VENV / "bin" / "pip")
    try:
        subprocess.run([_newest_python(), "-m", "venv", str(PEER_VENV)], check=True)
        (PEER_VENV / ".gitignore").write_text("*\n")
        subprocess.run([pip, "install", "--quiet", "mitmproxy"], check=True)
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(
            f"cannot install mitmproxy ({error}): give an installation with --mitmdump"
        ) from error
    return mitmdump


def _newest_python() -> str:
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python"))
    on_path = [found for name in PYTHONS if (found := shutil.which(name))]
    for candidate in [*on_path, *(str(path) for path in reversed(pyenv))]:
        # A pyenv shim stands on PATH for versions that are not switched on: try it.
        test = [candidate, "-c", "import ensurepip, venv"]
        if subprocess.run(test, capture_output=True, check=False).returncode == 0:
            return candidate
    raise BenchmarkError(
        "current mitmproxy needs Python 3.12 or newer and none was found: "
        "install one, or give another installation with --mitmdump"
    )


def mitmproxy_versions(mitmdump: Path) -> tuple[str, str]:
    """(installed, newest in the registry; "unknown" where pip cannot tell).

    The second is there because pip falls back to an older release without a word when
    it cannot satisfy the pins of the newest.
    """
    command = [str(mitmdump), "--version"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchmarkError(f"{mitmdump} does not run: {error}") from error
    installed = ran.stdout.split()[1]
    pip = [str(mitmdump.with_name("pip")), "index", "versions", "mitmproxy"]
    try:
        listed = subprocess.run(pip, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return installed, "unknown"
    newest = re.search(r"mitmproxy \(([^)]+)\)", listed)
    return installed, newest[1] if newest else "unknown"
