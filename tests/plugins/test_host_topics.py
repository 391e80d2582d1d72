"""Host functions by which plugins talk to each other, from inside a guest."""

import pytest

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.permissions import parse_grants
from int3rceptor.plugins.topics.messages import (
    DEFAULT_MESSAGE_BYTES,
    MAX_DEPTH,
    MAX_TOPIC_BYTES,
    MAX_TOPICS,
    Mailbox,
    Message,
)
from tests.plugins.support import Probe, make_flow

BUFFER = 4096
LETTER = Message("news", b"\0data", ("first", "second"))


def mailbox_of(probe: Probe) -> Mailbox:
    return probe.instance.host.surroundings.mailbox


def test_a_plugin_listens_to_so_many_topics(factory: MakerFactory) -> None:
    probe = Probe("host_subscribe", factory)
    for number in range(MAX_TOPICS):
        assert probe.call(b"%d" % number, flow=make_flow()) == Status.OK
    assert probe.call(b"0", flow=make_flow()) == Status.OK
    assert probe.call(b"more", flow=make_flow()) == Status.TOO_LARGE
    assert mailbox_of(probe).topics == set(map(str, range(MAX_TOPICS)))


@pytest.mark.parametrize("topic", [b"", b"\xff", b"a\0b", b"t" * (MAX_TOPIC_BYTES + 1)])
@pytest.mark.parametrize("name", ["host_subscribe", "host_publish"])
def test_a_topic_is_a_short_printable_word(name: str, topic: bytes) -> None:
    probe = Probe(name)
    rest = () if name == "host_subscribe" else (b"",)
    assert probe.call(topic, *rest, flow=make_flow()) == Status.BAD_ARGUMENT


@pytest.mark.parametrize("name", ["host_subscribe", "host_publish"])
def test_topics_are_granted_by_glob(name: str, factory: MakerFactory) -> None:
    probe = Probe(name, factory, granted=parse_grants("topics:news.*"))
    rest = () if name == "host_subscribe" else (b"",)
    assert probe.call(b"news.local", *rest, flow=make_flow()) == Status.OK
    assert probe.call(b"alerts", *rest, flow=make_flow()) == Status.NO_PERMISSION


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("host_get_url", Status.WRONG_HOOK),
        ("host_context_get", Status.WRONG_HOOK),
        ("host_tag", Status.WRONG_HOOK),
        ("host_get_method", Status.NOT_FOUND),  # of the original
    ],
)
def test_there_is_no_flow_in_a_message(
    name: str, answer: Status, factory: MakerFactory
) -> None:
    probe = Probe(name, factory)
    assert probe.read_message(BUFFER, 8, BUFFER, 8, letter=LETTER) == answer


def test_sending_and_hearing_are_granted_apart(factory: MakerFactory) -> None:
    sends, hears = parse_grants("topics.send:news"), parse_grants("topics.hear:news")
    for granted, answers in ((sends, (0, -5)), (hears, (-5, 0))):
        publishing = Probe("host_publish", factory, granted=granted)
        listening = Probe("host_subscribe", factory, granted=granted)
        assert publishing.call(b"news", b"", flow=make_flow()) == answers[0]
        assert listening.call(b"news", flow=make_flow()) == answers[1]
    assert Status.NO_PERMISSION == -5
    probe = Probe("host_get_message", factory, granted=sends)
    assert probe.read_message(BUFFER, 99, letter=LETTER) == Status.NO_PERMISSION


def published_by(probe: Probe) -> list[Message]:
    """Where the probe's messages go from now on."""
    sent: list[Message] = []

    def publish(message: Message) -> int:
        sent.append(message)
        return 3

    object.__setattr__(probe.instance.host.surroundings, "publish", publish)
    return sent


def test_a_message_is_published_with_its_sender(factory: MakerFactory) -> None:
    probe = Probe("host_publish", factory)
    sent = published_by(probe)
    assert probe.call(b"news", b"\xffdata", flow=make_flow()) == 3
    assert sent == [Message("news", b"\xffdata", ("unnamed",))]


def test_an_answer_carries_whom_it_came_through(factory: MakerFactory) -> None:
    probe = Probe("host_publish", factory)
    sent = published_by(probe)
    assert probe.read_message(b"more", b"", letter=LETTER) == 3
    assert sent == [Message("more", b"", ("first", "second", "unnamed"))]
    # The next hook is about something else.
    assert probe.call(b"news", b"", flow=make_flow()) == 3
    assert sent[-1].chain == ("unnamed",)


def test_a_chain_ends() -> None:
    probe = Probe("host_publish")
    sent = published_by(probe)
    deep = Message("news", b"", tuple("abcdefgh"))
    assert len(deep.chain) == MAX_DEPTH
    assert probe.read_message(b"news", b"", letter=deep) == Status.TOO_DEEP
    assert sent == []


def test_a_plugin_sends_so_many_messages_a_second(factory: MakerFactory) -> None:
    probe = Probe("host_publish", factory)
    sent = published_by(probe)
    mailbox_of(probe).messages = 2
    answers = [probe.call(b"news", b"", flow=make_flow()) for _ in range(4)]
    assert answers == [3, 3, Status.TOO_LARGE, Status.TOO_LARGE]
    assert len(sent) == 2
    assert mailbox_of(probe).may_send(mailbox_of(probe).second * 1_000 + 1_000)


def test_a_message_has_a_largest_size() -> None:
    probe = Probe("host_publish")
    sent = published_by(probe)
    size = DEFAULT_MESSAGE_BYTES + 1
    assert probe.call(b"news", 0, size, flow=make_flow()) == Status.TOO_LARGE
    assert sent == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("host_get_topic", b"news"),
        ("host_get_message", b"\0data"),
        ("host_get_sender", b"second"),
    ],
)
def test_a_message_is_read(name: str, expected: bytes, factory: MakerFactory) -> None:
    probe = Probe(name, factory)
    assert probe.read_message(BUFFER, 99, letter=LETTER) == len(expected)
    assert probe.read(BUFFER, len(expected)) == expected
    assert probe.read_message(BUFFER, 1, letter=LETTER) == len(expected)
    assert probe.call(BUFFER, 99, flow=make_flow()) == Status.WRONG_HOOK
