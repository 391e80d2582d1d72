from collections.abc import AsyncIterator

import pytest

from tests.support.pool import PoolBench


@pytest.fixture
async def bench() -> AsyncIterator[PoolBench]:
    made = PoolBench()
    yield made
    await made.aclose()
