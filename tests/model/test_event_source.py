"""A function that sees the events of a body, each as it comes."""

import asyncio
import gzip

import pytest

from int3rceptor.errors import BodyCut, DecodeError, TransformError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.model.server_events import MAX_EVENT_BYTES, Event
from int3rceptor.model.websocket import Drop
from tests.support.chunks import Chunks


def answer(*chunks: bytes, kind: bytes = b"text/event-stream") -> Response:
    body = Body(source=Chunks(*chunks, trailers=Headers([(b"x-sum", b"1")])))
    headers = Headers([(b"content-type", kind)])
    return Response(status=200, headers=headers, body=body)


def shout(event: Event) -> Drop | None:
    if event.type == "debug":
        return Drop()
    event.text = event.text.upper()
    return None


async def shout_later(event: Event) -> Drop | None:
    await asyncio.sleep(0)
    return shout(event)


async def chunks_of(response: Response) -> list[bytes]:
    return [chunk async for chunk in response.body]


@pytest.mark.parametrize("function", [shout, shout_later])
async def test_each_event_passes_the_function(function: object) -> None:
    assert callable(function)
    response = answer(
        b"data: a\n\n: hi\n\nevent: debug\ndata: b\n\ndata: A\r\n\r", b"\nda", b"ta:z"
    )
    assert response.transform_events(function)
    assert await chunks_of(response) == [
        *(b"data: A\n\n", b": hi\n\n", b"data: A\r\n\r", b"\n", b"data:z"),
    ]
    assert response.body.trailers == Headers([(b"x-sum", b"1")])


async def test_functions_follow_each_other() -> None:
    seen: list[str] = []
    response = answer(b"data: a\n\n")
    response.transform_events(shout)
    response.transform_events(lambda event: seen.append(event.text))
    assert await chunks_of(response) == [b"data: A\n\n"]
    assert seen == ["A"]


async def test_nothing_is_read_ahead_of_an_event() -> None:
    response = answer()
    source = Chunks(b"data: a\n\ndata: b\n\n", b"data: c\n\n")
    response.body = Body(source=source)
    response.transform_events(shout)
    assert await response.body.chunk() == b"data: A\n\n"
    assert await response.body.chunk() == b"data: B\n\n"
    assert source.asked == 1


async def test_other_responses_are_left_alone() -> None:
    response = answer(b"data: a\n\n", kind=b"text/plain")
    assert not response.transform_events(shout)
    assert await chunks_of(response) == [b"data: a\n\n"]
    empty = answer()
    empty.body = Body(b"")
    assert empty.transform_events(shout)
    assert empty.body.content == b""


async def test_coded_events_are_decoded() -> None:
    response = answer(gzip.compress(b"data: a\n\n"))
    response.headers["content-encoding"] = "gzip"
    response.transform_events(shout)
    assert await chunks_of(response) == [b"data: A\n\n"]
    assert "content-encoding" not in response.headers
    unknown = answer(b"?")
    unknown.headers["content-encoding"] = "compress"
    with pytest.raises(DecodeError):
        unknown.transform_events(shout)
    assert await chunks_of(unknown) == [b"?"]


async def test_a_large_event_passes_unseen() -> None:
    large = b"data: a" + b"b" * MAX_EVENT_BYTES + b"\n\n"
    response = answer(large, b"data: a\n\n", large)
    response.transform_events(shout)
    assert response.unseen == []
    assert b"".join(await chunks_of(response)) == large + b"data: A\n\n" + large
    why = f"an event of more than {MAX_EVENT_BYTES} bytes"
    assert response.unseen == [("shout", why)]


def fails(_: Event) -> None:
    raise LookupError("nothing here")


def gives(_: Event) -> object:
    return b"data"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, "fails failed at an event: LookupError: nothing here"),
        (gives, r"gives failed at an event: TypeError: it gave bytes, not Drop\(\)"),
    ],
)
async def test_a_function_that_fails_breaks_the_stream_off(
    function: object, said: str
) -> None:
    assert callable(function)
    response = answer(b": hi\n\ndata: a\n\n")
    response.transform_events(function)
    assert await response.body.chunk() == b": hi\n\n"
    for _ in range(2):
        with pytest.raises(TransformError, match=said):
            await response.body.chunk()


async def test_after_a_call_that_was_cancelled_nothing_goes_on() -> None:
    async def never(_: Event) -> None:
        await asyncio.Event().wait()

    response = answer(b"data: a\n\n", b"data: b\n\n")
    response.transform_events(never)
    reading = asyncio.create_task(response.body.chunk())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(BodyCut, match="a look at an event did not end"):
        await response.body.chunk()
