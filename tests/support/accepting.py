"""A listening socket in the test's own loop, all of whose connections end with it.

`asyncio.start_server` forgets those that it is about to accept when it is closed: who
came a moment late leaves a transport behind, which fails whatever test runs then.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

from tests.support.streams import turns

HOST = "127.0.0.1"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Acceptor:
    """Serves each connection in a task of its own, which `aclose` cancels."""

    def __init__(
        self, serve: Serve, *, tls: ssl.SSLContext | None = None, limit: int = 2**16
    ) -> None:
        self._serve = serve
        self._tls = tls
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server((HOST, 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._last: object = None
        self._accepting = self._loop.create_task(self._accept())

    async def aclose(self) -> None:
        """Close the port, and end what is served."""
        # To cancel who accepts would forget the one that it has just been given: it
        # ends with a connection of ours, which comes after all that were made.
        with socket.socket() as last:
            last.bind((HOST, 0))
            last.setblocking(False)
            self._last = last.getsockname()
            await self._loop.sock_connect(last, (HOST, self.port))
            await self._accepting
        self._socket.close()
        await turns(1)  # each has begun, and so will close what it was given
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await turns()

    async def _accept(self) -> None:
        while True:
            # One that went again meanwhile is none.
            with contextlib.suppress(ConnectionAbortedError):
                connection, peer = await self._loop.sock_accept(self._socket)
                if peer == self._last:
                    connection.close()
                    return
                task = self._loop.create_task(self._run(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(self._limit)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls
            )
        except OSError:  # of TLS too: the client did not like us, or left
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        await self._serve(reader, writer)
