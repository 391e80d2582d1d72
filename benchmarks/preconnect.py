"""Lets a load tool without proxy support (h2load) go through CONNECT: a blind relay.

Every connection accepted gets a tunnel of its own through the proxy; the bytes inside
(the tool's own TLS) pass untouched. Prints its port, ends when stdin does.
"""

import argparse
import asyncio
import sys

import uvloop

from benchmarks.origin import ADDRESS
from benchmarks.tunnel import Route, open_route

CHUNK_BYTES = 256 * 1024


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end; the other learns of it by the closed connection."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        return  # the tool counts what it lost; a relay has nothing to add
    finally:
        writer.close()


async def relay(
    route: Route, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Tunnel first, then both directions at once."""
    try:
        sock = await open_route(route)
    except Exception as error:
        print(f"no tunnel: {error}", file=sys.stderr, flush=True)
        writer.close()
        raise
    far_reader, far_writer = await asyncio.open_connection(sock=sock)
    async with asyncio.TaskGroup() as group:
        group.create_task(pump(reader, far_writer))
        group.create_task(pump(far_reader, writer))


async def serve(route: Route) -> None:
    """Accept until stdin ends."""
    async with await asyncio.start_server(
        lambda reader, writer: relay(route, reader, writer), ADDRESS, 0
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """The command line that `benchmarks.clients` writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxy", required=True, help="HOST:PORT of the proxy")
    parser.add_argument("--origin", required=True, help="HOST:PORT in the CONNECT")
    options = parser.parse_args()
    proxy_host, proxy_port = options.proxy.rsplit(":", 1)
    host, port = options.origin.rsplit(":", 1)
    route = Route(
        via=(proxy_host, int(proxy_port)), is_proxy=True, host=host, port=int(port)
    )
    uvloop.run(serve(route))


if __name__ == "__main__":
    main()
