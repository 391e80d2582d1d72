"""What one client sends at once: the others have their turn in between, and each
request has its answer."""

import asyncio

from int3rceptor.config.model import LimitsConfig
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.model.flow import ClientInfo
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.h1_server import MAX_PIPELINED_AT_ONCE, H1ServerConnection
from int3rceptor.proxy.onboarding import CaFiles, Onboarding
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import RequestHead
from int3rceptor.wire.h1.chunks import MAX_CHUNKS_AT_ONCE
from tests.support.fake_stream import FakeStream
from tests.support.noting import ScriptedOrigins


async def no_connect(_: RequestHead, stream: ByteStream) -> None:
    raise AssertionError("no CONNECT here")


async def length_of(request: Request) -> Response:
    size = 0
    while data := await request.body.chunk():
        size += len(data)
    return Response(status=200, headers=Headers([(b"Size", b"%d" % size)]))


async def turns_to_serve(sent: bytes) -> tuple[int, bytes]:
    """How often others had their turn until this was answered, and the answers."""
    stream = FakeStream()
    files = CaFiles(pem=b"", der=b"", mobileconfig=bytes, fingerprint="")
    exchanges = Exchanges(
        Dispatcher(sleep=asyncio.sleep), ScriptedOrigins(length_of), Onboarding(files)
    )
    session = Session(client=ClientInfo(address=("127.0.0.1", 1)))
    server = H1ServerConnection(stream, session, exchanges, LimitsConfig(), no_connect)
    stream.arrive(sent)
    stream.finish()
    serving = asyncio.create_task(server.serve())
    count = 0
    while not serving.done():
        await asyncio.sleep(0)
        count += 1
    return count, bytes(stream.sent)


async def test_an_upload_of_tiny_chunks() -> None:
    many = 50 * MAX_CHUNKS_AT_ONCE
    head = b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
    upload = (
        head
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"1\r\na\r\n" * many
        + b"0\r\n\r\n"
    )

    count, answers = await turns_to_serve(upload)

    assert count >= 49
    assert b"Size: %d\r\n" % many in answers


async def test_requests_in_a_row_for_the_proxys_own_site() -> None:
    many = 20 * MAX_PIPELINED_AT_ONCE
    count, answers = await turns_to_serve(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * many)

    assert count >= 19
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == many


async def test_what_is_no_request_after_others_is_told_so() -> None:
    asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2

    _, answers = await turns_to_serve(asked + b"nonsense\r\n\r\n")

    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answers.count(b"HTTP/1.1 400 Bad Request\r\n") == 1
    assert b"the start line is not" in answers
