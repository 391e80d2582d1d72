"""`flows show`: one flow as text, as JSON, byte for byte, or one of its bodies."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from int3rceptor.cli.flows.as_json import MAX_DECODED_BYTES, flow_shape
from int3rceptor.cli.flows.explain import explained, explanation
from int3rceptor.cli.flows.text import MAX_READ_BYTES, flow_lines, summary
from int3rceptor.cli.output.json_lines import json_line
from int3rceptor.errors import ConfigError
from int3rceptor.files.writing import naming
from int3rceptor.store.asking.queries import StoreReader
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.decoding import decode_content
from int3rceptor.store.heads import parse_head
from int3rceptor.store.records import FlowRecord

STEP_BYTES = 1024 * 1024
"""Read of a body, and written, at a time."""


def lines(reader: StoreReader, flow_id: int, *, explains: bool) -> Iterator[str]:
    """The flow for people; with `explains` its way in place of its messages."""
    row, record = _flow(reader, flow_id, limit_bytes=MAX_READ_BYTES)
    if explains:
        yield from summary(row, record, explains=True)
        yield from explanation(record)
    else:
        yield from flow_lines(row, record)


def as_json(reader: StoreReader, flow_id: int, *, explains: bool, is_raw: bool) -> str:
    """The flow as one JSON object; with `explains` its way is in it."""
    row, record = _flow(reader, flow_id)
    shape = flow_shape(row, record, is_raw=is_raw)
    if explains:
        shape["ways"] = explained(record)
    return json_line(shape)


def body(
    reader: StoreReader, flow_id: int, side: str, *, is_raw: bool
) -> Iterator[bytes]:
    """One body as it was sent on; without its content codings unless `is_raw`."""
    row, record = _flow(reader, flow_id, limit_bytes=0)
    coding = parse_head(_head(record, side)).value(b"content-encoding")
    parts = _kept(reader, row.id, side)
    if is_raw or not coding:
        return parts
    decoded = decode_content(b"".join(parts), coding, MAX_DECODED_BYTES)
    if decoded.problem or decoded.is_cut:
        problem = decoded.problem or f"it is larger than {MAX_DECODED_BYTES} bytes"
        raise ConfigError(
            f"the {side}'s body cannot be decoded whole ({problem}); --raw gives it as"
            " it passed"
        )
    return iter((decoded.data,))


def as_passed(reader: StoreReader, flow_id: int) -> Iterator[bytes]:
    """Both messages as they were sent on: head, blank line, body, one after the other.

    Heads of HTTP/2 are a field a line; a chunked body is there without its chunks.
    """
    row, record = _flow(reader, flow_id, limit_bytes=0)
    for side in ("request", "response"):
        if head := _head(record, side):
            yield head if head.endswith(b"\n") else head + b"\r\n"
            yield b"\r\n"
            yield from _kept(reader, row.id, side)


def write(parts: Iterable[bytes], out: Path | None) -> None:
    """Write to a file of the user's own, or to standard output."""
    if out is None:
        if sys.stdout.isatty():
            raise ConfigError(
                "bytes from a stranger could drive your terminal: name a file with"
                " --out, or redirect"
            )
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return
    parts = iter(parts)
    first = next(parts, b"")  # what fails before it leaves no file
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with naming(out), os.fdopen(descriptor, "wb") as file:
        file.write(first)
        for part in parts:
            file.write(part)


def _flow(
    reader: StoreReader, flow_id: int, *, limit_bytes: int | None = None
) -> tuple[FlowRow, FlowRecord]:
    row = reader.row(flow_id)
    record = reader.get(flow_id, limit_bytes=limit_bytes)
    if row is None or record is None:
        raise ConfigError(f"no flow {flow_id} is kept in {reader.flows_dir}")
    return row, record


def _head(record: FlowRecord, side: str) -> bytes:
    if side == "request":
        return record.request_sent or record.request_received
    return record.response_sent or record.response_received


def _kept(reader: StoreReader, flow_id: int, side: str) -> Iterator[bytes]:
    start = 0
    while part := reader.body(flow_id, side, start, start + STEP_BYTES):
        yield part
        start += len(part)
