"""Messages between plugins: order, circles, storms, and who is in service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from int3rceptor.plugins.topics import topics as topics_module
from int3rceptor.plugins.topics.messages import Mailbox, Message
from int3rceptor.plugins.topics.topics import Topics


@pytest.fixture
async def topics() -> AsyncIterator[Topics]:
    made = Topics()
    yield made
    await made.aclose()


class Plugin:
    """Something with a mailbox that writes down what it gets, and may answer."""

    def __init__(
        self, topics: Topics, name: str, *heard: str, answers: str = ""
    ) -> None:
        self.topics = topics
        self.box = Mailbox(name, set(heard))
        self.got: list[Message] = []
        self.answers = answers
        topics.join(self.box, self.deliver)

    async def deliver(self, message: Message) -> None:
        self.got.append(message)
        if self.answers:
            chain = (*message.chain, self.box.name)
            self.topics.publish(Message(self.answers, message.data, chain))


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_messages_come_in_order_and_to_subscribers_only(topics: Topics) -> None:
    one, other = Plugin(topics, "one", "news"), Plugin(topics, "other", "alerts")
    sent = [Message("news", b"%d" % number, ("sender",)) for number in range(5)]
    assert [topics.publish(message) for message in sent] == [1] * 5
    assert one.got == []  # not inside of the hook that sent them
    await settled()
    assert one.got == sent
    assert other.got == []


async def test_nobody_gets_what_came_through_it(topics: Topics) -> None:
    one = Plugin(topics, "one", "ping", answers="pong")
    two = Plugin(topics, "two", "pong", answers="ping")
    assert topics.publish(Message("ping", b"", ("sender",))) == 1
    await settled()
    assert [len(one.got), len(two.got)] == [1, 1]
    assert topics.publish(Message("ping", b"", ("one",))) == 0


async def test_a_new_version_gets_what_waited_for_the_old_one(topics: Topics) -> None:
    old = Plugin(topics, "one", "news", "alerts")
    sent = [Message("news", b"%d" % number, ("sender",)) for number in range(3)]
    for message in (*sent, Message("alerts", b"", ("sender",))):
        assert topics.publish(message) == 1
    new = Plugin(topics, "one", "news")  # it does not listen to alerts any more
    await settled()
    assert old.got == []
    assert new.got == sent


async def test_a_full_mailbox_loses_what_comes_and_says_so_once(
    topics: Topics, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics_module, "MAX_WAITING", 2)
    one = Plugin(topics, "one", "news")
    counts = [topics.publish(Message("news", b"", ("sender",))) for _ in range(5)]
    assert counts == [1, 1, 0, 0, 0]
    await settled()
    assert len(one.got) == 2
    first, last = caplog.messages
    assert first == (
        "messages for plugin one are lost: 2 wait for it already; the first is from "
        "sender on news"
    )
    assert last == "plugin one lost 3 messages"
    assert topics.publish(Message("news", b"", ("sender",))) == 1


async def test_who_left_gets_nothing_more(topics: Topics) -> None:
    one = Plugin(topics, "one", "news")
    topics.publish(Message("news", b"", ("sender",)))
    topics.leave("one")
    await settled()
    assert one.got == []
    assert topics.publish(Message("news", b"", ("sender",))) == 0


async def test_a_new_version_takes_the_place_of_the_old(topics: Topics) -> None:
    old, new = Plugin(topics, "one", "news"), Plugin(topics, "one", "alerts")
    assert topics.publish(Message("news", b"", ("sender",))) == 0
    assert topics.publish(Message("alerts", b"", ("sender",))) == 1
    await settled()
    assert (len(old.got), len(new.got)) == (0, 1)


async def test_a_thread_may_publish(topics: Topics) -> None:
    one = Plugin(topics, "one", "news")
    message = Message("news", b"", ("sender",))
    assert await asyncio.to_thread(topics.publish, message) == 1
    await settled()
    assert one.got == [message]
