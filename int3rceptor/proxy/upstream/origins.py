"""Sends a request to its origin: takes a connection, retries where that is safe."""

import asyncio

from int3rceptor.config.model import UpstreamConfig
from int3rceptor.errors import OriginError, OriginReset
from int3rceptor.model.message import Request
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.limits import MAX_RETRIES
from int3rceptor.proxy.upstream.answer import IDEMPOTENT, Answer, Origin, PassOn
from int3rceptor.proxy.upstream.dial import Dialer, tls_info
from int3rceptor.proxy.upstream.h1_client import H1Origin
from int3rceptor.proxy.upstream.pool import Connection, Pool, PoolLimits
from int3rceptor.wire.fields import wants_upgrade
from int3rceptor.wire.h2.faults import H2Code

EXPIRY_CHECK_S = 1.0
"""How often idle connections are looked through: those that came together end together,
and each takes its time to close."""


class Origins:
    """The far side of the proxy, as the exchange sees it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, dialer: Dialer, settings: UpstreamConfig
    ) -> None:
        self._settings = settings
        self._dialer = dialer
        self.pool = Pool(
            loop,
            self._dial,
            PoolLimits(
                per_origin=settings.max_connections_per_origin,
                overall=settings.max_connections,
                idle_expiry_s=settings.idle_expiry_s,
                wait_s=settings.first_byte_timeout_s,
            ),
        )

    async def send(
        self,
        request: Request,
        origin: Origin,
        pass_on: PassOn,
        *,
        client_is_http2: bool,
        owner: object,
        knows_http2: bool = False,
    ) -> Answer:
        """Give `request` to its origin; returns when the final response head is here.

        An origin of plain HTTP is asked in HTTP/2 if the client `knows_http2` of it.

        OriginError and OriginProtocolError when that fails; the client's own errors
        when its body breaks off.
        """
        wants_h2 = self._wants_h2(request, client_is_http2, knows_http2)
        if request.body.content is None:
            request.body.held = bytearray()
        for attempt in range(MAX_RETRIES):
            connection = self.pool.take(origin, wants_h2, owner) or (
                await self.pool.acquire(origin, wants_h2=wants_h2, owner=owner)
            )
            try:
                answer = await connection.exchange(request, pass_on, owner)
            except OriginError as error:
                is_last = attempt == MAX_RETRIES - 1
                if is_last or not _may_repeat(request, error):
                    raise
                wants_h2 = wants_h2 and not _refuses_h2(error)
                continue
            request.body.held = None
            if not answer.info.is_reused:
                self._dialer.remember(connection.stream)
            return answer
        raise AssertionError("the loop returns or raises")

    async def learns_h2(self, origin: Origin, timeout_s: float) -> bool | None:
        """Whether an origin speaks HTTP/2; asks it if that is not known.

        None when it could not be learnt in time. The connection made for it is kept.
        """
        alpn = self.pool.alpn_of(origin)
        if alpn is None:
            try:
                async with asyncio.timeout(timeout_s):
                    connection = await self.pool.acquire(origin, wants_h2=True)
            except (TimeoutError, OriginError):
                return None
            if isinstance(connection, H1Origin):
                self.pool.release(connection)
            else:
                connection.unreserve()
            alpn = self.pool.alpn_of(origin)
        return alpn == "h2"

    async def dial_blind(self, host: str, port: int) -> ByteStream:
        """A plain connection for a tunnel; the pool has no part in it."""
        return await self._dialer.tcp(host, port)

    async def expire_forever(self) -> None:
        """Close idle connections as they expire; runs until cancelled."""
        while True:
            await asyncio.sleep(EXPIRY_CHECK_S)
            self.pool.expire()

    async def aclose(self) -> None:
        """Close the connections; exchanges on them have ended by now."""
        self._dialer.forget_sessions()
        await self.pool.aclose()

    def _wants_h2(
        self, request: Request, client_is_http2: bool, knows_http2: bool
    ) -> bool:
        mode = self._settings.http2
        if mode == "never" or (mode == "mirror" and not client_is_http2):
            return False
        if request.scheme == "http":  # which cannot be asked what it speaks
            return knows_http2
        # An upgrade (WebSocket) exists in HTTP/1.1 only (RFC 9113, 8.6).
        return not wants_upgrade(request.headers)

    async def _dial(self, origin: Origin, may_use_h2: bool) -> Connection:
        if origin.scheme == "https":
            stream = await self._dialer.tls(origin, may_use_h2=may_use_h2)
        else:
            stream = await self._dialer.tcp(*origin.dialled)
        try:
            return self._speaking(origin, stream, may_use_h2)
        except BaseException:  # without a file left to open, HTTP/2 cannot be loaded
            stream.abort()
            raise

    def _speaking(
        self, origin: Origin, stream: ByteStream, may_use_h2: bool
    ) -> Connection:
        """A connection that speaks what the handshake agreed on; without one, HTTP/2 if
        the client knows it of the origin."""
        tls = tls_info(stream.ssl_object, origin.sni)
        if may_use_h2 if tls is None else tls.alpn == "h2":
            from int3rceptor.proxy.upstream.h2_client import H2Origin

            return H2Origin(origin, stream, tls, self.pool, self._settings)
        return H1Origin(origin, stream, tls, self.pool, self._settings)


def _refuses_h2(error: OriginError) -> bool:
    """Whether this request is one for HTTP/1.1: its origin authenticates connections,
    by NTLM or a certificate, which HTTP/2 has no place for."""
    return isinstance(error, OriginReset) and error.code == H2Code.HTTP_1_1_REQUIRED


def _may_repeat(request: Request, error: OriginError) -> bool:
    """Whether a failed request may be sent again: the origin cannot have acted on it;
    or acting twice is the same as once, and the connection had gone stale. Its body
    must still be there, and begins anew."""
    is_safe = error.is_stale and request.method in IDEMPOTENT
    return (error.is_unprocessed or is_safe) and request.body.rewind()
