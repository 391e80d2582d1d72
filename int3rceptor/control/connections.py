"""The server's connections, with the deadlines and limits that it leaves out.

uvicorn ends idle connections, but waits for ever for the rest of a head and for a
client that does not read, and leaves some WebSocket handshakes without an answer. It
knows no application.
"""

import asyncio
import socket
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from starlette.responses import JSONResponse
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.http11 import Request
from websockets.server import ServerProtocol

from int3rceptor.control.failures import answer, printable
from int3rceptor.control.guards import HEADERS

MAX_CONNECTIONS = 256
"""Open at once, viewers among them: browsers take six each."""

MAX_HEAD_BYTES = 32 * 1024
"""Of a request's line and fields: tokens and filters are far below."""

HEAD_S = 10.0
"""Longest wait for a whole head, from the connection's or its own first byte on."""

STALL_S = 30.0
"""Longest time that a client may take nothing of what waits for it."""

LINGER_S = 2.0
"""How long a refused client may go on sending: closing at once would take from it the
answer that says why (RFC 9112, 9.6)."""


class ControlProtocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        # asyncio does it only where a listening socket was made with its protocol's
        # number; without it an answer's body waits 40 ms for its head to be received.
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "too many connections")
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if self.transport.get_protocol() is not self or self._is_answering:
            self._stop_head_timer()
        elif self._head_timer is None and not self._is_refused:
            # The rest of a head, or of a body that nobody wanted to read.
            self._await_head()

    def eof_received(self) -> None:
        if self._is_refused:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: object) -> None:
        """Called where a head asks for a WebSocket."""
        if flaw := _flaw_of_handshake(self.scope):
            self._refuse(400, f"no WebSocket can be opened like this: {flaw}")
        else:
            super().handle_websocket_upgrade(event)  # type: ignore[arg-type]  # as it came

    def send_400_response(self, msg: str) -> None:
        """Called where the head, or a chunk, cannot be parsed."""
        error = sys.exception()
        status = int(getattr(error, "error_status_hint", 400))
        if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            self._refuse(status, f"the head is larger than {MAX_HEAD_BYTES} bytes")
        elif self._is_answering and self.cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(400, f"not HTTP as it should be: {error}")

    @property
    def _is_answering(self) -> bool:
        # None until the first request, whatever the base class declares.
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)
        return cycle is not None and not cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self._is_too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_too_slow(self) -> None:
        self._head_timer = None
        self._refuse(408, f"no whole request came within {HEAD_S:g} s")

    def _refuse(self, status: int, message: str) -> None:
        """Answer by ourselves, and end the connection once the client has read that."""
        self._is_refused = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.is_closing():
            return
        self.transport.write(_on_the_wire(answer(status, message)))
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)


class ViewerProtocol(WebSocketsSansIOProtocol):
    """One connection, from the handshake of its WebSocket on."""

    def handle_ping(self) -> None:
        """Answer it, but not a client that takes no answers: nothing else bounds what
        would wait for one."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()


class Connection(Protocol):
    """What there is of a connection, whatever it speaks."""

    transport: asyncio.Transport


class Stalls:
    """Ends connections whose clients take nothing of what waits for them: those that
    are closing, too, which would else wait until it is taken."""

    def __init__(self) -> None:
        # What waits for a client, and since when it is neither less nor more.
        self._waiting: dict[Connection, tuple[int, float]] = {}

    def look(self, connections: Iterable[Connection], now: float) -> None:
        """To be called every now and then, with all there are."""
        before, self._waiting = self._waiting, {}
        for one in connections:
            size = one.transport.get_write_buffer_size()
            last, since = before.get(one, (0, now))
            since = since if size == last else now
            if size and now - since >= STALL_S:
                one.transport.abort()
            elif size:
                self._waiting[one] = size, since


def _flaw_of_handshake(scope: HTTPScope) -> str:
    """Why this head cannot open a WebSocket; "" when it can. The library that opens
    them judges it, before the connection is left to it."""
    judge = ServerProtocol()
    target = scope["raw_path"] + b"?" + scope["query_string"]
    fields = b"".join(b"%s: %s\r\n" % field for field in scope["headers"])
    line = b"%s %s HTTP/1.1\r\n" % (scope["method"].encode(), target)
    judge.receive_data(line + fields + b"\r\n")
    for request in judge.events_received():
        assert isinstance(request, Request)
        judge.accept(request)
    error = judge.handshake_exc
    return "" if error is None else printable(str(error.__cause__ or error))


def _on_the_wire(response: JSONResponse) -> bytes:
    status = HTTPStatus(response.status_code)
    fields = [*response.raw_headers, (b"connection", b"close")]
    fields += [
        (name.lower().encode(), value.encode()) for name, value in HEADERS.items()
    ]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    line = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    return line + head + b"\r\n" + bytes(response.body)
