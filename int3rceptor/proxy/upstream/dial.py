"""Opens connections to origins: resolve, connect, handshake, each with its deadline.

Names are resolved on threads of our own: the event loop's default executor is shared
with everything else, and one slow name server must not hold it up.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Sequence
from typing import cast

from int3rceptor.config.model import UpstreamConfig
from int3rceptor.errors import ConnectError, OriginTimeout, ProxyLoop, ResolveError
from int3rceptor.model.flow import TlsInfo
from int3rceptor.model.own_code import own_code
from int3rceptor.net.connecting import SocketAddress, connect
from int3rceptor.net.listening import as_resolved
from int3rceptor.net.own import Address, leads_to
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.threads import DaemonThreads
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.net.transport import TransportStream
from int3rceptor.proxy.limits import RESOLVER_THREADS
from int3rceptor.proxy.upstream.answer import Origin
from int3rceptor.tls.contexts import OriginContext, OriginContexts
from int3rceptor.tls.verification import TlsCheck, explain

HTTP1_ONLY = ("http/1.1",)
BOTH = ("h2", "http/1.1")


class Dialer:
    """Makes the streams to origins; never one to an address of `own`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        contexts: OriginContexts,
        settings: UpstreamConfig,
        *,
        own: Sequence[Address],
    ) -> None:
        self._loop = loop
        self._contexts = contexts
        self._settings = settings
        self._resolver = DaemonThreads(RESOLVER_THREADS, "int3rceptor-dns")
        self._own = tuple(own)

    async def tcp(self, host: str, port: int) -> ByteStream:
        """A plain connection; ResolveError, ConnectError or OriginTimeout."""
        return await self._connect(host, port)

    async def tls(self, origin: Origin, *, may_use_h2: bool) -> ByteStream:
        """A verified TLS connection; besides those of `tcp`, OriginTlsError.

        An origin that shares no protocol with a client of HTTP/1.1 is offered HTTP/2.
        """
        offered = BOTH if may_use_h2 else HTTP1_ONLY
        below = await self._connect(*origin.dialled)
        try:
            return await self._handshake(below, origin, offered)
        except OSError as error:
            failure = explain(error, origin.name)
            if failure.check is not TlsCheck.NO_COMMON_ALPN or may_use_h2:
                raise failure.as_error() from error
        return await self.tls(origin, may_use_h2=True)

    def remember(self, stream: ByteStream) -> None:
        """Keep the TLS session of a connection that has answered, for the next one."""
        if isinstance(stream, _OriginStream):
            stream.remember()

    def forget_sessions(self) -> None:
        """Keep no TLS sessions any more: nobody will be dialled again."""
        self._contexts.forget_sessions()

    def close(self) -> None:
        """Let the resolver threads end."""
        self._resolver.close()

    def _context(self, origin: Origin, offered: tuple[str, ...]) -> OriginContext:
        # A session of one server means nothing to another behind the same name.
        host, port = origin.dialled
        key = f"{origin.host}:{host}:{port}/{origin.sni or ''}/{offered[0]}"
        return self._contexts.get(key, offered)

    async def _handshake(
        self, below: TransportStream, origin: Origin, offered: tuple[str, ...]
    ) -> ByteStream:
        context = self._context(origin, offered)
        try:
            stream = _OriginStream(below, context, origin.name)
        except ValueError as error:  # where it was not resolved: dialled elsewhere
            below.abort()
            raise ResolveError(
                f"no certificate can be for the name {origin.name!r}: {error}",
                advice="Check the spelling.",
                is_unprocessed=True,
            ) from error
        except BaseException:
            below.abort()
            raise
        await stream.shake_hands(self._settings.tls_timeout_s)
        return stream

    async def _connect(self, host: str, port: int) -> TransportStream:
        timeout_s = self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._resolve(host, port)
                stream = await connect(self._loop, addresses)
        except TimeoutError as error:
            raise OriginTimeout(
                f"no connection to {host} port {port} within {timeout_s:g} s",
                advice="Check the host, the port and any firewall on the way.",
                is_unprocessed=True,
            ) from error
        except OSError as error:
            raise ConnectError(
                f"cannot connect to {host} port {port}: {_reason(error)}",
                advice="Check that the server runs and listens on this port.",
                is_unprocessed=True,
            ) from error
        if self._leads_back(stream, port):
            stream.abort()
            raise ProxyLoop(
                f"{host} port {port} is this proxy's own address: it does not relay "
                "to itself, nor to its control port",
                advice="Ask for the origin itself, not for the proxy.",
            )
        return stream

    def _leads_back(self, stream: TransportStream, port: int) -> bool:
        own = [one for one in self._own if one[1] == port]
        # What is lost already will say so to who writes to it.
        with contextlib.suppress(OSError):
            return any(leads_to(stream.socket, one) for one in own)
        return False

    async def _resolve(self, host: str, port: int) -> list[SocketAddress]:
        with contextlib.suppress(socket.gaierror, UnicodeError):
            return _getaddrinfo(host, port, socket.AI_NUMERICHOST)  # asks nobody
        try:
            found = await self._loop.run_in_executor(
                self._resolver, _getaddrinfo, host, port
            )
        except (socket.gaierror, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ResolveError(
                f"the name {host!r} does not resolve: {why}",
                advice="Check the spelling, and the name servers of this machine.",
                is_unprocessed=True,
            ) from error
        return found


def _reason(error: OSError) -> str:
    """The system's word for it: event loops put an address there instead."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _getaddrinfo(host: str, port: int, flags: int = 0) -> list[SocketAddress]:
    found = socket.getaddrinfo(
        as_resolved(host), port, type=socket.SOCK_STREAM, flags=flags
    )
    # typeshed also knows of answers for families that a stream socket has not.
    return [cast("SocketAddress", address) for *_, address in found]


@own_code
class _OriginStream(TlsTransportStream):
    """A stream whose TLS session the next one to its origin may resume."""

    def __init__(
        self, below: TransportStream, context: OriginContext, name: str
    ) -> None:
        super().__init__(below, context, server_hostname=name)
        self._context = context

    def remember(self) -> None:
        """Let the next connection resume this one's session."""
        self._context.remember(self.ssl_object)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._context.ended(self.ssl_object)


def tls_info(ssl_object: ssl.SSLObject | None, sni: str | None) -> TlsInfo | None:
    """What the handshake agreed on, as a value."""
    if ssl_object is None:
        return None
    cipher = ssl_object.cipher()
    return TlsInfo(
        version=ssl_object.version() or "",
        cipher=cipher[0] if cipher else "",
        alpn=ssl_object.selected_alpn_protocol() or "",
        sni=sni,
        is_resumed=bool(ssl_object.session_reused),
    )
