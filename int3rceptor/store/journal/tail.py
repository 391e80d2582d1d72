"""The journal's tail: what has been written and is not in the store yet. Read only.

It knows the segments' layout and how far the store has got; no SQL.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from int3rceptor.store.journal.framing import BODY, FLOW, read_records
from int3rceptor.store.journal.segment import JOURNAL_FOLDER, SUFFIX
from int3rceptor.store.records import (
    BodyRecord,
    FlowRecord,
    decode_flow,
    decode_piece,
)

Pieces = Mapping[str, Sequence[bytes]]
"""Side ("request", "response") -> pieces of its body, in order."""


class SegmentGone(Exception):
    """A segment was taken into the store and deleted meanwhile: look again."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Progress:
    """How far the store has got in one segment: a byte offset; `is_done`: all of it."""

    offset: int
    is_done: bool


def segment_names(flows_dir: Path) -> list[str]:
    """The names of the segments that are there, oldest first."""
    try:
        found = (flows_dir / JOURNAL_FOLDER).iterdir()
        return sorted(path.name for path in found if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []


class Tail:
    """The records of some segments behind the offsets that the store has got to."""

    def __init__(
        self, flows_dir: Path, names: Sequence[str], progress: Mapping[str, Progress]
    ) -> None:
        self._folder = flows_dir / JOURNAL_FOLDER
        self._offsets = dict.fromkeys(names, 0) | {
            name: known.offset for name, known in progress.items() if name in names
        }
        for name, known in progress.items():
            if known.is_done:
                self._offsets.pop(name, None)

    @property
    def offsets(self) -> Mapping[str, int]:
        """Segment name -> where its part of the tail begins."""
        return self._offsets

    def records(self) -> Iterator[FlowRecord]:
        """The flows in it, segment by segment; raises SegmentGone."""
        for kind, payload in self._payloads():
            if kind == FLOW and (record := flow_of(payload)) is not None:
                yield record

    def find(self, flow_id: int, earlier: Pieces) -> FlowRecord | None:
        """One flow with its bodies joined; `earlier` are the pieces that the store has
        of it already. Raises SegmentGone."""
        pieces = {side: list(found) for side, found in earlier.items()}
        for kind, payload in self._payloads():
            if kind == BODY:
                piece = decode_piece(payload)
                if piece.id == flow_id and piece.data:
                    pieces.setdefault(piece.side, []).append(piece.data)
                elif piece.id == flow_id:
                    # The body was begun anew: what was written of it is void.
                    pieces[piece.side] = []
            elif kind == FLOW:
                record = flow_of(payload)
                if record is not None and record.id == flow_id:
                    return joined(record, pieces)
        return None

    def ends(self) -> dict[str, int]:
        """Segment name -> where its whole records end, for those that have any more.

        Raises SegmentGone.
        """
        found = {}
        for name, offset in self._offsets.items():
            with self._opened(name) as file:
                records = read_records(file, offset)
                for end, _, _ in records:
                    found[name] = end
        return found

    def _payloads(self) -> Iterator[tuple[int, bytes]]:
        for name, offset in self._offsets.items():
            with self._opened(name) as file:
                for _, kind, payload in read_records(file, offset):
                    yield kind, payload

    def _opened(self, name: str) -> BinaryIO:
        try:
            return (self._folder / name).open("rb")
        except FileNotFoundError:
            raise SegmentGone(name) from None


def joined(record: FlowRecord, pieces: Pieces) -> FlowRecord:
    """The record with the pieces that went ahead of it in its bodies."""
    return msgspec.structs.replace(
        record,
        request_body=_whole(record.request_body, pieces.get("request", ())),
        response_body=_whole(record.response_body, pieces.get("response", ())),
    )


def _whole(body: BodyRecord, pieces: Sequence[bytes]) -> BodyRecord:
    if not body.ahead:
        return body
    content = b"".join(pieces)[: body.ahead]
    # Of pieces that were lost with their segment, nobody knows which they were.
    content = content + body.content if len(content) == body.ahead else b""
    return msgspec.structs.replace(body, content=content, ahead=0)


def flow_of(payload: bytes) -> FlowRecord | None:
    """A journalled flow; None when this release cannot read it."""
    try:
        return decode_flow(payload)
    except msgspec.DecodeError:
        # Its checksum is right: a later release wrote what this one cannot read.
        return None
