"""Heads and trailers for the next hop, from the fields as received. No state, no I/O.

End-to-end fields keep their case, order and bytes; what belongs to one hop is removed,
or replaced where it stood.
"""

import re
from functools import lru_cache
from http import HTTPMethod, HTTPStatus
from typing import NamedTuple

from int3rceptor.errors import ProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, RawHeaders, to_bytes
from int3rceptor.model.message import (
    Informational,
    Request,
    Response,
    format_authority,
)
from int3rceptor.wire.fields import (
    HOP_BY_HOP,
    accepts_trailers,
    connection_options,
    hop_by_hop,
    wants_upgrade,
)
from int3rceptor.wire.h1.block import Block
from int3rceptor.wire.h1.framing import FORBIDDEN_TRAILERS, MAX_KNOWN_STATUS_LINES
from int3rceptor.wire.h1.lines import BadLine, KnownBlocks, Line, sendable
from int3rceptor.wire.peers import Peer, refusal
from int3rceptor.wire.wording import quoted

MAX_KNOWN_LENGTHS = 1024
"""Lengths whose Sending is kept: what is asked for again is mostly as long."""

MAX_KNOWN_OPTIONS = 64
"""Sets of Connection options whose meaning is remembered: there are about three."""


class Sending(NamedTuple):
    """How a body is delimited: by a length, by chunks, or (neither) not at all.

    `keeps_length`: the received Content-Length stays, though no body follows.
    """

    length: int | None = None
    is_chunked: bool = False
    keeps_length: bool = False


Own = tuple[tuple[bytes, bytes], ...]
"""Fields that are ours to say, by their lower-case names."""

Options = tuple[bytes, ...]
"""What Connection says to the next hop."""

_NO_OPTIONS: Options = ()
_CLOSE: Options = (b"close",)
_UPGRADE: Options = (b"Upgrade",)

_known: KnownBlocks[
    tuple[tuple[tuple[bytes, bytes], ...], Sending, Own, Options], bytes
] = KnownBlocks()
"""Fields as they were sent, by all that this depends on."""

_of_length = lru_cache(MAX_KNOWN_LENGTHS)(Sending)

NOTHING = Sending()
COUNTED = Sending(0)
_CHUNKED = Sending(is_chunked=True)
_AS_RECEIVED = Sending(keeps_length=True)

# RFC 9110, 8.6: methods whose request content has a meaning say so when it is empty.
_METHODS_WITH_CONTENT = frozenset(("POST", "PUT", "PATCH"))
_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_NAMES = {
    b"connection": b"Connection",
    b"content-length": b"Content-Length",
    b"te": b"TE",
    b"transfer-encoding": b"Transfer-Encoding",
}
_VERBS = {method.value: method.value.encode("ascii") for method in HTTPMethod}
_METHODS_WITH_MORE = _METHODS_WITH_CONTENT | {"CONNECT"}
_ASKS_FOR_MORE = frozenset(
    (b"authorization", b"content-length", b"te", b"transfer-encoding", b"upgrade")
)
_SAID_ANEW = frozenset((b"te", b"upgrade"))
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_ALWAYS_DROPPED = HOP_BY_HOP | _FRAMING
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^\x00-\x20\x7f]+ HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [^\x00-\x08\x0a-\x1f\x7f]*")


def asks_upgrade(request: Request) -> bool:
    """Whether Upgrade travels on; HTTP/1.0 has none (RFC 9110, 7.8)."""
    return request.version != "HTTP/1.0" and wants_upgrade(request.headers)


def request_framing(request: Request) -> Sending:
    """How a request's body is sent (the next hop is taken to speak HTTP/1.1)."""
    body, content, method = request.body, request.body.content, request.method
    if method == "CONNECT":
        return NOTHING
    if _has_trailers(body, request.headers):
        return _CHUNKED
    if content is None:
        return _CHUNKED if body.length is None else Sending(body.length)
    if content or method in _METHODS_WITH_CONTENT:
        return _of_length(len(content))
    return NOTHING if _FRAMING.isdisjoint(request.headers.steering) else Sending(0)


def response_framing(response: Response, method: str, *, is_http10: bool) -> Sending:
    """How a response's body is sent to a client that asked with `method`."""
    status, body, content = response.status, response.body, response.body.content
    # RFC 9110, 8.6 and 9.3.6: neither field on 1xx, 204 and a CONNECT that succeeded.
    if status < 200 or status == 204 or (method == "CONNECT" and status < 300):
        return NOTHING
    if status == 304 or method == "HEAD":
        is_told = b"content-length" in response.headers
        if method == "HEAD" and content and not is_told:
            return _of_length(len(content))
        return _AS_RECEIVED
    if not is_http10 and _has_trailers(body, response.headers):
        return _CHUNKED
    if content is not None:
        return _of_length(len(content))
    if body.length is not None:
        return Sending(body.length)
    return NOTHING if is_http10 else _CHUNKED


def framing_fields(sending: Sending) -> RawHeaders:
    """The field that says how a body is delimited, if one does."""
    if sending.length is not None:
        return [(b"content-length", b"%d" % sending.length)]
    return [(b"transfer-encoding", b"chunked")] if sending.is_chunked else []


def plain_request_head(request: Request) -> bytes | None:
    """The head of a request without a body that goes on with the fields it came with;
    None for any other. It is what `request_head` says, known with the fields."""
    known, body = request.headers.facts(), request.body
    if not isinstance(known, Block) or body.content != b"" or body.trailers:
        return None
    if request.authority != known.authority or request.version == "HTTP/2":
        return None
    if not known.authority or request.method in _METHODS_WITH_MORE:
        return None
    if known.next_hop is None:
        if not _ASKS_FOR_MORE.isdisjoint(known.steering):
            return None
        own = ((b"host", to_bytes(known.authority)),)
        known.next_hop = _next_hop_fields(request.headers, NOTHING, own, _NO_OPTIONS)
        rest = known.rest
        if rest is not None and rest.next_hop is None:
            headers = Headers.judged(rest.raw, rest.steering)
            rest.next_hop = _next_hop_fields(headers, NOTHING, own, _NO_OPTIONS)
    return _request_line(request.method, request.target) + known.next_hop


def request_head(request: Request, sending: Sending, *, absolute_form: bool) -> bytes:
    """The head of `request` for the next hop; `absolute_form` when that is a proxy."""
    headers = request.headers
    authority = request.authority or format_authority(
        request.host, request.port, request.scheme
    )
    own: Own = ((b"host", to_bytes(authority)),)
    options = _NO_OPTIONS
    if request.version == "HTTP/2" or not _SAID_ANEW.isdisjoint(headers.steering):
        own, options = _said_anew(request, own)
    target = _target(request, authority) if absolute_form else request.target
    line = _request_line(request.method, target)
    try:
        return line + _next_hop_fields(headers, sending, own, options)
    except BadLine:
        raise _unsendable(line, Peer.CLIENT) from None


def _request_line(method: str, target: bytes) -> bytes:
    line = b"%b %b HTTP/1.1" % (_VERBS.get(method) or to_bytes(method), target)
    if not _REQUEST_LINE.fullmatch(line):
        raise _unsendable(line, Peer.CLIENT)
    return line


def _said_anew(request: Request, own: Own) -> tuple[Own, Options]:
    """What a request says to the next hop alone, beside `own`."""
    headers = request.headers
    options = _UPGRADE if asks_upgrade(request) else _NO_OPTIONS
    if accepts_trailers(headers):
        # RFC 9110, 10.1.4: TE is for one hop, so it is said again, and named.
        own = (*own, (b"te", b"trailers"))
        options = (*options, b"TE")
    if request.version == "HTTP/2":
        crumbs = headers.get_all_bytes(b"cookie")
        if len(crumbs) > 1:
            # RFC 9113, 8.2.3: crumbs become one field before they reach HTTP/1.
            own = (*own, (b"cookie", b"; ".join(crumbs)))
    return own, options


def plain_response_head(response: Response) -> tuple[bytes, int] | None:
    """The head of a response that goes on with the fields it came with, one of them its
    length, which is the other value; None for any other. It is what `response_head`
    says of an answer with a body that leaves the connection open."""
    known, body = response.headers.facts(), response.body
    if not isinstance(known, Block) or body.trailers:
        return None
    content, length = body.content, known.counted
    if length != (body.length if content is None else len(content)):
        return None
    status, reason = response.status, response.reason
    if status != known.status or reason != known.reason or not reason:
        return None
    if known.next_hop is None:
        if b"trailer" in known.steering:
            return None
        fields = _next_hop_fields(response.headers, Sending(length), (), _NO_OPTIONS)
        known.next_hop = _status_line(status, reason) + fields
    return known.next_hop, length


def response_head(response: Response, sending: Sending, *, close: bool) -> bytes:
    """The head of `response` for the client; `close` says that the connection ends."""
    options = _CLOSE if close else _NO_OPTIONS
    status, reason, headers = response.status, response.reason, response.headers
    if status == 101 and wants_upgrade(headers):
        options = _UPGRADE
    if not reason and not response.version.startswith("HTTP/1"):
        reason = _REASONS.get(status, b"")
    return _answer_head(status, reason, headers, sending, options)


def informational_head(informational: Informational) -> bytes:
    """The head of a 1xx response other than 101."""
    status = informational.status
    reason = informational.reason or _REASONS.get(status, b"")
    return _answer_head(status, reason, informational.headers, NOTHING, _NO_OPTIONS)


def _answer_head(
    status: int, reason: bytes, headers: Headers, sending: Sending, options: Options
) -> bytes:
    line = _status_line(status, reason)
    try:
        return line + _next_hop_fields(headers, sending, (), options)
    except BadLine:
        raise _unsendable(line, Peer.ORIGIN) from None


@lru_cache(MAX_KNOWN_STATUS_LINES)
def _status_line(status: int, reason: bytes) -> bytes:
    line = b"HTTP/1.1 %d %b" % (status, reason)
    if not _STATUS_LINE.fullmatch(line):
        raise _unsendable(line, Peer.ORIGIN)
    return line


def last_chunk(trailers: Headers | None, author: Peer) -> bytes:
    """The zero chunk and the trailer section; what no trailer may say is left out."""
    if not trailers:
        return b"0\r\n\r\n"
    try:
        lines = list(map(sendable, trailers.raw))
    except BadLine:
        raise _unsendable(b"trailers", author) from None
    allowed = [line.sent for line in lines if line.key not in FORBIDDEN_TRAILERS]
    return b"\r\n".join([b"0", *allowed, b"", b""])


def _has_trailers(body: Body, headers: Headers) -> bool:
    # A trailer section exists only after chunks (RFC 9112, 7.1.2). A whole body has its
    # trailers with it; of a stream only the announcement is known.
    return bool(body.trailers) or (
        body.content is None and b"trailer" in headers.steering
    )


def _target(request: Request, authority: str) -> bytes:
    if request.method == "CONNECT":
        return request.target
    path = b"" if request.target == b"*" else request.target
    return b"%b://%b%b" % (to_bytes(request.scheme), to_bytes(authority), path)


def _next_hop_fields(
    headers: Headers, sending: Sending, own: Own, options: Options
) -> bytes:
    """The lines to send, each after a line end, and the empty line. Those in `own`
    (lower-case names) stand where they stood.

    The framing field takes the place of the first one received; framing, TE and
    Connection are else appended, and Host comes first. BadLine when one would break the
    head apart: `Headers.raw` may be edited in place.
    """
    key = tuple(headers.raw), sending, own, options
    block = _known.get(key)
    if block is None:
        received = list(map(sendable, headers.raw))
        touched = _dropped(headers, sending, options)
        lines = _next_hop_lines(received, sending, dict(own), options, touched)
        block = b"\r\n".join([b"", *lines, b"", b""])
        _known.remember(key, block, received, len(block))
    return block


def _next_hop_lines(
    received: list[Line],
    sending: Sending,
    own: dict[bytes, bytes],
    options: Options,
    dropped: frozenset[bytes],
) -> list[bytes]:
    framing = b""
    if sending.length is not None:
        framing, own[b"content-length"] = b"content-length", b"%d" % sending.length
    elif sending.is_chunked:
        framing, own[b"transfer-encoding"] = b"transfer-encoding", b"chunked"
    if options:
        own[b"connection"] = b", ".join(options)
    replaced = frozenset(own)
    touched = replaced | dropped
    lines: list[bytes] = []
    for line in received:
        key = line.key
        if key not in touched:
            lines.append(line.sent)
        elif key in replaced:
            if key in own:
                lines.append(_with_value(line, own.pop(key)))
        elif key in _FRAMING and framing in own:
            lines.append(b"%b: %b" % (_NAMES[framing], own.pop(framing)))
    lines += [b"%b: %b" % (_NAMES[key], own[key]) for key in _NAMES if key in own]
    return [b"Host: " + own[b"host"], *lines] if b"host" in own else lines


def _with_value(line: Line, value: bytes) -> bytes:
    return sendable((line.field[0], value)).sent


def _dropped(headers: Headers, sending: Sending, options: Options) -> frozenset[bytes]:
    if not (options or sending.keeps_length or b"connection" in headers.steering):
        return _ALWAYS_DROPPED
    named = connection_options(headers)
    return _dropped_for(named, sending.keeps_length, b"Upgrade" in options)


@lru_cache(MAX_KNOWN_OPTIONS)
def _dropped_for(
    named: frozenset[bytes], keeps_length: bool, is_upgrade: bool
) -> frozenset[bytes]:
    dropped = hop_by_hop(named) if keeps_length else hop_by_hop(named) | _FRAMING
    return dropped - {b"upgrade"} if is_upgrade else dropped


def _unsendable(line: bytes, author: Peer) -> ProtocolError:
    return refusal(author, f"HTTP/1 cannot carry this head: {quoted(line)}")
