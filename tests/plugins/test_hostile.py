"""Hostile guests on both ways of calling: each gets what the table says, no more."""

import copy

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.boundary import Fault, FaultKind
from int3rceptor.plugins.callers import MakerFactory
from int3rceptor.plugins.chunks import Chunk
from int3rceptor.plugins.codes import Extra
from int3rceptor.plugins.instance import PluginInstance
from tests.plugins.support import EVERYTHING, make_flow, make_instance
from tests.support.guests import GUESTS
from tests.support.hostile import hostile
from tests.support.hostile.rows import (
    Decides,
    GoesOn,
    Hostile,
    Loses,
    NotStarted,
    Refused,
)

GUEST_SET = {one.name: one for one in hostile()}
CALLS = 3
MAX_LINE_CHARS = 1000
"""Of what is said about a module: the reason, not the module."""


def those(*kinds: type) -> list[object]:
    return [
        pytest.param(one, id=one.name)
        for one in GUEST_SET.values()
        if isinstance(one.must, kinds)
    ]


def built(one: Hostile, factory: MakerFactory) -> PluginInstance:
    granted = EVERYTHING if one.is_granted else frozenset()
    return make_instance(one.module, factory, limits=one.limits, granted=granted)


def call(one: Hostile, instance: PluginInstance, flow: Flow) -> Verdict | Fault | None:
    is_chunk = isinstance(one.entry, Extra)
    chunk = Chunk(data=b"a chunk", is_last=False) if is_chunk else None
    return instance.run(one.entry, flow, chunk)


def test_every_kept_module_is_in_the_table() -> None:
    kept = {path.stem for path in (GUESTS / "hostile").iterdir()}
    assert kept == {one.name for one in GUEST_SET.values() if not one.source}


@pytest.mark.parametrize("one", those(Refused))
def test_is_not_loaded(one: Hostile) -> None:
    with pytest.raises(PluginError) as caught:
        built(one, None)  # type: ignore[arg-type]  # it comes to no instance
    line = str(caught.value)
    assert isinstance(one.must, Refused)
    assert one.must.line in line
    assert line.isprintable()
    assert len(line) < MAX_LINE_CHARS


@pytest.mark.parametrize("one", those(NotStarted))
def test_does_not_come_up(one: Hostile, factory: MakerFactory) -> None:
    fault = built(one, factory).start()
    assert isinstance(one.must, NotStarted)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.START
    assert one.must.why in str(fault)


@pytest.mark.parametrize("one", those(Loses))
def test_loses_its_turn_and_changes_nothing(
    one: Hostile, factory: MakerFactory
) -> None:
    instance = built(one, factory)
    for _ in range(CALLS):
        flow = make_flow()
        result = call(one, instance, flow)
        assert isinstance(one.must, Loses)
        assert isinstance(result, Fault), result
        assert result.kind is one.must.kind
        assert one.must.detail in result.detail
        assert content_of(flow) == content_of(make_flow())


def content_of(flow: Flow) -> tuple[object, ...]:
    """All that a guest could have changed."""
    request, response = flow.request, flow.response
    assert response is not None
    return copy.deepcopy(
        (
            *(request.method, request.target, request.headers, request.body.content),
            *(response.status, response.reason, response.headers),
            *(response.body.content, flow.tags, flow.context, flow.changes),
        )
    )


@pytest.mark.parametrize("one", those(GoesOn))
def test_goes_on_and_got_nothing(one: Hostile, factory: MakerFactory) -> None:
    """The module itself would end with an error, had it got what it wanted."""
    instance = built(one, factory)
    for _ in range(CALLS):
        assert call(one, instance, make_flow()) is None
    assert all(text.isprintable() for _, text in instance.take_lines())


@pytest.mark.parametrize("one", those(Decides))
def test_decides_as_it_was_granted(one: Hostile, factory: MakerFactory) -> None:
    assert isinstance(one.must, Decides)
    result = call(one, built(one, factory), make_flow())
    assert isinstance(result, one.must.verdict)
