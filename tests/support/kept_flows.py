"""Flows as the journal and the store hold them: records, segments, a directory."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from int3rceptor.store.database.index import Index
from int3rceptor.store.journal.framing import BODY, END, FLOW, MAGIC, sealed
from int3rceptor.store.records import (
    BodyPiece,
    BodyRecord,
    FlowRecord,
    OriginFacts,
    encode,
)

CREATED = 1_700_000_000.0
"""When the flow with the id 0 would have begun; each later one a second later."""


def a_record(
    number: int,
    *,
    host: str = "example.com",
    method: str = "GET",
    status: int = 200,
    content: bytes = b"",
    head: bytes = b"Content-Type: text/plain\r\n",
    tags: Sequence[str] = (),
    changes: Sequence[tuple[str, str, str]] = (),
) -> FlowRecord:
    """A whole exchange of HTTP/1.1."""
    target = b"/%d" % number
    request = b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (
        method.encode(),
        target,
        host.encode(),
    )
    response = b"HTTP/1.1 %d OK\r\n" % status + head
    return FlowRecord(
        id=number,
        kind="http",
        created=CREATED + number,
        head_s=0.01,
        total_s=0.02,
        client=("127.0.0.1", 50_000),
        connect=None,
        client_tls=None,
        origin=OriginFacts(
            host="192.0.2.1", port=443, tls=None, version="HTTP/1.1", is_reused=False
        ),
        method=method,
        scheme="https",
        host=host,
        port=443,
        target=target,
        authority=host,
        version="HTTP/1.1",
        status=status,
        request_received=request,
        request_sent=request,
        response_received=response,
        response_sent=response,
        informational=[],
        request_body=BodyRecord(),
        response_body=BodyRecord(size=len(content), content=content),
        request_trailers=b"",
        response_trailers=b"",
        error="",
        changes=list(changes),
        tags=list(tags),
        rule="",
        bytes_up=0,
        bytes_down=len(content),
        is_redacted=False,
    )


def ahead(record: FlowRecord, pieces: Sequence[bytes]) -> list[bytes]:
    """The record with pieces of its response's body before it, as frames."""
    body = record.response_body
    size = sum(map(len, pieces))
    whole = BodyRecord(size=size + body.size, ahead=size, content=body.content)
    frames = [
        sealed(BODY, encode(BodyPiece(id=record.id, side="response", data=piece)))
        for piece in pieces
    ]
    return [*frames, sealed(FLOW, encode(replace(record, response_body=whole)))]


def journal(
    flows_dir: Path,
    records: Iterable[FlowRecord | bytes | bytes],
    *,
    name: str = "1",
    is_ended: bool = False,
) -> Path:
    """A segment with these records, or frames; appended to when it is there."""
    folder = flows_dir / "journal"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name:0>20}-1.journal"
    if not path.exists():
        path.write_bytes(MAGIC)
    with path.open("ab") as file:
        for one in records:
            file.write(
                sealed(FLOW, encode(one)) if isinstance(one, FlowRecord) else one
            )
        if is_ended:
            file.write(sealed(END, b""))
    return path


def take_in(flows_dir: Path, *, settles: bool = False) -> list[str]:
    """Do what the hub does; what it said."""
    problems: list[str] = []
    index = Index(flows_dir, on_problem=problems.append)
    while index.ingest(1.0):
        pass
    while settles and index.idle(1.0):
        pass
    index.close()
    return problems
