"""One end of an HTTP/2 connection, without I/O.

One stream's fault costs that stream, and a GOAWAY ends nothing (docs/adr/0005). No
tasks, no sockets, no policy.
"""

from typing import Literal

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
    PoolExhausted,
    ProtocolError,
    StreamLost,
)
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.wire.h2 import frames
from int3rceptor.wire.h2.events import H2Event
from int3rceptor.wire.h2.faults import ConnectionFault, H2Code, code_name
from int3rceptor.wire.h2.inbound import Inbound
from int3rceptor.wire.h2.limits import MAX_GOAWAY_DEBUG_BYTES, AbuseMeter, H2Limits
from int3rceptor.wire.h2.outbound import Outbound
from int3rceptor.wire.h2.sending import (
    Head,
    Sections,
    informational_fields,
    trailer_fields,
)
from int3rceptor.wire.h2.streams import StreamState, StreamTable
from int3rceptor.wire.peers import Peer

Role = Literal["server", "client"]


class H2Codec:
    """The protocol of one connection; "server" faces a client, "client" an origin.

    `receive` takes bytes and gives events, the sending methods queue bytes, and
    `take_output` hands them over. Take the output after each call that may have queued
    something, when the transport has room for it: what waits here is limited.

    A sending method that names a stream which is gone (reset by either side, or
    finished) raises StreamLost; `end`, `reset` and `consumed` ignore it, so that
    cleaning up is always safe.
    """

    def __init__(self, role: Role, limits: H2Limits | None = None) -> None:
        limits = limits or H2Limits()
        self._is_server = role == "server"
        self._meter = AbuseMeter()
        self._table = StreamTable(limits, self._meter)
        self._out = Outbound(limits, is_server=self._is_server)
        self._sections = Sections()
        self._inbound = Inbound(
            limits, self._out, self._table, self._meter, is_server=self._is_server
        )
        self.error_code: int | None = None
        """The error code of the GOAWAY that ended the connection, once one did."""

    # --- the connection ---------------------------------------------------------------

    def start(self) -> None:
        """Queue our preface; once, before anything else."""
        self._out.start()

    def receive(self, data: bytes, now: float = 0.0) -> list[H2Event]:
        """What `data` says; `now` is the loop's clock in seconds (0.0: not known).

        When it says very much, that is the first part of it: while `is_behind`, call
        again, with more data or with b"".

        ClientProtocolError or OriginProtocolError when the connection cannot go on:
        `take_output` then holds the GOAWAY, `error_code` its code, every stream is
        gone, and later bytes are ignored.
        """
        if self.error_code is not None:
            return []
        self._meter.now = now
        try:
            return self._inbound.receive(data)
        except ConnectionFault as fault:
            raise self._fail(fault) from None

    @property
    def is_behind(self) -> bool:
        """Whether more of what came may be in no event yet."""
        return self.error_code is None and self._inbound.is_behind

    def take_output(self) -> bytes:
        """The bytes to write, all of them; b"" when there are none."""
        return self._out.take()

    @property
    def pending_output(self) -> int:
        """How many bytes wait for `take_output`."""
        return self._out.pending

    @property
    def open_streams(self) -> int:
        """Streams that are neither finished nor reset."""
        return len(self._table.open)

    @property
    def peer_max_streams(self) -> int:
        """How many streams the peer allows us; 100 until it has said so."""
        return self._out.max_streams

    @property
    def is_closing(self) -> bool:
        """Whether no new stream will begin: GOAWAY was sent or received."""
        return (
            self._inbound.refuses_new
            or self.error_code is not None
            or self._inbound.peer_limit != frames.MAX_STREAM_ID
        )

    @property
    def can_open_stream(self) -> bool:
        """Whether `open_stream` will work now."""
        return len(self._table.open) < self._out.max_streams and not self.is_closing

    def is_open(self, stream_id: int) -> bool:
        """Whether the stream is neither finished nor reset."""
        return stream_id in self._table.open

    def shutdown(self, code: int = H2Code.NO_ERROR) -> None:
        """Say GOAWAY: open streams go on to their end, new ones are refused."""
        if not self._inbound.refuses_new and self.error_code is None:
            self._inbound.refuses_new = True
            self._out.queue(frames.goaway_frame(self._table.last_accepted, code))

    def close(self, code: int = H2Code.NO_ERROR, debug: bytes = b"") -> None:
        """Say the last GOAWAY; write the output and close the transport after it."""
        if self.error_code is None:
            self.error_code = code
            self._out.queue(frames.goaway_frame(self._table.last_accepted, code, debug))
            self._table.clear()

    def _fail(self, fault: ConnectionFault) -> ProtocolError:
        self.close(fault.code, str(fault).encode()[:MAX_GOAWAY_DEBUG_BYTES])
        kind = ClientProtocolError if self._is_server else OriginProtocolError
        return kind(f"HTTP/2 {code_name(fault.code)}: {fault}")

    # --- streams ----------------------------------------------------------------------

    def open_stream(self, request: Request, *, end: bool) -> int:
        """Send a request's head and give its stream id; `end`: it has no body.

        OriginClosed (unprocessed) when the connection is closing or out of ids,
        PoolExhausted when the peer allows no more streams now, ClientProtocolError for
        a head that HTTP/2 cannot carry.
        """
        if not self.can_open_stream:
            if self.is_closing:
                raise OriginClosed(
                    "the origin's HTTP/2 connection is closing", is_unprocessed=True
                )
            raise PoolExhausted("the origin allows no more streams on its connection")
        head = self._sections.request(request)
        stream_id = self._out.next_stream_id()
        if stream_id is None:
            raise OriginClosed(
                "the HTTP/2 connection has used up its streams", is_unprocessed=True
            )
        request.sent = head.lines
        self._table.highest_out = stream_id
        stream = self._table.add(stream_id, request.method, self._out.stream_window)
        self._send_head(stream, head, end=end)
        return stream_id

    def response_head(self, stream_id: int, response: Response) -> Head:
        """A final response's head as it is to be sent; OriginProtocolError for one that
        HTTP/2 cannot carry."""
        method = self._stream(stream_id).method
        head = self._sections.response(response, method=method)
        response.sent = head.lines
        return head

    def send_response_head(self, stream_id: int, head: Head, *, end: bool) -> None:
        """Send what `response_head` gave; `end`: neither body nor trailers follow."""
        self._send_head(self._stream(stream_id), head, end=end)

    def send_whole(self, stream_id: int, head: Head, content: bytes) -> bool:
        """Send what `response_head` gave, and all of the body. False, and nothing is
        sent, when the windows have no room for it."""
        stream = self._stream(stream_id)
        size = len(content)
        if size and (size > self._out.window or size > stream.send_window):
            return False
        self._out.send_head(stream_id, head, end=not size)
        if size:
            self._send_data(stream, content, end=True)
        else:
            self._table.end_local(stream)
        return True

    def send_informational(self, stream_id: int, response: Informational) -> None:
        """Send a 1xx response's head, before the final one."""
        stream = self._stream(stream_id)
        self._out.send_headers(stream.id, informational_fields(response), end=False)

    def window(self, stream_id: int) -> int:
        """How many bytes may be sent now; 0 or less: wait for WindowOpened."""
        return min(self._out.window, self._stream(stream_id).send_window)

    def send_data(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Send body bytes, at most `window(stream_id)` of them (else ValueError)."""
        stream = self._stream(stream_id)
        size = len(data)
        if size and (size > self._out.window or size > stream.send_window):
            raise ValueError("more data than the stream's window allows")
        self._send_data(stream, data, end=end)

    def _send_data(self, stream: StreamState, data: bytes, *, end: bool) -> None:
        size = len(data)
        stream.send_window -= size
        self._out.send_data(stream.id, data, end=end)
        self._meter.data_sent(size)
        if end:
            self._table.end_local(stream)

    def send_trailers(self, stream_id: int, section: Headers) -> None:
        """Send the trailer section, which ends our side; the error of its author where
        HTTP/2 cannot carry it."""
        author = Peer.ORIGIN if self._is_server else Peer.CLIENT
        fields = trailer_fields(section, author)
        if fields:
            stream = self._stream(stream_id)
            self._out.send_headers(stream_id, fields, end=True)
            self._table.end_local(stream)
        else:
            self.end(stream_id)

    def end(self, stream_id: int) -> None:
        """End our side without trailers."""
        stream = self._table.open.get(stream_id)
        if stream is not None and not stream.local_ended:
            self._out.send_data(stream_id, b"", end=True)
            self._table.end_local(stream)

    def reset(self, stream_id: int, code: int = H2Code.CANCEL) -> None:
        """Cancel a stream: no event of it follows, its unread bytes are given up."""
        if stream_id in self._table.open:
            self._out.queue(frames.rst_stream_frame(stream_id, code))
        self._table.forget(stream_id)
        self._open_connection()

    def consumed(self, stream_id: int, size: int) -> None:
        """`size` bytes of StreamData were passed on: the peer may send as many more."""
        if increment := self._table.consume(stream_id, size):
            self._out.queue(frames.window_update_frame(stream_id, increment))
        self._open_connection()

    def _open_connection(self) -> None:
        if increment := self._table.window.increment():
            self._out.queue(frames.window_update_frame(0, increment))

    def _send_head(self, stream: StreamState, head: Head, *, end: bool) -> None:
        self._out.send_head(stream.id, head, end=end)
        if end:
            self._table.end_local(stream)

    def _stream(self, stream_id: int) -> StreamState:
        stream = self._table.open.get(stream_id)
        if stream is None or stream.local_ended:
            raise StreamLost(f"HTTP/2 stream {stream_id} takes nothing more")
        return stream
