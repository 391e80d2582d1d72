"""The words of flows: what a text search finds them by, and how it is asked.

It knows a flow's record; neither tables nor where records are kept.
"""

from functools import lru_cache

from int3rceptor.store import decoding
from int3rceptor.store.heads import values_in
from int3rceptor.store.records import BodyRecord, FlowRecord

MAX_HEAD_BYTES = 16 * 1024
"""Of each head: browsers and servers stop at about as much."""
MAX_KNOWN_HEADS = 64
"""Heads that need not be read again: under load an origin sends the same one until its
Date changes. Each is looked at up to MAX_HEAD_BYTES, so they are 3 MiB at most."""
MAX_CODED_BYTES = 64 * 1024
"""Looked at of each body as it passed, before its content coding is undone."""
MAX_BODY_BYTES = 16 * 1024
"""Of each body, decoded. The index takes about 50 ns and half a byte for each byte, so
this bounds a flow's share to some milliseconds and 30 KiB."""

_SKIPPED = ("image/", "audio/", "video/", "font/")


def text_of(record: FlowRecord) -> str:
    """What of a flow can be found: URL, error, heads, and bodies that are text.

    Of a body that went ahead only `content` is seen: join it first (bodies.load, with
    MAX_CODED_BYTES).
    """
    target = record.target.decode("utf-8", "replace")
    parts = [
        f"{record.method} {record.scheme}://{record.host}:{record.port}{target}",
        record.error,
        _heads(record.request_received, record.request_sent),
        _body_text(record.request_body, record.request_sent),
        _heads(record.response_received, record.response_sent),
        _body_text(record.response_body, record.response_sent),
    ]
    return "\n".join(filter(None, parts))


def match_expression(text: str) -> str:
    """What to give to `flow_text MATCH ?`: these words in a row, the last may go on."""
    quoted = text.replace("\0", " ").replace('"', '""')
    return f'"{quoted}" *'


def _heads(received: bytes, sent: bytes) -> str:
    """The lines of a head as it came, and those that were changed on the way."""
    if sent == received:
        return received[:MAX_HEAD_BYTES].decode("utf-8", "replace")
    return _changed(received[:MAX_HEAD_BYTES], sent[:MAX_HEAD_BYTES])


@lru_cache(maxsize=MAX_KNOWN_HEADS)
def _changed(received: bytes, sent: bytes) -> str:
    known = set(received.split(b"\r\n"))
    new = [line for line in sent.split(b"\r\n") if line not in known]
    return b"\n".join((received, *new)).decode("utf-8", "replace")


@lru_cache(maxsize=MAX_KNOWN_HEADS)
def _type_and_coding(head: bytes) -> tuple[str, str]:
    content_type, coding = values_in(head, b"content-type", b"content-encoding")
    return content_type, coding


def _body_text(body: BodyRecord, head: bytes) -> str:
    if not body.content:
        return ""
    content_type, coding = _type_and_coding(head[:MAX_HEAD_BYTES])
    if content_type.lower().startswith(_SKIPPED):
        return ""
    if coding:
        coded = body.content[:MAX_CODED_BYTES]
        data = decoding.decode_content(coded, coding, MAX_BODY_BYTES).data
    else:
        data = body.content[:MAX_BODY_BYTES]
    if len(data) < body.size:
        data = _without_torn_character(data)
    return decoding.text_of(data, content_type) or ""


def _without_torn_character(data: bytes) -> bytes:
    """Cut back to where a UTF-8 sequence ends, as a limit may have hit one inside."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            return data[:-back]
    return data
