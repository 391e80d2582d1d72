"""Accepts clients: the socket, the cap on connections, the drain."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from int3rceptor.model.flow import ClientInfo
from int3rceptor.net.inbound import Inbound, SocketInbound, StreamInbound
from int3rceptor.net.listening import Address, own_address
from int3rceptor.net.tasks import Tasks
from int3rceptor.net.transport import TransportStream
from int3rceptor.proxy.connection import Connection
from int3rceptor.proxy.limits import ACCEPT_BATCH, SHARED_ACCEPT_BATCH
from int3rceptor.proxy.pages import page
from int3rceptor.proxy.refusals import send_answer
from int3rceptor.proxy.services import Services

log = logging.getLogger("int3rceptor.proxy")

FULL_PAUSE_S = 0.1
"""How long accepting rests when the process has no file descriptors left."""

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """The listening socket of one proxy and the connections that it accepted.

    `is_shared`: other processes accept from the same socket.
    """

    def __init__(
        self, services: Services, sock: socket.socket, *, is_shared: bool = False
    ) -> None:
        self._services = services
        self._loop = services.loop
        self._sock = sock
        self._batch = SHARED_ACCEPT_BATCH if is_shared else ACCEPT_BATCH
        self._tasks = Tasks("client")
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.address = own_address(sock)

    @property
    def open_connections(self) -> int:
        """How many clients are being served."""
        return len(self._connections)

    async def start(self) -> None:
        """Begin to accept.

        An event loop that cannot watch sockets (Windows' proactor) accepts by itself;
        what clients say first is then read instead of peeked at.
        """
        try:
            self._loop.add_reader(self._sock, self._accept)
        except NotImplementedError:
            self._server = await self._loop.create_server(
                lambda: _AcceptedStream(self._loop, self._accepted), sock=self._sock
            )

    async def stop(self, drain_s: float) -> None:
        """Accept no more; let exchanges end for `drain_s` seconds, then cut them."""
        if self._server is not None:
            self._server.close()
        else:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        for connection in list(self._connections):
            connection.drain()
        try:
            if self._tasks and not await self._tasks.wait(drain_s):
                log.warning("cutting %d connections that did not end", len(self._tasks))
        finally:  # whoever waits for the drain may be cancelled
            await self._tasks.close()

    def _accepted(self, stream: TransportStream, here: Address) -> None:
        self._tasks.start(self._serve(StreamInbound(stream), here), "serve")

    def _accept(self) -> None:
        for _ in range(self._batch):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                self._rest(error)
                return
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                inbound = SocketInbound(self._loop, sock)
                here = own_address(sock)
            except OSError:
                sock.close()  # reset before it was served
                continue
            self._tasks.start(self._serve(inbound, here), "serve")

    def _rest(self, error: OSError) -> None:
        """Without descriptors, accepting would spin: look again in a moment."""
        log.error("cannot accept: %s; raise the limit of open files", error.strerror)
        self._loop.remove_reader(self._sock)
        self._loop.call_later(FULL_PAUSE_S, self._wake)

    def _wake(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._accept)

    async def _serve(self, inbound: Inbound, here: Address) -> None:
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
