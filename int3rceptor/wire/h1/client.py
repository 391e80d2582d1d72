"""HTTP/1.1 without I/O, as it is spoken with an origin."""

import h11

from int3rceptor.errors import OriginClosed, OriginProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, RawHeaders, to_bytes
from int3rceptor.model.message import Request, Response
from int3rceptor.model.own_code import own_code
from int3rceptor.wire.events import Event, ResponseHead
from int3rceptor.wire.h1.block import Framing, canonical_fields
from int3rceptor.wire.h1.connection import CLOSED, NEED_DATA, H1Connection, Signal
from int3rceptor.wire.h1.framing import judge_response, known_response
from int3rceptor.wire.h1.lines import MAX_KNOWN_BLOCK_BYTES
from int3rceptor.wire.h1.plain import DONE, FAILED, IDLE
from int3rceptor.wire.h1.serialise import (
    NOTHING,
    Sending,
    asks_upgrade,
    framing_fields,
    plain_request_head,
    request_framing,
    request_head,
)
from int3rceptor.wire.peers import Peer

MAX_INFORMATIONAL = 32
"""1xx responses to one request: progress reports are few, a flood is an attack."""

_judged = Headers.judged
_WITHOUT_BODY = frozenset(("HEAD", "CONNECT"))


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
            fields = framing_fields(sending)
            if self._asks_upgrade:
                fields.append((b"upgrade", b"a"))
            self._tell(self._told_request(fields))
        else:
            self._begin(sending.length or 0)
        return head

    def whole_request(self, request: Request) -> bytes | None:
        """What `head` and `whole` would give for it, when it is plain. None when it is
        anything else: nothing is begun then. One with credentials is not plain."""
        if self._engine is not None or self._ours.stage is not IDLE:
            return None
        plain = plain_request_head(request)
        if plain is None:
            return None
        self._method = request.method
        self._sending, self._sends_body, self._asks_upgrade = NOTHING, False, False
        self._ours.stage, self._ours.rest = DONE, 0
        request.sent = plain[:-4]
        return plain

    def whole_answer(self, data: bytes) -> Response | None:
        """What `next_event` and `take_body` would say of `data`, when that is to its
        last byte one plain answer, whose head is known: the answer. The connection is
        ready for another exchange then, as after `next_cycle`.

        None when it is anything else (such as one that asks for credentials), or not
        all that is here: nothing is taken then.
        """
        end = data.find(b"\r\n\r\n", 0, MAX_KNOWN_BLOCK_BYTES) + 4
        known = known_response(data[:end])
        if known is None or not known.is_plain or len(data) - end != known.counted:
            return None
        is_fresh = self._ours.stage is DONE and self._is_fresh()
        if not is_fresh or self._method in _WITHOUT_BODY or not self._method:
            return None
        self._method = ""
        self._ours.stage = IDLE
        return Response(  # by position: by name it takes twice as long
            known.status,
            known.reason,
            known.version,
            _judged(known.raw, known.steering, known),
            Body(data[end:], length=known.counted),
            data[: end - 4],
        )

    def _told_request(self, fields: RawHeaders) -> h11.Request:
        return h11.Request(
            method=to_bytes(self._method),
            target=b"/",
            headers=[(b"host", b"a"), *fields],
        )

    def _retell(self, engine: h11.Connection) -> None:
        if self._ours.stage is IDLE:
            return
        engine.send(self._told_request(framing_fields(Sending(self._ours.rest))))
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
            fields = canonical_fields(framing, close=self._must_close)
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


def _must_close_after(head: ResponseHead, framing: Framing) -> bool:
    """Whether an origin connection ends with this response (RFC 9112, 9.3)."""
    if b"close" in framing.options:
        return True
    if head.version == "HTTP/1.0" and b"keep-alive" not in framing.options:
        return True
    if head.status == 204 and (framing.is_chunked or framing.length):
        return True  # forbidden (RFC 9112, 6.1); the body may well follow
    return head.has_body and not framing.is_chunked and framing.length is None
