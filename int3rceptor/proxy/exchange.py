"""The heart: one request to one response, free of HTTP versions.

`run` is one coroutine from the request's head to the last byte of the answer. What it
calls returns to it; nothing calls upward.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial
from typing import Protocol

from int3rceptor.errors import (
    BodyCut,
    ClientProtocolError,
    Int3rceptorError,
    LimitExceeded,
    OriginError,
    OriginProtocolError,
    StreamError,
    TransformError,
)
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.keeper import BeforeEnd, Ended, Keeper
from int3rceptor.hooks.points import CAPTURE, CONNECT, REQUEST, RESPONSE
from int3rceptor.hooks.verdicts import (
    Drop,
    Fail,
    PassThrough,
    Respond,
    Verdict,
    describe,
)
from int3rceptor.model.flow import MAX_INFORMATIONAL, Flow
from int3rceptor.model.message import Informational, Response
from int3rceptor.model.websocket import WebSocket
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import CANCELLED_WITHIN, is_cancelled
from int3rceptor.proxy.endings import Endings
from int3rceptor.proxy.failures import failure_page, listener_failed_page
from int3rceptor.proxy.onboarding import OWN_NAMES, Onboarding
from int3rceptor.proxy.session import Session
from int3rceptor.proxy.tunnel import relay
from int3rceptor.proxy.upstream.answer import Answer, Origin, origin_of
from int3rceptor.proxy.upstream.origins import Origins

log = logging.getLogger("int3rceptor.proxy")


class Responder(Protocol):
    """The client's side of one exchange, in its HTTP version."""

    has_started: bool
    """Whether the final response's head is on its way: nobody answers twice."""

    stream: ByteStream
    """The connection that the answer leaves by."""

    def informational(self, head: Informational) -> None:
        """Pass on a 1xx response."""
        ...

    async def respond(
        self, response: Response, before_end: BeforeEnd, *, is_last: bool = False
    ) -> None:
        """Send the whole response; StreamError when the client is gone, the body's
        own errors when that breaks off. `is_last` closes an HTTP/1 connection. After a
        101 nothing has ended, and `before_end` is not called."""
        ...

    def abort(self) -> None:
        """End the exchange without (the rest of) an answer."""
        ...


class Exchanges:
    """Runs the exchanges of one proxy."""

    def __init__(
        self,
        hooks: Dispatcher,
        origins: Origins,
        onboarding: Onboarding,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self._endings = None if keeper is None else Endings(keeper)
        self._running = 0
        self._hooks = hooks
        self._origins = origins
        self._onboarding = onboarding

    async def run(
        self, flow: Flow, session: Session, client: Responder
    ) -> ByteStream | None:
        """Carry `flow` to its end; after a 101, the origin's stream.

        Raises nothing for what clients and origins do; the client has its answer, or
        its connection is aborted, and `flow.error` says why.
        """
        self.begin(flow)
        self._announce(flow)
        self._running += 1
        upgraded: ByteStream | None = None
        try:
            upgraded = await self._run(flow, session, client)
        except asyncio.CancelledError:
            if not is_cancelled():
                await self._fail(flow, client, TransformError(CANCELLED_WITHIN))
                return None
            flow.error = flow.error or "the client went away"
            client.abort()
            raise
        except Int3rceptorError as error:
            await self._fail(flow, client, error)
        except Exception as error:
            flow.error = f"internal error: {type(error).__name__}: {error}"
            raise
        finally:
            self._running -= 1
            if upgraded is None and not flow.times.ended:
                await self.capture(flow)
        return upgraded

    def is_for_us(self, host: str, port: int) -> bool:
        """Whether an authority is that of the proxy's own port."""
        listen = self._onboarding.listen
        is_our_port = listen.endswith(f":{port}")
        return is_our_port and (host == "localhost" or listen == f"{host}:{port}")

    def begin(self, flow: Flow) -> None:
        """The flow's life starts now."""
        flow.created = time.time()
        flow.times.started = time.monotonic()

    def _announce(self, flow: Flow) -> None:
        if self._keeper is not None and not flow.is_announced:
            flow.is_announced = True
            self._keeper.begin(flow)

    async def relay(self, flow: Flow, client: ByteStream, origin: ByteStream) -> None:
        """After a 101, or for a tunnel: pass bytes on, then record the flow. They are
        unread, unless someone follows the messages of a WebSocket."""
        self._announce(flow)
        websocket = flow.websocket
        try:
            if websocket is None or not websocket.followers:
                await relay(flow, client, origin)
            else:
                from int3rceptor.proxy.websocket import relay_messages

                await relay_messages(flow, websocket, client, origin)
        finally:
            await self.capture(flow)

    async def capture(self, flow: Flow, stream: ByteStream | None = None) -> None:
        """The flow is over, or its last byte is about to leave by `stream`: on_capture,
        and into the record. Once for each flow."""
        if flow.times.ended:
            return
        if not flow.is_announced:
            self._announce(flow)
        flow.times.ended = time.monotonic()
        relayed = flow.bytes_up, flow.bytes_down
        flow.bytes_up += flow.request.body.passed
        if (response := flow.response) is not None:
            flow.bytes_down += response.body.passed
            if response.unseen:
                _record_unseen(flow, response)
        is_wanted = True
        asked = self._hooks.ask(CAPTURE, flow)
        if asked is not None:
            try:
                verdict = await asked
            except asyncio.CancelledError:
                # Who was interrupted is asked again, and the flow is kept after that.
                flow.times.ended = 0.0
                flow.bytes_up, flow.bytes_down = relayed
                raise
            is_wanted = verdict is None
        flow.roster = None  # nobody is asked any more: who left may be let go
        if self._endings is not None:
            ended = Ended(flow, is_wanted)
            self._endings.add(ended, stream, is_alone=self._running == 1)

    def commit(self) -> None:
        """Let the answers go that ended in this turn of the loop."""
        if self._endings is not None:
            self._endings.commit()

    async def _run(
        self, flow: Flow, session: Session, client: Responder
    ) -> ByteStream | None:
        if flow.request.host in OWN_NAMES:
            await self._respond(flow, client, self._onboarding.answer(flow.request))
            return None
        verdict = None
        if session.target is None and self._hooks.is_heard(CONNECT, flow):
            verdict = await self._admit(flow, session)
        if verdict is None and self._hooks.is_heard(REQUEST, flow):
            self._ask_for_body(flow, client)
            if (asked := self._hooks.ask(REQUEST, flow)) is not None:
                verdict = await asked
        if verdict is not None:
            await self._apply(verdict, flow, client)
            return None
        answer = await self._send(flow, session, client)
        flow.times.response_head = time.monotonic()
        flow.response, flow.origin = answer.response, answer.info
        try:
            if answer.response.status == 101:
                flow.websocket = _websocket(flow)
            if (asked := self._hooks.ask(RESPONSE, flow)) is not None:
                await self._judge_answer(asked, flow, client)
            upgraded, response = answer.upgraded, flow.response
            if upgraded is not None and response.status != 101:
                # A listener made it another answer: nothing is opened by that.
                await answer.aclose()
                upgraded = flow.websocket = None
            await self._respond(flow, client, response, upgraded)
            await answer.settle()
        except BaseException:
            await answer.aclose()
            raise
        return upgraded

    def _send(
        self, flow: Flow, session: Session, client: Responder
    ) -> Awaitable[Answer]:
        """The origin's answer, when it is waited for."""
        return self._origins.send(
            flow.request,
            _origin(flow, session),
            partial(_pass_on, flow, client),
            client_is_http2=session.is_http2,
            owner=session,
            knows_http2=session.knows_http2,
        )

    async def _admit(self, flow: Flow, session: Session) -> Verdict | None:
        """on_connect, once per origin and client connection; a tunnel asked before."""
        host, port = flow.request.host, flow.request.port
        if session.is_admitted(host, port):
            return None
        verdict = await self._hooks.dispatch(CONNECT, flow)
        # To pass plain HTTP through is to do nothing more with it.
        if verdict is None or isinstance(verdict, PassThrough):
            session.admit(host, port, flow.upstream)
            return None
        return verdict

    def _ask_for_body(self, flow: Flow, client: Responder) -> None:
        """Someone needs the body before an origin could say 100: say it ourselves."""
        request = flow.request
        if not request.expects_continue or request.body.is_whole:
            return
        if self._hooks.needs_body(REQUEST, flow):
            request.headers.remove("expect")
            client.informational(Informational(status=100, reason=b"Continue"))

    async def _judge_answer(
        self, asked: Awaitable[Verdict | None], flow: Flow, client: Responder
    ) -> None:
        """What on_response says; _Replaced when the client has another answer then."""
        verdict = await asked
        if verdict is not None:
            await self._apply(verdict, flow, client, is_answer=True)
            raise _Replaced

    async def _apply(
        self,
        verdict: Verdict,
        flow: Flow,
        client: Responder,
        *,
        is_answer: bool = False,
    ) -> None:
        match verdict:
            case Respond(response=response) if not is_answer:
                flow.response = response
                after = await self._hooks.dispatch(RESPONSE, flow)
                if after is not None:
                    await self._apply(after, flow, client, is_answer=True)
                    return
                await self._respond(flow, client, flow.response)
            case Respond(response=response):
                await self._respond(flow, client, response)
            case Drop(reason=reason):
                flow.error = f"dropped: {reason}" if reason else "dropped"
                client.abort()
            case Fail(author=author, reason=reason):
                flow.error = f"{author} failed: {reason}"
                await self._respond(flow, client, listener_failed_page(flow, author))
            case _:
                raise AssertionError(f"{verdict} ends no exchange")

    async def _respond(
        self,
        flow: Flow,
        client: Responder,
        response: Response,
        opened: ByteStream | None = None,
    ) -> None:
        """`opened`: to an origin that has agreed to change the protocol."""
        flow.response = response
        if self._keeper is not None:
            self._keeper.answered(flow)
        status = response.status
        if not (200 <= status <= 599 or (status == 101 and opened)):
            raise OriginProtocolError(
                f"{status} is no status of a final answer; a listener set it"
            )
        finish = partial(self.capture, flow, client.stream)
        await client.respond(response, finish)

    async def _fail(
        self, flow: Flow, client: Responder, error: Int3rceptorError
    ) -> None:
        """Give the client a page that says what failed, if it can still have one."""
        if isinstance(error, _Replaced):
            return
        flow.error = str(error)
        is_ours = isinstance(error, TransformError)
        is_told = isinstance(error, BodyCut)
        is_loud = (is_ours and not is_told) or _is_unsendable(flow, error)
        level = logging.WARNING if is_loud else logging.DEBUG
        log.log(level, "flow %d (%s): %s", flow.id, flow.request.logged_url, error)
        is_answerable = is_ours or isinstance(
            error,
            OriginError | OriginProtocolError | ClientProtocolError | LimitExceeded,
        )
        is_dropped = isinstance(error, BodyCut) and error.is_wanted
        if client.has_started or is_dropped or not is_answerable:
            client.abort()
            return
        try:
            flow.response = failure_page(flow, error)
            # After broken framing nothing on the connection is to be trusted.
            is_last = isinstance(error, OriginProtocolError | ClientProtocolError)
            if self._keeper is not None:
                self._keeper.answered(flow)
            finish = partial(self.capture, flow, client.stream)
            await client.respond(flow.response, finish, is_last=is_last)
        except StreamError:
            client.abort()


def _is_unsendable(flow: Flow, error: Int3rceptorError) -> bool:
    """Whether it is about an answer that some listener made: nobody else would tell."""
    response = flow.response
    is_made_here = response is not None and not response.version
    return is_made_here and isinstance(error, OriginProtocolError)


def _record_unseen(flow: Flow, response: Response) -> None:
    """Note which events a function was not shown, in the words that a plugin's have."""
    for who, why in response.unseen or ():
        flow.record("on_sse_event", who, f"not seen: {why}")
    response.unseen = None  # who was interrupted at the end comes here again


def _websocket(flow: Flow) -> WebSocket | None:
    from int3rceptor.proxy.websocket import open_websocket  # 0.2 MB

    return open_websocket(flow)


def _origin(flow: Flow, session: Session) -> Origin:
    """Where the request of `flow` goes; on_connect may have said where to dial."""
    request = flow.request
    host, port = place = request.host, request.port
    sni = session.sni if session.target == place else None
    origin = origin_of(request.scheme, host, port, sni)
    if upstream := session.upstream(host, port):
        origin = origin._replace(via=upstream.address)
        if flow.upstream is None:  # else on_connect was asked of this flow itself
            flow.upstream, author = upstream, upstream.author
            flow.record(CONNECT.value, author, describe(upstream))
    return origin


def _pass_on(flow: Flow, client: Responder, head: Informational) -> None:
    if len(flow.informational) < MAX_INFORMATIONAL:
        flow.informational.append(head)
    client.informational(head)


class _Replaced(Int3rceptorError):
    """The origin's answer was replaced, so that the rest of it is given up."""
