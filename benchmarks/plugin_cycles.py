"""`python -m benchmarks.plugin_cycles [--cycles 10000]`: what loading plugins leaves.

Loads a plugin, runs it, reloads it, runs that, and unloads it, again and again in one
process, and reads memory, threads and open files after each tenth. Ends with 1 when
the size grew by more than 5 % after the first tenth, or threads or files are left.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import threading
from pathlib import Path

from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.managing.manager import PluginManager

PARTS = 10
MAX_DRIFT = 0.05

_MODULE = """(module
  (import "env" "host_set_header" (func $set (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4) (data (i32.const 0) "x-version{version}")
  (func (export "on_request") (result i32)
    (memory.fill (i32.const 4096) (i32.const 1) (i32.const 131072))
    (drop (call $set (i32.const 0) (i32.const 9) (i32.const 9) (i32.const 1)))
    (i32.const 0)))"""


def _flow() -> Flow:
    request = Request(
        method="GET",
        scheme="https",
        host="a.test",
        port=443,
        target=b"/",
        authority="a.test",
        version="HTTP/1.1",
        headers=Headers([(b"Host", b"a.test")]),
    )
    return Flow(client=ClientInfo(address=("127.0.0.1", 1)), request=request)


async def _cycle(manager: PluginManager, hooks: Dispatcher, path: Path) -> None:
    await asyncio.to_thread(path.write_text, _MODULE.format(version=1))
    slot = await manager.load(path)
    await _ask(hooks, "1")
    await asyncio.to_thread(path.write_text, _MODULE.format(version=2))
    await manager.reload(slot)
    await _ask(hooks, "2")
    manager.unload(slot.name)


async def _ask(hooks: Dispatcher, expected: str) -> None:
    flow = _flow()
    await hooks.dispatch(HookPoint.REQUEST, flow)
    if flow.request.headers.get("x-version") != expected:
        raise SystemExit(f"the plugin did not run: {flow.changes}")


def _size() -> tuple[int, int, int]:
    """Resident bytes, threads, open files."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files


async def _run(cycles: int, folder: Path) -> bool:
    hooks = Dispatcher(sleep=asyncio.sleep)
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o700)
    manager = PluginManager(hooks, log=lambda *_: None, cache=ModuleCache(data_dir))
    sizes = [_size()]
    for _ in range(PARTS):
        for _ in range(cycles // PARTS):
            await _cycle(manager, hooks, folder / "one.wat")
        sizes.append(_size())
        resident, threads, files = sizes[-1]
        print(f"{resident / 1e6:8.1f} MB   {threads} threads   {files} files")
    await manager.aclose()
    first, last = sizes[1], sizes[-1]
    drift = last[0] / first[0] - 1
    print(f"{cycles} cycles: {drift:+.1%} after the first tenth")
    return drift <= MAX_DRIFT and last[1:] <= first[1:]


def main() -> int:
    """0 when it is flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=10_000)
    cycles = parser.parse_args().cycles
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(_run(cycles, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
