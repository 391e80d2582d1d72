"""Accepts clients: the socket, the cap on connections, the drain."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol

from int3rceptor.model.flow import ClientInfo
from int3rceptor.net.inbound import Inbound
from int3rceptor.net.listening import Address, own_address
from int3rceptor.net.tasks import Tasks
from int3rceptor.net.transport import TransportStream
from int3rceptor.proxy.connection import Connection
from int3rceptor.proxy.limits import ACCEPT_BATCH, YIELD_S
from int3rceptor.proxy.pages import page
from int3rceptor.proxy.refusals import send_answer
from int3rceptor.proxy.services import Services

log = logging.getLogger("int3rceptor.proxy")

FULL_PAUSE_S = 0.1
"""How long accepting rests when the process has no file descriptors left."""

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Place(Protocol):
    """The place of this process among those that accept from the same socket."""

    def set(self, clients: int) -> None:
        """Say how many it serves."""
        ...

    def leave(self) -> None:
        """Say that it accepts nobody any more."""
        ...

    def is_ahead(self) -> bool:
        """Whether another should have the next client."""
        ...


class Listener:
    """The listening socket of one proxy and the connections that it accepted.

    Where other processes accept from the same socket, `place` is this one's.
    """

    def __init__(
        self, services: Services, sock: socket.socket, place: Place | None = None
    ) -> None:
        self._services = services
        self._loop = services.loop
        self._sock = sock
        self._place = place
        self._accepting = (
            self._accept if place is None else partial(self._accept_in_turn, place)
        )
        self._clients = 0
        self._is_stopping = self._is_cut = False
        self._tasks = Tasks("client")
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.address = own_address(sock)

    @property
    def open_connections(self) -> int:
        """How many clients are being served."""
        return len(self._connections)

    async def start(self) -> None:
        """Begin to accept; an event loop that cannot watch sockets (Windows' proactor)
        does it by itself."""
        try:
            self._loop.add_reader(self._sock, self._accepting)
        except NotImplementedError:
            self._server = await self._loop.create_server(
                lambda: _AcceptedStream(self._loop, self._accepted), sock=self._sock
            )
        self._tell()

    def cut(self) -> None:
        """Let no exchange end by itself: now, if it is stopping, or when it does."""
        self._is_cut = True
        if self._is_stopping and self._tasks:
            self._warn()
            self._tasks.cancel()

    async def stop(self, drain_s: float) -> None:
        """Accept no more; let exchanges end for `drain_s` seconds, then cut them."""
        self._is_stopping = True
        if self._server is not None:
            self._server.close()
        else:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        if self._place is not None:
            self._place.leave()
        for connection in list(self._connections):
            connection.drain()
        try:
            drain_s = 0.0 if self._is_cut else drain_s
            if self._tasks and not await self._tasks.wait(drain_s):
                self._warn()
        finally:  # whoever waits for the drain may be cancelled
            await self._tasks.close()

    def _warn(self) -> None:
        log.warning("cutting %d connections that did not end", len(self._tasks))

    def _accepted(self, stream: TransportStream, here: Address) -> None:
        self._begin(stream, here)

    def _accept(self) -> None:
        for _ in range(ACCEPT_BATCH):
            if not self._accept_one():
                return

    def _accept_in_turn(self, place: Place) -> None:
        """One client, unless another process should have it."""
        if not place.is_ahead():
            self._accept_one()
            return
        self._loop.remove_reader(self._sock)
        self._loop.call_later(YIELD_S, self._accept_after_all)

    def _accept_after_all(self) -> None:
        self._wake()
        if self._sock.fileno() >= 0:
            self._accept_one()

    def _accept_one(self) -> bool:
        """Whether there was a client to accept."""
        try:
            sock, peer = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._rest(error)
            return False
        try:
            sock.setblocking(False)
            here = own_address(sock)
        except OSError:
            sock.close()  # reset before it was served
            return True
        stream = TransportStream(self._loop, (str(peer[0]), int(peer[1])))
        self._begin(stream, here, sock)
        return True

    def _begin(
        self, stream: TransportStream, here: Address, sock: socket.socket | None = None
    ) -> None:
        self._clients += 1
        self._tell()
        self._tasks.start(self._serve(stream, here, sock), "serve")

    def _tell(self) -> None:
        if self._place is not None:
            self._place.set(self._clients)

    def _rest(self, error: OSError) -> None:
        """Without descriptors, accepting would spin: look again in a moment."""
        log.error("cannot accept: %s; raise the limit of open files", error.strerror)
        self._loop.remove_reader(self._sock)
        self._loop.call_later(FULL_PAUSE_S, self._wake)

    def _wake(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._accepting)

    async def _serve(
        self, stream: TransportStream, here: Address, sock: socket.socket | None
    ) -> None:
        try:
            if sock is not None:
                await self._loop.connect_accepted_socket(lambda: stream, sock)
            await self._serve_or_refuse(Inbound(stream), here)
        finally:
            self._clients -= 1
            if self._sock.fileno() >= 0:  # else it has left
                self._tell()

    async def _serve_or_refuse(self, inbound: Inbound, here: Address) -> None:
        limit = self._services.settings.limits.max_connections
        if len(self._connections) >= limit:
            log.warning("client %s:%d refused: %d are connected", *inbound.peer, limit)
            await self._refuse(
                inbound,
                503,
                "Too many clients",
                f"{limit} clients are connected: the setting limits.max_connections.",
            )
            return
        client = ClientInfo(address=inbound.peer)
        connection = Connection(self._services, client, here[0])
        self._connections.add(connection)
        try:
            await connection.serve(inbound)
        finally:
            self._connections.discard(connection)

    async def _refuse(
        self, inbound: Inbound, status: int, title: str, text: str
    ) -> None:
        await send_answer(inbound, page(status, title, text))


class _AcceptedStream(TransportStream):
    """A stream that the event loop accepted; announces itself."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        accepted: Callable[[TransportStream, Address], None],
    ) -> None:
        super().__init__(loop)
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("sockname")
        self._accepted(self, (str(name[0]), int(name[1])))
