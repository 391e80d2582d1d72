"""Kept flows as the API shows them: rows and records to schemas. Pure."""

from base64 import b64encode

import msgspec

from int3rceptor.control.schemas import (
    Address,
    BodyFacts,
    Change,
    Client,
    FlowDetail,
    FlowSummary,
    Head,
    Message,
    Origin,
    PluginCalls,
    Tls,
)
from int3rceptor.store import heads
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.records import BodyRecord, FlowRecord, OriginFacts, TlsFacts


def text(raw: bytes) -> str:
    """Bytes as text that JSON can carry: UTF-8, else ISO-8859-1 (RFC 9110, 5.5)."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def summary(row: FlowRow) -> FlowSummary:
    """A line of a list."""
    return FlowSummary(
        id=row.id,
        created=row.created,
        kind=row.kind,
        method=row.method,
        scheme=row.scheme,
        host=row.host,
        port=row.port,
        target=text(row.target),
        version=row.version,
        status=row.status or None,
        origin_version=row.origin_version,
        request_bytes=row.request_bytes,
        response_bytes=row.response_bytes,
        total_s=row.total_s or None,
        error=row.error,
        tags=row.tags,
        rule=row.rule,
        is_marked=row.is_marked,
    )


def detail(row: FlowRow, record: FlowRecord, kept_bytes: tuple[int, int]) -> FlowDetail:
    """All of one flow; `kept_bytes` are those of the two bodies, request first."""
    has_response = bool(record.status or record.response_received)
    return FlowDetail(
        **summary(row).model_dump(),
        head_s=record.head_s or None,
        authority=record.authority,
        client=Client(
            host=record.client[0],
            port=record.client[1],
            connect=None if record.connect is None else _address(record.connect),
            tls=_tls(record.client_tls),
        ),
        origin=_origin(record.origin),
        request=_message(
            record.request_received,
            record.request_sent,
            record.request_trailers,
            record.request_body,
            kept_bytes[0],
        ),
        response=_message(
            record.response_received,
            record.response_sent,
            record.response_trailers,
            record.response_body,
            kept_bytes[1],
        )
        if has_response
        else None,
        informational=[_head(block) for block in record.informational],
        changes=_changes(record),
        plugins=[PluginCalls(**msgspec.structs.asdict(one)) for one in record.plugins],
        bytes_up=record.bytes_up,
        bytes_down=record.bytes_down,
        messages_up=record.messages_up,
        messages_down=record.messages_down,
        is_redacted=record.is_redacted,
    )


def _changes(record: FlowRecord) -> list[Change]:
    return [
        Change(point=point, author=author, what=what)
        for point, author, what in record.changes
    ]


def field(record: FlowRecord, side: str, name: bytes) -> str:
    """A header field of the message as it was sent on, or as it came if it was not."""
    is_request = side == "request"
    sent = record.request_sent if is_request else record.response_sent
    received = record.request_received if is_request else record.response_received
    return _field(sent or received, name)


def _field(block: bytes, name: bytes) -> str:
    found = heads.parse_head(block).fields
    return text(b", ".join(value for key, value in found if key.lower() == name))


def _head(block: bytes) -> Head:
    head = heads.parse_head(block)
    return Head(
        start=text(head.start),
        fields=_pairs(head.fields),
        raw=b64encode(block).decode(),
    )


def _pairs(fields: heads.Fields) -> list[tuple[str, str]]:
    return [(text(name), text(value)) for name, value in fields]


def _message(
    received: bytes, sent: bytes, trailers: bytes, body: BodyRecord, kept: int
) -> Message:
    return Message(
        received=_head(received) if received else None,
        sent=_head(sent) if sent else None,
        trailers=_pairs(heads.fields_of(trailers)),
        body=BodyFacts(
            size=body.size,
            kept=kept,
            is_replaced=body.original is not None,
            content_type=_field(sent or received, b"content-type"),
            content_encoding=_field(sent or received, b"content-encoding"),
        ),
    )


def _address(address: tuple[str, int]) -> Address:
    return Address(host=address[0], port=address[1])


def _origin(origin: OriginFacts | None) -> Origin | None:
    if origin is None:
        return None
    return Origin(
        host=origin.host,
        port=origin.port,
        version=origin.version,
        tls=_tls(origin.tls),
        is_reused=origin.is_reused,
    )


def _tls(facts: TlsFacts | None) -> Tls | None:
    if facts is None:
        return None
    return Tls(
        version=facts.version,
        cipher=facts.cipher,
        alpn=facts.alpn,
        sni=facts.sni,
        is_resumed=facts.is_resumed,
    )
