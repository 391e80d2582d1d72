"""Turns passing flows into the journal's records; what the proxy calls a keeper.

It holds at most INLINE_BODY_BYTES of each streamed body that passes. It never waits,
and knows of the disk only that a piece or a flow was kept, or was not.
"""

from collections.abc import Sequence

from int3rceptor.hooks.keeper import Ended
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow, FlowKind, OriginInfo, TlsInfo
from int3rceptor.model.message import Response
from int3rceptor.store.journal.journal import Journal
from int3rceptor.store.journal.rebuilt import (
    fields_block,
    informational_block,
    redacted,
)
from int3rceptor.store.records import (
    INLINE_BODY_BYTES,
    BodyRecord,
    FlowRecord,
    OriginFacts,
    PluginFacts,
    TlsFacts,
)

PIECE_BYTES = 1024 * 1024
"""Largest piece that a whole body goes ahead in: one copy of it at a time."""

MAX_ORIGINAL_BYTES = 16 * 1024 * 1024
"""Largest original of a replaced body that is kept: it is in the flow's record, and two
of them must leave that within its limit."""

_NO_RESPONSE = Response(status=0)
_NO_BODY = BodyRecord()
_NO_BLOCKS: list[bytes] = []
_NO_CHANGES: list[tuple[str, str, str]] = []
_NO_PLUGINS: list[PluginFacts] = []
_HTTP = FlowKind.HTTP


class Keeper:
    """Keeps the flows of one proxy in `journal`, `max_body_bytes` of each body."""

    def __init__(self, journal: Journal, max_body_bytes: int) -> None:
        self._journal = journal
        self._next_id = journal.next_id
        self._append = journal.append_flows
        self._max_body_bytes = max_body_bytes

    def begin(self, flow: Flow) -> None:
        """A flow begins: its number, and an ear at its request's body."""
        flow.id = self._next_id()
        body = flow.request.body
        if flow.request.has_body:  # a whole one may yet become a stream
            body.tap = _Tap(self._journal, flow.id, "request", self._max_body_bytes)

    def answered(self, flow: Flow) -> None:
        """`flow.response` is set and its body has not passed yet: if it is to stream,
        an ear at it."""
        if flow.response is None:
            return
        body = flow.response.body
        if body.content is None and body.tap is None:
            body.tap = _Tap(self._journal, flow.id, "response", self._max_body_bytes)

    def finish(self, ended: Sequence[Ended]) -> None:
        """These flows are over: keep those that are wanted, by one write."""
        records = []
        for flow, is_wanted in ended:
            if is_wanted:
                record = self._record(flow)
                records.append(redacted(record, flow) if flow.is_redacted else record)
            else:
                self._discard(flow)
        if records:
            self._append(records)

    def _record(self, flow: Flow) -> FlowRecord:
        request = flow.request
        response = flow.response or _NO_RESPONSE
        asked, answered = request.body, response.body
        times, client, origin = flow.times, flow.client, flow.origin
        started = times.started
        host, websocket = client.connect_host, flow.websocket
        return FlowRecord(  # by position: by name it takes twice as long
            flow.id,
            "http" if flow.kind is _HTTP else flow.kind.value,
            flow.created,
            times.response_head - started if times.response_head else 0.0,
            times.ended - started if times.ended else 0.0,
            client.address,
            None if host is None else (host, client.connect_port or 0),
            None if client.tls is None else _tls_facts(client.tls),
            None if origin is None else _origin_facts(origin),
            request.method, request.scheme, request.host, request.port,
            request.target, request.authority, request.version,
            response.status,
            request.received, request.sent, response.received, response.sent,
            _informational(flow) if flow.informational else _NO_BLOCKS,
            self._body(flow, "request", asked),
            self._body(flow, "response", answered),
            b"" if asked.trailers is None else fields_block(asked.trailers),
            b"" if answered.trailers is None else fields_block(answered.trailers),
            flow.error,
            _changes(flow) if flow.changes else _NO_CHANGES,
            flow.tags, flow.rule, flow.bytes_up, flow.bytes_down, flow.is_redacted,
            _plugins(flow) if flow.plugins else _NO_PLUGINS,
            0 if websocket is None else websocket.up,
            0 if websocket is None else websocket.down,
        )  # fmt: skip

    def _body(self, flow: Flow, side: str, body: Body) -> BodyRecord:
        content, tap = body.content, body.tap
        original = None if body.original is None else self._original(flow, body)
        if content is None:
            if isinstance(tap, _Tap):
                return BodyRecord(body.size, tap.ahead, bytes(tap.held), original)
            return BodyRecord(body.size, 0, b"", original)
        if tap is not None:
            _void(self._journal, flow.id, side, body)
        if not content and original is None:
            return _NO_BODY
        size = len(content)
        if size > self._max_body_bytes:
            content = content[: self._max_body_bytes]
        if len(content) <= INLINE_BODY_BYTES:
            return BodyRecord(size, 0, content, original)
        ahead = self._send_ahead(flow.id, side, content)
        # Nothing follows a piece that was lost.
        rest = content[ahead:] if len(content) - ahead <= INLINE_BODY_BYTES else b""
        return BodyRecord(size, ahead, rest, original)

    def _discard(self, flow: Flow) -> None:
        _void(self._journal, flow.id, "request", flow.request.body)
        if flow.response is not None:
            _void(self._journal, flow.id, "response", flow.response.body)

    def _original(self, flow: Flow, body: Body) -> bytes | None:
        original = body.original
        limit = min(self._max_body_bytes, MAX_ORIGINAL_BYTES)
        if original is None or flow.is_redacted or len(original) > limit:
            return None
        return original

    def _send_ahead(self, number: int, side: str, content: bytes) -> int:
        """Put all but the last INLINE_BODY_BYTES into pieces; the bytes kept."""
        ahead = 0
        while len(content) - ahead > INLINE_BODY_BYTES:
            piece = content[ahead : ahead + PIECE_BYTES]
            if not self._journal.append_piece(number, side, piece):
                break
            ahead += len(piece)
        return ahead


class _Tap:
    """What one streamed body was: told of each chunk as it passes.

    `ahead` bytes are in pieces, `held` are those after them, up to the cap.
    """

    __slots__ = ("_flow_id", "_journal", "_left", "_side", "ahead", "held")

    def __init__(self, journal: Journal, flow_id: int, side: str, cap: int) -> None:
        self._journal = journal
        self._flow_id = flow_id
        self._side = side
        self._left = cap
        self.ahead = 0
        # Copied together: 64 KiB in chunks of one byte would be megabytes of objects.
        self.held = bytearray()

    def __call__(self, data: bytes) -> None:
        size = len(data)
        if size > self._left:
            size = self._left
            if not size:
                return
            data = data[:size]
        self._left -= size
        if len(self.held) + size <= INLINE_BODY_BYTES:
            self.held += data
            return
        piece = bytes(self.held) + data
        self.held.clear()
        if self._journal.append_piece(self._flow_id, self._side, piece):
            self.ahead += len(piece)
        else:
            self._left = 0  # nothing follows a piece that was lost


def _void(journal: Journal, flow_id: int, side: str, body: Body) -> None:
    """Take back the pieces of a body that passed: it was replaced, or is not kept."""
    if isinstance(body.tap, _Tap) and body.tap.ahead:
        journal.append_piece(flow_id, side, b"")


def _tls_facts(info: TlsInfo) -> TlsFacts:
    return TlsFacts(info.version, info.cipher, info.alpn, info.sni, info.is_resumed)


def _origin_facts(info: OriginInfo) -> OriginFacts:
    host, port = info.address
    tls = None if info.tls is None else _tls_facts(info.tls)
    return OriginFacts(host, port, tls, info.version, info.is_reused)


def _changes(flow: Flow) -> list[tuple[str, str, str]]:
    return [(one.point, one.author, one.what) for one in flow.changes]


def _plugins(flow: Flow) -> list[PluginFacts]:
    return [
        PluginFacts(
            one.name,
            one.version,
            one.digest,
            one.hook,
            one.calls,
            one.fuel,
            one.micros,
        )
        for one in flow.plugins
    ]


def _informational(flow: Flow) -> list[bytes]:
    version = "" if flow.origin is None else flow.origin.version
    return [informational_block(head, version) for head in flow.informational]
