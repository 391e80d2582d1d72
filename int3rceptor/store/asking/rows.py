"""A flow as one line of a list: what is shown of it without reading it whole."""

from dataclasses import dataclass

from int3rceptor.store.records import FlowRecord


@dataclass(slots=True, frozen=True, kw_only=True)
class FlowRow:
    """One flow of a list.

    `created` is in seconds since the epoch, `total_s` in seconds (0.0: it did not end).
    `status` is 0 when there was no answer, `origin_version` "" when no origin was
    asked. The two sizes are the bodies' full ones; of a tunnel, all bytes.
    """

    id: int
    created: float
    kind: str
    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    version: str
    status: int
    origin_version: str
    request_bytes: int
    response_bytes: int
    total_s: float
    error: str
    tags: list[str]
    rule: str
    is_marked: bool


def row_of(record: FlowRecord) -> FlowRow:
    """The row of a record that is still in the journal: nobody can have marked it."""
    return FlowRow(
        id=record.id,
        created=record.created,
        kind=record.kind,
        method=record.method,
        scheme=record.scheme,
        host=record.host,
        port=record.port,
        target=record.target,
        version=record.version,
        status=record.status,
        origin_version="" if record.origin is None else record.origin.version,
        request_bytes=record.request_body.size or record.bytes_up,
        response_bytes=record.response_body.size or record.bytes_down,
        total_s=record.total_s,
        error=record.error,
        tags=record.tags,
        rule=record.rule,
        is_marked=False,
    )
