"""Heads and trailers as blocks of lines, made from fields where no bytes were kept.

For 1xx responses, trailers, and flows that a listener of on_capture redacted: of those
only what the listener left may be seen. Pure.
"""

import msgspec

from int3rceptor.hooks.changes import without_value
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.store.records import FlowRecord


def fields_block(headers: Headers) -> bytes:
    """One field a line; no end of line behind the last, as in every block here."""
    return b"\r\n".join(map(b": ".join, headers.raw))


def informational_block(head: Informational, version: str) -> bytes:
    """The head of a 1xx response that came from an origin of this version."""
    return _response_block(b"" if version == "HTTP/2" else b"HTTP/1.1", head)


def redacted(record: FlowRecord, flow: Flow) -> FlowRecord:
    """`record` with all heads made anew and nothing that shows what was there before"""
    request, response = flow.request, flow.response or Response(status=0)
    return msgspec.structs.replace(
        record,
        request_received=_request_like(record.request_received, request),
        request_sent=_request_like(record.request_sent, request),
        response_received=_response_like(record.response_received, response),
        response_sent=_response_like(record.response_sent, response),
        changes=[
            (point, author, without_value(what))
            for point, author, what in record.changes
        ],
    )


def _request_like(head: bytes, request: Request) -> bytes:
    """The request's head in the form of `head`; b"" when that did not pass."""
    if not head:
        return b""
    method = to_bytes(request.method)
    if not head.startswith(b":"):
        version = _start_line(head).rpartition(b" ")[2]
        return _block(b"%b %b %b" % (method, request.target, version), request.headers)
    pseudo = [(b":method", method), (b":authority", to_bytes(request.authority))]
    if request.method != "CONNECT":  # RFC 9113, 8.5: it has neither of these
        pseudo.insert(1, (b":scheme", to_bytes(request.scheme)))
        pseudo.append((b":path", request.target))
    return fields_block(Headers([*pseudo, *request.headers.raw]))


def _response_like(head: bytes, response: Response) -> bytes:
    """The response's head in the form of `head`; b"" when that did not pass."""
    if not head:
        return b""
    version = b"" if head.startswith(b":") else _start_line(head).partition(b" ")[0]
    return _response_block(version, response)


def _response_block(version: bytes, response: Response | Informational) -> bytes:
    """A response's head; `version` is b"" for the form of HTTP/2."""
    start = b":status: %d" % response.status
    if version:
        start = b"%b %d %b" % (version, response.status, response.reason)
    return _block(start, response.headers)


def _block(start: bytes, headers: Headers) -> bytes:
    return b"\r\n".join([start, *map(b": ".join, headers.raw)])


def _start_line(head: bytes) -> bytes:
    return head.partition(b"\n")[0].rstrip(b"\r")
