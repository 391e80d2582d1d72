"""Play an API that does not exist yet: api.example.test, over HTTP and HTTPS."""

import asyncio
import contextlib
import json

from int3rceptor import Body, Config, Flow, Headers, Proxy, Respond, Response

USERS = {"/users/1": {"name": "Ada"}, "/users/2": {"name": "Grace"}}


def answer(flow: Flow) -> Respond:
    found = USERS.get(flow.request.path)
    content = json.dumps(found or {"error": "no such user"}).encode()
    return Respond(
        Response(
            status=200 if found else 404,
            headers=Headers([(b"content-type", b"application/json")]),
            body=Body(content),
        )
    )


async def main() -> None:
    async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
        proxy.listen("on_request", answer, hosts=["api.example.test"])
        print(f"proxy {proxy.url}, trust {proxy.ca_path}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
