"""The record of a finished flow, as the journal and the store keep it.

Shared by both halves of this room. Fields are only ever appended, each with a default,
so that what an older release wrote can still be read.
"""

import msgspec

INLINE_BODY_BYTES = 64 * 1024
"""Most bytes of one body that a record holds itself; the rest goes ahead of it in
records of its own. It bounds what a flow holds in memory while it passes."""


class TlsFacts(msgspec.Struct, array_like=True, frozen=True):
    """What one side's TLS handshake agreed on."""

    version: str
    cipher: str
    alpn: str
    sni: str | None
    is_resumed: bool


class OriginFacts(msgspec.Struct, array_like=True, frozen=True):
    """The origin connection that carried the exchange."""

    host: str
    port: int
    tls: TlsFacts | None
    version: str
    is_reused: bool


class BodyRecord(msgspec.Struct, array_like=True, frozen=True):
    """One body as it was sent on.

    `size` is its full size. `ahead` bytes of it went into body records before this
    one; `content` follows them. Less than `size` together: it was cut. `original` is
    what was received where a listener replaced a body that was whole.
    """

    size: int = 0
    ahead: int = 0
    content: bytes = b""
    original: bytes | None = None


class PluginFacts(msgspec.Struct, array_like=True, frozen=True):
    """A version of a plugin that changed or decided something at one hook.

    `digest` is the beginning of its module's SHA-256. `fuel` (0: not known) and
    `micros` are what its calls there took.
    """

    name: str
    version: str
    digest: str
    hook: str
    calls: int
    fuel: int
    micros: int


class FlowRecord(msgspec.Struct, array_like=True, frozen=True):
    """One flow. Heads are blocks of lines as they passed, without the blank line.

    HTTP/1 heads are byte for byte; HTTP/2 heads are one decoded field a line, the
    pseudo fields first (`:method: GET`). b"" where a head did not pass. `created` is in
    seconds since the epoch; `head_s` and `total_s` count from then (0.0: not reached).
    `changes` are (hook point, author, what) in order. `messages_up` and `_down` are
    those of a WebSocket that listeners were shown, from the client and from the origin.
    """

    id: int
    kind: str
    created: float
    head_s: float
    total_s: float
    client: tuple[str, int]
    connect: tuple[str, int] | None
    client_tls: TlsFacts | None
    origin: OriginFacts | None
    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    authority: str
    version: str
    status: int
    request_received: bytes
    request_sent: bytes
    response_received: bytes
    response_sent: bytes
    informational: list[bytes]
    request_body: BodyRecord
    response_body: BodyRecord
    request_trailers: bytes
    response_trailers: bytes
    error: str
    changes: list[tuple[str, str, str]]
    tags: list[str]
    rule: str
    bytes_up: int
    bytes_down: int
    is_redacted: bool
    plugins: list[PluginFacts] = []
    messages_up: int = 0
    messages_down: int = 0


class BodyPiece(msgspec.Struct, array_like=True, frozen=True):
    """Bytes of a body that is too large for its flow's record, in order.

    `side` is "request" or "response". Empty `data` takes back every piece before it of
    this flow and side: the body was replaced, or the flow is not wanted.
    """

    id: int
    side: str
    data: bytes


_flows = msgspec.msgpack.Decoder(FlowRecord)
_pieces = msgspec.msgpack.Decoder(BodyPiece)
encode = msgspec.msgpack.Encoder().encode


def decode_flow(payload: bytes) -> FlowRecord:
    """A FlowRecord from its bytes; msgspec.DecodeError when it is none."""
    try:
        return _flows.decode(payload)
    except UnicodeDecodeError as error:  # which msgspec's own do not include
        raise msgspec.DecodeError(str(error)) from error


def decode_piece(payload: bytes) -> BodyPiece:
    """A BodyPiece from its bytes; msgspec.DecodeError when it is none."""
    try:
        return _pieces.decode(payload)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error
