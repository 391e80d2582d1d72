import asyncio
import logging
import math
from typing import TYPE_CHECKING, cast

import pytest

from int3rceptor.hooks.dispatcher import Answer, Call, Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import (
    MAX_DELAY_S,
    Delay,
    Drop,
    Fail,
    Hold,
    PassThrough,
    Respond,
)
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Response
from tests.support.listening import Clock, ask, listener, noted, says

if TYPE_CHECKING:
    from collections.abc import Awaitable


# --- who is asked, and when ---------------------------------------------------------


async def test_nobody_listens(hooks: Dispatcher, flow: Flow) -> None:
    assert not hooks.is_heard(HookPoint.REQUEST, flow)
    assert await hooks.dispatch(HookPoint.REQUEST, flow) is None
    assert flow.changes == []


async def test_by_priority_then_by_name(hooks: Dispatcher, flow: Flow) -> None:
    asked: list[str] = []

    def note(name: str) -> Call:
        return lambda _: asked.append(name)

    for name, priority in [("z", 1), ("b", 5), ("a", 5), ("y", 0), ("x", 100)]:
        hooks.add(
            Listener(
                name=name,
                point=HookPoint.REQUEST,
                call=note(name),
                priority=priority,
            )
        )
    await hooks.dispatch(HookPoint.REQUEST, flow)

    assert asked == ["y", "z", "a", "b", "x"]


async def test_points_are_apart(hooks: Dispatcher, flow: Flow) -> None:
    hooks.add(listener(says(Drop()), point=HookPoint.CONNECT))

    assert hooks.is_heard(HookPoint.CONNECT, flow)
    assert await hooks.dispatch(HookPoint.REQUEST, flow) is None


async def test_a_removed_listener_is_not_asked(hooks: Dispatcher, flow: Flow) -> None:
    one = listener(says(Drop()))
    hooks.add(one)
    hooks.remove(one)
    hooks.remove(one)

    assert not hooks.is_heard(HookPoint.REQUEST, flow)
    assert await hooks.dispatch(HookPoint.REQUEST, flow) is None


async def test_exchanges_under_way_keep_the_old_list(
    hooks: Dispatcher, flow: Flow
) -> None:
    late = listener(says(Drop()), name="late")

    def add_another(_: Flow) -> None:
        hooks.add(late)

    assert await ask(hooks, flow, add_another) is None
    hooks.remove(late)


async def test_a_verdict_ends_the_asking(hooks: Dispatcher, flow: Flow) -> None:
    asked: list[str] = []
    hooks.add(listener(says(Drop("no")), name="a"))
    hooks.add(listener(lambda _: asked.append("b"), name="b"))

    assert await hooks.dispatch(HookPoint.REQUEST, flow) == Drop("no")
    assert asked == []
    assert noted(flow) == ["dropped: no"]
    assert flow.changes[0].author == "a"
    assert flow.changes[0].point == "on_request"


async def test_coroutines_may_listen(hooks: Dispatcher, flow: Flow) -> None:
    async def drop(_: Flow) -> Answer:
        await asyncio.sleep(0)
        return Drop()

    assert await ask(hooks, flow, drop) == Drop()


async def test_applies_narrows(hooks: Dispatcher, flow: Flow) -> None:
    hooks.add(
        Listener(
            name="elsewhere",
            point=HookPoint.REQUEST,
            call=says(Drop()),
            applies=lambda flow: flow.request.host == "b.test",
        )
    )
    assert await hooks.dispatch(HookPoint.REQUEST, flow) is None
    flow.request.host = "b.test"
    assert await hooks.dispatch(HookPoint.REQUEST, flow) == Drop()


@pytest.mark.parametrize("policy", ["skip", "block"])
async def test_a_scope_that_fails_is_a_failure_of_its_listener(
    hooks: Dispatcher, flow: Flow, policy: str
) -> None:
    def broken(_: Flow) -> bool:
        raise RuntimeError("no scope")

    hooks.add(
        Listener(
            name="one",
            point=HookPoint.REQUEST,
            call=says(Drop()),
            applies=broken,
            needs_body=True,
            on_error="block" if policy == "block" else "skip",
        )
    )

    assert hooks.needs_body(HookPoint.REQUEST, flow)
    verdict = await hooks.dispatch(HookPoint.REQUEST, flow)
    assert isinstance(verdict, Fail) == (policy == "block")
    assert noted(flow)[0] == "failed: RuntimeError: no scope"


# --- verdicts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "what"),
    [
        (Respond(Response(status=418)), "answered 418"),
        (Drop(), "dropped"),
        (Drop("spam"), "dropped: spam"),
        (Fail(author="x", reason="why"), "blocked: why"),
    ],
)
async def test_ending_verdicts_are_recorded(
    hooks: Dispatcher, flow: Flow, verdict: Answer, what: str
) -> None:
    assert await ask(hooks, flow, says(verdict)) is verdict
    assert noted(flow) == [what]


async def test_passing_through_is_for_connections(
    hooks: Dispatcher, flow: Flow
) -> None:
    hooks.add(listener(says(PassThrough()), point=HookPoint.CONNECT))

    assert await hooks.dispatch(HookPoint.CONNECT, flow) == PassThrough()
    assert noted(flow) == ["passed through"]


@pytest.mark.parametrize(
    ("point", "answer"),
    [
        (HookPoint.REQUEST, PassThrough()),
        (HookPoint.RULE_MATCH, PassThrough()),
        (HookPoint.CAPTURE, Respond(Response(status=200))),
        (HookPoint.CAPTURE, Delay(1)),
        (HookPoint.REQUEST, cast("Answer", True)),
        (HookPoint.REQUEST, cast("Answer", "drop")),
    ],
)
async def test_an_answer_that_the_point_does_not_know_is_a_failure(
    hooks: Dispatcher, flow: Flow, point: HookPoint, answer: Answer
) -> None:
    hooks.add(listener(says(answer), point=point))

    assert await hooks.dispatch(point, flow) is None
    assert "is no answer to" in noted(flow)[0]


@pytest.mark.parametrize(
    ("seconds", "slept"),
    [
        (0.5, 0.5),
        (0.0, 0.0),
        (-1.0, 0.0),
        (1e9, MAX_DELAY_S),
        (math.inf, MAX_DELAY_S),
        (math.nan, 0.0),
    ],
)
async def test_a_delay_is_bounded_and_the_next_is_asked(
    hooks: Dispatcher, flow: Flow, clock: Clock, seconds: float, slept: float
) -> None:
    hooks.add(listener(says(Drop()), name="two"))

    assert await ask(hooks, flow, says(Delay(seconds))) == Drop()
    assert clock.slept == [slept]
    assert noted(flow) == [f"delayed by {slept:g} s", "dropped"]


@pytest.mark.parametrize("released", [None, Drop("judged"), Delay(2.0)])
async def test_a_hold_waits_for_its_release(
    hooks: Dispatcher, flow: Flow, clock: Clock, released: Answer
) -> None:
    decision: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(ask(hooks, flow, says(Hold(decision))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not asking.done()
    assert noted(flow) == ["held"]
    decision.set_result(released)

    expected = None if isinstance(released, Delay) else released
    assert await asking == expected
    assert clock.slept == ([2.0] if isinstance(released, Delay) else [])


async def give(answer: Answer) -> Answer:
    return answer


async def test_a_hold_may_be_released_into_another_hold(
    hooks: Dispatcher, flow: Flow
) -> None:
    second: Awaitable[Answer] = give(Drop())

    assert await ask(hooks, flow, says(Hold(give(Hold(second))))) == Drop()
    assert noted(flow) == ["held", "held", "dropped"]


async def test_a_release_that_fails_is_a_failure_of_the_listener(
    hooks: Dispatcher, flow: Flow
) -> None:
    async def release() -> Answer:
        raise ConnectionError("the console went away")

    assert await ask(hooks, flow, says(Hold(release()))) is None
    assert noted(flow) == ["held", "failed: ConnectionError: the console went away"]


# --- failures -----------------------------------------------------------------------


def broken(_: Flow) -> None:
    raise ValueError("oops")


async def test_a_failure_is_skipped_and_told(
    hooks: Dispatcher, flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.add(listener(says(Drop()), name="two"))
    flow.request.target = b"/path?token=s3cret"
    with caplog.at_level(logging.WARNING):
        assert await ask(hooks, flow, broken) == Drop()

    assert noted(flow) == ["failed: ValueError: oops", "dropped"]
    (line,) = caplog.messages
    assert "on_request of one failed" in line
    assert "(https://a.test/path?…)" in line
    assert "s3cret" not in line


async def test_a_failure_may_block(hooks: Dispatcher, flow: Flow) -> None:
    hooks.add(
        Listener(name="g", point=HookPoint.REQUEST, call=broken, on_error="block")
    )

    verdict = await hooks.dispatch(HookPoint.REQUEST, flow)
    assert verdict == Fail(author="g", reason="ValueError: oops")


async def test_cancellation_is_no_failure(hooks: Dispatcher, flow: Flow) -> None:
    async def wait(_: Flow) -> None:
        await asyncio.Event().wait()

    asking = asyncio.create_task(ask(hooks, flow, wait))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert flow.changes == []


async def test_what_was_changed_before_a_failure_is_recorded(
    hooks: Dispatcher, flow: Flow
) -> None:
    def half(flow: Flow) -> None:
        flow.request.headers.add("half", "done")
        raise ValueError("oops")

    await ask(hooks, flow, half)

    assert noted(flow) == ["failed: ValueError: oops", "+ half: done"]
