"""Serves an application on a listening socket that someone else has bound."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from fastapi import FastAPI
from uvicorn import Config, Server

from int3rceptor.control.connections import (
    MAX_HEAD_BYTES,
    ControlProtocol,
    Stalls,
    ViewerProtocol,
)
from int3rceptor.control.events import MAX_MESSAGE_BYTES
from int3rceptor.net.tasks import Tasks

BACKLOG = 128
"""Connections that wait to be accepted, also while a dead hub is started anew."""

KEEP_ALIVE_S = 30
"""How long a connection may be idle between requests."""

DRAIN_S = 2
"""How long answers may still run after a stop is asked for."""

PING_S = 20.0
"""Between two pings to a viewer, and the longest wait for its answer."""

TICK_S = 1.0
"""Between two looks at the clock, and at who takes nothing."""

_SILENT = 100
"""Above every level of `logging`: what goes wrong is told by guards.Answers, once, and
the library's own lines hold tracebacks, paths and queries."""


async def serve(app: FastAPI, sock: socket.socket) -> None:
    """Serve until cancelled; then stop accepting, let answers end, and close all.

    `sock` listens already, and is closed in the end.
    """
    config = Config(
        app,
        http=ControlProtocol,
        ws=ViewerProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        # Events are small, and compressing them would cost every viewer a window.
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=_SILENT,
        access_log=False,
        # Nobody stands before us who could say on whose behalf a request comes.
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    tasks = Tasks("control")
    task = tasks.spawn(server.serve(sockets=[sock]), "server")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.is_stopping.set()
        await task
        raise
    finally:
        await tasks.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()


class _Server(Server):
    """Without signal handlers (the hub's business) and ten wake-ups a second."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.is_stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        loop, stalls = asyncio.get_running_loop(), Stalls()
        while not await self.on_tick(0):  # keeps the Date field right
            stalls.look(self.server_state.connections, loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.is_stopping.wait()
                return
