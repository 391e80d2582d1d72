"""Host functions by which plugins talk to each other."""

from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.abi.rows import (
    ARG,
    HOOK,
    LARGE,
    LENGTH,
    PTR,
    Need,
    row,
)
from int3rceptor.plugins.policy.permissions import Permission

_HEARS = Need(Permission.TOPICS_HEAR)
_SENDS = Need(Permission.TOPICS_SEND)
_TOPIC = "topic_ptr topic_len"
_BUFFER = "buf_ptr buf_len"
_AT_A_MESSAGE = (Extra.MESSAGE,)

TOPICS = (
    row(
        "host_subscribe",
        _TOPIC,
        _HEARS,
        (),
        "listens to a topic: its messages come to on_message",
        "OK",
        *(PTR, ARG, LARGE),
    ),
    row(
        "host_publish",
        f"{_TOPIC} val_ptr val_len",
        _SENDS,
        (),
        "sends a message to the plugins that listen, after this call",
        "the number of plugins that will get it",
        *(PTR, ARG, LARGE, Status.TOO_DEEP),
    ),
    row(
        "host_get_topic",
        _BUFFER,
        _HEARS,
        _AT_A_MESSAGE,
        "reads the topic of the message",
        LENGTH,
        *(PTR, HOOK),
    ),
    row(
        "host_get_message",
        _BUFFER,
        _HEARS,
        _AT_A_MESSAGE,
        "reads the message",
        LENGTH,
        *(PTR, HOOK),
    ),
    row(
        "host_get_sender",
        _BUFFER,
        _HEARS,
        _AT_A_MESSAGE,
        "reads the name of the plugin that sent the message",
        LENGTH,
        *(PTR, HOOK),
    ),
)
