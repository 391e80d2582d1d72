import pytest

from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request
from tests.support.listening import Clock

MAX_BODY = 10


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hooks(clock: Clock) -> Dispatcher:
    return Dispatcher(sleep=clock.sleep, max_body_bytes=MAX_BODY)


@pytest.fixture
def flow() -> Flow:
    request = Request(
        method="GET",
        scheme="https",
        host="a.test",
        port=443,
        target=b"/path",
        authority="a.test",
        version="HTTP/1.1",
        headers=Headers([(b"Host", b"a.test"), (b"A", b"1"), (b"A", b"1")]),
    )
    return Flow(client=ClientInfo(address=("127.0.0.1", 1)), request=request)
