import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    """What serves hides what it made from the collector; a test process goes on."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
