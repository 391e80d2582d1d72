from collections.abc import AsyncIterator

import pytest

from tests.support.origin_tls import OriginTls
from tests.support.streams import KINDS, Pair, stream_pair


@pytest.fixture(scope="session")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=KINDS)
async def pair(
    request: pytest.FixtureRequest, origin_tls: OriginTls
) -> AsyncIterator[Pair]:
    kind: str = request.param
    async with stream_pair(kind, origin_tls) as made:
        yield made
