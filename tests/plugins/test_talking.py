"""Real guests that talk to each other: over topics, and through what they keep."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.state.kept import PluginStates
from int3rceptor.plugins.state.keyvalues import KeyValues
from tests.plugins.support import LogBook, guest, make_dispatcher, make_flow
from tests.support.patience import PATIENT_S

TOPICS = 'permissions = ["topics:news", "topics:more"]\n'


class Talk:
    """A manager whose plugins may talk on "news" and "more"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dispatcher = make_dispatcher()
        self.book = LogBook()
        self.states = PluginStates(folder / "state", lambda: 1)
        self.manager = PluginManager(self.dispatcher, log=self.book, states=self.states)

    async def load(self, name: str, source: bytes, manifest: str = TOPICS) -> None:
        path = self.folder / f"{name}.wat"
        path.write_bytes(source)
        path.with_suffix(".toml").write_text(manifest)
        await self.manager.load(path)

    async def request(self) -> None:
        await self.dispatcher.dispatch(HookPoint.REQUEST, make_flow())

    def state(self, name: str) -> KeyValues:
        return self.states.open(name, 1 << 20, is_on_disk=False, carries=True)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENT_S):
            while not is_so():  # noqa: ASYNC110  # a guest tells nobody
                await asyncio.sleep(0.001)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    one = Talk(tmp_path)
    yield one
    await one.manager.aclose()


async def test_what_one_publishes_the_other_hears_and_keeps(talk: Talk) -> None:
    await talk.load("teller", guest("teller"))
    await talk.load("counter", guest("counter_of_news"))
    for _ in range(3):
        await talk.request()
    await talk.until(lambda: talk.state("counter").get(b"heard") == b"3")
    assert talk.book.texts() == ["hello"] * 3


async def test_several_who_answer_each_other_come_to_an_end(talk: Talk) -> None:
    pong = guest("counter_of_news").replace(b'"news"', b'"more"')
    await talk.load("teller", guest("teller"))
    await talk.load("ping", guest("counter_of_news"))
    await talk.load("pong", pong.replace(b'16) "more"', b'16) "news"'))
    await talk.request()
    await talk.until(lambda: talk.state("pong").get(b"heard") == b"1")
    for _ in range(20):
        await asyncio.sleep(0)
    assert talk.state("ping").get(b"heard") == b"1"


async def test_without_the_grant_nothing_is_sent_or_heard(talk: Talk) -> None:
    await talk.load("teller", guest("teller"), "")
    await talk.load("counter", guest("counter_of_news"))
    await talk.request()
    for _ in range(20):
        await asyncio.sleep(0)
    assert talk.book.texts() == []


async def test_who_may_not_listen_is_not_started(talk: Talk) -> None:
    with pytest.raises(Exception, match="counter"):
        await talk.load("counter", guest("counter_of_news"), "")


async def test_a_fault_on_a_message_is_told_and_counted(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    broken = guest("counter_of_news").replace(
        b"(local.set $length", b"(unreachable) (local.set $length"
    )
    await talk.load("teller", guest("teller"))
    await talk.load("counter", broken)
    await talk.request()
    await talk.until(lambda: "on_message of counter failed" in caplog.text)
    assert "on news from teller: trap: " in caplog.text
    runner = talk.manager.plugins["counter"].runner
    assert [(one.hook, one.flow) for one in runner.stats.latest] == [("on_message", 0)]


async def test_a_new_version_listens_in_place_of_the_old(talk: Talk) -> None:
    await talk.load("teller", guest("teller"))
    await talk.load("counter", guest("counter_of_news"))
    slot = talk.manager.slots["counter"]
    slot.source.write_bytes(
        guest("counter_of_news").replace(b'8) "heard"', b'8) "again"')
    )
    await talk.manager.reload(slot)
    await talk.request()
    await talk.until(lambda: talk.state("counter").get(b"again") == b"1")
    talk.manager.take_out(slot)
    await talk.request()
    for _ in range(20):
        await asyncio.sleep(0)
    assert talk.state("counter").keys(b"") == [b"again"]
