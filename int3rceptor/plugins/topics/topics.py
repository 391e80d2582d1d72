"""Messages between plugins: who listens to which topic, and who gets what when.

A message is queued, and delivered once the hook that sent it is over: plugins never run
inside each other. It carries the names of those it came through, so that a circle ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from int3rceptor.net.tasks import Tasks
from int3rceptor.plugins.topics.messages import MAX_WAITING, Mailbox, Message

log = logging.getLogger("int3rceptor.plugins")

Deliver = Callable[[Message], Awaitable[None]]


class Topics:
    """The mailboxes of one proxy's plugins that are in service.

    `publish` may be called from a plugin's thread; everything else in the event loop.
    """

    def __init__(self) -> None:
        self._boxes: dict[str, tuple[Mailbox, Deliver]] = {}
        self._pumped: set[str] = set()
        self._tasks = Tasks("topics")
        self._loop: asyncio.AbstractEventLoop | None = None

    def join(self, box: Mailbox, deliver: Deliver) -> None:
        """Put a plugin into service, in the place of an older version of it: of what
        waits for that, it gets what it listens to."""
        self._loop = asyncio.get_running_loop()
        if older := self._boxes.get(box.name):
            box.waiting.extend(m for m in older[0].waiting if m.topic in box.topics)
            box.lost = older[0].lost
        self._boxes[box.name] = box, deliver

    def leave(self, name: str) -> None:
        """Take a plugin out of service; what waits for it is dropped."""
        self._boxes.pop(name, None)

    async def aclose(self) -> None:
        """Deliver no more."""
        self._boxes.clear()
        await self._tasks.close()

    def publish(self, message: Message) -> int:
        """Queue for every subscriber that it did not come through; their number."""
        count = 0
        for box, _ in list(self._boxes.values()):
            if message.topic not in box.topics or box.name in message.chain:
                continue
            if len(box.waiting) >= MAX_WAITING:
                self._lose(box, message)
                continue
            box.waiting.append(message)
            count += 1
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._pump, box.name)
        return count

    def _lose(self, box: Mailbox, message: Message) -> None:
        if not box.lost:
            log.warning(
                "messages for plugin %s are lost: %d wait for it already; the first "
                "is from %s on %s",
                *(box.name, MAX_WAITING, message.sender, message.topic),
            )
        box.lost += 1

    def _pump(self, name: str) -> None:
        if name not in self._pumped and name in self._boxes:
            self._pumped.add(name)
            self._tasks.start(self._deliver_all(name), name)

    async def _deliver_all(self, name: str) -> None:
        """Deliver in order, one at a time, until nothing waits."""
        try:
            while (held := self._boxes.get(name)) and held[0].waiting:
                box, deliver = held
                await deliver(box.waiting.popleft())
                await asyncio.sleep(0)  # flows come first: a circle must not hold them
            if held and held[0].lost:
                log.warning("plugin %s lost %d messages", name, held[0].lost)
                held[0].lost = 0
        finally:
            self._pumped.discard(name)
