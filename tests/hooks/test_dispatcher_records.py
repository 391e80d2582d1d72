"""What the dispatcher records of changes, and the bodies it makes whole."""

import dataclasses

import pytest

from int3rceptor.errors import StreamLost
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from tests.hooks.conftest import MAX_BODY
from tests.support.listening import Broken, OneChunk, ask, listener, noted, says

# --- what is recorded of changes ----------------------------------------------------


async def test_looking_changes_nothing(hooks: Dispatcher, flow: Flow) -> None:
    def look(flow: Flow) -> None:
        assert flow.request.headers["a"] == "1"
        assert flow.request.url

    await ask(hooks, flow, look)

    assert flow.changes == []


async def test_changes_are_told_one_by_one(hooks: Dispatcher, flow: Flow) -> None:
    def change(flow: Flow) -> None:
        flow.request.method = "POST"
        flow.request.target = b"/other"
        flow.request.headers["Host"] = "b.test"
        flow.request.headers.add("New", "1")
        flow.request.body.replace(b"abc")

    await ask(hooks, flow, change)

    assert noted(flow) == [
        "GET https://a.test:443/path -> POST https://a.test:443/other",
        "- Host: a.test",
        "+ Host: b.test",
        "+ New: 1",
        "body replaced by 3 bytes",
    ]


async def test_one_of_two_equal_fields_taken_away(
    hooks: Dispatcher, flow: Flow
) -> None:
    def take_one(flow: Flow) -> None:
        flow.request.headers.raw.pop()

    await ask(hooks, flow, take_one)

    assert noted(flow) == ["- A: 1"]


async def test_order_alone(hooks: Dispatcher, flow: Flow) -> None:
    await ask(hooks, flow, lambda flow: flow.request.headers.raw.reverse())

    assert noted(flow) == ["header order"]


async def test_the_same_body_again_is_no_change(hooks: Dispatcher, flow: Flow) -> None:
    flow.request.body = Body(b"abc")
    await ask(hooks, flow, lambda flow: flow.request.body.replace(b"abc"))

    assert flow.changes == []


async def test_a_stream_that_was_read_is_no_change(
    hooks: Dispatcher, flow: Flow
) -> None:
    async def read(flow: Flow) -> None:
        await flow.request.body.read(100)

    flow.request.body = Body(source=OneChunk(b"abc"))
    await ask(hooks, flow, read)

    assert flow.changes == []


async def test_a_stream_that_was_read_and_replaced_is_one(
    hooks: Dispatcher, flow: Flow
) -> None:
    async def change(flow: Flow) -> None:
        content = await flow.request.body.read(100)
        flow.request.body.replace(content.upper())

    flow.request.body = Body(source=OneChunk(b"abc"))
    await ask(hooks, flow, change)

    assert noted(flow) == ["body replaced by 3 bytes"]


async def test_another_body_in_place_of_a_stream_is_one(
    hooks: Dispatcher, flow: Flow
) -> None:
    def change(flow: Flow) -> None:
        flow.request.body = Body(b"abc")

    flow.request.body = Body(source=OneChunk(b"xyz"))
    await ask(hooks, flow, change)

    assert noted(flow) == ["body replaced by 3 bytes"]


async def test_another_response_is_compared_with_the_old_one(
    hooks: Dispatcher, flow: Flow
) -> None:
    def change(flow: Flow) -> None:
        flow.response = Response(status=404, headers=Headers([(b"A", b"2")]))

    flow.response = Response(status=200, headers=Headers([(b"A", b"1")]))
    hooks.add(listener(change, point=HookPoint.RESPONSE))
    await hooks.dispatch(HookPoint.RESPONSE, flow)

    assert noted(flow) == ["200 -> 404", "- A: 1", "+ A: 2"]


async def test_who_records_itself_is_not_recorded_again(
    hooks: Dispatcher, flow: Flow
) -> None:
    def change(flow: Flow) -> Drop:
        flow.request.headers["x-new"] = "1"
        flow.record("on_request", "rule one", "+ x-new: 1")
        return Drop()

    hooks.add(
        Listener(
            name="rules",
            point=HookPoint.REQUEST,
            call=change,
            records_itself=True,
        )
    )

    assert await hooks.dispatch(HookPoint.REQUEST, flow) == Drop()
    assert noted(flow) == ["+ x-new: 1"]


@pytest.mark.parametrize("side", ["request", "response"])
async def test_what_on_capture_takes_out_is_not_in_the_record(
    hooks: Dispatcher, flow: Flow, side: str
) -> None:
    """What a listener redacts must not come back as the report of its removal."""

    def redact(flow: Flow) -> None:
        message = flow.request if side == "request" else flow.response
        assert message is not None
        message.headers["x-key"] = "(hidden)"

    flow.response = Response(status=200, headers=Headers([(b"X-Key", b"secret")]))
    flow.request.headers.add("X-Key", "secret")
    hooks.add(listener(redact, point=HookPoint.CAPTURE))
    await hooks.dispatch(HookPoint.CAPTURE, flow)

    assert noted(flow) == ["- X-Key", "+ X-Key"]
    assert flow.is_redacted


async def test_on_capture_that_only_looks_redacts_nothing(
    hooks: Dispatcher, flow: Flow
) -> None:
    hooks.add(listener(lambda _: None, point=HookPoint.CAPTURE))
    await hooks.dispatch(HookPoint.CAPTURE, flow)

    assert not flow.is_redacted
    assert noted(flow) == []


# --- bodies -------------------------------------------------------------------------


def seeing(seen: list[bytes | None], name: str = "one") -> Listener:
    return Listener(
        name=name,
        point=HookPoint.REQUEST,
        call=lambda flow: seen.append(flow.request.body.content),
        needs_body=True,
    )


async def test_a_body_is_made_whole_for_who_needs_it(
    hooks: Dispatcher, flow: Flow
) -> None:
    seen: list[bytes | None] = []
    flow.request.body = Body(source=OneChunk(b"x" * MAX_BODY))
    hooks.add(seeing(seen))
    await hooks.dispatch(HookPoint.REQUEST, flow)

    assert seen == [b"x" * MAX_BODY]
    assert flow.changes == []


async def test_past_the_limit_it_stays_a_stream_and_the_flow_says_so(
    hooks: Dispatcher, flow: Flow
) -> None:
    seen: list[bytes | None] = []
    flow.request.body = Body(source=OneChunk(b"x" * (MAX_BODY + 1)))
    hooks.add(seeing(seen))
    await hooks.dispatch(HookPoint.REQUEST, flow)

    assert seen == [None]
    assert noted(flow) == ["not buffered: the body is larger than 10 bytes"]
    assert await flow.request.body.read(100) == b"x" * (MAX_BODY + 1)


async def test_a_body_that_breaks_off_is_not_the_listeners_fault(
    hooks: Dispatcher, flow: Flow
) -> None:
    seen: list[bytes | None] = []
    flow.request.body = Body(source=Broken())
    hooks.add(seeing(seen))

    with pytest.raises(StreamLost):
        await hooks.dispatch(HookPoint.REQUEST, flow)
    assert seen == []
    assert flow.changes == []


async def test_who_needs_a_body(hooks: Dispatcher, flow: Flow) -> None:
    assert not hooks.needs_body(HookPoint.REQUEST, dataclasses.replace(flow))
    hooks.add(listener(says(None)))
    assert not hooks.needs_body(HookPoint.REQUEST, dataclasses.replace(flow))
    hooks.add(
        Listener(
            name="elsewhere",
            point=HookPoint.REQUEST,
            call=says(None),
            needs_body=True,
            applies=lambda flow: flow.request.host == "b.test",
        )
    )
    assert not hooks.needs_body(HookPoint.REQUEST, flow)
    flow.request.host = "b.test"
    assert hooks.needs_body(HookPoint.REQUEST, flow)


# --- trailers, and what is kept -----------------------------------------------------


async def test_trailers_are_told_apart_from_fields(
    hooks: Dispatcher, flow: Flow
) -> None:
    flow.request.body = Body(b"x", trailers=Headers([(b"Sum", b"1"), (b"Sum", b"2")]))

    def change(flow: Flow) -> None:
        flow.request.body.trailers = Headers([(b"Sum", b"3"), (b"Sum", b"1")])

    await ask(hooks, flow, change)

    assert noted(flow) == ["trailer - Sum: 2", "trailer + Sum: 3"]


async def test_trailers_that_came_with_the_end_of_a_body_are_no_change(
    hooks: Dispatcher, flow: Flow
) -> None:
    class Ending(OneChunk):
        def trailers(self) -> Headers | None:
            return Headers([(b"Sum", b"1")])

    async def read(flow: Flow) -> None:
        await flow.request.body.read(MAX_BODY)

    flow.request.body = Body(source=Ending(b"x"))
    await ask(hooks, flow, read)

    assert flow.request.body.trailers == Headers([(b"Sum", b"1")])
    assert noted(flow) == []


async def test_what_is_kept_secret_is_told_by_its_name_alone(
    hooks: Dispatcher, flow: Flow
) -> None:
    def redact(flow: Flow) -> None:
        flow.request.target = b"/"
        flow.request.headers["A"] = "2"
        flow.request.body.trailers = Headers([(b"Sum", b"1")])

    hooks.add(listener(redact, point=HookPoint.CAPTURE))
    await hooks.dispatch(HookPoint.CAPTURE, flow)

    assert flow.is_redacted
    assert noted(flow) == ["start line", "- A", "- A", "+ A", "trailer + Sum"]
