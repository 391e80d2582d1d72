"""The kept flows, as the routes ask for them: in threads, since disks make one wait."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from int3rceptor.control.failures import RETRY_S, ApiError
from int3rceptor.store.asking import edits
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.queries import open_store
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.records import FlowRecord

MAX_THREADS = 4
"""Questions to the disk at once: SQLite readers do not wait for each other, and more of
them would only take turns."""

MAX_WAITING = 64
"""Questions that wait for a thread; more are told to come again."""

Found = TypeVar("Found")


class Threads:
    """Runs calls that block, at most MAX_THREADS at once."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(MAX_THREADS)
        self._asked = 0

    async def run(self, call: Callable[[], Found], *, has_begun: bool = False) -> Found:
        """What `call` gives; ApiError when too many wait already, but not for more of
        an answer that `has_begun`: that waits, and there are only so many clients."""
        if not has_begun and self._asked >= MAX_THREADS + MAX_WAITING:
            raise ApiError(
                503,
                "too many questions to the store are waiting",
                code="busy",
                headers={"Retry-After": str(RETRY_S)},
            )
        self._asked += 1
        try:
            return await to_thread.run_sync(call, limiter=self._limiter)
        finally:
            self._asked -= 1


class KeptFlows:
    """The flows of one directory. Each call opens what it needs, in any thread."""

    def __init__(self, flows_dir: Path) -> None:
        self._flows_dir = flows_dir

    def rows(
        self, chosen: FlowFilter, *, before: int | None, after: int | None, limit: int
    ) -> list[FlowRow]:
        with open_store(self._flows_dir) as store:
            return store.rows(chosen, before=before, after=after, limit=limit)

    def get(self, flow_id: int, *, limit_bytes: int) -> FlowRecord | None:
        with open_store(self._flows_dir) as store:
            return store.get(flow_id, limit_bytes=limit_bytes)

    def row(self, flow_id: int) -> FlowRow | None:
        with open_store(self._flows_dir) as store:
            return store.row(flow_id)

    def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
        with open_store(self._flows_dir) as store:
            return store.body(flow_id, side, start, stop)

    def kept_bytes(self, record: FlowRecord, side: str) -> int:
        body = record.request_body if side == "request" else record.response_body
        with open_store(self._flows_dir) as store:
            return count_kept(
                body.size, lambda at: bool(store.body(record.id, side, at, at + 1))
            )

    def delete(self, which: Sequence[int] | FlowFilter) -> int:
        return edits.delete(self._flows_dir, which)

    def mark(self, flow_id: int, is_marked: bool) -> bool:
        return edits.mark(self._flows_dir, flow_id, is_marked)


class NoFlows:
    """What there is with --no-store."""

    def rows(
        self, chosen: FlowFilter, *, before: int | None, after: int | None, limit: int
    ) -> list[FlowRow]:
        return []

    def get(self, flow_id: int, *, limit_bytes: int) -> FlowRecord | None:
        return None

    def row(self, flow_id: int) -> FlowRow | None:
        return None

    def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
        return b""

    def kept_bytes(self, record: FlowRecord, side: str) -> int:
        return 0

    def delete(self, which: Sequence[int] | FlowFilter) -> int:
        return 0

    def mark(self, flow_id: int, is_marked: bool) -> bool:
        return False


def count_kept(size: int, is_there: Callable[[int], bool]) -> int:
    """How many of a body's `size` bytes there are: all of them, or a beginning. The
    store tells of one byte at a time whether it is there."""
    kept, beyond = 0, size + 1
    at = size  # mostly all is kept: look there first
    while beyond - kept > 1:
        if is_there(at - 1):
            kept = at
        else:
            beyond = at
        at = (kept + beyond) // 2
    return kept
