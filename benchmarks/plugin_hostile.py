"""`python -m benchmarks.plugin_hostile`: who waits while a hundred plugins misbehave.

One proxy with all the hostile guests of the tests in its plugin folder, granted what
they ask for and asked about `localhost`; users ask for that, bystanders for 127.0.0.1.
Shown are the waits before there is any plugin, while users meet the hostile ones for
the first time, and later, when most are in quarantine; and how large the proxy was.
"""

import argparse
import asyncio
import os
import re
import tempfile
import time
from pathlib import Path

from benchmarks.measure import BenchmarkError, pause
from benchmarks.plugin_burn import Waits, answer, ask_on, for_a_core_ms, proxy
from tests.support.hostile.live import in_service, put_all, settings

USERS = 4
BYSTANDERS = 2
LOAD_TIMEOUT_S = 150.0
"""A hundred modules, compiled one after the other, each in a process of its own."""

_USED, _ELSEWHERE = "localhost", "nobody.test"


def _loaded(log: Path, pid: int) -> None:
    """Wait for all that can be loaded: their instances are there."""
    wanted, found = in_service(), set[str]()
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        found = set(re.findall(r"plugin (\S+) loaded", said))
        if wanted <= found:
            return
        pause()
    raise BenchmarkError(f"process {pid} did not load {sorted(wanted - found)}")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Phases:
    """The same load again and again, with or without users of the plugins."""

    def __init__(self, port: int, pid: int, there: int, seconds: float) -> None:
        self._port, self._pid, self._there = port, pid, there
        self._seconds = seconds

    async def run(self, name: str, *, users: int) -> None:
        """Load, then print the row of bystanders, and of users if there are any."""
        until = time.monotonic() + self._seconds
        waits = {"127.0.0.1": list[float](), _USED: list[float]()}
        before = for_a_core_ms(self._pid)
        async with asyncio.TaskGroup() as group:
            for host in ["127.0.0.1"] * BYSTANDERS + [_USED] * users:
                url = f"http://{host}:{self._there}/"
                group.create_task(ask_on(self._port, url, waits[host], until))
        core_ms = for_a_core_ms(self._pid) - before
        print(f"{name}: the proxy has {_resident_mb(self._pid):.0f} MB")
        print(Waits("bystanders", waits["127.0.0.1"], core_ms).line())
        if users:
            print(Waits("users", waits[_USED]).line())


async def _measure(folder: Path, port: int, pid: int, seconds: float) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        there = server.sockets[0].getsockname()[1]
        phases = _Phases(port, pid, there, seconds)
        await phases.run("without plugins", users=USERS)
        await asyncio.to_thread(put_all, folder / "data" / "plugins")
        await asyncio.to_thread(_loaded, folder / "output.log", pid)
        name = f"with {len(in_service())} hostile plugins"
        await phases.run(name, users=USERS)
        await phases.run("later", users=USERS)


def main() -> None:
    """Print the rows of each phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "int3rceptor.toml"
        config.write_text(settings(others=_USED, victim=_ELSEWHERE))
        with proxy(folder, "--config", str(config)) as (port, pid):
            asyncio.run(_measure(folder, port, pid, seconds))


if __name__ == "__main__":
    main()
