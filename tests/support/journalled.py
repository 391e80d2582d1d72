"""Flow records, and journal segments that hold them, for tests of the store."""

import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from int3rceptor.store.database.index import Index
from int3rceptor.store.journal.framing import BODY, END, FLOW, MAGIC, sealed
from int3rceptor.store.records import BodyPiece, BodyRecord, FlowRecord, encode

DEAD_PROCESS = 2**22 + 1
"""Above the largest process number of Linux and macOS."""

_names = count(1)


def flow(number: int, **changes: object) -> FlowRecord:
    """A plain GET that was answered; `changes` are fields of FlowRecord."""
    request = b"GET /items/%d HTTP/1.1\r\nHost: example.com\r\n" % number
    response = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    plain = FlowRecord(
        id=number,
        kind="http",
        created=1_700_000_000.0 + number,
        head_s=0.01,
        total_s=0.02,
        client=("127.0.0.1", 50_000),
        connect=None,
        client_tls=None,
        origin=None,
        method="GET",
        scheme="https",
        host="example.com",
        port=443,
        target=b"/items/%d" % number,
        authority="example.com",
        version="HTTP/1.1",
        status=200,
        request_received=request,
        request_sent=request,
        response_received=response,
        response_sent=response,
        informational=[],
        request_body=BodyRecord(),
        response_body=body(b"item %d" % number),
        request_trailers=b"",
        response_trailers=b"",
        error="",
        changes=[],
        tags=[],
        rule="",
        bytes_up=100,
        bytes_down=200,
        is_redacted=False,
    )
    return replace(plain, **changes)


def body(content: bytes, *, original: bytes | None = None) -> BodyRecord:
    """A body that its record holds whole."""
    return BodyRecord(size=len(content), content=content, original=original)


def flow_record(record: FlowRecord) -> bytes:
    """A FlowRecord as a segment holds it."""
    return sealed(FLOW, encode(record))


def piece_record(number: int, side: str, data: bytes) -> bytes:
    """Bytes of a body that go ahead of its flow."""
    return sealed(BODY, encode(BodyPiece(id=number, side=side, data=data)))


END_RECORD = sealed(END, b"")


def write_segment(
    flows_dir: Path,
    records: Iterable[bytes],
    *,
    end: bytes = END_RECORD,
    writer: int = DEAD_PROCESS,
) -> Path:
    """A segment that nobody writes any more, newer than those before it."""
    journal = flows_dir / "journal"
    journal.mkdir(parents=True, exist_ok=True)
    # In order even where the clock is coarse.
    path = journal / f"{time.time_ns() + next(_names):020d}-{writer}.journal"
    path.write_bytes(MAGIC + b"".join(records) + end)
    return path


def write_flows(flows_dir: Path, *numbers: int) -> Path:
    """A segment with plain flows of these numbers."""
    return write_segment(flows_dir, [flow_record(flow(number)) for number in numbers])


def run_dry(index: Index) -> None:
    """Take in and settle all there is."""
    while index.ingest(1.0):
        pass
    while index.idle(1.0):
        pass
