"""A ByteStream without a network: a test says what arrives, and sees what was sent."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from int3rceptor.errors import StreamLost, StreamTimeout
from int3rceptor.net.stream import ByteStream, Chunks


class FakeStream(ByteStream):
    """Deadlines pass at once in `drain` (without room), and for real in `read`."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.is_aborted = False
        self.is_closed = False
        self.has_sent_eof = False
        self.room = True
        self._chunks: deque[bytes] = deque()
        self._has_finished = False
        self._is_late = False
        self._changed = asyncio.Event()
        self._on_lost: Callable[[], None] | None = None
        self._hurry: Callable[[], None] | None = None
        self._held = bytearray()

    # The test's side

    def arrive(self, data: bytes) -> None:
        self._chunks.append(data)
        self._changed.set()

    def finish(self) -> None:
        """The peer ends its direction."""
        self._has_finished = True
        self._changed.set()

    def time_out(self) -> None:
        """The deadline of the `read` under way passes now."""
        self._is_late = True
        self._changed.set()

    def lose(self) -> None:
        """The connection breaks."""
        self.is_aborted = True
        self._changed.set()
        if self._on_lost is not None:
            self._on_lost()

    # The contract

    def when_lost(self, callback: Callable[[], None] | None) -> None:
        self._on_lost = callback

    async def read(self, timeout_s: float) -> bytes:
        while not self._chunks:
            if self._has_finished or self.is_closed:
                return b""
            if self.is_aborted:
                raise StreamLost("connection lost")
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                self._is_late = True
            if self._is_late:
                self._is_late = False
                raise StreamTimeout("no byte passed before the deadline")
        return self._chunks.popleft()

    def unread(self, data: bytes) -> None:
        if data:
            self._chunks.appendleft(data)

    def write(self, data: Chunks) -> None:
        if not (self.is_aborted or self.is_closed):
            sent = self.sent if self._hurry is None else self._held
            sent += data if isinstance(data, bytes) else b"".join(data)

    def cork(self, hurry: Callable[[], None]) -> bool:
        if self._hurry is not None:
            return False
        self._hurry = hurry
        return True

    def uncork(self) -> None:
        self._hurry = None
        held, self._held = self._held, bytearray()
        self.write(bytes(held))

    def _hold_no_more(self) -> None:
        if self._hurry is not None:
            self._hurry()

    async def drain(self, timeout_s: float) -> None:
        await asyncio.sleep(0)
        if self.is_aborted:
            raise StreamLost("connection lost")
        if not self.room:
            raise StreamTimeout("no byte passed before the deadline")

    def send_eof(self) -> bool:
        self._hold_no_more()
        self.has_sent_eof = True
        return True

    async def aclose(self) -> None:
        self._hold_no_more()
        self.is_closed = True
        self._changed.set()

    def reset(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._on_lost = None
        self.is_aborted = True
        self._changed.set()

    @property
    def has_room(self) -> bool:
        return self.room

    @property
    def is_usable(self) -> bool:
        return not (self.is_aborted or self.is_closed or self._has_finished)

    @property
    def has_unread(self) -> bool:
        return bool(self._chunks)

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        return None

    @property
    def peer(self) -> tuple[str, int]:
        return ("192.0.2.1", 443)
