"""HTTP/1.1 without I/O: H1Server faces a client, H1Client an origin.

Heads are judged and written by us; h11 keeps the state machine and the framing of every
exchange that is not plain. Neither class knows sockets, deadlines or policy.
"""

import h11

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
)
from int3rceptor.model.headers import RawHeaders, to_bytes
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.model.own_code import own_code
from int3rceptor.wire.events import Event, ResponseHead
from int3rceptor.wire.h1_connection import CLOSED, NEED_DATA, H1Connection, Signal
from int3rceptor.wire.h1_framing import (
    Framing,
    Peer,
    judge_request,
    judge_response,
    may_have_body,
)
from int3rceptor.wire.h1_plain import DONE, FAILED, IDLE
from int3rceptor.wire.h1_serialise import (
    COUNTED,
    NOTHING,
    Sending,
    asks_upgrade,
    informational_head,
    plain_request_head,
    plain_response_head,
    request_framing,
    request_head,
    response_framing,
    response_head,
)

__all__ = ["CLOSED", "NEED_DATA", "H1Client", "H1Server", "Signal"]

MAX_LEADING_EMPTY_LINES = 4
"""Empty lines before a request line (RFC 9112, 2.2): old clients send one."""

MAX_INFORMATIONAL = 32
"""1xx responses to one request: progress reports are few, a flood is an attack."""

_PLAIN_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_HTTP_1_0 = b"%b / HTTP/1.0\r\nHost: a\r\n%b\r\n"
_HTTP_1_1 = b"%b / HTTP/1.1\r\nHost: a\r\n%b\r\n"


@own_code
class H1Server(H1Connection):
    """The client-facing side of one connection; `scheme` is what its requests imply."""

    peer = Peer.CLIENT
    author = Peer.ORIGIN

    def __init__(self, scheme: str = "http") -> None:
        super().__init__(h11.SERVER)
        self._scheme = scheme
        self._is_http10 = False

    @property
    def must_close(self) -> bool:
        """Whether the connection must be closed once the response is sent.

        True as well when the response is at its end and the request is not: its rest
        would have to be read and thrown away.
        """
        engine = self._engine
        if self._must_close:
            return True
        if engine is None:
            return self._ours.stage is DONE and self._theirs.stage is not DONE
        return engine.our_state is h11.DONE and engine.their_state is not h11.DONE

    def informational(self, informational: Informational) -> bytes:
        """A 1xx response other than 101; nothing for a client of HTTP/1.0."""
        if not self._method or self._is_http10:
            return b""  # RFC 9110, 15.2
        head = informational_head(informational)
        self._tell(
            h11.InformationalResponse(status_code=informational.status, headers=[])
        )
        return head

    def head(self, response: Response, *, close: bool = False) -> bytes:
        """The response's head; its body goes through `data` and `end`.

        Before any request, or after a refused one, this is the answer to a fault: the
        connection closes after it.
        """
        is_kept = not (close or self._must_close)
        if is_kept and self._engine is None and self._method in _PLAIN_METHODS:
            plain = plain_response_head(response)
            if plain is not None:
                head, length = plain
                self._sending, self._sends_body = COUNTED, True
                self._begin(length)
                response.sent = head[:-4]
                return head
        return self._judged_head(response, close=close)

    def _judged_head(self, response: Response, *, close: bool) -> bytes:
        method, status = self._method, response.status
        sending = response_framing(response, method, is_http10=self._is_http10)
        self._sending = sending
        self._sends_body = sends_body = may_have_body(method, status)
        if close or not method or (sends_body and sending is NOTHING):
            self._must_close = True
        is_tunnel = method == "CONNECT" and status < 300
        close = self._must_close and not is_tunnel
        head = response_head(response, sending, close=close)
        response.sent = head[:-4]
        length = sending.length if sends_body else 0
        if self._engine is None and length is not None and status >= 200:
            self._begin(length)
        else:
            self._tell_head(status, sending, close=close)
        return head

    def _tell_head(self, status: int, sending: Sending, *, close: bool) -> None:
        fields = _framing_fields(sending)
        if close:
            fields.append((b"connection", b"close"))
        kind = h11.InformationalResponse if status == 101 else h11.Response
        self._tell(kind(status_code=status, headers=fields))
        if self._engaged().our_state is h11.SWITCHED_PROTOCOL:
            self._pause_for_ever()

    def _retell(self, engine: h11.Connection) -> None:
        if not self._method or self._theirs.stage is IDLE:
            return
        length = b"Content-Length: %d\r\n" % self._theirs.rest
        engine.receive_data(self._canonical_request(length))
        engine.next_event()
        if self._theirs.stage is DONE:
            engine.next_event()

    def _read_head(self) -> Event | Signal:
        if (self._piece or self._buffer)[:1] == b"\r":
            self._skip_empty_lines()
        raw = self._take_head()
        if raw is None:
            if not self._is_eof:
                return NEED_DATA
            if self._has_bytes:
                raise self._cut_short("in the middle of a request head")
            return CLOSED
        head, framing = judge_request(raw, self._scheme)
        self._method = method = head.method
        self._is_http10 = is_http10 = head.version == "HTTP/1.0"
        # RFC 9112, 9.3: a proxy keeps no persistent connection with HTTP/1.0 clients.
        if is_http10 or b"close" in framing.options:
            self._must_close = True
        if self._ours.stage is not IDLE:
            raise ClientProtocolError("HTTP/1.1 state: a request after the response")
        is_plain = not (framing.is_chunked or framing.is_upgrade)
        if self._engine is not None or not is_plain or method == "CONNECT":
            fields = _canonical_fields(framing, close=self._must_close)
            if framing.is_upgrade:
                fields += b"Upgrade: a\r\n"
            self._tell_engine(self._canonical_request(fields))
        self._expect_body(head, framing)
        return head

    def _canonical_request(self, fields: bytes) -> bytes:
        """What h11 is told: the method and what frames, in the simplest form."""
        form = _HTTP_1_0 if self._is_http10 else _HTTP_1_1
        return form % (to_bytes(self._method), fields)

    def _skip_empty_lines(self) -> None:
        while self._piece.startswith(b"\r\n") or self._buffer.startswith(b"\r\n"):
            self._tolerated += 1
            if self._tolerated > MAX_LEADING_EMPTY_LINES:
                raise ClientProtocolError("too many empty lines before a request")
            del self._joined()[:2]
            self._judged = 0

    def _cut_short(self, where: str) -> ClientProtocolError:
        return ClientProtocolError(f"the client closed the connection {where}")


@own_code
class H1Client(H1Connection):
    """The origin-facing side of one connection."""

    peer = Peer.ORIGIN
    author = Peer.CLIENT

    def __init__(self) -> None:
        super().__init__(h11.CLIENT)
        self._asks_upgrade = False

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another exchange, after `next_cycle` if
        one has just ended. Bytes that nobody asked for make it unusable."""
        if self._is_eof or self._piece or self._buffer:
            return False
        if self._is_whole():
            return True
        is_idle = self._engine is None and self._ours.stage is IDLE
        return is_idle and not self._must_close

    def head(self, request: Request, *, absolute_form: bool = False) -> bytes:
        """The request's head; its body goes through `data` and `end`."""
        self._method = method = request.method
        if self._engine is None and not absolute_form:
            plain = plain_request_head(request)
            if plain is not None:
                self._sending, self._sends_body = NOTHING, False
                self._asks_upgrade = False
                self._begin(0)
                request.sent = plain[:-4]
                return plain
        sending = request_framing(request)
        head = request_head(request, sending, absolute_form=absolute_form)
        request.sent = head[:-4]
        self._sending = sending
        self._sends_body = sending is not NOTHING
        self._asks_upgrade = asks_upgrade(request)
        may_switch = self._asks_upgrade or method == "CONNECT"
        if self._engine is not None or sending.is_chunked or may_switch:
            fields = _framing_fields(sending)
            if self._asks_upgrade:
                fields.append((b"upgrade", b"a"))
            self._tell(self._told_request(fields))
        else:
            self._begin(sending.length or 0)
        return head

    def _told_request(self, fields: RawHeaders) -> h11.Request:
        return h11.Request(
            method=to_bytes(self._method),
            target=b"/",
            headers=[(b"host", b"a"), *fields],
        )

    def _retell(self, engine: h11.Connection) -> None:
        if self._ours.stage is IDLE:
            return
        engine.send(self._told_request(_framing_fields(Sending(self._ours.rest))))
        if self._ours.stage is DONE:
            engine.send(h11.EndOfMessage())
        elif self._ours.stage is FAILED:
            engine.send_failed()

    def _read_head(self) -> Event | Signal:
        if not self._method:
            if self._has_bytes:
                raise OriginProtocolError("the origin sent bytes without being asked")
            return CLOSED if self._is_eof else NEED_DATA
        raw = self._take_head()
        if raw is None:
            if not self._is_eof:
                return NEED_DATA
            half = "in the middle of a response head" if self._has_bytes else ""
            raise self._cut_short(half or "without an answer")
        head, framing = judge_response(raw, self._method)
        if head.status < 200:
            self._read_informational(head)
            return head
        if _must_close_after(head, framing):
            self._must_close = True
        is_counted = head.length is not None or not head.has_body
        if self._engine is not None or not is_counted:
            fields = _canonical_fields(framing, close=self._must_close)
            # Always HTTP/1.1: whether an HTTP/1.0 origin keeps alive is decided here,
            # and h11 knows no keep-alive there.
            told = b"HTTP/1.1 %d \r\n%b\r\n" % (head.status, fields)
            if self._tell_engine(told).their_state is h11.SWITCHED_PROTOCOL:
                self._pause_for_ever()
                return head
        self._expect_body(head, framing)
        return head

    def _read_informational(self, head: ResponseHead) -> None:
        self._tolerated += 1
        if self._tolerated > MAX_INFORMATIONAL:
            raise OriginProtocolError(f"more than {MAX_INFORMATIONAL} 1xx responses")
        if head.status == 101:
            self._judge_switch()
        self._tell_engine(b"HTTP/1.1 %d \r\n\r\n" % head.status)
        if head.status == 101:
            self._pause_for_ever()

    def _judge_switch(self) -> None:
        if not self._asks_upgrade:
            raise OriginProtocolError("101 Switching Protocols without being asked")
        if self._engaged().our_state is h11.SEND_BODY:
            # The rest of the request would be taken for the new protocol's bytes.
            raise OriginProtocolError("101 before the request was whole")

    def _cut_short(self, where: str) -> OriginClosed:
        return OriginClosed(f"the origin closed the connection {where}")


def _framing_fields(sending: Sending) -> RawHeaders:
    if sending.length is not None:
        return [(b"content-length", b"%d" % sending.length)]
    return [(b"transfer-encoding", b"chunked")] if sending.is_chunked else []


def _must_close_after(head: ResponseHead, framing: Framing) -> bool:
    """Whether an origin connection ends with this response (RFC 9112, 9.3)."""
    if b"close" in framing.options:
        return True
    if head.version == "HTTP/1.0" and b"keep-alive" not in framing.options:
        return True
    if head.status == 204 and (framing.is_chunked or framing.length):
        return True  # forbidden (RFC 9112, 6.1); the body may well follow
    return head.has_body and not framing.is_chunked and framing.length is None


def _canonical_fields(framing: Framing, *, close: bool) -> bytes:
    fields = b"Connection: close\r\n" if close else b""
    if framing.is_chunked:
        return fields + b"Transfer-Encoding: chunked\r\n"
    if framing.length is not None:
        return fields + b"Content-Length: %d\r\n" % framing.length
    return fields
