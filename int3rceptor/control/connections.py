"""The server's HTTP/1 connections, with the deadlines and limits that it leaves out.

uvicorn ends idle connections, but waits for ever for the rest of a head and for a
client that does not read. It knows no application.
"""

import asyncio
import socket
import sys
from http import HTTPStatus

from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from int3rceptor.control.failures import answer
from int3rceptor.control.guards import HEADERS

MAX_CONNECTIONS = 256
"""Open at once, viewers among them: browsers take six each."""

MAX_HEAD_BYTES = 32 * 1024
"""Of a request's line and fields: tokens and filters are far below."""

HEAD_S = 10.0
"""Longest wait for a whole head, from the connection's or its own first byte on."""

STALL_S = 30.0
"""Longest time that a client may take no data while 64 KiB wait for it."""

LINGER_S = 2.0
"""How long a refused client may go on sending: closing at once would take from it the
answer that says why (RFC 9112, 9.6)."""


class ControlProtocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
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
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # What the client has not taken by then is given up with the connection.
        self.loop.call_later(LINGER_S, self.transport.abort)

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


def _on_the_wire(response: JSONResponse) -> bytes:
    status = HTTPStatus(response.status_code)
    fields = [*response.raw_headers, (b"connection", b"close")]
    fields += [
        (name.lower().encode(), value.encode()) for name, value in HEADERS.items()
    ]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    line = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    return line + head + b"\r\n" + bytes(response.body)
