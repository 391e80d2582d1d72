"""Heads and trailers turned into HTTP/2 field lists (RFC 9113, 8.2 and 8.3).

What the regular fields of a head become follows from them and from the length of the
body, and many heads have the fields of one before: then that is looked up, and neither
made nor coded again. It knows no frames.
"""

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
from int3rceptor.wire.fields import accepts_trailers, connection_options, hop_by_hop
from int3rceptor.wire.h2.faults import StreamFault
from int3rceptor.wire.h2.fields import (
    as_lines,
    is_bad_path,
    judge_sendable,
    judge_start,
    refuse_path,
)
from int3rceptor.wire.h2.hpack.encoder import Section
from int3rceptor.wire.h2.hpack.table import Field, NeverIndexed
from int3rceptor.wire.peers import Peer, refusal

MAX_KNOWN_SECTIONS = 32
"""Sets of fields remembered for each connection: as many as blocks that came."""

MAX_KNOWN_SECTION_BYTES = 1_024
"""Larger ones are made anew each time: they seldom come twice. It bounds what one
connection remembers to some 64 KiB."""

_TRAILERS_WELCOME: Field = (b"te", b"trailers")


class Head(NamedTuple):
    """A field list to be sent: a request has a path, and what is around it may have
    been sent before."""

    start: Section
    path: bytes | None
    rest: Section

    @property
    def lines(self) -> bytes:
        """All of them as text for the record."""
        lines = self.start.lines
        if self.path is not None:
            lines = b"%b\r\n:path: %b" % (lines, self.path)
        return b"%b\r\n%b" % (lines, self.rest.lines) if self.rest.lines else lines


class Sections:
    """What heads on one connection have in common, ready to be sent again."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[object, Section] = {}

    def request(self, request: Request) -> Head:
        """The field list of a request; ClientProtocolError when there is none."""
        authority = request.authority or format_authority(
            request.host, request.port, request.scheme
        )
        method = request.method
        path = None if method == "CONNECT" else request.target or b"/"
        # RFC 9113, 8.3.1: :authority, and so no Host.
        start = (method, request.scheme, authority)
        try:
            if path is not None and is_bad_path(path):
                refuse_path()
            section = self._known.get(start) or self._remember(start, _start(*start))
            return Head(section, path, self._rest(request.headers, request.body, True))
        except StreamFault as fault:
            raise _unsendable(fault, Peer.CLIENT) from None

    def response(self, response: Response, *, method: str) -> Head:
        """The field list of a final response to a request of this method;
        OriginProtocolError when there is none."""
        status = response.status
        start = self._known.get(status)
        if start is None:
            start = self._remember(status, _section([(b":status", b"%03d" % status)]))
        # After HEAD and in a 304, Content-Length tells of the body that is not sent
        # (RFC 9110, 8.6).
        is_sent = method != "HEAD" and status != 304
        body = response.body if is_sent else None
        try:
            return Head(start, None, self._rest(response.headers, body, False))
        except StreamFault as fault:
            raise _unsendable(fault, Peer.ORIGIN) from None

    def _rest(self, headers: Headers, body: Body | None, is_request: bool) -> Section:
        length, has_content = None, False
        if body is not None:
            content = body.content
            has_content = bool(content)
            length = body.length if content is None else len(content)
        raw = headers.raw
        key = (tuple(raw), body is None, length, has_content, is_request)
        known = self._known.get(key)
        # A field that no table may hold equals one that any may.
        is_secret = NeverIndexed in map(type, raw)
        if known is not None and not is_secret:
            return known
        fields = _sendable(headers, body, with_host=not is_request)
        if is_request and accepts_trailers(headers):
            # RFC 9113, 8.2.2: the one value that TE may have. gRPC servers ask for it.
            fields.append(_TRAILERS_WELCOME)
        section = _section(fields)
        if headers.facts() is None:  # else they are as they came, and were judged then
            judge_sendable(fields, section.lines)
        return self._remember(None if is_secret else key, section)

    def _remember(self, key: object, section: Section) -> Section:
        if key is not None and len(section.lines) <= MAX_KNOWN_SECTION_BYTES:
            if len(self._known) >= MAX_KNOWN_SECTIONS:
                self._known.clear()
            self._known[key] = section
        return section


def _section(fields: RawHeaders) -> Section:
    return Section(fields, as_lines(fields))


def _start(method: str, scheme: str, authority: str) -> Section:
    verb, named = to_bytes(method), to_bytes(authority)
    judge_start(verb, named)
    fields = [(b":method", verb)]
    if method != "CONNECT":
        fields.append((b":scheme", to_bytes(scheme)))
    return _section([*fields, (b":authority", named)])


def informational_fields(response: Informational) -> RawHeaders:
    """The field list of a 1xx response."""
    return [
        (b":status", b"%03d" % response.status),
        *_sendable(response.headers, None),
    ]


def trailer_fields(section: Headers, author: Peer) -> RawHeaders:
    """The field list of a trailer section; the author's error when there is none."""
    fields = _sendable(section, None)
    try:
        judge_sendable(fields, as_lines(fields))
    except StreamFault as fault:
        raise _unsendable(fault, author) from None
    return fields


def _unsendable(fault: StreamFault, author: Peer) -> ProtocolError:
    return refusal(author, f"HTTP/2 cannot carry this head: {fault}")


def _sendable(
    headers: Headers, body: Body | None, *, with_host: bool = True
) -> RawHeaders:
    """The fields that travel on, with lower-case names; what needs no change stays the
    field that it was.

    With a `body` they have a Content-Length that is true, or none: END_STREAM frames
    the body here, and a wrong length would make the message malformed (RFC 9113,
    8.1.1). None is added where none was: the empty body of a GET has none.
    """
    dropped = hop_by_hop(connection_options(headers))
    fields: RawHeaders = []
    length = declared = None
    if body is not None:
        length = body.length if body.content is None else len(body.content)
    is_missing = body is not None and bool(body.content)
    for field in headers.raw:
        name, value = field
        if not name.islower():
            name = name.lower()
            field = (name, value)
        if name in dropped or (name == b"host" and not with_host):
            continue
        if name == b"content-length" and body is not None:
            if length is None or declared is not None:
                continue  # once
            declared, is_missing = b"%d" % length, False
            if value != declared:
                field = (name, declared)
        fields.append(field)
    if is_missing:
        fields.append((b"content-length", b"%d" % (length or 0)))
    return fields
