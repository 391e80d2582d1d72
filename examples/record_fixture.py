"""Record what a host answers in a JSON file, for tests: record_fixture.py HOST FILE"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from int3rceptor import Config, Flow, Proxy

recorded: list[dict[str, object]] = []


def record(flow: Flow) -> None:
    response = flow.response
    if response is None or response.body.content is None:
        return  # larger than limits.max_buffered_body_bytes
    recorded.append(
        {
            "method": flow.request.method,
            "url": flow.request.url,
            "status": response.status,
            "headers": list(response.headers.items()),
            "body": response.body.content.decode(errors="replace"),
        }
    )


async def main(host: str) -> None:
    async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
        proxy.listen("on_response", record, hosts=[host], needs_body=True)
        print(f"proxy {proxy.url}, trust {proxy.ca_path}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(recorded, indent=2))
    print(f"{len(recorded)} answers in {sys.argv[2]}")
