"""What plugins send each other, and where it waits. Pure: `topics` delivers it."""

from collections import deque
from dataclasses import dataclass, field

DEFAULT_MESSAGE_BYTES = 64 * 1024
"""Of one message: a note about a flow, not its body."""

MAX_MESSAGE_BYTES = 256 * 1024
"""What a manifest can raise that to."""

DEFAULT_MESSAGES = 1_000
"""Of one plugin in a second: each is a call of every plugin that listens. Three that
answer each other with a hundred would otherwise take the loop for themselves."""

MAX_MESSAGES = 100_000
"""What a manifest can raise that to: about half a second of calls."""

MAX_TOPIC_BYTES = 128
"""Of a topic's name."""

MAX_TOPICS = 32
"""Topics that one plugin listens to."""

MAX_DEPTH = 8
"""How many plugins one cause may pass through: each answers the one before it."""

MAX_WAITING = 256
"""Messages that wait for one plugin: 16 MiB of the usual size at most."""


@dataclass(slots=True, frozen=True)
class Message:
    """One message. `chain` names the plugins it came through, its sender last."""

    topic: str
    data: bytes
    chain: tuple[str, ...]

    @property
    def sender(self) -> str:
        """Who published it."""
        return self.chain[-1]


@dataclass(slots=True)
class Mailbox:
    """One plugin's end: what it listens to, what waits for it, how much it may send."""

    name: str
    topics: set[str] = field(default_factory=set)
    message_bytes: int = DEFAULT_MESSAGE_BYTES
    messages: int = DEFAULT_MESSAGES
    second: int = 0
    sent: int = 0
    """Messages in that second."""
    waiting: deque[Message] = field(default_factory=deque)
    lost: int = 0
    """Messages that found the mailbox full since it was last empty."""

    def may_send(self, now_ms: int) -> bool:
        """Count one more message; False when this second has had enough of them."""
        second = now_ms // 1_000
        if second != self.second:
            self.second, self.sent = second, 0
        self.sent += 1
        return self.sent <= self.messages

    def subscribe(self, topic: str) -> bool:
        """Listen to a topic; False when it listens to MAX_TOPICS already."""
        if topic not in self.topics and len(self.topics) >= MAX_TOPICS:
            return False
        self.topics.add(topic)
        return True
