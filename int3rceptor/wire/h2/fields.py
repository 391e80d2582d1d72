"""HTTP/2 field lists judged and turned into heads (RFC 9113, 8.2 and 8.3).

It knows no frames; a StreamFault costs one stream, never more.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.headers import STEERING, Headers, RawHeaders, to_text
from int3rceptor.model.message import DEFAULT_PORTS
from int3rceptor.wire.authority import parse_authority
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h2.faults import StreamFault
from int3rceptor.wire.h2.hpack.table import (
    ENTRY_OVERHEAD_BYTES,
    STATIC,
    Field,
    FieldList,
)
from int3rceptor.wire.h2.limits import MAX_FIELDS
from int3rceptor.wire.peers import MAX_CONTENT_LENGTH
from int3rceptor.wire.wording import quoted

Fields = Sequence[Field]

VERSION = "HTTP/2"

MAX_KNOWN_LINES_BYTES = 4_096
"""Larger judgements are not remembered: 32 of them are, of each connection's blocks."""

MAX_LENGTH_DIGITS = 19
"""Digits of a Content-Length: 2**63 has 19."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(rb"[1-5][0-9][0-9]")
# RFC 9113, 8.2.1; the other control characters by RFC 9110, 5.5.
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z")
_CONTROLS = bytes((*range(9), 11, 12, *range(14, 32), 0x7F))
is_bad_path = re.compile(rb"[\x00-\x20\x7f]").search
"""Finds what no :path may hold."""

# RFC 9113, 8.2.2.
_CONNECTION_SPECIFIC = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    )
)
# Regular names that are tokens, and steer nothing.
_PLAIN_NAMES = (
    frozenset(name for name, _ in STATIC[1:] if not name.startswith(b":")) - STEERING
)

_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path"))
_RESPONSE_PSEUDO = frozenset((b":status",))
_NO_PSEUDO: frozenset[bytes] = frozenset()
_CONNECT_PSEUDO = {b":method", b":authority"}

NO_CONTENT_STATUS = frozenset((204, 304))

_Asked = tuple[str, bytes, str, str]
"""Method, target, authority and scheme of a request."""


def as_lines(fields: Fields) -> bytes:
    """Fields as text for the record: one a line, no line end after the last."""
    return b"\r\n".join([b"%b: %b" % one for one in fields])


def request_head(fields: Fields, *, ended: bool, max_bytes: int) -> RequestHead:
    """A request's head; `ended` says that no body follows."""
    judged = _judged(fields, _REQUEST_PSEUDO, max_bytes)
    headers = Headers.judged(judged.raw, judged.steering, judged)
    length = judged.length
    asked = judged.asked
    if asked is None:
        asked = judged.asked = _judge_asked(judged.pseudo, headers)
    method, target, authority, scheme = asked
    if ended and length:
        _refuse(f"Content-Length {length} on a request without a body")
    return RequestHead(  # by position: by name it takes longer
        method, target, authority, scheme, VERSION, headers, not ended, length,
        method != "CONNECT", judged.lines,
    )  # fmt: skip


def response_head(
    fields: Fields, *, method: str, ended: bool, max_bytes: int
) -> ResponseHead:
    """A response's head, informational ones included; `method` is its request's."""
    judged = _judged(fields, _RESPONSE_PSEUDO, max_bytes)
    length = judged.length
    status = judged.status
    if not status:
        code = judged.pseudo.get(b":status", b"")
        if not _STATUS.fullmatch(code):
            _refuse(f"the status {code[:40]!r} is not one of 100 to 599")
        status = judged.status = int(code)
    if status < 200:
        # RFC 9113, 8.1 and 8.6: no END_STREAM yet, and no 101 at all.
        if ended or status == 101:
            _refuse(f"an informational response {status} that HTTP/2 does not have")
    elif ended and length and method != "HEAD" and status not in NO_CONTENT_STATUS:
        _refuse(f"Content-Length {length} on a response without a body")
    has_body = not (
        ended or method == "HEAD" or status < 200 or status in NO_CONTENT_STATUS
    )
    headers = Headers.judged(judged.raw, judged.steering, judged)
    return ResponseHead(status, b"", VERSION, headers, has_body, length, judged.lines)


def trailers(fields: Fields, *, max_bytes: int) -> Headers:
    """A trailer section (RFC 9113, 8.1; RFC 9110, 6.5.1)."""
    judged = _judged(fields, _NO_PSEUDO, max_bytes)
    section = Headers.judged(judged.raw, judged.steering)
    for name in sorted(section.steering & {b"content-length", b"host"}):
        _refuse(f"{name.decode()} among the trailers")
    return section


def judge_sendable(fields: Fields, lines: bytes) -> None:
    """StreamFault for regular fields that no peer would take: who listens to messages
    may have put anything into them. `lines` is all of them as lines."""
    if not _has_plain_values(lines, len(fields)):
        _check_values(fields)
    for name, _ in fields:
        if name not in _PLAIN_NAMES:
            _check_name(name)


def judge_start(method: bytes, authority: bytes) -> None:
    """The same of what the pseudo-headers of a request have in common."""
    _check_method(method)
    _check_values(((b":authority", authority),))


def refuse_path() -> NoReturn:
    """StreamFault for a :path that `is_bad_path` finds."""
    _refuse("a space or control character in :path")


def check_size(fields: Fields, max_bytes: int) -> None:
    """Refuse a list above `max_bytes` as RFC 9113, 6.5.2 counts, or MAX_FIELDS."""
    size = ENTRY_OVERHEAD_BYTES * len(fields)
    for name, value in fields:
        size += len(name) + len(value)
    if size > max_bytes or len(fields) > MAX_FIELDS:
        raise StreamFault(
            f"a header list of {size} bytes in {len(fields)} fields;"
            f" {max_bytes} bytes in {MAX_FIELDS} fields are allowed",
            status=431,
        )


@dataclass(slots=True)
class _Judged:
    """A header list that may pass: its lines for the record, its pseudo-headers, its
    regular fields (never changed), which of those are STEERING, and what Content-Length
    says. What its pseudo-headers say is there once they were judged too."""

    allowed: frozenset[bytes]
    lines: bytes
    pseudo: dict[bytes, bytes]
    raw: RawHeaders
    steering: frozenset[bytes]
    length: int | None
    asked: "_Asked | None" = None
    status: int = 0


def _judged(fields: Fields, allowed: frozenset[bytes], max_bytes: int) -> _Judged:
    """The judgement, which a list that comes again has already."""
    if type(fields) is FieldList:
        known = fields.judged
        if type(known) is _Judged and known.allowed is allowed:
            return known
    check_size(fields, max_bytes)
    lines = as_lines(fields)
    pseudo, raw, steering = _split(fields, lines, allowed)
    length = _content_length(raw) if b"content-length" in steering else None
    judged = _Judged(allowed, lines, pseudo, raw, frozenset(steering), length)
    if isinstance(fields, FieldList) and len(lines) <= MAX_KNOWN_LINES_BYTES:
        fields.judged = judged
    return judged


def _split(
    fields: Fields, lines: bytes, allowed: frozenset[bytes]
) -> tuple[dict[bytes, bytes], RawHeaders, set[bytes]]:
    """Pseudo-headers, which come first and once each, the regular fields, and which of
    those are STEERING; `lines` is all of them as lines."""
    pseudo: dict[bytes, bytes] = {}
    raw: RawHeaders = []
    steering: set[bytes] = set()
    if not _has_plain_values(lines, len(fields)):
        _check_values(fields)
    for field in fields:
        name = field[0]
        if name in _PLAIN_NAMES:
            raw.append(field)
        elif name.startswith(b":"):
            if raw or name in pseudo or name not in allowed:
                _refuse(f"{name[:40]!r} is misplaced, repeated or unknown")
            pseudo[name] = field[1]
        else:
            if name in STEERING:
                steering.add(name)
            else:
                _check_name(name)
            if name in _CONNECTION_SPECIFIC or (
                name == b"te" and field[1] != b"trailers"
            ):
                _refuse(f"the field {name.decode()} does not exist in HTTP/2")
            raw.append(field)
    return pseudo, raw, steering


def _has_plain_values(lines: bytes, count: int) -> bool:
    """Whether no value can be a bad one, seen on all lines at once. Where it is not
    plain to see (an empty value looks like a space at the end), the answer is no."""
    ends = lines.count(b"\r\n")
    return (
        len(lines.translate(None, _CONTROLS)) == len(lines)
        and ends == lines.count(b"\r") == lines.count(b"\n") == count - 1
        and b":  " not in lines
        and b": \t" not in lines
        and b" \r" not in lines
        and b"\t\r" not in lines
        and not lines.endswith((b" ", b"\t"))
    )


def _check_name(name: bytes) -> None:
    if not _NAME.fullmatch(name):
        _refuse(f"the field name {name[:40]!r} is not a lower-case token")


def _check_method(method: bytes) -> None:
    if not _METHOD.fullmatch(method):
        _refuse(f"the method {method[:40]!r} is not a token")


def _check_values(fields: Fields) -> None:
    for name, value in fields:
        if _BAD_VALUE.search(value):
            _refuse(f"a control character or space around the value of {name[:40]!r}")


def _judge_asked(pseudo: dict[bytes, bytes], headers: Headers) -> _Asked:
    method = pseudo.get(b":method", b"")
    _check_method(method)
    if method == b"CONNECT":
        return "CONNECT", *_judge_connect(pseudo)
    return method.decode("ascii"), *_judge_target(method, pseudo, headers)


def _judge_connect(pseudo: dict[bytes, bytes]) -> tuple[bytes, str, str]:
    # RFC 9113, 8.5: authority only.
    if pseudo.keys() != _CONNECT_PSEUDO:
        _refuse("CONNECT needs :authority, and neither :scheme nor :path")
    target = pseudo[b":authority"]
    if not target.rpartition(b":")[2].isdigit():
        _refuse("CONNECT needs a port in its :authority")
    authority = _checked_authority(target, "https")
    return target, authority, "https"


def _judge_target(
    method: bytes, pseudo: dict[bytes, bytes], headers: Headers
) -> tuple[bytes, str, str]:
    # RFC 9113, 8.3.1.
    scheme = pseudo.get(b":scheme", b"").lower()
    if scheme not in (b"http", b"https"):
        _refuse(f"the scheme {scheme[:40]!r} is neither http nor https")
    path = pseudo.get(b":path", b"")
    if is_bad_path(path):
        refuse_path()
    if not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        _refuse(f":path {quoted(path)} is not a path")
    text = scheme.decode("ascii")
    return path, _authority(pseudo, headers, text), text


def _authority(pseudo: dict[bytes, bytes], headers: Headers, scheme: str) -> str:
    has_host = b"host" in headers.steering
    hosts = headers.get_all_bytes(b"host") if has_host else []
    if len(hosts) > 1:
        _refuse("more than one Host")
    named = pseudo.get(b":authority")
    if named is None:
        if not hosts:
            _refuse("neither :authority nor Host")
        return _checked_authority(hosts[0], scheme)
    authority = _checked_authority(named, scheme)
    if hosts and hosts[0] != named and not _same(hosts[0], named, scheme):
        _refuse("Host and :authority name different hosts")
    return authority


def _checked_authority(value: bytes, scheme: str) -> str:
    try:
        parse_authority(value, DEFAULT_PORTS[scheme])
    except ClientProtocolError as error:
        raise StreamFault(str(error)) from None
    return to_text(value)


def _same(one: bytes, other: bytes, scheme: str) -> bool:
    port = DEFAULT_PORTS[scheme]
    try:
        return parse_authority(one.lower(), port) == parse_authority(
            other.lower(), port
        )
    except ClientProtocolError:
        return False


def _content_length(raw: RawHeaders) -> int:
    values = [value for name, value in raw if name == b"content-length"]
    value = values[0]
    is_number = value.isdigit() and len(value) <= MAX_LENGTH_DIGITS
    if len(values) > 1 or not is_number or int(value) > MAX_CONTENT_LENGTH:
        _refuse(f"Content-Length {b', '.join(values)[:40]!r} is not one number")
    return int(value)


def _refuse(reason: str) -> NoReturn:
    raise StreamFault(reason)
