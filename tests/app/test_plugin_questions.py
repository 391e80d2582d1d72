"""The hub's end of what is asked about plugins."""

import asyncio

import pytest

from int3rceptor.app import plugin_asking
from int3rceptor.app.plugin_questions import PluginQuestions
from int3rceptor.control.plugins import PluginRefused
from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)
from tests.support.patience import PATIENT_S


class Proxy:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[PluginAsk] = []
        self.questions = PluginQuestions(self.asked.append)

    async def got(self, count: int) -> None:
        async with asyncio.timeout(PATIENT_S):
            while len(self.asked) < count:  # noqa: ASYNC110  # a list tells nobody
                await asyncio.sleep(0)


async def test_answers_find_their_questions() -> None:
    proxy = Proxy()
    one = asyncio.create_task(proxy.questions.ask(PluginAct.SHOW, "one"))
    two = asyncio.create_task(proxy.questions.ask(PluginAct.GRANT, "two", "respond"))
    await proxy.got(2)
    first, second = proxy.asked
    assert (second.act, second.name, second.text) == (PluginAct.GRANT, "two", "respond")
    proxy.questions.take(PluginTold(second.number, b"2"))
    proxy.questions.take(PluginTold(second.number, b"again"))
    proxy.questions.take(PluginTold(first.number, b"1"))
    assert (await one, await two) == (b"1", b"2")
    proxy.questions.take(PluginTold(first.number, b"late"))


async def test_what_is_not_done_is_raised() -> None:
    proxy = Proxy()
    asking = asyncio.create_task(proxy.questions.ask(PluginAct.SHOW, "none"))
    await proxy.got(1)
    told = PluginTold(proxy.asked[0].number, b"", PluginFailure.NOT_FOUND, "no plugin")
    proxy.questions.take(told)
    with pytest.raises(PluginRefused, match="no plugin") as caught:
        await asking
    assert caught.value.kind is PluginFailure.NOT_FOUND


async def test_a_proxy_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_asking, "ANSWER_S", 0.01)
    with pytest.raises(PluginRefused, match=r"did not answer within 0\.01 s") as caught:
        await Proxy().questions.ask(PluginAct.LIST)
    assert caught.value.kind is PluginFailure.UNAVAILABLE


async def test_so_many_questions_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_asking, "MAX_OPEN", 1)
    proxy = Proxy()
    first = asyncio.create_task(proxy.questions.ask(PluginAct.LIST))
    await proxy.got(1)
    with pytest.raises(PluginRefused, match="1 questions about plugins wait already"):
        await proxy.questions.ask(PluginAct.LIST)
    proxy.questions.take(PluginTold(proxy.asked[0].number, b"[]"))
    assert await first == b"[]"
