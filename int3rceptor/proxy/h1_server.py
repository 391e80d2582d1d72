"""Speaks HTTP/1.x with a client: one request after the other, answered in order.

Pipelined requests wait in the stream, which stops reading when it holds enough.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from int3rceptor.config.model import LimitsConfig
from int3rceptor.errors import (
    ClientProtocolError,
    StreamError,
    StreamTimeout,
)
from int3rceptor.hooks.keeper import BeforeEnd
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Response
from int3rceptor.model.turns import turn
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.failures import refusal_page
from int3rceptor.proxy.limits import EAGER_BODY_BYTES
from int3rceptor.proxy.onboarding import OWN_HOST
from int3rceptor.proxy.refusals import linger
from int3rceptor.proxy.requests import build_flow
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import Data, End, Event, RequestHead
from int3rceptor.wire.h1.server import NEED_DATA, H1Server, Signal

log = logging.getLogger("int3rceptor.proxy")

Connect = Callable[[RequestHead, ByteStream], Awaitable[None]]
"""Goes on with a connection after the head of a CONNECT on it."""

MAX_PIPELINED_AT_ONCE = 16
"""Requests in a row before others have their turn for certain: one read may hold
10,000, and those that we answer ourselves wait for nobody."""


class H1ServerConnection:
    """One client connection, or the inside of a tunnel, in HTTP/1.x."""

    def __init__(
        self,
        stream: ByteStream,
        session: Session,
        exchanges: Exchanges,
        limits: LimitsConfig,
        connect: Connect,
    ) -> None:
        self.stream = stream
        self._session = session
        self._exchanges = exchanges
        self._limits = limits
        self._connect = connect
        self._codec = H1Server(session.scheme)
        self._is_draining = False
        self._is_idle = True
        self._is_request_whole = False
        self._is_continue_owed = False
        self._is_aborted = False
        self._is_relaying = False
        self._flow: Flow | None = None
        self.has_started = False

    async def serve(self) -> None:
        """Answer requests until either side is done with the connection."""
        self.stream.when_lost(_cancelling_this_task())
        served = 0
        try:
            while await self._serve_one():
                served += 1
                if served % MAX_PIPELINED_AT_ONCE == 0:
                    await turn()
        except ClientProtocolError as error:
            await self._refuse(error)
        except StreamError as error:
            log.debug("client %s: %s", self.stream.peer, error)
        finally:
            self.stream.when_lost(None)

    def drain(self) -> None:
        """Close after the exchange that runs; now, when none does."""
        self._is_draining = True
        if self._is_idle or self._is_relaying:
            self._exchanges.commit()  # an answer may be held yet
            self.stream.abort()

    async def _serve_one(self) -> bool:
        """One request; whether another may follow."""
        head = self._codec.next_event()
        flow: Flow | None = None
        if head is NEED_DATA:
            try:
                data = await self.stream.read(self._limits.client_idle_s)
            except StreamTimeout:
                await self.stream.aclose()
                return False
            flow = self._begin_whole(data)
            if flow is None:
                head = await self._head_from(data)
        if flow is None:
            if not isinstance(head, RequestHead):
                await self.stream.aclose()
                return False
            if head.method == "CONNECT":
                await self._leave_to(head)
                return False
            flow = self._begin(head)
        self._flow, self._is_idle = flow, False
        upgraded = await self._exchanges.run(flow, self._session, self)
        if upgraded is not None:
            await self._relay(flow, upgraded)
            return False
        if self._is_aborted:
            return False
        if self._codec.must_close:
            await (
                self.stream.aclose() if self._is_request_whole else linger(self.stream)
            )
            return False
        self._codec.next_cycle()
        self.has_started = False  # what comes may be refused before it is a request
        self._is_idle = True
        self._flow = None  # some KB, which an idle connection would hold
        return not self._is_draining

    async def _leave_to(self, connect: RequestHead) -> None:
        self._is_idle = False
        self.stream.when_lost(None)
        self.stream.unread(self._codec.leftover())
        await self._connect(connect, self.stream)

    def _begin_whole(self, data: bytes) -> Flow | None:
        """The flow of a plain request that `data` is to its last byte, if it is one."""
        session = self._session
        if session.target is None:
            return None
        request = self._codec.whole_request(data, *session.target)
        if request is None:
            return None
        self._is_continue_owed = False
        self._is_request_whole = True
        return Flow(session.client, request)

    def _begin(self, head: RequestHead) -> Flow:
        content = self._codec.take_body(EAGER_BODY_BYTES)
        if content is None and not head.has_body:
            self._take_end()
            content = b""
        is_whole = self._is_request_whole = content is not None
        self._is_continue_owed = not is_whole and b"expect" in head.headers.steering
        source = None if is_whole else _BodySource(self)
        body = Body(content, source=source, length=head.length)
        flow = build_flow(head, body, self._session)
        if self._session.target is None and not head.is_absolute:
            # A path alone, outside of a tunnel, was meant for a web server: for us.
            flow.request.host = OWN_HOST
        return flow

    # The Responder of the exchange that runs

    def informational(self, head: Informational) -> None:
        """Pass on a 1xx response."""
        if head.status == 100:
            self._is_continue_owed = False
        self.stream.write(self._codec.informational(head))

    async def respond(
        self, response: Response, before_end: BeforeEnd, *, is_last: bool = False
    ) -> None:
        """Send the whole response."""
        codec, stream = self._codec, self.stream
        if not is_last and (self._is_draining or not self._is_request_whole):
            is_last = self._must_give_up_request()
        whole = None if is_last else codec.whole_answer(response)
        if whole is not None:
            self.has_started = True
            await before_end()
            stream.write(whole)
        else:
            await self._send(response, before_end, is_last=is_last)
        if not stream.has_room:
            await stream.drain(self._limits.client_idle_s)

    async def _send(
        self, response: Response, before_end: BeforeEnd, *, is_last: bool
    ) -> None:
        codec, stream, body = self._codec, self.stream, response.body
        head = codec.head(response, close=is_last)
        self.has_started = True  # one that cannot be sent is answered by a page
        if response.status == 101:
            stream.write(head)
        elif body.content is not None or body.length == 0 or not codec.sends_body:
            if body.length == 0 and codec.sends_body:
                await body.chunk()  # who follows it is told of its end
            whole = head + codec.whole(body.content or b"", body.trailers)
            await before_end()
            stream.write(whole)
        else:
            stream.write(head)
            await self._send_body(body, before_end)

    async def _send_body(self, body: Body, before_end: BeforeEnd) -> None:
        """Send a body as it comes. Its last bytes are known when they are as many as
        were announced; else only the end itself is the last to leave."""
        codec, stream = self._codec, self.stream
        is_told = False
        while data := await body.chunk():
            pieces = codec.data(data)
            if body.size == body.length:
                await before_end()
                is_told = True
            stream.write(pieces)
            await stream.drain(self._limits.client_idle_s)
        end = codec.end(body.trailers)
        if not is_told:
            await before_end()
        stream.write(end)

    def abort(self) -> None:
        """Close without (the rest of) an answer, which must not seem whole."""
        self._is_aborted = True
        if self._codec.ends_by_close:
            self.stream.reset()
        else:
            self.stream.abort()

    def _must_give_up_request(self) -> bool:
        """Whether the rest of the request is not waited for: nobody takes it, or the
        client holds it back for a 100 that will not come."""
        if self._is_draining or self._is_request_whole:
            return self._is_draining
        is_unasked = self._flow is not None and self._flow.origin is None
        return is_unasked or self._is_continue_owed

    # Reading

    async def _head_from(self, data: bytes) -> Event | Signal:
        """The head that begins with `data`."""
        self._codec.receive(data)
        event = self._codec.next_event()
        return await self._rest_of_head() if event is NEED_DATA else event

    async def _rest_of_head(self) -> Event | Signal:
        # One deadline for the whole head: a byte now and then does not extend it.
        head_s = self._limits.head_timeout_s
        deadline = time.monotonic() + head_s
        event: Event | Signal = NEED_DATA
        while event is NEED_DATA:
            wait_s = max(0.0, deadline - time.monotonic())
            try:
                data = await self.stream.read(wait_s)
            except StreamTimeout:
                raise ClientProtocolError(
                    f"the rest of the request's head did not come within {head_s:g} s",
                    status=408,
                ) from None
            self._codec.receive(data)
            event = self._codec.next_event()
        return event

    def _take_end(self) -> None:
        event = self._codec.next_event()
        assert isinstance(event, End), event

    async def next_body_event(self) -> Data | End:
        """The next piece of the request's body."""
        if self._codec.is_behind:
            await turn()
        while True:
            event = self._codec.next_event()
            if isinstance(event, Data | End):
                self._is_request_whole = isinstance(event, End)
                return event
            self._codec.receive(await self.stream.read(self._limits.client_idle_s))

    # Ending

    async def _relay(self, flow: Flow, origin: ByteStream) -> None:
        self._is_relaying = True
        self.stream.when_lost(None)
        self.stream.unread(self._codec.leftover())
        await self._exchanges.relay(flow, self.stream, origin)

    async def _refuse(self, error: ClientProtocolError) -> None:
        """Say what is wrong with the request, if an answer can still be told apart."""
        log.info("client %s:%d: %s", *self.stream.peer, error)
        if not self.has_started:
            response = refusal_page(error)
            head = self._codec.head(response, close=True)
            self.stream.write([head, response.body.content or b""])
        await linger(self.stream)


def _cancelling_this_task() -> Callable[[], None]:
    """The task is no variable of who calls: a cancelled one holds its frames, which
    would hold it, and all of it would wait for the collector."""
    task = asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        task.cancel()

    return cancel


class _BodySource:
    """A request's body as it comes in."""

    def __init__(self, connection: H1ServerConnection) -> None:
        self._connection = connection
        self._trailers: Headers | None = None

    async def next_chunk(self) -> bytes:
        event = await self._connection.next_body_event()
        if isinstance(event, End):
            self._trailers = event.trailers
            return b""
        return event.data

    def trailers(self) -> Headers | None:
        return self._trailers
