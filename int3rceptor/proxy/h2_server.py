"""Speaks HTTP/2 with a client: one task per stream, each with its exchange."""

import asyncio
import contextlib
import logging

from int3rceptor.config.model import LimitsConfig
from int3rceptor.errors import (
    ClientProtocolError,
    ProtocolError,
    StreamError,
    StreamLost,
)
from int3rceptor.hooks.keeper import BeforeEnd
from int3rceptor.model.body import Body
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import Tasks, log_failure
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.failures import refusal_page
from int3rceptor.proxy.h2_mux import H2Mux, Inbox
from int3rceptor.proxy.limits import LINGER_S, MAX_LINGER_BYTES
from int3rceptor.proxy.onboarding import OWN_HOST
from int3rceptor.proxy.pages import page
from int3rceptor.proxy.requests import build_flow
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import RequestHead
from int3rceptor.wire.h1.framing import may_have_body
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import H2Event, StreamHead, StreamRefused, StreamReset
from int3rceptor.wire.h2.faults import H2Code

log = logging.getLogger("int3rceptor.proxy")


class H2ServerConnection:
    """One client connection in HTTP/2."""

    def __init__(
        self,
        stream: ByteStream,
        session: Session,
        exchanges: Exchanges,
        limits: LimitsConfig,
    ) -> None:
        self._stream = stream
        self._session = session
        self._exchanges = exchanges
        self._limits = limits
        self._codec = H2Codec("server")
        self._mux = H2Mux(stream, self._codec, self._on_event, limits.client_idle_s)
        self._tasks = Tasks(f"h2 {stream.peer[1]}")
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._is_draining = False

    async def serve(self) -> None:
        """Answer requests until either side is done with the connection."""
        try:
            await self._mux.run()
        except ProtocolError as error:
            log.info("client %s:%d: %s", *self._stream.peer, error)
        except StreamError as error:
            log.debug("client %s:%d: %s", *self._stream.peer, error)
        finally:
            await self._tasks.close()
            self._mux.flush()
            await self._stream.aclose()

    def drain(self) -> None:
        """Say GOAWAY; close when the last stream has ended."""
        self._is_draining = True
        self._codec.shutdown()
        self._mux.flush_soon()
        self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self._is_draining and not self._streams:
            self._mux.flush()
            self._tasks.start(self._stream.aclose(), "close")

    def _on_event(self, event: H2Event) -> None:
        match event:
            case StreamHead(stream_id=stream_id, head=RequestHead() as head):
                inbox = None
                if not event.ended:
                    inbox = self._mux.open_inbox(event, self._limits.client_idle_s)
                work = self._serve_stream(stream_id, head, inbox)
                task = self._tasks.spawn(work, str(stream_id))
                task.add_done_callback(log_failure)
                self._streams[stream_id] = task
            case StreamReset(stream_id=stream_id, reason=reason):
                if reason:
                    log.info("client %s:%d: %s", *self._stream.peer, reason)
                if waiting := self._mux.inboxes.get(stream_id):
                    waiting.fail(StreamLost("the client cancelled the stream"))
                if running := self._streams.get(stream_id):
                    running.cancel()
            case StreamRefused(reason=reason):
                log.info("client %s:%d: %s", *self._stream.peer, reason)
            case _:
                pass  # the end of a body is in its inbox, the rest in the codec

    async def _serve_stream(
        self, stream_id: int, head: RequestHead, inbox: Inbox | None
    ) -> None:
        responder = _StreamResponder(self._mux, stream_id, head.method)
        try:
            if head.method == "CONNECT":
                await responder.respond(_no_connect_page(), _nothing)
                return
            length = head.length
            body = Body(length=length) if inbox is None else inbox.body(length)
            flow = build_flow(head, body, self._session)
            if self._is_sent_straight_to_us(flow.request):
                flow.request.host = OWN_HOST
            await self._exchanges.run(flow, self._session, responder)
            if inbox is not None and not inbox.has_ended:
                await self._linger(stream_id, inbox)
        except ClientProtocolError as error:
            log.info("client %s:%d: %s", *self._stream.peer, error)
            await responder.respond(refusal_page(error), _nothing)
        except StreamError as error:
            log.debug("client %s:%d: %s", *self._stream.peer, error)
        except Exception:
            responder.abort()  # nobody will answer, and the client must not wait
            raise
        finally:
            if inbox is not None:
                self._close_inbox(stream_id, inbox)
            del self._streams[stream_id]
            self._mux.flush_soon()
            self._close_if_drained()

    def _close_inbox(self, stream_id: int, inbox: Inbox) -> None:
        """The answer is whole; what the client still sends is of no use (RFC 9113,
        8.1)."""
        del self._mux.inboxes[stream_id]
        if inbox.has_ended:
            inbox.take_whole()
        else:
            self._codec.reset(stream_id, H2Code.NO_ERROR)

    async def _linger(self, stream_id: int, inbox: Inbox) -> None:
        """Let the client end a body that nobody takes: some (curl) take a reset for the
        loss of the answer that they have, RFC 9113, 8.1 notwithstanding."""
        left = MAX_LINGER_BYTES
        with contextlib.suppress(TimeoutError, StreamError):
            async with asyncio.timeout(LINGER_S):
                while left > 0 and self._codec.is_open(stream_id):
                    data = await inbox.next_chunk()
                    if not data:
                        break
                    left -= len(data)

    def _is_sent_straight_to_us(self, request: Request) -> bool:
        """In HTTP/2 a request to a proxy looks like any other; ours names our port."""
        is_outside = self._session.target is None
        return is_outside and self._exchanges.is_for_us(request.host, request.port)


class _StreamResponder:
    """The Responder of one stream's exchange."""

    __slots__ = ("_method", "_mux", "_stream_id", "has_started", "stream")

    def __init__(self, mux: H2Mux, stream_id: int, method: str) -> None:
        self._mux = mux
        self.stream = mux.stream
        self._stream_id = stream_id
        self._method = method
        self.has_started = False

    def informational(self, head: Informational) -> None:
        """Pass on a 1xx response."""
        if self._mux.codec.is_open(self._stream_id):
            self._mux.codec.send_informational(self._stream_id, head)
            self._mux.flush_soon()

    async def respond(
        self, response: Response, before_end: BeforeEnd, *, is_last: bool = False
    ) -> None:
        """Send the whole response; what is last here is a stream, not a connection."""
        mux, stream_id, body = self._mux, self._stream_id, response.body
        codec = mux.codec
        head = codec.response_head(stream_id, response)
        self.has_started = True  # one that cannot be sent is answered by a page
        is_end = body.is_empty or not may_have_body(self._method, response.status)
        if is_end or mux.takes(stream_id, body):
            await before_end()
            content = b"" if is_end else body.content or b""
            if mux.send_whole(stream_id, head, content):
                return
            before_end = _nothing  # others have used the window meanwhile
        codec.send_response_head(stream_id, head, end=is_end)
        mux.flush_soon()
        if not is_end:
            await mux.send_body(stream_id, body, before_end)

    def abort(self) -> None:
        """Reset the stream: without an answer, or in the middle of one."""
        code = H2Code.INTERNAL_ERROR if self.has_started else H2Code.CANCEL
        self._mux.codec.reset(self._stream_id, code)
        self._mux.flush_soon()


async def _nothing() -> None:
    """Before the end of an answer to no flow."""


def _no_connect_page() -> Response:
    return page(
        501,
        "CONNECT is not served over HTTP/2",
        "Tunnels are made by CONNECT over HTTP/1.1, on a connection of their own.",
    )
