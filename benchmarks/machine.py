"""On what a run happened: machine, programs and their versions."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.peers import PEERS, SBIN
from benchmarks.proxies import OURS
from int3rceptor import __version__

LIBRARIES = ("uvloop", "h11", "wasmtime", "cryptography", "msgspec")


def _first_line(*command: str) -> str:
    """What a program says of its version (nginx: on stderr, and it lives in sbin)."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:{SBIN}")
    shown = subprocess.run(
        [program or command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    return (shown.stdout + shown.stderr).splitlines()[0]


def machine() -> dict[str, str]:
    """Where and with what this ran."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cpu = models[0] if models else platform.machine()
    return {
        "cpu": f"{cpu} x {os.cpu_count()}",
        "system": platform.platform(),
        "python": platform.python_version(),
        "nginx": _first_line("nginx", "-v"),
        "h2load": _first_line("h2load", "--version"),
        "curl": " ".join(_first_line("curl", "--version").split()[:2]),
        "load average at start": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
    }


def versions(systems: set[str]) -> dict[str, str]:
    """Of those that are measured; a peer that is not here is left out."""
    facts: dict[str, str] = {}
    for name, peer in PEERS.items():
        if name not in systems:
            continue
        try:
            peer.find()
        except BenchmarkError:
            continue
        facts[name] = peer.version()
    if systems.intersection(OURS):
        libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        facts["int3rceptor"] = f"{__version__} ({libraries})"
    return facts
