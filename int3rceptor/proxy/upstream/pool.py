"""Connections to origins: reused across clients, limited, handed out in order.

State changes in plain functions (`_take`, `_may_dial`, `_serve`), waiting outside of
them: no await stands between reading the tables and changing them.

HTTP/1.1 connections are exclusive: taken out while they carry an exchange, put back
when it ended well. HTTP/2 connections stay listed and are shared up to their origin's
limit. While one HTTP/2 dial is under way, others that could share it wait for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from int3rceptor.errors import Int3rceptorError, OriginClosed, PoolExhausted
from int3rceptor.proxy.upstream.alpn_memory import AlpnMemory
from int3rceptor.proxy.upstream.answer import Origin
from int3rceptor.proxy.upstream.h1_client import H1Origin

if TYPE_CHECKING:  # a megabyte that comes with the first origin that speaks it
    from int3rceptor.proxy.upstream.h2_client import H2Origin

Connection: TypeAlias = "H1Origin | H2Origin"
# To an origin, which is offered HTTP/2 or not.
Dial = Callable[[Origin, bool], Coroutine[object, object, Connection]]

MAX_WAITERS = 1024
"""Exchanges that wait for one origin; more are refused at once rather than late."""


@dataclass(slots=True, frozen=True, kw_only=True)
class PoolLimits:
    """The pool's settings; seconds and counts."""

    per_origin: int
    overall: int
    idle_expiry_s: float
    wait_s: float


@dataclass(slots=True, eq=False)
class _Waiter:
    future: "asyncio.Future[Connection | None]"
    wants_h2: bool
    owner: object | None
    deadline: float
    is_dialing_h2: bool = False
    """Whether the place that it was given is for a connection that others share."""


@dataclass(slots=True, eq=False)
class _Entry:
    """One origin. `open` counts connections and dials under way."""

    origin: Origin
    idle: list[H1Origin] = field(default_factory=list)
    shared: "list[H2Origin]" = field(default_factory=list)
    waiters: deque[_Waiter] = field(default_factory=deque)
    open: int = 0
    is_dialing_h2: bool = False
    is_h2_only: bool = False
    """Whether it refused HTTP/1.1: then everyone shares."""

    def listed(self) -> list[Connection]:
        """Connections that carry nothing, or are shared."""
        return [*self.idle, *self.shared]


def _choice(idle: list[H1Origin], owner: object | None) -> int:
    """The connection to take, or -1: one that the owner has authenticated, which the
    next step of that may need (RFC 4559, 6), else one that is nobody's. The most
    recently used first: the others can expire."""
    free = -1
    for i in range(len(idle) - 1, -1, -1):
        bound_to = idle[i].owner
        if bound_to is None:
            free = max(free, i)
        elif bound_to is owner:
            return i
    return free


class Pool:
    """All connections to all origins of one proxy."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, dial: Dial, limits: PoolLimits
    ) -> None:
        self._loop = loop
        self._dial = dial
        self._limits = limits
        self._entries: dict[Origin, _Entry] = {}
        # Those with a connection that was ever bound to an owner.
        self._with_bound: set[_Entry] = set()
        self._alpn = AlpnMemory(loop)
        self._open = 0
        self._waiting = 0
        self._is_serving = False
        self._is_serving_due = False
        self._timer: asyncio.TimerHandle | None = None

    def alpn_of(self, origin: Origin) -> str | None:
        """What the origin chose when it was last offered HTTP/2, if it was."""
        return self._alpn.get(origin)

    def take(
        self, origin: Origin, wants_h2: bool, owner: object | None
    ) -> "Connection | None":
        """A connection with room for one exchange, if one is there and nobody waits."""
        entry = self._entries.get(origin)
        if entry is None or entry.waiters:
            return None
        if wants_h2 or entry.is_h2_only:
            wants_h2 = self._may_share(entry, wants_h2)
        return self._take(entry, wants_h2, owner)

    async def acquire(
        self, origin: Origin, *, wants_h2: bool, owner: object | None = None
    ) -> Connection:
        """A connection with room for one exchange; the errors of dialling, or
        PoolExhausted when none becomes free in time."""
        connection = self.take(origin, wants_h2, owner)
        if connection is not None:
            return connection
        entry = self._entries.setdefault(origin, _Entry(origin=origin))
        may_share = self._may_share(entry, wants_h2)
        if not entry.waiters and self._may_dial(entry, may_share):
            self._reserve(entry, may_share)
        else:
            waiter = await self._wait(entry, wants_h2, owner)
            connection, may_share = waiter.future.result(), waiter.is_dialing_h2
            if connection is not None:
                return connection
        return await self._open_one(entry, may_share, wants_h2=wants_h2)

    def release(self, connection: H1Origin) -> None:
        """An HTTP/1.1 connection is free again."""
        if not connection.stream.is_quiet():
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._entries[connection.origin].idle.append(connection)
        if self._waiting or self._is_serving:
            self._serve_all()

    def bound(self, connection: H1Origin) -> None:
        """An HTTP/1.1 connection serves one owner from now on."""
        self._with_bound.add(self._entries[connection.origin])

    def has_room(self, connection: "H2Origin") -> None:
        """An HTTP/2 stream ended, so another can begin; or all did, so that the
        connection may make room for one to elsewhere."""
        entry = self._entries.get(connection.origin)
        if connection.is_idle or (entry is not None and entry.waiters):
            self._serve_all()

    def discard(self, connection: Connection) -> None:
        """A connection is gone, or must not be used again. Called once for each."""
        entry = self._entries[connection.origin]
        if isinstance(connection, H1Origin):
            if connection in entry.idle:
                entry.idle.remove(connection)
        elif connection in entry.shared:
            entry.shared.remove(connection)
        self._unreserve(entry)

    def retire(self, connection: "H2Origin") -> None:
        """Take no new exchanges to it (GOAWAY); those on it go on."""
        entry = self._entries[connection.origin]
        if connection in entry.shared:
            entry.shared.remove(connection)

    def drop_owner(self, owner: object) -> None:
        """A client connection ended: what was bound to it must not serve another."""
        for entry in list(self._with_bound):
            for connection in [one for one in entry.idle if one.owner is owner]:
                connection.close()

    def expire(self) -> None:
        """Close what has been idle for too long; called every few seconds."""
        limit = self._loop.time() - self._limits.idle_expiry_s
        for entry in list(self._entries.values()):
            for connection in entry.listed():
                is_old = connection.is_idle and connection.idle_since < limit
                if is_old or not connection.is_usable:
                    connection.close()
            # Whoever holds an entry has a place in it, or waits in it.
            if not entry.open and not entry.waiters:
                del self._entries[entry.origin]
                self._with_bound.discard(entry)

    async def aclose(self) -> None:
        """Close every connection listed; taken ones close with their exchange."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for entry in list(self._entries.values()):
            for connection in entry.listed():
                connection.close()
                if not isinstance(connection, H1Origin):
                    await connection.ended_tasks()

    @property
    def open_connections(self) -> int:
        """Connections open or being opened."""
        return self._open

    def _take(
        self, entry: _Entry, wants_h2: bool, owner: object | None
    ) -> "Connection | None":
        if wants_h2:
            return next((one for one in entry.shared if one.reserve()), None)
        idle = entry.idle
        while idle:
            i = _choice(idle, owner) if entry in self._with_bound else len(idle) - 1
            if i < 0:
                break
            connection = idle.pop(i)
            if connection.stream.is_quiet():
                connection.is_reused = True
                return connection
            self._loop.call_soon(connection.close)
        return None

    def _may_share(self, entry: _Entry, wants_h2: bool) -> bool:
        if entry.is_h2_only or not wants_h2:
            return entry.is_h2_only
        return self.alpn_of(entry.origin) != "http/1.1"

    def _may_dial(self, entry: _Entry, may_share: bool) -> bool:
        """Whether there is a place for one more; an idle connection that cannot serve
        (of another kind, another owner's, another origin's) gives up its own."""
        if may_share and entry.is_dialing_h2:
            return False
        if entry.open >= self._limits.per_origin and not self._evict([entry]):
            return False
        has_place = self._open < self._limits.overall
        return has_place or self._evict(list(self._entries.values()))

    def _evict(self, entries: list[_Entry]) -> bool:
        """Close the longest idle connection; False when none is idle."""
        idle = [one for entry in entries for one in entry.listed() if one.is_idle]
        if not idle:
            return False
        min(idle, key=lambda one: one.idle_since).close()
        return True

    def _reserve(self, entry: _Entry, may_share: bool) -> None:
        entry.open += 1
        entry.is_dialing_h2 |= may_share
        self._open += 1

    def _unreserve(self, entry: _Entry) -> None:
        entry.open -= 1
        self._open -= 1
        self._serve_all()

    def _serve_all(self) -> None:
        """Something became free: give it to those who wait, everywhere.

        To evict a connection frees something too, and comes back here: then the one
        loop that runs goes round once more.
        """
        self._is_serving_due = True
        if self._is_serving or not self._waiting:
            return
        self._is_serving = True
        try:
            while self._is_serving_due:
                self._is_serving_due = False
                for entry in [one for one in self._entries.values() if one.waiters]:
                    self._serve(entry)
        finally:
            self._is_serving = False

    def _serve(self, entry: _Entry) -> None:
        """Give waiters, in order, what has become free; None means: dial."""
        while entry.waiters:
            waiter = entry.waiters[0]
            if not waiter.future.done():
                may_share = self._may_share(entry, waiter.wants_h2)
                connection = self._take(entry, may_share, waiter.owner)
                if connection is None:
                    if not self._may_dial(entry, may_share):
                        return
                    self._reserve(entry, may_share)
                    waiter.is_dialing_h2 = may_share
                waiter.future.set_result(connection)
            entry.waiters.popleft()
            self._waiting -= 1

    async def _wait(
        self, entry: _Entry, wants_h2: bool, owner: object | None
    ) -> _Waiter:
        """Wait in line: what was found is in the waiter, or a place to dial in."""
        if len(entry.waiters) >= MAX_WAITERS:
            raise PoolExhausted(
                f"{MAX_WAITERS} requests wait for {entry.origin} already"
            )
        deadline = self._loop.time() + self._limits.wait_s
        waiter = _Waiter(self._loop.create_future(), wants_h2, owner, deadline)
        entry.waiters.append(waiter)
        self._waiting += 1
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._send_away)
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._give_back(entry, waiter)
            raise
        return waiter

    def _send_away(self) -> None:
        """Refuse those who have waited for too long. One timer does for all: each has
        as long, so that in every line the first one's time is up first."""
        self._timer, soonest = None, float("inf")
        now = self._loop.time()
        for entry in self._entries.values():
            while entry.waiters and entry.waiters[0].deadline <= now:
                future = entry.waiters.popleft().future
                self._waiting -= 1
                if not future.done():
                    future.set_exception(self._too_long(entry))
            if entry.waiters:
                soonest = min(soonest, entry.waiters[0].deadline)
        if self._waiting:
            self._timer = self._loop.call_at(soonest, self._send_away)
        self._serve_all()

    def _too_long(self, entry: _Entry) -> PoolExhausted:
        return PoolExhausted(
            f"none of {entry.open} connections to {entry.origin} became free "
            f"within {self._limits.wait_s:g} s",
            advice="Raise upstream.max_connections_per_origin, or ask for less.",
        )

    def _give_back(self, entry: _Entry, waiter: _Waiter) -> None:
        """A waiter left; what it was given in the same turn goes to the next."""
        if waiter in entry.waiters:
            entry.waiters.remove(waiter)
            self._waiting -= 1
        future = waiter.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            self._serve_all()
            return
        connection = future.result()
        if connection is None:
            if waiter.is_dialing_h2:
                entry.is_dialing_h2 = False
            self._unreserve(entry)
        elif isinstance(connection, H1Origin):
            self.release(connection)
        else:
            connection.unreserve()

    async def _open_one(
        self, entry: _Entry, may_share: bool, *, wants_h2: bool
    ) -> Connection:
        """Dial in a place that is reserved already."""
        may_use_h2 = wants_h2 or may_share
        connection: Connection | None = None
        failure: Int3rceptorError | None = None
        try:
            connection = await self._dial(entry.origin, may_use_h2)
        except Int3rceptorError as error:
            failure = error
            raise
        finally:
            if may_share:
                entry.is_dialing_h2 = False
            if connection is None:
                if may_share and failure is not None:
                    self._share_failure(entry, failure)
                self._unreserve(entry)
        if may_use_h2:
            is_h1 = isinstance(connection, H1Origin)
            self._alpn.learn(entry.origin, "http/1.1" if is_h1 else "h2")
        if not isinstance(connection, H1Origin):
            entry.is_h2_only = entry.is_h2_only or not may_use_h2
            if not connection.reserve():
                connection.close()
                raise OriginClosed(f"{entry.origin} closed a connection at once")
            entry.shared.append(connection)
        self._serve_all()
        return connection

    def _share_failure(self, entry: _Entry, failure: Int3rceptorError) -> None:
        """Those who waited to share a connection share its failure: trying it once
        more for each of them in turn would keep the last one waiting for minutes."""
        for waiter in entry.waiters:
            if waiter.wants_h2 and not waiter.future.done():
                waiter.future.set_exception(failure)
