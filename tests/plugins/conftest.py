"""Fixtures of the plugins room: every engine test runs on both ways of calling."""

from collections.abc import Iterator

import pytest

from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import shared_ticker
from tests.plugins.support import FACTORIES


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> MakerFactory:
    return FACTORIES[request.param]


@pytest.fixture
def ticking() -> Iterator[None]:
    ticker = shared_ticker()
    ticker.acquire()
    yield
    ticker.release()
