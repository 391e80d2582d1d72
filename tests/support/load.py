"""Requests without pause over a few connections; remembers which answers came whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.support.clients import Proxy, connect
from tests.support.h1_peer import response
from tests.support.kept import kept_targets
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.patience import PATIENT_S

CONNECTIONS = 4


class Load:
    """`whole` are the targets whose answer was received to its last byte.

    `errors` are what else happened to a request: what no client should see, unless
    the test kills the proxy.
    """

    def __init__(self, proxy: Proxy, origin: AnsweringOrigin, prefix: str) -> None:
        self._proxy = proxy
        self._origin = origin
        self._prefix = prefix
        self._number = 0
        self._changed = asyncio.Condition()
        self.whole: list[bytes] = []
        self.errors: list[Exception] = []

    async def run(self) -> None:
        """Ask until cancelled, or until the proxy is gone."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._ask_on())

    async def more(self, count: int) -> None:
        """Until so many more answers have come."""
        async with asyncio.timeout(PATIENT_S), self._changed:
            wanted = len(self.whole) + count
            await self._changed.wait_for(lambda: len(self.whole) >= wanted)

    async def _ask_on(self) -> None:
        try:
            async with await connect(self._proxy) as peer:
                while True:
                    target = f"/{self._prefix}/{self._number}"
                    self._number += 1
                    netloc = self._origin.netloc
                    head = f"GET http://{netloc}{target} HTTP/1.1\r\nHost: {netloc}"
                    await peer.send(f"{head}\r\n\r\n".encode())
                    answer = await peer.read_response()
                    assert answer.status == 200, answer.head
                    async with self._changed:
                        self.whole.append(target.encode())
                        self._changed.notify_all()
        except (OSError, EOFError, AssertionError) as error:
            self.errors.append(error)


@contextlib.asynccontextmanager
async def loaded(
    proxy: Proxy, origin: AnsweringOrigin, prefix: str = "load"
) -> AsyncIterator[Load]:
    """A load that runs meanwhile."""
    load = Load(proxy, origin, prefix)
    task = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def unnoticed(proxy: Proxy) -> AsyncIterator[Load]:
    """A load before, meanwhile and after: no client may notice what is done."""
    async with (
        AnsweringOrigin(fixed(response(b"kept"))) as origin,
        loaded(proxy, origin) as load,
    ):
        await load.more(20)
        yield load
        await load.more(20)
        assert load.errors == []


def assert_kept_once(load: Load, data_dir: Path) -> None:
    """Each exchange that a client has whole is in the record, and none is twice."""
    kept = kept_targets(data_dir)
    assert set(load.whole) <= set(kept)
    assert set(kept.values()) == {1}


async def until(condition: Callable[[], bool], within_s: float = PATIENT_S) -> None:
    """Until this holds, of something that has no event to wait for."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
