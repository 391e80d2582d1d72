"""What a data directory keeps, read through the store's own reader."""

from collections import Counter
from pathlib import Path

from int3rceptor.store.asking.queries import open_store
from int3rceptor.store.records import FlowRecord

PAGE_ROWS = 5_000


def kept_targets(data_dir: Path) -> Counter[bytes]:
    """How often each request target was kept."""
    found: Counter[bytes] = Counter()
    with open_store(data_dir / "flows") as store:
        before = None
        while rows := store.rows(before=before, limit=PAGE_ROWS):
            found.update(row.target for row in rows)
            before = rows[-1].id
    return found


def journal_files(data_dir: Path) -> list[Path]:
    """Segments that have not been taken in to their end."""
    return sorted((data_dir / "flows" / "journal").glob("*.journal"))


def kept_flows(data_dir: Path) -> list[FlowRecord]:
    """All flows that were kept, oldest first."""
    with open_store(data_dir / "flows") as store:
        numbers = sorted(row.id for row in store.rows(before=None, limit=PAGE_ROWS))
        return [record for one in numbers if (record := store.get(one)) is not None]
