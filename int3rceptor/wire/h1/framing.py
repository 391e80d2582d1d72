"""The judge of HTTP/1 heads and trailer sections: raw bytes in, fields and framing out.

Strict where h11 is lenient, because what two parsers read differently is how requests
are smuggled. It knows nothing of connections, buffers or h11.
"""

import re
from functools import lru_cache
from typing import NoReturn

from int3rceptor.errors import ClientProtocolError, OriginProtocolError
from int3rceptor.model.headers import Headers, to_text
from int3rceptor.wire.authority import MAX_PORT, parse_authority
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.fields import comma_tokens, is_upgrade
from int3rceptor.wire.h1.block import Block, Framing
from int3rceptor.wire.h1.cookies import cut_cookie, with_cookie, without_cookie
from int3rceptor.wire.h1.lines import (
    TEXT,
    TOKEN,
    BadLine,
    KnownBlocks,
    Line,
    problem_of,
    received,
)
from int3rceptor.wire.h1.target import judge_target
from int3rceptor.wire.peers import MAX_CONTENT_LENGTH, Peer, refusal
from int3rceptor.wire.wording import quoted

MAX_HEAD_BYTES = 64 * 1024
"""One head, start line included: what Chromium sends and nginx is commonly set to."""

MAX_START_LINE_BYTES = 32 * 1024
"""RFC 9112, 3 asks for 8,000 at least; query strings of real sites reach 16 KiB."""

MAX_FIELDS = 256
"""Fields in one head: real ones stay under 100; each costs work in every hook."""

MAX_TRAILER_BYTES = 16 * 1024
"""One trailer section: signatures and gRPC status need far less."""

MAX_TRAILERS = 64
"""Fields in one trailer section."""

MAX_KNOWN_STATUS_LINES = 64
"""Status lines whose reading is remembered: most answers say `HTTP/1.1 200 OK`."""

_CLIENT, _ORIGIN = Peer

_requests: KnownBlocks[tuple[str, bytes], Block] = KnownBlocks()
"""Blocks that were judged and found good, by the version and the bytes."""

_responses: KnownBlocks[bytes, Block] = KnownBlocks()
"""The same of responses, by the whole head: most have one of few status lines."""

_REQUEST_LINE = re.compile(rb"(%s) ([^\x00-\x20\x7f]++) (HTTP/[0-9.]++)\r\n" % TOKEN)
_STATUS_LINE = re.compile(rb"(HTTP/[0-9.]++) ([0-9]{3})(?: (%s))?\r\n" % TEXT)
_LENGTH = re.compile(rb"[0-9]{1,19}")
_CONTROL = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)",
)
# RFC 9110, 2.5: a higher minor version is read as the highest that is known.
_VERSIONS = {b"HTTP/1.%d" % minor: "HTTP/1.1" for minor in range(1, 10)} | {
    b"HTTP/1.0": "HTTP/1.0"
}
_SLASH = ord("/")
_judged = Headers.judged  # looked up by name it is made anew each time
_NO_OPTIONS: frozenset[bytes] = frozenset()
_NO_BODY = Framing(None, False, _NO_OPTIONS, False)

# RFC 9110, 6.5.1: what frames, routes or steers the connection must come before the
# body; in a trailer it could only deceive whoever merges trailers into the head.
FORBIDDEN_TRAILERS = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


def judge_request(head: bytes, scheme: str) -> tuple[RequestHead, Framing]:
    """Judge a whole request head, from its request line to its empty line.

    `scheme` is the connection's; ClientProtocolError says what is wrong and where.
    """
    line = _REQUEST_LINE.match(head)
    if line is None or line.end() > MAX_START_LINE_BYTES:
        _refuse_start_line(head, _CLIENT)
    method, target, number = line.groups()
    version = _VERSIONS.get(number)
    if version is None:
        raise refusal(
            _CLIENT, f"{number[:20].decode()} is not spoken here in clear text", 505
        )
    fields = head[line.end() :]
    block = known_request(fields, version) or _judge_asked(fields, version)
    framing = block.framing
    has_body = framing.is_chunked or bool(framing.length)
    is_connect = method == b"CONNECT"
    if has_body and is_connect:
        # RFC 9110, 9.3.6: no defined meaning; the bytes after it are the tunnel's.
        raise ClientProtocolError("a CONNECT request with a body")
    is_absolute = False
    authority = block.authority
    if authority is None or is_connect or target[0] != _SLASH:
        is_absolute = not is_connect and target[:1] not in (b"/", b"*")
        target, authority, scheme = judge_target(method, target, block.host, scheme)
    request = RequestHead(
        method.decode("ascii"),
        target,
        authority,
        scheme,
        version,
        _judged(block.raw, block.steering, block),
        has_body,
        framing.length,
        is_absolute,
        head[:-4],
    )
    return request, framing


def judge_response(head: bytes, method: str) -> tuple[ResponseHead, Framing]:
    """Judge a whole response head; `method` is that of the request it answers.

    OriginProtocolError says what is wrong and where.
    """
    block = _responses.get(head) or _judge_answered(head)
    framing = block.framing
    response = ResponseHead(
        block.status,
        block.reason,
        block.version,
        _judged(block.raw, block.steering, block),
        may_have_body(method, block.status) and framing.length != 0,
        framing.length,
        head[:-4],
    )
    return response, framing


@lru_cache(MAX_KNOWN_STATUS_LINES)
def _judge_status_line(line: bytes) -> tuple[str, int, bytes]:
    found = _STATUS_LINE.fullmatch(line)
    if found is None or len(line) > MAX_START_LINE_BYTES:
        _refuse_start_line(line, _ORIGIN)
    number, digits, reason = found.groups()
    version = _VERSIONS.get(number)
    status = int(digits)
    if version is None or not 100 <= status <= 599:
        raise OriginProtocolError(f"unknown version or status: {line[:40]!r}")
    return version, status, reason or b""


def may_have_body(method: str, status: int) -> bool:
    """Whether a response can have a body at all (RFC 9112, 6.3, rules 1 and 2)."""
    if status < 200 or status in (204, 304) or method == "HEAD":
        return False
    return not (method == "CONNECT" and status < 300)


def judge_trailers(block: bytes, peer: Peer) -> Headers | None:
    """Judge a trailer section, its empty line included; None when it is empty."""
    lines = judge_fields(block, peer, is_trailer=True)
    for line in lines:
        if line.key in FORBIDDEN_TRAILERS:
            name = line.field[0][:40].decode()
            raise refusal(peer, f"{name} is not allowed as a trailer")
    return Headers(line.field for line in lines) if lines else None


def judge_partial_head(data: bytearray, start: int, peer: Peer) -> None:
    """Refuse an unfinished head that can no longer become a valid one.

    Without this a peer that ends its lines with LF alone would wait for a deadline.
    Bytes before `start` have been looked at already.
    """
    judge_bytes(data, start, MAX_HEAD_BYTES, peer)
    end = data.find(b"\r\n", 0, MAX_START_LINE_BYTES)
    if end < 0:
        if len(data) > MAX_START_LINE_BYTES:
            raise refusal(peer, "the start line is too long", 414)
    elif start <= end + 1:
        form = _REQUEST_LINE if peer is _CLIENT else _STATUS_LINE
        if form.match(data) is None:
            _refuse_start_line(bytes(data[: end + 2]), peer)
    if len(data) > MAX_HEAD_BYTES:
        raise refusal(peer, f"the head is larger than {MAX_HEAD_BYTES} bytes", 431)


def judge_bytes(data: bytearray, start: int, end: int, peer: Peer) -> None:
    """Refuse what no head and no trailer section may hold, wherever it stands."""
    if wrong := _CONTROL.search(data, max(start - 1, 0), end):
        number = data.count(b"\r\n", 0, wrong.start()) + 1
        what = "bare CR or LF" if wrong[0] in b"\r\n" else "a control character"
        raise refusal(peer, f"{what} in line {number}")


def judge_fields(block: bytes, peer: Peer, *, is_trailer: bool = False) -> list[Line]:
    """The fields of `block`, which ends in an empty line."""
    if len(block) <= 2:
        return []
    lines = block[:-4].split(b"\r\n")
    limit = MAX_TRAILERS if is_trailer else MAX_FIELDS
    if len(lines) > limit:
        raise refusal(peer, f"more than {limit} header fields", 431)
    try:
        return list(map(received, lines))
    except BadLine:
        _refuse_fields(lines, peer, "trailers" if is_trailer else "head")


def known_request(fields: bytes, version: str = "HTTP/1.1") -> Block | None:
    """What the fields of a request say, if that is known, but for its cookie."""
    known = _requests.get((version, fields))
    if known is None and (cut := cut_cookie(fields)) is not None:
        rest = _requests.get((version, cut.rest))
        if rest is not None and len(rest.raw) < MAX_FIELDS:
            return with_cookie(rest, cut)
    return known


known_response = _responses.get
"""What a whole head of a response says, if that is known."""


def _judge_asked(fields: bytes, version: str) -> Block:
    """Judge a request's fields; the same bytes of the same version say the same."""
    lines = judge_fields(fields, _CLIENT)
    block = _judge_lines(lines, version, _CLIENT)
    framing = block.framing
    is_counted = not (framing.is_chunked or framing.is_upgrade or framing.length)
    is_at_rest = b"close" not in framing.options and b"expect" not in block.steering
    is_plain = is_counted and framing.length is None and is_at_rest
    block.is_plain = is_plain and version == "HTTP/1.1" and block.authority is not None
    if (cut := cut_cookie(fields)) is None:
        _requests.remember((version, fields), block, lines, len(fields))
    else:
        rest = lines[: cut.place] + lines[cut.place + 1 :]
        known = without_cookie(block, cut)
        _requests.remember((version, cut.rest), known, rest, len(cut.rest))
    return block


def _judge_answered(head: bytes) -> Block:
    """Judge a response's status line and fields."""
    end = head.find(b"\r\n") + 2
    version, status, reason = _judge_status_line(head[:end])
    lines = judge_fields(head[end:], _ORIGIN)
    block = _judge_lines(lines, version, _ORIGIN)
    block.version, block.status, block.reason = version, status, reason
    length = block.framing.length
    if length is not None and may_have_body("GET", status):
        block.counted = length
        is_kept = b"close" not in block.framing.options
        is_open = b"www-authenticate" not in block.steering
        block.is_plain = is_kept and is_open and version == "HTTP/1.1"
    _responses.remember(head, block, lines, len(head))
    return block


def _judge_lines(lines: list[Line], version: str, peer: Peer) -> Block:
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line.is_steering:
            found.setdefault(line.key, []).append(line.field[1])
    host = _judge_host(found, version) if peer is _CLIENT else None
    return Block(
        [line.field for line in lines],
        frozenset(found),
        host,
        _read_host(host),
        _judge_framing(found, version, peer),
    )


def _judge_host(found: dict[bytes, list[bytes]], version: str) -> bytes | None:
    # RFC 9112, 3.2: exactly one in HTTP/1.1; two in any version are two destinations.
    hosts = found.get(b"host")
    if hosts is None:
        if version == "HTTP/1.1":
            raise ClientProtocolError("an HTTP/1.1 request without a Host field")
        return None
    if len(hosts) > 1:
        raise ClientProtocolError(f"{len(hosts)} Host fields; one is allowed")
    return hosts[0]


def _read_host(host: bytes | None) -> str | None:
    if not host:
        return ""
    try:
        parse_authority(host, MAX_PORT)
    except ClientProtocolError:
        return None  # refused, but only if the target does not say where to go
    return to_text(host)


def _judge_framing(
    found: dict[bytes, list[bytes]], version: str, peer: Peer
) -> Framing:
    if not found:
        return _NO_BODY
    options = _NO_OPTIONS
    if connection := found.get(b"connection"):
        options = comma_tokens(connection)
    upgrade = found.get(b"upgrade")
    upgrades = upgrade is not None and is_upgrade(options, upgrade)
    length = found.get(b"content-length")
    codings = found.get(b"transfer-encoding")
    if codings is None:
        number = None if length is None else _judge_length(length, peer)
        return Framing(number, False, options, upgrades)
    # RFC 9112, 6.1: both is the classic smuggling vector, and HTTP/1.0 has no
    # Transfer-Encoding: whoever sends it there is framed differently by others.
    if length is not None:
        raise refusal(peer, "both Transfer-Encoding and Content-Length")
    if version == "HTTP/1.0":
        raise refusal(peer, "Transfer-Encoding in an HTTP/1.0 message")
    _judge_codings(codings, peer)
    return Framing(None, True, options, upgrades)


def _judge_length(values: list[bytes], peer: Peer) -> int:
    # RFC 9112, 6.3, rule 5 would allow equal repeats; nobody honest sends them.
    if len(values) > 1:
        raise refusal(peer, f"{len(values)} Content-Length fields; one is allowed")
    if not _LENGTH.fullmatch(values[0]):
        raise refusal(peer, f"invalid Content-Length {values[0][:40]!r}")
    length = int(values[0])
    if length > MAX_CONTENT_LENGTH:
        raise refusal(peer, f"Content-Length {length} is out of range")
    return length


def _judge_codings(values: list[bytes], peer: Peer) -> None:
    # RFC 9112, 6.1 and 7: `chunked` alone. Another coding before a final chunked is
    # legal but nobody sends it, and removing it would be a second body parser: 501.
    codings = [c.strip(b" \t").lower() for c in b",".join(values).split(b",")]
    if codings == [b"chunked"]:
        return
    shown = b", ".join(values)[:60]
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1 or b"" in codings:
        raise refusal(
            peer, f"Transfer-Encoding {shown!r} does not end in exactly one chunked"
        )
    raise refusal(peer, f"Transfer-Encoding {shown!r} is not supported", 501)


def _refuse_start_line(head: bytes, peer: Peer) -> NoReturn:
    line = head.partition(b"\r\n")[0]
    if len(line) > MAX_START_LINE_BYTES - 2:
        raise refusal(peer, "the start line is too long", 414)
    form = "METHOD target HTTP/1.1" if peer is _CLIENT else "HTTP/1.1 200 reason"
    raise refusal(peer, f"the start line is not {form!r}: {quoted(line)}")


def _refuse_fields(lines: list[bytes], peer: Peer, section: str) -> NoReturn:
    first = 2 if section == "head" else 1  # a head's first line is the start line
    for number, line in enumerate(lines, first):
        if problem := problem_of(line):
            raise refusal(peer, f"{problem} in line {number} of the {section}")
    raise refusal(peer, f"malformed fields in the {section}")
