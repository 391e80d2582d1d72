"""Plugins of several workers, asked as one, with workers that are made up."""

import asyncio
from collections.abc import Callable

import msgspec

from int3rceptor.app.crew_plugins import NOBODY, CrewPlugins
from int3rceptor.app.plugin_asking import PluginAsking
from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)
from int3rceptor.link.plugin_reports import (
    PluginDetails,
    PluginPage,
    PluginState,
    PluginSummary,
)

ONE = PluginSummary(
    name="one", state=PluginState.RUNNING, in_service=True, source="one.wat", calls=2
)
DETAILS = msgspec.json.encode(PluginDetails(summary=ONE))

Answer = Callable[[PluginAsk], PluginTold]


def well(ask: PluginAsk) -> PluginTold:
    match ask.act:
        case PluginAct.LIST:
            return PluginTold(ask.number, msgspec.json.encode(PluginPage([ONE])))
        case PluginAct.DELETE | PluginAct.FOLLOW:
            return PluginTold(ask.number)
        case PluginAct.READ_CONFIG:
            return PluginTold(ask.number, b"{}")
        case _:
            return PluginTold(ask.number, DETAILS)


def failing(kind: PluginFailure, *acts: PluginAct) -> Answer:
    def answer(ask: PluginAsk) -> PluginTold:
        if ask.act in acts:
            return PluginTold(ask.number, b"", kind, "no")
        return well(ask)

    return answer


class Member:
    """A worker that answers at once, and keeps what it was asked."""

    def __init__(self, number: int, answer: Answer = well) -> None:
        self.number = number
        self.asked: list[tuple[PluginAct, str, str]] = []
        self.asking = PluginAsking(self._send)
        self._answer = answer

    def _send(self, ask: PluginAsk) -> None:
        self.asked.append((ask.act, ask.name, ask.text))
        loop = asyncio.get_running_loop()
        loop.call_soon(self.asking.take, self._answer(ask))


async def told(members: list[Member], act: PluginAct, text: str = "") -> PluginTold:
    plugins = CrewPlugins(lambda: members)
    answer: asyncio.Future[PluginTold] = asyncio.get_running_loop().create_future()
    plugins.take(PluginAsk(7, act, "one", text), answer.set_result)
    try:
        async with asyncio.timeout(10):
            return await answer
    finally:
        await plugins.aclose()


async def test_what_is_told_comes_from_all() -> None:
    page = await told([Member(1), Member(2)], PluginAct.LIST)
    shown = await told([Member(1), Member(2)], PluginAct.SHOW)

    assert page.number == shown.number == 7
    assert msgspec.json.decode(page.answer, type=PluginPage).plugins[0].calls == 4
    assert msgspec.json.decode(shown.answer, type=PluginDetails).summary.calls == 4


async def test_one_that_does_not_answer_is_left_out() -> None:
    dead = failing(PluginFailure.UNAVAILABLE, PluginAct.SHOW)
    shown = await told([Member(1, dead), Member(2)], PluginAct.SHOW)
    none = await told([Member(1, dead), Member(2, dead)], PluginAct.SHOW)

    assert msgspec.json.decode(shown.answer, type=PluginDetails).summary.calls == 2
    assert none.failure is PluginFailure.UNAVAILABLE


async def test_a_change_is_made_by_one_and_followed_by_the_others() -> None:
    members = [Member(1), Member(2), Member(3)]
    answer = await told(members, PluginAct.GRANT, "respond")

    assert members[0].asked == [
        (PluginAct.GRANT, "one", "respond"),
        (PluginAct.SHOW, "one", ""),
    ]
    for other in members[1:]:
        assert other.asked == [
            (PluginAct.FOLLOW, "one", "grant"),
            (PluginAct.SHOW, "one", ""),
        ]
    assert msgspec.json.decode(answer.answer, type=PluginDetails).summary.calls == 6


async def test_a_change_that_is_refused_is_followed_by_nobody() -> None:
    members = [Member(1, failing(PluginFailure.REFUSED, PluginAct.GRANT)), Member(2)]
    answer = await told(members, PluginAct.GRANT, "respond")

    assert (answer.failure, answer.why) == (PluginFailure.REFUSED, "no")
    assert members[1].asked == []


async def test_one_that_cannot_follow_is_named() -> None:
    members = [Member(1), Member(2, failing(PluginFailure.REFUSED, PluginAct.FOLLOW))]
    answer = await told(members, PluginAct.RELOAD)

    assert answer.failure is PluginFailure.REFUSED
    assert answer.why == "done, but not by worker 2: no"


async def test_one_that_dies_meanwhile_does_not_spoil_the_answer() -> None:
    dying = failing(PluginFailure.UNAVAILABLE, PluginAct.FOLLOW, PluginAct.SHOW)
    answer = await told([Member(1), Member(2, dying)], PluginAct.RELOAD)

    assert msgspec.json.decode(answer.answer, type=PluginDetails).summary.calls == 2


async def test_a_configuration_is_asked_of_one_and_a_deletion_says_nothing() -> None:
    members = [Member(1), Member(2)]

    assert (await told(members, PluginAct.READ_CONFIG)).answer == b"{}"
    assert members[1].asked == []
    assert await told(members, PluginAct.DELETE) == PluginTold(7)


async def test_nobody_serves() -> None:
    for act in (PluginAct.LIST, PluginAct.GRANT):
        answer = await told([], act)
        assert (answer.failure, answer.why) == (PluginFailure.UNAVAILABLE, NOBODY)
