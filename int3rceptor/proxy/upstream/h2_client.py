"""One HTTP/2 connection to an origin, shared by the exchanges of many clients."""

import time
from dataclasses import replace
from typing import Protocol

from int3rceptor.errors import (
    Int3rceptorError,
    OriginClosed,
    OriginError,
    OriginProtocolError,
    OriginReset,
    ProtocolError,
    StreamError,
    StreamTimeout,
)
from int3rceptor.model.body import Body
from int3rceptor.model.flow import OriginInfo, TlsInfo
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import Tasks
from int3rceptor.proxy.h2_mux import H2Mux, Inbox, WindowTimeout
from int3rceptor.proxy.h2_waits import Wait
from int3rceptor.proxy.upstream.answer import (
    Origin,
    OriginDeadlines,
    PassOn,
    alert_of,
    not_taken,
    reading_body,
    too_late,
)
from int3rceptor.wire.events import ResponseHead
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    H2Event,
    PeerGoAway,
    SettingsChanged,
    StreamEnd,
    StreamHead,
    StreamReset,
)
from int3rceptor.wire.h2.faults import H2Code, code_name

_NO_RESPONSE = Response(status=0)


class Home(Protocol):
    """The pool, as a shared connection sees it."""

    def has_room(self, connection: "H2Origin") -> None:
        """Another exchange can begin on it."""
        ...

    def retire(self, connection: "H2Origin") -> None:
        """No exchange may begin on it any more."""
        ...

    def discard(self, connection: "H2Origin") -> None:
        """It is gone."""
        ...


class H2Origin:
    """An open connection; its reader runs until it is gone."""

    def __init__(
        self,
        origin: Origin,
        stream: ByteStream,
        tls: TlsInfo | None,
        home: Home,
        deadlines: OriginDeadlines,
    ) -> None:
        self.origin = origin
        self.stream = stream
        self.tls = tls
        self.info = OriginInfo(
            address=stream.peer, tls=tls, version="HTTP/2", is_reused=False
        )
        self.idle_since = 0.0
        self.deadlines = deadlines
        self.codec = H2Codec("client")
        self.mux = H2Mux(stream, self.codec, self._on_event, deadlines.idle_timeout_s)
        self.exchanges: dict[int, H2Exchange] = {}
        self._reserved = 0
        self._home: Home | None = home
        self._tasks = Tasks(f"h2 to {origin}")
        self._tasks.start(self._read(), "reader")

    # What the pool asks

    def reserve(self) -> bool:
        """Keep a place for one exchange; False when there is none."""
        room = self.codec.peer_max_streams - self.codec.open_streams - self._reserved
        if not self.is_usable or room <= 0:
            return False
        self._reserved += 1
        return True

    def unreserve(self) -> None:
        """Give a place back unused."""
        self._reserved -= 1
        self._rest()

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is under way or about to be."""
        return not self.exchanges and not self._reserved

    @property
    def is_usable(self) -> bool:
        """Whether exchanges can begin on it."""
        return self.stream.is_usable and not self.codec.is_closing

    def close(self) -> None:
        """Close now; exchanges that are on it fail."""
        self.codec.close()
        self.mux.flush()
        self.stream.abort()
        self._leave()

    async def ended_tasks(self) -> None:
        """Wait until the reader has ended."""
        await self._tasks.close()

    # One exchange

    async def exchange(
        self, request: Request, pass_on: PassOn, owner: object | None = None
    ) -> "H2Exchange":
        """Send a request and wait for the response's head. What authenticates whole
        connections does not work where they are shared: `owner` is not looked at."""
        self._reserved -= 1
        is_end = request.body.is_empty
        try:
            stream_id = self.codec.open_stream(request, end=is_end)
        except (OriginError, ProtocolError):
            self._rest()
            raise
        exchange = H2Exchange(self, stream_id, request, pass_on)
        self.exchanges[stream_id] = exchange
        self.mux.flush_soon()
        if not self.info.is_reused:
            self.info = replace(self.info, is_reused=True)
        try:
            await exchange.run(is_end=is_end)
        except BaseException:
            await exchange.aclose()
            raise
        return exchange

    def ended(self, stream_id: int) -> None:
        """An exchange is over: its place is free."""
        self.exchanges.pop(stream_id, None)
        self.mux.inboxes.pop(stream_id, None)
        self._rest()

    def _rest(self) -> None:
        if self.is_idle:
            self.idle_since = self.mux.loop.time()
            if self.codec.is_closing:
                self.close()
                return
        if self._home is not None:
            self._home.has_room(self)

    # The reader

    async def _read(self) -> None:
        what, alert = "", None
        try:
            await self.mux.run()
            what = "closed the connection"
        except ProtocolError as failure:
            for exchange in list(self.exchanges.values()):
                exchange.fail(failure)
        except StreamError as failure:
            what = f"broke off the connection ({failure})"
            alert = alert_of(failure, self.origin)
        for exchange in list(self.exchanges.values()):
            exchange.fail(
                alert
                or OriginClosed(
                    f"{self.origin} {what} before its answer was whole",
                    is_stale=exchange.info.is_reused and not exchange.has_head,
                )
            )
        self.stream.abort()
        self._leave()

    def _leave(self) -> None:
        if self._home is not None:
            home, self._home = self._home, None
            home.discard(self)

    def _on_event(self, event: H2Event) -> None:
        if isinstance(event, (StreamHead, StreamEnd, StreamReset)):
            if exchange := self.exchanges.get(event.stream_id):
                exchange.on_event(event)
        elif isinstance(event, PeerGoAway):
            if self._home is not None:
                self._home.retire(self)
            if self.is_idle:
                self.close()
        elif isinstance(event, SettingsChanged) and self._home is not None:
            self._home.has_room(self)


class H2Exchange:
    """One exchange on one stream: an Answer once `run` has returned."""

    __slots__ = (
        "_connection", "_error", "_head", "_inbox", "_is_continue_owed", "_is_over",
        "_is_request_sent", "_is_response_whole", "_news", "_pass_on", "_request",
        "_sent_at", "_stream_id", "_upload", "_upload_error", "info", "response",
        "upgraded",
    )  # fmt: skip

    def __init__(
        self, connection: H2Origin, stream_id: int, request: Request, pass_on: PassOn
    ) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._request = request
        self._pass_on = pass_on
        self._upload: Tasks | None = None
        self._news = Wait(connection.mux.waits)
        self._error: Int3rceptorError | None = None
        self._upload_error: Int3rceptorError | None = None
        self._is_request_sent = False
        self._sent_at = 0.0
        self._is_response_whole = False
        self._is_continue_owed = request.expects_continue
        self._is_over = False
        self._head: ResponseHead | None = None
        self._inbox: Inbox | None = None
        self.upgraded: ByteStream | None = None
        self.response = _NO_RESPONSE
        self.info = connection.info

    async def run(self, *, is_end: bool) -> None:
        """Send the body; return when the final response's head is here."""
        if is_end:
            self._mark_sent()
        else:
            self._upload = Tasks(f"upload to {self._connection.origin}")
            self._upload.start(self._send(self._request.body), "body")
        while (head := self._head) is None:
            if self._upload_error is not None:
                raise self._upload_error
            if self._error is not None:
                raise self._error
            try:
                await self._news.wait(self._left_s())
            except StreamTimeout as error:
                self._nothing_came(error)
        length, inbox = head.length, self._inbox
        self.response = Response(
            status=head.status,
            reason=head.reason,
            version="HTTP/2",
            headers=head.headers,
            body=Body(length=length) if inbox is None else inbox.body(length),
            received=head.block,
        )

    async def settle(self) -> None:
        """Let the request's body end; a client that waits for a 100 never sends it."""
        if not self._is_response_whole:
            await self.aclose()  # somebody put another answer in its place
        if self._is_continue_owed and not self._is_request_sent:
            await self.aclose()
        if self._upload is not None:
            while len(self._upload) and not self._is_over:
                await self._upload.wait(self._connection.deadlines.idle_timeout_s)
            # One that a reset has cancelled may still be reading the request's body.
            await self._upload.close()
        if self._upload_error is not None:
            raise self._upload_error

    async def aclose(self) -> None:
        """Give up: reset the stream, the connection goes on."""
        if not self._is_over:
            self._is_over = True
            self._connection.codec.reset(self._stream_id, H2Code.CANCEL)
            self._connection.mux.flush_soon()
            self._connection.ended(self._stream_id)
        if self._upload is not None:
            await self._upload.close()

    def _left_s(self) -> float:
        """The head may take its time from the end of the request on."""
        wait_s = self._connection.deadlines.first_byte_timeout_s
        if self._is_request_sent:
            return self._sent_at + wait_s - time.monotonic()
        return wait_s

    def _nothing_came(self, error: StreamTimeout) -> None:
        """A wait ended without news: too late, unless the upload went on, which has
        deadlines of its own."""
        if self._is_request_sent and self._left_s() <= 0:
            raise too_late(self._connection) from error

    async def _send(self, body: Body) -> None:
        try:
            with reading_body():
                await self._connection.mux.send_body(self._stream_id, body)
        except WindowTimeout:
            self._upload_error = not_taken(self._connection)
            self._news.open()
            return
        except (ProtocolError, StreamError) as error:
            # What the origin did to the stream is told by its reset, not by this.
            if self._connection.codec.is_open(self._stream_id):
                self._upload_error = error
                self._news.open()
            return
        self._mark_sent()
        self._end_if_whole()

    def _mark_sent(self) -> None:
        self._is_request_sent = True
        self._sent_at = time.monotonic()

    # The connection's side

    @property
    def has_head(self) -> bool:
        """Whether the final response's head has come."""
        return self._head is not None

    def on_event(self, event: StreamHead | StreamEnd | StreamReset) -> None:
        """What the origin said on this stream."""
        if isinstance(event, StreamHead):
            # A request's head comes to servers only.
            assert isinstance(event.head, ResponseHead)
            self._received(event, event.head)
        elif isinstance(event, StreamEnd):
            self._response_ended()
        else:
            self.fail(self._why(event))

    def _why(self, event: StreamReset) -> Int3rceptorError:
        if not event.by_peer:
            return OriginProtocolError(f"HTTP/2: {event.reason}")
        code, origin = event.code, self._connection.origin
        return OriginReset(
            f"{origin} cancelled the exchange: {code_name(code)}",
            code=code,
            is_unprocessed=event.is_unprocessed,
        )

    def _received(self, event: StreamHead, head: ResponseHead) -> None:
        if head.status < 200:
            if head.status == 100:
                self._is_continue_owed = False
            self._pass_on(
                Informational(
                    status=head.status, reason=head.reason, headers=head.headers
                )
            )
            return
        self._head = head
        if event.ended:
            self._response_ended()
        else:
            idle_s = self._connection.deadlines.idle_timeout_s
            self._inbox = self._connection.mux.open_inbox(event, idle_s)
        self._news.open()

    def _response_ended(self) -> None:
        self._is_response_whole = True
        self._end_if_whole()

    def fail(self, error: Int3rceptorError) -> None:
        """The stream, or the whole connection, is gone."""
        self._error = error
        self._is_over = True
        if self._upload is not None:
            self._upload.cancel()
        if self._inbox is not None:
            self._inbox.fail(error)
        self._news.open()
        self._connection.ended(self._stream_id)

    def _end_if_whole(self) -> None:
        if self._is_request_sent and self._is_response_whole and not self._is_over:
            self._is_over = True
            self._connection.ended(self._stream_id)
