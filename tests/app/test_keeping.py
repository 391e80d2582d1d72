"""The journal's budget, when several processes write to it."""

import os
import random
from pathlib import Path

import pytest

from int3rceptor.app.keeping import share_of
from int3rceptor.config.model import MAX_WORKERS
from int3rceptor.store.journal.journal import SEGMENT_BYTES
from int3rceptor.store.journal.segment import sweep
from int3rceptor.store.journal.writer import Writer
from int3rceptor.store.trouble import Trouble, new_notices

BUDGET = 64 * 1024


def test_one_writer_has_all_of_it() -> None:
    assert share_of(BUDGET, 1) == (BUDGET, SEGMENT_BYTES)


def test_a_large_budget_has_segments_of_the_usual_size() -> None:
    budget = 1024 * SEGMENT_BYTES

    assert share_of(budget, 4) == (budget - 3 * SEGMENT_BYTES, SEGMENT_BYTES)


@pytest.mark.parametrize("writers", [2, 3, 8, MAX_WORKERS])
def test_writers_keep_to_it_together(tmp_path: Path, writers: int) -> None:
    notices = new_notices()
    max_bytes, segment_bytes = share_of(BUDGET, writers)
    all_ = [
        Writer(
            tmp_path,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            trouble=Trouble(notices, lambda: 0.0),
            write=os.write,
        )
        for _ in range(writers)
    ]
    chance = random.Random(writers)
    most = 0
    for _ in range(3_000):
        writer = chance.choice(all_)
        writer.append(b"x" * chance.randint(1, segment_bytes // 3), 1)
        most = max(most, sweep(tmp_path))
    for writer in all_:
        writer.close()

    assert BUDGET // 4 < most <= BUDGET
    assert "store.max_journal_bytes" in notices[0]
