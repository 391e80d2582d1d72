"""Deletes and marks kept flows, beside a hub that runs or in place of one.

What is still in the journal is taken into the store first: there it can be changed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

from int3rceptor.errors import ConfigError
from int3rceptor.store.asking import stored
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.queries import (
    ABOVE_ALL,
    StoreReader,
    open_store,
    readable,
)
from int3rceptor.store.database import pruning
from int3rceptor.store.database.index import Index
from int3rceptor.store.database.schema import STORE_NAME, open_writer, transaction

TAKE_IN_S = 30.0
"""Longest wait until the journal's tail is in the store: some 20,000 flows a second are
taken in, so this is most of a full journal."""

STEP_S = 0.1
"""One step of taking in, and the pause between two looks at another who does it."""


def delete(flows_dir: Path, which: Sequence[int] | FlowFilter) -> int:
    """Delete the flows with these ids, or those that fit; how many there were.

    A filter leaves marked flows alone unless it asks for them. Raises ConfigError.
    """
    if isinstance(which, FlowFilter) and which.is_marked is None:
        which = replace(which, is_marked=False)

    def edit(connection: Connection) -> int:
        deleted = 0
        for ids in _batches(connection, which):
            with transaction(connection):
                deleted += pruning.delete_flows(connection, ids)
        return deleted

    return _edit(flows_dir, edit)


def mark(flows_dir: Path, flow_id: int, is_marked: bool) -> bool:
    """Keep a flow from being pruned, or no longer; False when there is no such flow.

    Raises ConfigError.
    """

    def edit(connection: Connection) -> int:
        with transaction(connection):
            return pruning.mark(connection, flow_id, is_marked=is_marked)

    return bool(_edit(flows_dir, edit))


def _edit(flows_dir: Path, edit: Callable[[Connection], int]) -> int:
    """What `edit` says of the store, the journal's tail in it; 0 without a store."""
    with open_store(flows_dir) as reader:
        if tail := reader.tail_ends():
            _take_in(flows_dir, reader, tail)
    path = flows_dir / STORE_NAME
    if not path.exists():
        return 0
    with readable(path), closing(open_writer(path)) as connection:
        return edit(connection)


def _batches(
    connection: Connection, which: Sequence[int] | FlowFilter
) -> Iterator[Sequence[int]]:
    if not isinstance(which, FlowFilter):
        for start in range(0, len(which), pruning.BATCH):
            yield which[start : start + pruning.BATCH]
        return
    below = ABOVE_ALL
    while ids := stored.ids(connection, which, below=below, limit=pruning.BATCH):
        yield ids
        below = ids[-1]


def _take_in(flows_dir: Path, reader: StoreReader, tail: Mapping[str, int]) -> None:
    """Take the journal into the store up to these offsets, or wait for who does."""
    problems: list[str] = []
    deadline = time.monotonic() + TAKE_IN_S
    with closing(Index(flows_dir, on_problem=problems.append)) as index:
        while True:
            has_more = index.ingest(STEP_S)
            if _is_in(reader, tail):
                return
            if problems:
                raise ConfigError(problems[-1])
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"{flows_dir}: the journal is not taken into the store by the"
                    " process that has the store; its log may say why, or it hangs"
                )
            if not has_more:
                time.sleep(STEP_S)


def _is_in(reader: StoreReader, tail: Mapping[str, int]) -> bool:
    offsets = reader.tail().offsets
    return all(offsets.get(name, end) >= end for name, end in tail.items())
