"""Flows as JSON for programs, in the shapes of the control port's API.

Text is UTF-8, or ISO-8859-1 where it is not (RFC 9110, 5.5). Beside what the API shows,
a flow's bodies are in it.
"""

from base64 import b64encode
from collections.abc import Mapping

import msgspec

from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.decoding import decode_content
from int3rceptor.store.heads import Fields, fields_of, parse_head
from int3rceptor.store.records import BodyRecord, FlowRecord, OriginFacts

MAX_DECODED_BYTES = 256 * 1024 * 1024
"""Largest decoded body of one flow: above it, it is given as it passed."""

Shape = dict[str, object]


def row_shape(row: FlowRow) -> Shape:
    """One flow of a list."""
    return {
        "id": row.id,
        "created": row.created,
        "kind": row.kind,
        "method": row.method,
        "scheme": row.scheme,
        "host": row.host,
        "port": row.port,
        "target": _text(row.target),
        "version": row.version,
        "status": row.status or None,
        "origin_version": row.origin_version,
        "request_bytes": row.request_bytes,
        "response_bytes": row.response_bytes,
        "total_s": row.total_s or None,
        "error": row.error,
        "tags": row.tags,
        "rule": row.rule,
        "is_marked": row.is_marked,
    }


def flow_shape(row: FlowRow, record: FlowRecord, *, is_raw: bool) -> Shape:
    """All of one flow; with `is_raw` bodies keep their content codings."""
    has_response = bool(record.status or record.response_received)
    return row_shape(row) | {
        "head_s": record.head_s or None,
        "authority": record.authority,
        "client": _address(record.client)
        | {
            "connect": None if record.connect is None else _address(record.connect),
            "tls": _facts(record.client_tls),
        },
        "origin": _origin(record.origin),
        "request": _message(record, "request", is_raw=is_raw),
        "response": _message(record, "response", is_raw=is_raw)
        if has_response
        else None,
        "informational": [_head(block) for block in record.informational],
        "changes": [
            {"point": point, "author": author, "what": what}
            for point, author, what in record.changes
        ],
        "plugins": [msgspec.structs.asdict(one) for one in record.plugins],
        "bytes_up": record.bytes_up,
        "bytes_down": record.bytes_down,
        "messages_up": record.messages_up,
        "messages_down": record.messages_down,
        "is_redacted": record.is_redacted,
    }


def _message(record: FlowRecord, side: str, *, is_raw: bool) -> Shape:
    is_request = side == "request"
    received = record.request_received if is_request else record.response_received
    sent = record.request_sent if is_request else record.response_sent
    trailers = record.request_trailers if is_request else record.response_trailers
    body = record.request_body if is_request else record.response_body
    return {
        "received": _head(received) if received else None,
        "sent": _head(sent) if sent else None,
        "trailers": _pairs(fields_of(trailers)),
        "body": _body(body, sent or received, is_raw=is_raw),
    }


def _body(body: BodyRecord, head: bytes, *, is_raw: bool) -> Shape:
    fields = parse_head(head)
    coding = fields.value(b"content-encoding")
    content, is_decoded = body.content, False
    if coding and not is_raw:
        decoded = decode_content(body.content, coding, MAX_DECODED_BYTES)
        if not (decoded.problem or decoded.is_cut):
            content, is_decoded = decoded.data, True
    return {
        "size": body.size,
        "kept": len(body.content),
        "is_replaced": body.original is not None,
        "content_type": fields.value(b"content-type"),
        "content_encoding": coding,
        "is_decoded": is_decoded,
        **_carried(content),
        "original": None if body.original is None else _carried(body.original),
    }


def _carried(content: bytes) -> Shape:
    try:
        return {"encoding": "text", "data": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "data": b64encode(content).decode()}


def _head(block: bytes) -> Shape:
    head = parse_head(block)
    return {
        "start": _text(head.start),
        "fields": _pairs(head.fields),
        "raw": b64encode(block).decode(),
    }


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in fields]


def _address(address: tuple[str, int]) -> Shape:
    return {"host": address[0], "port": address[1]}


def _origin(origin: OriginFacts | None) -> Shape | None:
    if origin is None:
        return None
    return _address((origin.host, origin.port)) | {
        "version": origin.version,
        "tls": _facts(origin.tls),
        "is_reused": origin.is_reused,
    }


def _facts(facts: msgspec.Struct | None) -> Mapping[str, object] | None:
    return None if facts is None else msgspec.structs.asdict(facts)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
