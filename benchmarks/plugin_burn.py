"""`python -m benchmarks.plugin_burn`: who waits while a plugin burns its five seconds.

One proxy, one plugin in scope for `localhost` that computes until its wall clock limit
ends it, and clients of two kinds: bystanders ask for 127.0.0.1, which it is never asked
about, and users for localhost. What a bystander waits more than before is the harm.

On a busy machine most of any wait is for a core, whoever burns. So the kernel's own
count of that wait (schedstat) is shown for the thread of the proxy's loop: what is left
is what the plugin holds up by other means.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError, pause, stop

WALL_S = 5.0
USERS = 8
BYSTANDERS = 2
PACE_S = 0.002  # between a bystander's answer and its next request
READY_LINE = re.compile(r"listening on (\S+):(\d+)")
START_TIMEOUT_S = 20.0

_HEAD = '(module (import "env" "host_get_memory_size" (func $call (result i32)))'
_LOOP = '(func (export "on_request") (result i32) (loop $l {work} (br $l)) i32.const 0)'
PLUGINS = {
    "computes": f"{_HEAD} {_LOOP.format(work='')})",
    "calls the host": f"{_HEAD} {_LOOP.format(work='(drop (call $call))')})",
}
"""Two ways to burn: without the interpreter's lock, and taking it again and again."""

MANIFEST = f"""[limits]
fuel = 10_000_000_000
host_calls = 1_000_000
wall_s = {WALL_S}
[scope]
hosts = ["localhost"]
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, in ms."""

    of: str
    times_ms: list[float]
    for_a_core_ms: float = 0.0

    def line(self) -> str:
        """As a row of the report."""
        if not self.times_ms:
            return f"  {self.of:<28} none"
        ordered = sorted(self.times_ms)
        p99 = ordered[int(len(ordered) * 0.99)]
        middle = statistics.median(ordered)
        line = (
            f"  {self.of:<28} {len(ordered):6d} answers   p50 {middle:8.2f} ms   "
            f"p99 {p99:8.2f} ms   worst {ordered[-1]:8.2f} ms"
        )
        if self.for_a_core_ms:
            each = self.for_a_core_ms / len(ordered)
            mean = statistics.fmean(ordered)
            line += f"   mean {mean:6.2f} ms, at most {each:6.2f} of it for a core"
        return line


@contextmanager
def proxy(folder: Path, *arguments: str) -> Iterator[tuple[int, int]]:
    """A proxy on all cores, as a user has it; its port and process. What it says is in
    `output.log`."""
    command = [sys.executable, "-m", "int3rceptor", "--listen", "127.0.0.1:0"]
    command += ["--data-dir", str(folder / "data"), *arguments]
    command += ["--control", "off", "--no-store"]
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield port_of(log), process.pid
    finally:
        stop(process)


def _plugin(folder: Path, plugin: str) -> tuple[str, str]:
    module = folder / "burn.wat"
    module.write_text(plugin)
    module.with_suffix(".toml").write_text(MANIFEST)
    return "--plugin", str(module)


def port_of(log: Path) -> int:
    """The port that it says it listens on."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if ready := READY_LINE.search(log.read_text(errors="replace")):
            return int(ready[2])
        pause()
    raise BenchmarkError(f"no ready line:\n{log.read_text(errors='replace')}")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An origin that says ok to everything."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
        writer.close()


async def ask_on(port: int, url: str, times_ms: list[float], until: float) -> None:
    """Ask again and again on one connection; every answer must be the origin's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    host = url.split("/")[2]
    request = f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError(f"not the answer: {head!r}")
        if b"chunked" in head.lower():  # a plugin has looked at its chunks
            await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            await reader.readexactly(2)
        times_ms.append((time.perf_counter() - began) * 1_000)
        await asyncio.sleep(PACE_S)
    writer.close()


def for_a_core_ms(pid: int) -> float:
    """What the process's first thread, its loop's, has waited for a core so far."""
    schedstat = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
    return int(schedstat.split()[1]) / 1_000_000


async def _measured(port: int, pid: int, seconds: float) -> list[Waits]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    there = server.sockets[0].getsockname()[1]
    alone, beside, users = list[float](), list[float](), list[float]()

    async def bystanders(times_ms: list[float]) -> None:
        until, url = time.monotonic() + seconds, f"http://127.0.0.1:{there}/"
        asking = (ask_on(port, url, times_ms, until) for _ in range(BYSTANDERS))
        await asyncio.gather(*asking)

    async with server:
        marks = [for_a_core_ms(pid)]
        await bystanders(alone)
        marks.append(for_a_core_ms(pid))
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(USERS):
                url = f"http://localhost:{there}/"
                group.create_task(ask_on(port, url, users, until))
            await asyncio.sleep(0.5)
            group.create_task(bystanders(beside))
        marks.append(for_a_core_ms(pid))
    return [
        Waits("bystanders, nobody burns", alone, marks[1] - marks[0]),
        Waits("bystanders, while it burns", beside, marks[2] - marks[1]),
        Waits("users, in a queue", users),
    ]


def main() -> None:
    """Print both plugins' rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    for name, plugin in PLUGINS.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            proxy(Path(folder), "--quiet", *_plugin(Path(folder), plugin)) as running,
        ):
            found = asyncio.run(_measured(*running, seconds))
        print(f"a plugin that {name} for {WALL_S:g} s")
        for waits in found:
            print(waits.line())


if __name__ == "__main__":
    main()
