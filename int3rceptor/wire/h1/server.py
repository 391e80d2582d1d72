"""HTTP/1.1 without I/O: H1Server faces a client, H1Client an origin.

Heads are judged and written by us; h11 keeps the state machine and the framing of every
exchange that is not plain. Neither class knows sockets, deadlines or policy.
"""

import re

import h11

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.model.own_code import own_code
from int3rceptor.wire.events import Event
from int3rceptor.wire.h1.block import canonical_fields
from int3rceptor.wire.h1.client import MAX_INFORMATIONAL, H1Client
from int3rceptor.wire.h1.connection import (
    CLOSED,
    NEED_DATA,
    READ,
    H1Connection,
    Signal,
)
from int3rceptor.wire.h1.framing import (
    MAX_START_LINE_BYTES,
    judge_request,
    known_request,
    may_have_body,
)
from int3rceptor.wire.h1.lines import TOKEN
from int3rceptor.wire.h1.plain import DONE, IDLE
from int3rceptor.wire.h1.serialise import (
    COUNTED,
    NOTHING,
    Sending,
    framing_fields,
    informational_head,
    plain_response_head,
    response_framing,
    response_head,
)
from int3rceptor.wire.peers import Peer

__all__ = [
    "CLOSED",
    "MAX_INFORMATIONAL",
    "NEED_DATA",
    "H1Client",
    "H1Server",
    "Signal",
]

MAX_LEADING_EMPTY_LINES = 4
"""Empty lines before a request line (RFC 9112, 2.2): old clients send one."""

_PLAIN_START = re.compile(rb"(%s) (/[^\x00-\x20\x7f]*+) HTTP/1\.[1-9]" % TOKEN)
_PLAIN_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_judged = Headers.judged
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
        fields = framing_fields(sending)
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

    def whole_request(self, data: bytes, host: str, port: int) -> Request | None:
        """What `next_event` and `take_body` would say of `data`, when that is to its
        last byte one plain request, whose fields are known: the request, to `host`.

        None when it is anything else, or not all that is here: nothing is taken then.
        """
        start, _, fields = data.partition(b"\r\n")
        known = known_request(fields)
        if known is None or not (known.is_plain and self._is_fresh()):
            return None
        line = _PLAIN_START.fullmatch(start)
        if line is None or len(start) > MAX_START_LINE_BYTES - 2:
            return None
        verb, target = line.groups()
        method = verb.decode("ascii")
        if method == "CONNECT":
            return None
        self._method, self._is_http10 = method, False
        self._theirs.stage, self._theirs.rest = DONE, 0
        self._reading = READ
        headers = _judged(known.raw, known.steering, known)
        return Request(  # by position: by name it takes twice as long
            method,
            self._scheme,
            host,
            port,
            target,
            known.authority or "",
            "HTTP/1.1",
            headers,
            Body(),
            data[:-4],
        )

    def whole_answer(self, response: Response) -> bytes | None:
        """What `head` and `whole` would give for it, when it is plain and here to its
        end. None when it is anything else: nothing is begun then."""
        ours, content = self._ours, response.body.content
        if content is None or self._must_close or self._engine is not None:
            return None
        if ours.stage is not IDLE or self._method not in _PLAIN_METHODS:
            return None
        plain = plain_response_head(response)
        if plain is None:
            return None
        head = plain[0]
        ours.stage, ours.rest = DONE, 0
        self._sending, self._sends_body = COUNTED, True
        response.sent = head[:-4]
        return head + content

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
            fields = canonical_fields(framing, close=self._must_close)
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
