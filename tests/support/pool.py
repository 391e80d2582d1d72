"""A pool whose dials a test answers by hand, over streams without a network."""

import asyncio
from collections import deque
from dataclasses import dataclass

from int3rceptor.errors import ConnectError, Int3rceptorError
from int3rceptor.proxy.upstream.answer import Origin
from int3rceptor.proxy.upstream.h1_client import H1Origin
from int3rceptor.proxy.upstream.h2_client import H2Origin
from int3rceptor.proxy.upstream.pool import Connection, Pool, PoolLimits
from tests.support.fake_stream import FakeStream
from tests.support.streams import turns

A = Origin("https", "a.test", 443, "a.test")
B = Origin("https", "b.test", 443, "b.test")
C = Origin("https", "c.test", 443, "c.test")


@dataclass(slots=True, frozen=True, kw_only=True)
class Deadlines:
    first_byte_timeout_s: float = 10.0
    idle_timeout_s: float = 10.0


@dataclass(slots=True, eq=False)
class Dial:
    """A dial under way."""

    origin: Origin
    may_use_h2: bool
    outcome: "asyncio.Future[Connection]"
    home: Pool

    def h1(self) -> None:
        """An HTTP/1.1 connection comes of it."""
        self.outcome.set_result(
            H1Origin(self.origin, FakeStream(), None, self.home, Deadlines())
        )

    def h2(self) -> None:
        """An HTTP/2 connection comes of it."""
        self.outcome.set_result(
            H2Origin(self.origin, FakeStream(), None, self.home, Deadlines())
        )

    def fail(self, error: Int3rceptorError | None = None) -> None:
        self.outcome.set_exception(error or ConnectError("nothing listens"))


class PoolBench:
    """`limit` makes the pool anew; `ask` acquires in a task of its own."""

    def __init__(self) -> None:
        self.dials: deque[Dial] = deque()
        self.most_open = 0
        self._tasks: list[asyncio.Task[Connection]] = []
        self._connections: list[Connection] = []
        self.limit()

    def limit(
        self,
        per_origin: int = 10,
        overall: int = 100,
        idle_expiry_s: float = 1000.0,
        wait_s: float = 10.0,
    ) -> Pool:
        limits = PoolLimits(
            per_origin=per_origin,
            overall=overall,
            idle_expiry_s=idle_expiry_s,
            wait_s=wait_s,
        )
        self.pool = Pool(asyncio.get_running_loop(), self._dial, limits)
        return self.pool

    async def _dial(self, origin: Origin, may_use_h2: bool) -> Connection:
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self.dials.append(Dial(origin, may_use_h2, future, self.pool))
        connection = await future
        self._connections.append(connection)
        return connection

    async def ask(
        self,
        origin: Origin = A,
        *,
        wants_h2: bool = False,
        owner: object | None = None,
    ) -> asyncio.Task[Connection]:
        """Begin to acquire; the task, after everything that is ready has run."""
        task = asyncio.create_task(
            self.pool.acquire(origin, wants_h2=wants_h2, owner=owner)
        )
        self._tasks.append(task)
        await turns()
        return task

    async def get_h1(self, origin: Origin = A, owner: object | None = None) -> H1Origin:
        """A taken HTTP/1.1 connection; dialled if need be."""
        task = await self.ask(origin, owner=owner)
        if not task.done():
            self.dials.popleft().h1()
        connection = await task
        assert isinstance(connection, H1Origin)
        return connection

    async def get_h2(self, origin: Origin = A) -> H2Origin:
        """A place on an HTTP/2 connection; dialled if need be."""
        task = await self.ask(origin, wants_h2=True)
        if not task.done():
            self.dials.popleft().h2()
        connection = await task
        assert isinstance(connection, H2Origin)
        return connection

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.aclose()
        for connection in self._connections:
            if connection.stream.is_usable:
                connection.stream.abort()
            if isinstance(connection, H2Origin):
                await connection.ended_tasks()
        await turns()
