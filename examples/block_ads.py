"""Answer what is asked of advertisers with an empty page, and tell of it."""

import asyncio
import contextlib

from int3rceptor import Config, Flow, Proxy, Respond, Response

ADVERTISERS = ["ads.*", "*.googlesyndication.com", "*.amazon-adsystem.com"]


def block(flow: Flow) -> Respond:
    print(f"blocked {flow.request.url}", flush=True)
    return Respond(Response(status=204))


async def main() -> None:
    async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
        proxy.listen("on_request", block, hosts=ADVERTISERS)
        print(f"proxy {proxy.url}, trust {proxy.ca_path}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
