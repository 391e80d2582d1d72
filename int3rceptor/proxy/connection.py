"""One client connection: find out what it speaks, and hand it to who speaks that.

first bytes ── TLS ─────────── a client that speaks TLS with the proxy itself
            ── CONNECT ─────── a tunnel, which begins again with its own first bytes:
                               TLS is intercepted, HTTP spoken, the rest relayed
            ── HTTP/1, HTTP/2  requests to a proxy, in the clear
            ── SOCKS, other ── refused, in words that the client understands
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING

from int3rceptor.errors import (
    AuthorityError,
    ClientProtocolError,
    ConnectError,
    Int3rceptorError,
    OriginError,
    ProtocolError,
    StreamError,
    StreamTimeout,
)
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop, Fail, PassThrough, Respond
from int3rceptor.model.flow import ClientInfo, Flow, FlowKind
from int3rceptor.model.message import Request, Response
from int3rceptor.net.inbound import Inbound
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import first_of
from int3rceptor.proxy.failures import (
    failure_page,
    listener_failed_page,
    refusal_page,
)
from int3rceptor.proxy.h1_server import H1ServerConnection
from int3rceptor.proxy.interception import intercept
from int3rceptor.proxy.onboarding import OWN_NAMES
from int3rceptor.proxy.passthrough import is_passed_through
from int3rceptor.proxy.recognise import (
    Seen,
    peek_client_hello,
    recognise,
    take_connect_head,
)
from int3rceptor.proxy.refusals import SOCKS_REFUSALS, TLS_REFUSAL, linger, send_answer
from int3rceptor.proxy.services import Services
from int3rceptor.proxy.session import Session
from int3rceptor.tls.client_hello import BadClientHello, ClientHello
from int3rceptor.tls.host_names import BadHostName
from int3rceptor.wire.authority import parse_authority
from int3rceptor.wire.events import RequestHead
from int3rceptor.wire.sniff import Speech

if TYPE_CHECKING:  # a megabyte that comes with the first client that speaks it
    from int3rceptor.proxy.h2_server import H2ServerConnection

log = logging.getLogger("int3rceptor.proxy")

MAX_NESTING = 4
"""CONNECT in TLS in CONNECT: a proxy in a proxy needs two, an attack any number."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

NO_TLS = (AuthorityError, BadClientHello, BadHostName)
"""Why who began TLS gets none: the CA has expired, the ClientHello cannot be read, or
no certificate can be for the name."""

ANSWER_S = 10.0
"""How long a client may take to accept some bytes that fit any send buffer."""


Next = Coroutine[object, object, "Next"] | None
"""How a connection goes on, to be awaited by who called first: what it took to find
out is not kept for hours below it. None: it is over."""


class Connection:
    """Serves one client connection, from its first byte to its last."""

    def __init__(
        self, services: Services, client: ClientInfo, own_address: str
    ) -> None:
        self._services = services
        self._limits = services.settings.limits
        self._client = client
        self._own_address = own_address
        self._server: H1ServerConnection | H2ServerConnection | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_draining = False
        self._nesting = 0

    async def serve(self, inbound: Inbound) -> None:
        """To the end. The client gets an answer for whatever it did wrong; what cannot
        be answered is logged."""
        self._task = asyncio.current_task()
        try:
            await self._serve_answering(inbound)
        except BaseException:
            # Of an unexpected error as well: nobody else would close the socket, and
            # each costs the process a descriptor for good.
            inbound.abort()
            raise
        finally:
            # They hold this in turn: the task, when it was cancelled, by its frames.
            self._task = self._server = None

    async def _serve_answering(self, inbound: Inbound) -> None:
        try:
            await _to_the_end(self._begin(inbound))
        except NO_TLS as error:
            await self._refuse_tls(inbound, error)
        except ProtocolError as error:
            log.info("client %s:%d: %s", *self._client.address, error)
            await send_answer(inbound, refusal_page(error))
        except StreamTimeout:
            log.debug("client %s:%d said nothing", *self._client.address)
            inbound.abort()
        except StreamError as error:
            log.info("client %s:%d: %s", *self._client.address, error)
            inbound.abort()

    async def _refuse_tls(self, inbound: Inbound, why: Int3rceptorError) -> None:
        log.info(
            "client %s:%d: the TLS handshake is refused: %s", *self._client.address, why
        )
        inbound.stream.write(TLS_REFUSAL)
        await linger(inbound.stream)

    def drain(self) -> None:
        """Let the exchanges that run end, and no other begin.

        Tunnels, and clients that have said nothing, have no end to wait for.
        """
        self._is_draining = True
        if self._server is not None:
            self._server.drain()
        elif self._task is not None:
            self._task.cancel()

    async def _begin(self, inbound: Inbound) -> Next:
        limits = self._limits
        speech, data = await recognise(inbound, limits, limits.client_idle_s)
        session = Session(client=self._client)
        match speech:
            case Speech.TLS:
                hello = await peek_client_hello(inbound, limits, data)
                return self._intercept(inbound, session, hello)
            case Speech.CONNECT:
                head = await take_connect_head(inbound, limits, data)
                return self._connect(head, inbound)
            case Speech.HTTP1 | Speech.HTTP2:
                is_http2 = speech is Speech.HTTP2
                return self._speak(inbound.stream, session, is_http2=is_http2)
            case Speech.SOCKS:
                return self._refuse_socks(inbound)
            case Speech.UNDECIDED:
                raise ClientProtocolError(
                    "the first bytes broke off, or did not go on within "
                    f"{limits.head_timeout_s:g} s",
                    status=408,
                )
            case Speech.OTHER:
                raise ClientProtocolError("the first bytes are no HTTP and no TLS")

    async def _refuse_socks(self, inbound: Inbound) -> Next:
        version = (await inbound.peek(1, ANSWER_S))[0]
        log.warning(
            "client %s:%d speaks SOCKS%d, which is not supported: set this proxy as an "
            "HTTP proxy",
            *self._client.address,
            version,
        )
        await inbound.send(SOCKS_REFUSALS[version], ANSWER_S)
        await inbound.stream.aclose()
        return None

    async def _speak(
        self, stream: ByteStream, session: Session, *, is_http2: bool
    ) -> Next:
        """HTTP on an open stream, until its end."""
        session.is_http2 = is_http2
        server = (self._h2_server if is_http2 else self._h1_server)(stream, session)
        self._server = server
        if self._is_draining:
            server.drain()
        try:
            await server.serve()
        finally:
            self._services.origins.pool.drop_owner(session)
        return None

    def _h1_server(self, stream: ByteStream, session: Session) -> H1ServerConnection:
        exchanges, connect = self._services.exchanges, self._connect_on_stream
        return H1ServerConnection(stream, session, exchanges, self._limits, connect)

    def _h2_server(self, stream: ByteStream, session: Session) -> "H2ServerConnection":
        from int3rceptor.proxy.h2_server import H2ServerConnection

        exchanges = self._services.exchanges
        return H2ServerConnection(stream, session, exchanges, self._limits)

    async def _intercept(
        self, inbound: Inbound, session: Session, hello: ClientHello
    ) -> Next:
        stream = await intercept(
            inbound, session, hello, self._services, self._own_address
        )
        is_http2 = session.client.tls is not None and session.client.tls.alpn == "h2"
        return self._speak(stream, session, is_http2=is_http2)

    # CONNECT

    async def _connect_on_stream(self, head: RequestHead, stream: ByteStream) -> None:
        """CONNECT after another request on the connection, or inside TLS."""
        inbound = Inbound(stream)
        try:
            await _to_the_end(self._connect(head, inbound))
        except NO_TLS as error:
            await self._refuse_tls(inbound, error)
        except StreamError as error:
            log.info("client %s:%d: %s", *self._client.address, error)
            inbound.abort()

    async def _connect(self, head: RequestHead, inbound: Inbound) -> Next:
        self._server = None
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise ClientProtocolError("CONNECT in CONNECT, too deep", status=508)
        flow = self._connect_flow(head)
        host, port = flow.request.host, flow.request.port
        verdict = await self._services.hooks.dispatch(HookPoint.CONNECT, flow)
        passthrough = self._services.settings.tls.passthrough
        match verdict:
            case Respond(response=response):
                await self._refuse(inbound, flow, response)
            case Drop():
                flow.error = "dropped"
                inbound.abort()
                await self._services.exchanges.capture(flow)
            case Fail(author=author):
                await self._refuse(inbound, flow, listener_failed_page(flow, author))
            case PassThrough():
                await self._pass_through(inbound, flow)
            case _ if is_passed_through(passthrough, (host,), port):
                await self._pass_through(inbound, flow)
            case _:
                await inbound.send(ESTABLISHED, ANSWER_S)
                return self._enter(inbound, flow)
        return None

    def _connect_flow(self, head: RequestHead) -> Flow:
        host, port = parse_authority(head.authority, 443)
        self._client.connect_host, self._client.connect_port = host.lower(), port
        request = Request(
            method="CONNECT",
            scheme="https",
            host=host.lower(),
            port=port,
            target=head.target,
            authority=head.authority,
            version=head.version,
            headers=head.headers,
        )
        flow = Flow(client=self._client, request=request, kind=FlowKind.TUNNEL)
        self._services.exchanges.begin(flow)
        return flow

    async def _enter(self, inbound: Inbound, flow: Flow) -> Next:
        """Inside a tunnel that has been granted: what comes first there?"""
        limits = self._limits
        host, port = flow.request.host, flow.request.port
        session = Session(client=self._client, target=(host, port))
        session.admit(host, port, flow.upstream)
        try:
            seen = await recognise(inbound, limits, limits.silent_client_ms / 1000)
        except StreamTimeout:
            return self._wait_for_either(inbound, flow, session)
        return await self._go_on(inbound, flow, session, seen)

    async def _go_on(
        self, inbound: Inbound, flow: Flow, session: Session, seen: Seen
    ) -> Next:
        speech = seen.speech
        match speech:
            case Speech.TLS:
                hello = await peek_client_hello(inbound, self._limits, seen.data)
                names = (hello.sni, flow.request.host)
                patterns = self._services.settings.tls.passthrough
                if is_passed_through(patterns, names, flow.request.port):
                    return self._relay(inbound, flow)
                return self._intercept(inbound, session, hello)
            case Speech.CONNECT | Speech.HTTP1 | Speech.HTTP2:
                session.knows_http2 = is_http2 = speech is Speech.HTTP2
                return self._speak(inbound.stream, session, is_http2=is_http2)
            case Speech.SOCKS | Speech.OTHER | Speech.UNDECIDED:
                return self._relay(inbound, flow)

    async def _wait_for_either(
        self, inbound: Inbound, flow: Flow, session: Session
    ) -> Next:
        """The client is silent: it may wait for a server that speaks first (SMTP, SSH,
        MySQL). Dial, and see which side speaks."""
        if flow.request.host in OWN_NAMES:
            raise StreamTimeout("nothing was asked of the proxy's own site")
        origin = await self._dial(inbound, flow)
        if origin is None:
            return None
        idle_s = self._limits.client_idle_s
        try:
            first = await first_of(
                recognise(inbound, self._limits, idle_s), origin.read(idle_s)
            )
        except BaseException:  # a cancelled wait as well: nobody else has the origin
            origin.abort()
            raise
        if isinstance(first, Seen):
            origin.abort()
            return await self._go_on(inbound, flow, session, first)
        origin.unread(first)
        await self._services.exchanges.relay(flow, inbound.stream, origin)
        return None

    # Blind tunnels and refusals

    async def _pass_through(self, inbound: Inbound, flow: Flow) -> None:
        """The origin is dialled first, so that a failure can still be told."""
        try:
            origin = await self._dial_origin(flow)
        except OriginError as error:
            flow.error = str(error)
            await self._refuse(inbound, flow, failure_page(flow, error))
            return
        # The relay notices when the client has left meanwhile, and closes the origin.
        inbound.stream.write(ESTABLISHED)
        await self._services.exchanges.relay(flow, inbound.stream, origin)

    async def _relay(self, inbound: Inbound, flow: Flow) -> Next:
        """After the 200: neither TLS to intercept nor HTTP."""
        origin = await self._dial(inbound, flow)
        if origin is not None:
            await self._services.exchanges.relay(flow, inbound.stream, origin)
        return None

    async def _dial(self, inbound: Inbound, flow: Flow) -> ByteStream | None:
        """The origin of a tunnel; None when it failed, which cannot be answered."""
        try:
            return await self._dial_origin(flow)
        except OriginError as error:
            flow.error = str(error)
            inbound.abort()
            await self._services.exchanges.capture(flow)
            return None

    async def _dial_origin(self, flow: Flow) -> ByteStream:
        request, upstream = flow.request, flow.upstream
        if request.host in OWN_NAMES:
            raise ConnectError(
                f"{request.host} is the proxy's own site: it has no other origin",
                advice="Ask it for a page.",
            )
        address = (request.host, request.port) if upstream is None else upstream.address
        return await self._services.origins.dial_blind(*address)

    async def _refuse(self, inbound: Inbound, flow: Flow, response: Response) -> None:
        flow.response = response
        finish = partial(self._services.exchanges.capture, flow)
        await send_answer(inbound, response, finish)


async def _to_the_end(step: Next) -> None:
    while step is not None:
        step = await step
