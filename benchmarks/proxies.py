"""The systems that are measured: the origin alone, INT3RCEPTOR, and each peer.

Each starts with a fresh data directory on the proxy core. Knows no load.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.measure import BenchmarkError, pause, settle, spawn, stop, usage
from benchmarks.origin import ADDRESS, HOST, Origin, free_port, wait_for_port
from benchmarks.peers import PEERS, Place
from benchmarks.plugin_calls import THREE_CALLS
from benchmarks.tunnel import Route

REPOSITORY = Path(__file__).parent.parent
EXAMPLE_LOGGER = REPOSITORY / "guest-plugins" / "example-logger" / "example_logger.wasm"
START_TIMEOUT_S = 60.0
# A hub that had to be started again was not measured, whatever its successor did.
ENDED_BADLY = re.compile(r"Traceback|the hub ended")
READY_LINE = re.compile(r"listening on (\S+):(\d+)")
DIRECT, INT3RCEPTOR = "direct", "int3rceptor"
NO_STORE, BARE = "int3rceptor-no-store", "int3rceptor-bare"
NO_PLUGIN, STAMP = "int3rceptor-no-plugin", "int3rceptor-stamp"
WORKERS = "int3rceptor-2-workers"
STAMP_PLUGIN = "stamp.wat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What of the program runs. What a part costs is told by difference."""

    has_store: bool
    plugin: Literal["logger", "stamp", ""]
    workers: int = 1


OURS = {
    INT3RCEPTOR: Variant(has_store=True, plugin="logger"),
    NO_PLUGIN: Variant(has_store=True, plugin=""),
    STAMP: Variant(has_store=True, plugin="stamp"),
    NO_STORE: Variant(has_store=False, plugin="logger"),
    BARE: Variant(has_store=False, plugin=""),
    WORKERS: Variant(has_store=True, plugin="logger", workers=2),
}
SYSTEMS = (DIRECT, *PEERS, *OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every start needs. `commands` remembers how each system was started."""

    origin: Origin
    origin_folder: Path
    workspace: Path
    load_core: int
    proxy_core: int
    plugin: Path
    commands: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a scenario asks of a start, beside the defaults.

    `settings` are INT3RCEPTOR's, `options` mitmdump's; no other peer has one that a
    scenario needs.
    """

    origin_version: str = "h1"
    settings: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


PLAIN_FIT = Fit()


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running proxy, or the origin itself (`pid` None) for comparison.

    `fresh_rss_bytes` is the size of INT3RCEPTOR's first process before any request.
    """

    name: str
    via: tuple[str, int] | None
    ca_pem: Path
    pid: int | None
    folder: Path
    takes_connect: bool = True
    fresh_rss_bytes: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def route(self, origin: Origin, version: str) -> Route:
        """The way through this system to the origin's port for `version`."""
        port = origin.port(version)
        via = self.via or (ADDRESS, port)
        is_proxy = self.via is not None and self.takes_connect
        return Route(via=via, is_proxy=is_proxy, host=HOST, port=port)


@contextmanager
def running(name: str, setup: Setup, fit: Fit = PLAIN_FIT) -> Iterator[System]:
    """Start `name` (one of `SYSTEMS`), as fits the scenario; its log outlives it."""
    folder = setup.workspace / f"{name}-{time.monotonic_ns()}"
    folder.mkdir()
    if name == DIRECT:
        ca_pem = setup.origin.ca_pem
        yield System(name=name, via=None, ca_pem=ca_pem, pid=None, folder=folder)
    elif name in OURS:
        with _running_ours(name, setup, folder, fit) as system:
            yield system
    else:
        with _running_peer(name, setup, folder, fit) as system:
            yield system


@contextmanager
def _running_ours(name: str, setup: Setup, folder: Path, fit: Fit) -> Iterator[System]:
    command = int3rceptor_command(name, setup, folder, fit.settings)
    log = folder / "output.log"
    process = _started(name, command, setup, folder)
    try:
        port = _wait_for_ready_line(process, log)
        if OURS[name].has_store:
            settle(process.pid)
        yield System(
            name=name,
            via=(ADDRESS, port),
            ca_pem=folder / "ca.pem",
            pid=process.pid,
            folder=folder,
            fresh_rss_bytes=usage(process.pid).own_rss_bytes,
        )
    finally:
        code = stop(process)
    shown = log.read_text(errors="replace")
    if code != 0 or ENDED_BADLY.search(shown):
        told = [line for line in shown.splitlines() if "plugin " not in line]
        last = "\n".join(told)[-2000:]
        raise BenchmarkError(f"int3rceptor did badly (exit code {code}):\n{last}")


@contextmanager
def _running_peer(name: str, setup: Setup, folder: Path, fit: Fit) -> Iterator[System]:
    peer, port = PEERS[name], free_port()
    place = Place(
        folder=folder,
        port=port,
        origin_ca=setup.origin.ca_pem,
        origin_port=setup.origin.port(fit.origin_version),
        options=fit.options,
    )
    process = _started(name, peer.command(place), setup, folder)
    try:
        wait_for_port(port, process, folder / "output.log")
        yield System(
            name=name,
            via=(ADDRESS, port),
            ca_pem=folder / peer.ca_name,
            pid=process.pid,
            folder=folder,
            takes_connect=peer.takes_connect,
        )
    finally:
        stop(process)


def _started(
    name: str, command: list[str], setup: Setup, folder: Path
) -> subprocess.Popen[bytes]:
    shown = " ".join(command).replace(str(folder), "DIR")
    shown = shown.replace(str(setup.origin_folder), "ORIGIN")
    shown = shown.replace(sys.executable, "python").replace(f"{REPOSITORY}/", "")
    shown = re.sub(r"(127\.0\.0\.1[ :]|port )[1-9]\d*", r"\1PORT", shown)
    setup.commands.setdefault(name, shown)
    with (folder / "output.log").open("wb") as output:
        return spawn(command, setup.proxy_core, output=output)


def int3rceptor_command(
    name: str, setup: Setup, folder: Path, settings: Mapping[str, str]
) -> list[str]:
    """As a user has it, store, hub and plugin on, or what `name` leaves of them."""
    variant = OURS[name]
    command = ["env", *(f"INT3RCEPTOR_{key}={text}" for key, text in settings.items())]
    command += [sys.executable, "-m", "int3rceptor", "--listen", f"{ADDRESS}:0"]
    command += ["--data-dir", str(folder), "--upstream-ca", str(setup.origin.ca_pem)]
    if variant.has_store:
        command += ["--control", f"{ADDRESS}:0"]
    else:
        command += ["--control", "off", "--no-store"]
    if variant.workers > 1:
        command += ["--workers", str(variant.workers)]
    if variant.plugin == "logger":
        command += ["--plugin", str(setup.plugin)]
    elif variant.plugin == "stamp":
        (folder / STAMP_PLUGIN).write_text(THREE_CALLS)
        command += ["--plugin", str(folder / STAMP_PLUGIN)]
    # Quiet leaves out its own lines; those of the plugin are still written.
    return [*(command if settings else command[1:]), "--quiet"]


def kept_flows(system: System) -> int:
    """How many flows `int3rceptor flows count` finds in the data directory."""
    command = [sys.executable, "-m", "int3rceptor", "flows", "count"]
    ran = subprocess.run(
        [*command, "--data-dir", str(system.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0 or not ran.stdout.strip().isdigit():
        raise BenchmarkError(
            f"`int3rceptor flows count` said: {ran.stdout}{ran.stderr}"
        )
    return int(ran.stdout)


def _wait_for_ready_line(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready := READY_LINE.search(log.read_text(errors="replace")):
            return int(ready[2])
        pause()
    shown = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"int3rceptor did not get ready:\n{shown}")
