"""Host functions by which plugins talk to each other: subscribe, publish, read."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.policy.permissions import Permission
from int3rceptor.plugins.topics.messages import (
    MAX_DEPTH,
    MAX_TOPIC_BYTES,
    Message,
)


def subscribe(host: Host, address: int, length: int) -> int:
    """host_subscribe."""
    topic = _topic(host, address, length, Permission.TOPICS_HEAR)
    if not isinstance(topic, str):
        return topic
    is_heard = host.surroundings.mailbox.subscribe(topic)
    return Status.OK if is_heard else Status.TOO_LARGE


def publish(host: Host, topic_at: int, topic_len: int, at: int, length: int) -> int:
    """host_publish."""
    if length > host.surroundings.mailbox.message_bytes:
        return Status.TOO_LARGE
    data = host.read(at, length)
    if data is None:
        return Status.BAD_POINTER
    topic = _topic(host, topic_at, topic_len, Permission.TOPICS_SEND)
    if not isinstance(topic, str):
        return topic
    earlier = () if host.letter is None else host.letter.chain
    if len(earlier) >= MAX_DEPTH:
        return Status.TOO_DEEP
    around = host.surroundings
    if not around.mailbox.may_send(around.now_ms()):
        return Status.TOO_LARGE
    return around.publish(Message(topic, data, (*earlier, around.mailbox.name)))


def _topic(host: Host, address: int, length: int, needed: Permission) -> str | Status:
    data = host.read(address, length)
    if data is None:
        return Status.BAD_POINTER
    try:
        topic = data.decode("utf-8")
    except UnicodeDecodeError:
        return Status.BAD_ARGUMENT
    if not topic or len(data) > MAX_TOPIC_BYTES or not topic.isprintable():
        return Status.BAD_ARGUMENT
    if not host.grants.covers(needed, topic):
        return Status.NO_PERMISSION
    return topic


def _text(source: Callable[[Message], bytes]) -> HostAct:
    """A function that copies something of the message."""

    def act(host: Host, address: int, room: int) -> int:
        letter = host.letter
        if letter is None:
            return Status.WRONG_HOOK
        return host.give(source(letter), address, room)

    return act


TALKERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_subscribe": subscribe,
        "host_publish": publish,
        "host_get_topic": _text(lambda message: message.topic.encode()),
        "host_get_message": _text(lambda message: message.data),
        "host_get_sender": _text(lambda message: message.sender.encode()),
    }
)
"""By the name that guests import them under."""
