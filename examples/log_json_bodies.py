"""Print every JSON answer that passes, indented."""

import asyncio
import contextlib
import json

from int3rceptor import Config, Flow, Proxy


def ask_for_plain(flow: Flow) -> None:
    # Without it, origins may send what no codec here reads.
    flow.request.headers["accept-encoding"] = "identity"


def show(flow: Flow) -> None:
    response = flow.response
    if response is None or not response.body.content:
        return
    if "json" in (response.headers.get("content-type") or ""):
        print(flow.request.method, flow.request.url, response.status)
        print(json.dumps(json.loads(response.body.content), indent=2), flush=True)


async def main() -> None:
    async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
        proxy.on_request(ask_for_plain)
        proxy.listen("on_response", show, needs_body=True)
        print(f"proxy {proxy.url}, trust {proxy.ca_path}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
