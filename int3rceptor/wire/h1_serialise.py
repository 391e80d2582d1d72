"""Heads and trailers for the next hop, from the fields as received. No state, no I/O.

End-to-end fields keep their case, order and bytes; what belongs to one hop is removed,
or replaced where it stood.
"""

import re
from http import HTTPStatus
from typing import NamedTuple

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
    hop_by_hop,
    wants_upgrade,
)
from int3rceptor.wire.h1_framing import (
    FORBIDDEN_TRAILERS,
    Peer,
    is_field_block,
    refusal,
)


class Sending(NamedTuple):
    """How a body is delimited: by a length, by chunks, or (neither) not at all.

    `keeps_length`: the received Content-Length stays, though no body follows.
    """

    length: int | None = None
    is_chunked: bool = False
    keeps_length: bool = False


_NOTHING = Sending()
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
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_ALWAYS_DROPPED = HOP_BY_HOP | _FRAMING
_REQUEST_LINE = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^\x00-\x20\x7f]+ HTTP/1\.1\r\n"
)
_ZERO_CHUNK = re.compile(rb"0\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [^\x00-\x08\x0a-\x1f\x7f]*\r\n")


def asks_upgrade(request: Request) -> bool:
    """Whether Upgrade travels on; HTTP/1.0 has none (RFC 9110, 7.8)."""
    return request.version != "HTTP/1.0" and wants_upgrade(request.headers)


def request_framing(request: Request) -> Sending:
    """How a request's body is sent (the next hop is taken to speak HTTP/1.1)."""
    body, headers = request.body, request.headers
    if request.method == "CONNECT":
        return _NOTHING
    if _has_trailers(body, headers):
        return _CHUNKED
    if body.content is None:
        return _CHUNKED if body.length is None else Sending(body.length)
    if body.content or request.method in _METHODS_WITH_CONTENT:
        return Sending(len(body.content))
    is_framed = b"content-length" in headers or b"transfer-encoding" in headers
    return Sending(0) if is_framed else _NOTHING


def response_framing(response: Response, method: str, *, is_http10: bool) -> Sending:
    """How a response's body is sent to a client that asked with `method`."""
    status, body, headers = response.status, response.body, response.headers
    # RFC 9110, 8.6 and 9.3.6: neither field on 1xx, 204 and a CONNECT that succeeded.
    if status < 200 or status == 204 or (method == "CONNECT" and status < 300):
        return _NOTHING
    if status == 304 or method == "HEAD":
        if method == "HEAD" and body.content and b"content-length" not in headers:
            return Sending(len(body.content))
        return _AS_RECEIVED
    if not is_http10 and _has_trailers(body, headers):
        return _CHUNKED
    if body.content is not None:
        return Sending(len(body.content))
    if body.length is not None:
        return Sending(body.length)
    return _NOTHING if is_http10 else _CHUNKED


def request_head(request: Request, sending: Sending, *, absolute_form: bool) -> bytes:
    """The head of `request` for the next hop; `absolute_form` when that is a proxy."""
    headers = request.headers
    authority = request.authority or format_authority(
        request.host, request.port, request.scheme
    )
    names = _lower_names(headers)
    own = {b"host": to_bytes(authority)}
    options = []
    if b"upgrade" in names and asks_upgrade(request):
        options.append(b"Upgrade")
    if b"te" in names and accepts_trailers(headers):
        # RFC 9110, 10.1.4: TE is for one hop, so it is said again, and named.
        own[b"te"] = b"trailers"
        options.append(b"TE")
    if request.version == "HTTP/2" and names.count(b"cookie") > 1:
        # RFC 9113, 8.2.3: crumbs become one field before they reach HTTP/1.
        own[b"cookie"] = b"; ".join(headers.get_all_bytes(b"cookie"))
    fields = _next_hop_fields(headers, names, sending, own, options)
    if b"host" in own:
        fields.insert(0, (b"Host", own[b"host"]))
    target = _target(request, authority) if absolute_form else request.target
    line = b"%b %b HTTP/1.1\r\n" % (to_bytes(request.method), target)
    return _joined(line, fields, _REQUEST_LINE, Peer.CLIENT)


def response_head(response: Response, sending: Sending, *, close: bool) -> bytes:
    """The head of `response` for the client; `close` says that the connection ends."""
    options = [b"close"] if close else []
    if response.status == 101 and wants_upgrade(response.headers):
        options = [b"Upgrade"]
    reason = response.reason
    if not reason and not response.version.startswith("HTTP/1"):
        reason = _REASONS.get(response.status, b"")
    line = b"HTTP/1.1 %d %b\r\n" % (response.status, reason)
    names = _lower_names(response.headers)
    fields = _next_hop_fields(response.headers, names, sending, {}, options)
    return _joined(line, fields, _STATUS_LINE, Peer.ORIGIN)


def informational_head(informational: Informational) -> bytes:
    """The head of a 1xx response other than 101."""
    line = b"HTTP/1.1 %d %b\r\n" % (
        informational.status,
        informational.reason or _REASONS.get(informational.status, b""),
    )
    names = _lower_names(informational.headers)
    fields = _next_hop_fields(informational.headers, names, _NOTHING, {}, [])
    return _joined(line, fields, _STATUS_LINE, Peer.ORIGIN)


def last_chunk(trailers: Headers | None, author: Peer) -> bytes:
    """The zero chunk and the trailer section; what no trailer may say is left out."""
    if not trailers:
        return b"0\r\n\r\n"
    fields = [f for f in trailers.raw if f[0].lower() not in FORBIDDEN_TRAILERS]
    return _joined(b"0\r\n", fields, _ZERO_CHUNK, author)


def _has_trailers(body: Body, headers: Headers) -> bool:
    # A trailer section exists only after chunks (RFC 9112, 7.1.2). A whole body has its
    # trailers with it; of a stream only the announcement is known.
    return bool(body.trailers) or (body.content is None and b"trailer" in headers)


def _target(request: Request, authority: str) -> bytes:
    if request.method == "CONNECT":
        return request.target
    path = b"" if request.target == b"*" else request.target
    return b"%b://%b%b" % (to_bytes(request.scheme), to_bytes(authority), path)


def _lower_names(headers: Headers) -> list[bytes]:
    """The names of `headers.raw`, once for the whole head."""
    return [name.lower() for name, _ in headers.raw]


def _next_hop_fields(
    headers: Headers,
    names: list[bytes],
    sending: Sending,
    own: dict[bytes, bytes],
    options: list[bytes],
) -> RawHeaders:
    """The fields to send. Those in `own` (lower-case names) stand where they stood.

    What is left in `own` afterwards was not there. The framing field takes the place of
    the first one received; framing, TE and Connection are else appended.
    """
    framing = b""
    if sending.length is not None:
        framing, own[b"content-length"] = b"content-length", b"%d" % sending.length
    elif sending.is_chunked:
        framing, own[b"transfer-encoding"] = b"transfer-encoding", b"chunked"
    if options:
        own[b"connection"] = b", ".join(options)
    replaced = frozenset(own)
    touched = replaced | _dropped(headers, names, sending, options)
    fields: RawHeaders = []
    for key, field in zip(names, headers.raw, strict=True):
        if key not in touched:
            fields.append(field)
        elif key in replaced:
            if key in own:
                fields.append((field[0], own.pop(key)))
        elif key in _FRAMING and framing in own:
            fields.append((_NAMES[framing], own.pop(framing)))
    fields += [(_NAMES[key], own[key]) for key in _NAMES if key in own]
    return fields


def _dropped(
    headers: Headers, names: list[bytes], sending: Sending, options: list[bytes]
) -> frozenset[bytes]:
    if b"connection" not in names and not options and not sending.keeps_length:
        return _ALWAYS_DROPPED
    dropped = hop_by_hop(headers)
    if b"Upgrade" in options:
        dropped -= {b"upgrade"}
    return dropped if sending.keeps_length else dropped | {b"content-length"}


def _joined(
    line: bytes, fields: RawHeaders, line_form: re.Pattern[bytes], author: Peer
) -> bytes:
    """The head, refused when its line or a field would break it apart.

    `Headers.raw` may be edited in place, so what a hook wrote is judged here.
    """
    block = b"\r\n".join([*map(b": ".join, fields), b"", b""])
    if not line_form.fullmatch(line) or not is_field_block(block, len(fields)):
        raise refusal(author, f"HTTP/1 cannot carry this head: {line[:80]!r}")
    return line + block
