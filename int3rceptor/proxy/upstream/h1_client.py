"""One HTTP/1.1 connection to an origin, carrying one exchange at a time."""

import time
from typing import Protocol

from int3rceptor.errors import (
    Int3rceptorError,
    OriginClosed,
    ProtocolError,
    StreamError,
    StreamLost,
    StreamTimeout,
)
from int3rceptor.model.body import Body
from int3rceptor.model.flow import OriginInfo, TlsInfo
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.model.turns import turn
from int3rceptor.net.stream import ByteStream
from int3rceptor.net.tasks import Tasks
from int3rceptor.proxy.limits import EAGER_BODY_BYTES
from int3rceptor.proxy.upstream.answer import (
    Origin,
    OriginDeadlines,
    PassOn,
    alert_of,
    is_bound,
    not_taken,
    reading_body,
    too_late,
)
from int3rceptor.proxy.upstream.h1_body import ResponseBody
from int3rceptor.wire.events import Data, End, ResponseHead
from int3rceptor.wire.h1.server import NEED_DATA, H1Client


class Home(Protocol):
    """Where a connection goes when its exchange is over: the pool."""

    def release(self, connection: "H1Origin") -> None:
        """It is free again."""
        ...

    def bound(self, connection: "H1Origin") -> None:
        """It serves one owner only."""
        ...

    def discard(self, connection: "H1Origin") -> None:
        """It is gone."""
        ...


class H1Origin:
    """An open connection. `home` hears when it is free and, once, when it is gone."""

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
        self.owner: object | None = None
        self.is_reused = False
        self.has_answered = False
        self.idle_since = 0.0
        self.deadlines = deadlines
        self.codec = H1Client()
        self._home: Home | None = home
        self._exchange: H1Exchange | None = None
        self._info: OriginInfo | None = None
        stream.when_lost(self._lost)

    async def exchange(
        self, request: Request, pass_on: PassOn, owner: object | None = None
    ) -> "H1Exchange":
        """Send a request and wait for the response's head. The connection becomes the
        owner's alone when this authenticates it."""
        self.has_answered = False
        self._exchange = exchange = H1Exchange(self, request, owner)
        try:
            exchange.send()
            try:
                data = await self.stream.read(self.deadlines.first_byte_timeout_s)
            except StreamError as error:
                exchange.judge(error)
                data = await exchange.read()
            response = self.codec.whole_answer(data)
            if response is not None:
                exchange.take_whole(response)
            else:
                exchange.receive(await exchange.final_head(data, pass_on))
        except BaseException:
            await exchange.aclose()
            raise
        return exchange

    @property
    def info(self) -> OriginInfo:
        """What flows record of this connection; one value for all that reuse it."""
        if self._info is None or self._info.is_reused is not self.is_reused:
            self._info = OriginInfo(
                address=self.stream.peer,
                tls=self.tls,
                version="HTTP/1.1",
                is_reused=self.is_reused,
            )
        return self._info

    def bind(self, owner: object | None) -> None:
        """From now on it is the owner's alone."""
        self.owner = owner
        if self._home is not None:
            self._home.bound(self)

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is under way."""
        return self._exchange is None

    @property
    def is_usable(self) -> bool:
        """Whether it can carry one more exchange: open, and silent (an origin that
        sends bytes nobody asked for has lost its framing)."""
        return self.stream.is_quiet()

    def finished(self) -> None:
        """The exchange is over, in both directions."""
        if self.codec.is_reusable:
            self.codec.next_cycle()
            self.free()
        else:
            self._exchange = None
            if self._home is not None:
                self.close()

    def free(self) -> None:
        """The exchange is over, and the codec ready for another."""
        self._exchange = None
        if self._home is not None:
            self._home.release(self)

    def leave(self) -> None:
        """The stream belongs to somebody else from now on (101)."""
        self._exchange = None
        self.stream.when_lost(None)
        if self._home is not None:
            home, self._home = self._home, None
            home.discard(self)

    def close(self) -> None:
        """Close at once."""
        self.stream.abort()
        self.leave()

    def _lost(self) -> None:
        if self._exchange is None:
            self.close()


_NO_RESPONSE = Response(status=0)


class H1Exchange:
    """One exchange: an Answer once `run` has returned."""

    __slots__ = (
        "_connection", "_is_continue_owed", "_is_over", "_is_plain",
        "_is_request_sent", "_is_response_whole", "_owner", "_request", "_sent_at",
        "_tasks", "_upload_error", "info", "response", "upgraded",
    )  # fmt: skip

    def __init__(
        self, connection: H1Origin, request: Request, owner: object | None
    ) -> None:
        self._connection = connection
        self._owner = owner
        self._request = request
        self._tasks: Tasks | None = None  # most requests have no body to upload
        self._upload_error: Int3rceptorError | None = None
        self._is_request_sent = self._is_plain = False
        self._sent_at = 0.0
        self._is_response_whole = self._is_continue_owed = self._is_over = False
        self.upgraded: ByteStream | None = None
        self.response = _NO_RESPONSE
        self.info = connection.info

    def send(self) -> None:
        """Send the request; a body that is not here yet follows as it comes."""
        codec, stream = self._connection.codec, self._connection.stream
        request = self._request
        whole = codec.whole_request(request)
        if whole is not None:
            stream.write(whole)
            self._is_request_sent = self._is_plain = True
            return
        body = request.body
        start = codec.head(request)
        if body.content is not None:
            stream.write(start + codec.whole(body.content, body.trailers))
            self._is_request_sent, self._sent_at = True, time.monotonic()
        else:
            stream.write(start)
            self._is_continue_owed = request.expects_continue
            self._tasks = Tasks(f"upload to {self._connection.origin}")
            self._tasks.start(self._upload(body), "body")

    async def settle(self) -> None:
        """Let the request's body end; a client that waits for a 100 never sends it."""
        if self._is_over and self._tasks is None:
            return
        if not self._is_response_whole:
            await self.aclose()  # somebody put another answer in its place
        if self._is_continue_owed and not self._is_request_sent:
            await self.aclose()
        tasks = self._tasks
        while tasks is not None and len(tasks) and not self._is_over:
            await tasks.wait(self._connection.deadlines.idle_timeout_s)
        if self._upload_error is not None:
            raise self._upload_error

    async def aclose(self) -> None:
        """Give up: an HTTP/1.1 exchange can only be ended by its connection."""
        if not self._is_over:
            self._is_over = True
            self._connection.close()
        if self.upgraded is not None:  # refused, so that nobody takes it over
            self.upgraded.abort()
        if self._tasks is not None:
            await self._tasks.close()

    # The request's way

    async def _upload(self, body: Body) -> None:
        codec, stream = self._connection.codec, self._connection.stream
        try:
            while True:
                try:
                    with reading_body():
                        data = await body.chunk()
                except (ProtocolError, StreamError) as error:
                    self._upload_error = error
                    stream.abort()
                    return
                if not data:
                    break
                stream.write(codec.data(data))
                await stream.drain(self._connection.deadlines.idle_timeout_s)
            stream.write(codec.end(body.trailers))
        except (StreamTimeout, ProtocolError) as error:
            # The latter of a body that is not as long as its head says.
            is_late = isinstance(error, StreamTimeout)
            self._upload_error = not_taken(self._connection) if is_late else error
            stream.abort()
            return
        except StreamError:
            return  # the response, or its absence, says what the origin made of it
        self._is_request_sent, self._sent_at = True, time.monotonic()
        if self._is_response_whole:
            self.ended()

    # The response's way

    async def final_head(self, data: bytes, pass_on: PassOn) -> ResponseHead:
        """Wait for it, of which `data` has come; those of 1xx responses before it are
        passed on."""
        codec = self._connection.codec
        self._heard(data)
        while True:
            codec.receive(data)
            while (event := codec.next_event()) is not NEED_DATA:
                if not isinstance(event, ResponseHead):
                    raise self._truncated("the answer's head was whole")
                status = event.status
                if status >= 200 or status == 101:
                    return event
                if status == 100:
                    self._is_continue_owed = False
                reason, headers = event.reason, event.headers
                pass_on(Informational(status=status, reason=reason, headers=headers))
            data = await self.read()

    def take_whole(self, response: Response) -> None:
        """Take an answer that is here to its end, and was all that was here. It asks
        for no credentials, and a plain request has none."""
        self.response = response
        if not self._is_plain and is_bound(self._request.headers, response.headers):
            self._connection.bind(self._owner)
        self._is_response_whole = self._is_over = True
        self._connection.free()

    def receive(self, head: ResponseHead) -> None:
        """Take the final head, and the body if it is small and here."""
        # Before the body: with its end the connection may go to the next who waits.
        if is_bound(self._request.headers, head.headers):
            self._connection.bind(self._owner)
        self.response = Response(  # by position: by name it takes twice as long
            head.status,
            head.reason,
            head.version,
            head.headers,
            self._body(head),
            head.block,
        )
        if head.status == 101:
            stream = self._connection.stream
            stream.unread(self._connection.codec.leftover())
            self._is_over = True
            self._connection.leave()
            self.upgraded = stream

    def _body(self, head: ResponseHead) -> Body:
        """The response's body: whole, if it is small and here."""
        if head.status == 101:
            return Body()
        content = self._connection.codec.take_body(EAGER_BODY_BYTES)
        if content is not None:
            self.ended()
            return Body(content, length=head.length)
        source = ResponseBody(self)
        return source.take_ready() or Body(source=source, length=head.length)

    async def next_event(self) -> Data | End:
        """The next piece of the response's body."""
        codec = self._connection.codec
        if codec.is_behind:
            await turn()
        while (event := codec.next_event()) is NEED_DATA:
            codec.receive(await self.read())
        if isinstance(event, End):
            self.ended()
        elif not isinstance(event, Data):
            raise self._truncated("its answer was whole")
        return event

    def ended(self) -> None:
        """The response is whole."""
        self._is_response_whole = True
        if self._is_request_sent and not self._is_over:
            self._is_over = True
            self._connection.finished()

    def ready_event(self) -> Data | End | None:
        """A piece of the body that is here already, if there is one."""
        codec = self._connection.codec
        event = None if codec.is_behind else codec.next_event()
        return event if isinstance(event, Data | End) else None

    async def read(self) -> bytes:
        """The next bytes of the answer; b"" at the end of the connection."""
        while True:
            try:
                data = await self._connection.stream.read(self._wait_s())
            except StreamError as error:
                self.judge(error)
                continue
            self._heard(data)
            return data

    def judge(self, error: StreamError) -> None:
        """Raise what a failed read means for the exchange, if it is not to go on."""
        connection = self._connection
        if isinstance(error, StreamTimeout):
            is_early = not connection.has_answered and self._wait_s() > 0
            if self._upload_error is None and is_early:
                return  # the upload went on, under deadlines of its own
            raise (self._upload_error or too_late(connection)) from error
        if isinstance(error, StreamLost):
            alert = alert_of(error, connection.origin)
            raise alert or self._truncated("its answer was whole") from error
        raise error

    def _heard(self, data: bytes) -> None:
        if data:
            self._connection.has_answered = True
        elif not self._connection.has_answered:
            raise self._truncated("it answered")

    def _wait_s(self) -> float:
        """What is left of the wait for the next byte: the first may take its time from
        the end of the request on."""
        deadlines = self._connection.deadlines
        if self._connection.has_answered:
            return deadlines.idle_timeout_s
        if not self._is_request_sent:
            return deadlines.first_byte_timeout_s
        return self._sent_at + deadlines.first_byte_timeout_s - time.monotonic()

    def _truncated(self, before: str) -> Int3rceptorError:
        if self._upload_error is not None:
            return self._upload_error
        connection = self._connection
        return OriginClosed(
            f"{connection.origin} closed the connection before {before}",
            is_stale=connection.is_reused and not connection.has_answered,
        )
