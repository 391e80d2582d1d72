"""Whom a flow asks is settled when it begins, whatever changes in its middle."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from tests.support.listening import Clock, listener

REQUEST, RESPONSE, CAPTURE = HookPoint.REQUEST, HookPoint.RESPONSE, HookPoint.CAPTURE


def version(asked: list[str], name: str) -> tuple[Listener, ...]:
    """One extension with two hooks, which notes who was asked where."""
    return tuple(
        listener(
            lambda _, at=point: asked.append(f"{name} {at.value}"),
            name=name,
            point=point,
        )
        for point in (REQUEST, CAPTURE)
    )


async def test_a_flow_ends_with_whom_it_began(hooks: Dispatcher, flow: Flow) -> None:
    asked: list[str] = []
    old, new = version(asked, "old"), version(asked, "new")
    hooks.add(*old)
    await hooks.dispatch(REQUEST, flow)
    hooks.replace(old, new)
    await hooks.dispatch(CAPTURE, flow)
    assert asked == ["old on_request", "old on_capture"]

    later = dataclasses.replace(flow, roster=None)
    await hooks.dispatch(REQUEST, later)
    await hooks.dispatch(CAPTURE, later)
    assert asked[2:] == ["new on_request", "new on_capture"]


@pytest.mark.parametrize(
    "question",
    [Dispatcher.is_heard, Dispatcher.needs_body, Dispatcher.may_change],
    ids=["is_heard", "needs_body", "may_change"],
)
async def test_asking_whether_anyone_listens_begins_it_too(
    hooks: Dispatcher,
    flow: Flow,
    question: Callable[[Dispatcher, HookPoint, Flow], bool],
) -> None:
    """Else one that was added between two hooks would hear the second alone."""
    asked: list[str] = []
    assert not question(hooks, REQUEST, flow)
    hooks.add(*version(asked, "late"))

    assert not hooks.is_heard(CAPTURE, flow)
    assert await hooks.dispatch(CAPTURE, flow) is None
    assert asked == []


async def test_a_change_inside_of_a_hook_is_for_later_flows(
    hooks: Dispatcher, flow: Flow
) -> None:
    asked: list[str] = []
    late = version(asked, "late")
    hooks.add(listener(lambda _: hooks.add(*late), name="adds"))
    await hooks.dispatch(REQUEST, flow)
    await hooks.dispatch(CAPTURE, flow)

    assert asked == []
    assert hooks.is_heard(CAPTURE, dataclasses.replace(flow, roster=None))


@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.integers(0, 9), max_size=4, unique=True),
            st.lists(st.integers(0, 9), max_size=4, unique=True),
        ),
        max_size=12,
    )
)
def test_each_step_is_whole_and_ordered(
    steps: list[tuple[list[int], list[int]]],
) -> None:
    """Like a list in which each step takes some out and puts others in."""
    known = [
        Listener(
            name=f"n{number % 3}",
            point=list(HookPoint)[number % 2],
            call=lambda _: None,
            priority=number % 4,
        )
        for number in range(10)
    ]
    hooks = Dispatcher(sleep=Clock().sleep)
    expected: list[Listener] = []
    for old, new in steps:
        hooks.replace([known[n] for n in old], [known[n] for n in new])
        expected = [one for one in expected if one not in [known[n] for n in old]]
        expected += [known[n] for n in new]
        for point in HookPoint:
            here = hooks._roster.at[point]
            assert sorted(here, key=known.index) == sorted(
                (one for one in expected if one.point is point), key=known.index
            )
            keys = [(one.priority, one.name) for one in here]
            assert keys == sorted(keys)
