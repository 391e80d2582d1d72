"""Measure how long each host takes to answer; print a table at the end (Ctrl-C)."""

import asyncio
import contextlib
from collections import defaultdict
from statistics import median

from int3rceptor import Config, Flow, Proxy

waits_s: defaultdict[str, list[float]] = defaultdict(list)


def measure(flow: Flow) -> None:
    if flow.origin is not None:  # else nobody was asked
        wait_s = flow.times.response_head - flow.times.started
        waits_s[flow.request.host].append(wait_s)


async def main() -> None:
    async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
        proxy.on_capture(measure)
        print(f"proxy {proxy.url}, trust {proxy.ca_path}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
    for host, waits in sorted(waits_s.items()):
        times = (
            f"median {median(waits) * 1000:7.1f} ms, worst {max(waits) * 1000:7.1f} ms"
        )
        print(f"{host:30} {len(waits):5} requests, {times}")
