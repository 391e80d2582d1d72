"""The pool in any order of events: nothing lost, shared wrongly, waited for in vain.

Each step does one thing to the pool; then the loop runs, or the next step comes first.
The clock stands still unless a step moves it. A seed tells the whole story.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass

import pytest

from int3rceptor.errors import ConnectError, OriginClosed, PoolExhausted
from int3rceptor.proxy.upstream.answer import Origin
from int3rceptor.proxy.upstream.h1_client import H1Origin
from int3rceptor.proxy.upstream.h2_client import H2Origin
from int3rceptor.proxy.upstream.pool import Connection, Pool, PoolLimits
from tests.support import frames
from tests.support.fake_stream import FakeStream
from tests.support.pool import A, B, C, Deadlines
from tests.support.streams import turns

LIMITS = PoolLimits(per_origin=2, overall=4, idle_expiry_s=100.0, wait_s=50.0)
MAX_STREAMS = 2
MAX_CONCURRENT_STREAMS = 3  # RFC 9113, 6.5.2
OWNERS = 2

SEEDS, POOLS, STEPS = 6, 40, 100


class StoppedClock(asyncio.SelectorEventLoop):
    """Timers fire when the test says so."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class Owner:
    """A client connection."""


@dataclass(eq=False)
class Dial:
    """A dial under way."""

    origin: Origin
    may_use_h2: bool
    outcome: asyncio.Future[str]


@dataclass(eq=False)
class Ask:
    """One `acquire`, from its call to its end."""

    number: int
    origin: Origin
    wants_h2: bool
    owner: Owner | None
    asked_at: float = 0.0
    dial: Dial | None = None

    def is_like(self, other: "Ask") -> bool:
        """Whether whatever serves one serves the other."""
        ours = (self.origin, self.wants_h2, self.owner)
        return ours == (other.origin, other.wants_h2, other.owner)


@dataclass(eq=False)
class Hold:
    """A connection, or a place on a shared one, that was handed out."""

    connection: Connection
    ask: Ask


def owner_of(connection: Connection) -> object | None:
    """Whose it is alone; HTTP/2 connections are shared."""
    return connection.owner if isinstance(connection, H1Origin) else None


class PoolMachine:
    """A pool, what its callers hold of it, and what they may expect."""

    def __init__(self, loop: StoppedClock, chance: random.Random) -> None:
        self.loop = loop
        self.chance = chance
        self.log: list[str] = []
        self.pool = Pool(self.loop, self._dial, LIMITS)
        self.asks: dict[asyncio.Task[None], Ask] = {}
        self.dials: list[Dial] = []
        self.connections: list[Connection] = []
        self.holds: list[Hold] = []
        self.served: list[Ask] = []
        self.owners = [Owner() for _ in range(OWNERS)]
        self.gone: list[Owner] = []
        self.h2_only: set[Origin] = set()
        # Once known for HTTP/1.1, an origin is dialled for each, and may choose anew.
        self.chose_h1: set[Origin] = set()
        self.broken: list[str] = []
        self.is_settled = True
        self.count = 0

    # What the pool sees of the world

    async def _dial(self, origin: Origin, may_use_h2: bool) -> Connection:
        task = asyncio.current_task()
        dial = Dial(origin, may_use_h2, self.loop.create_future())
        for asking, ask in self.asks.items():
            if asking is task:
                ask.dial = dial
        self.dials.append(dial)
        try:
            outcome = await dial.outcome
        finally:
            self.dials.remove(dial)
        made: Connection
        if outcome == "h1" or not (may_use_h2 or origin == C):
            made = H1Origin(origin, FakeStream(), None, self.pool, Deadlines())
            self.chose_h1.add(origin)
        else:
            idle = Deadlines(idle_timeout_s=10_000.0)
            made = H2Origin(origin, FakeStream(), None, self.pool, idle)
            made.codec.receive(frames.settings({MAX_CONCURRENT_STREAMS: MAX_STREAMS}))
            if not may_use_h2:
                self.h2_only.add(origin)
            if outcome == "dead h2":
                made.stream.abort()
        self.connections.append(made)
        return made

    async def _acquire(self, ask: Ask) -> None:
        ask.asked_at = self.loop.time()
        try:
            connection = await self.pool.acquire(
                ask.origin, wants_h2=ask.wants_h2, owner=ask.owner
            )
        except PoolExhausted:
            if self.loop.time() - ask.asked_at < LIMITS.wait_s:
                self.broken.append("a waiter was refused before its time")
            return
        except (ConnectError, OriginClosed):
            return
        self._judge(connection, ask)
        self.holds.append(Hold(connection, ask))
        self.served.append(ask)

    def _judge(self, connection: Connection, ask: Ask) -> None:
        if connection.origin != ask.origin:
            self.broken.append("a connection to another origin")
        if owner_of(connection) not in (None, ask.owner):
            self.broken.append("a connection of another owner")
        if isinstance(connection, H1Origin) and self._held(connection):
            self.broken.append("a connection was handed out twice")
        if self._held(connection) >= MAX_STREAMS:
            self.broken.append("more exchanges than the origin allows")

    # What there is

    def _held(self, connection: Connection) -> int:
        return sum(hold.connection is connection for hold in self.holds)

    def _existing(self) -> list[Connection]:
        def exists(connection: Connection) -> bool:
            assert isinstance(connection.stream, FakeStream)
            return not connection.stream.is_aborted

        return [one for one in self.connections if exists(one)]

    def _waiting(self) -> list[Ask]:
        return [ask for ask in self.asks.values() if ask.dial is None]

    def _settle(self, settles: bool) -> None:
        self.is_settled = settles
        if settles:
            self.loop.run_until_complete(turns(12))
            for task in [one for one in self.asks if one.done()]:
                del self.asks[task]
                if not task.cancelled():
                    task.result()

    # What happens

    def step(self) -> None:
        """One thing; most often what a proxy does all day."""
        does = self.chance.choices(
            (self._ask, self._end_dial, self._release, self._disturb), (4, 4, 4, 3)
        )
        self.log.append(does[0]())
        self._settle(self.chance.random() < 0.6)
        self._check()

    def _ask(self) -> str:
        self.count += 1
        origin = self.chance.choice((A, A, A, B, C))
        owner = self.chance.choice((None, *self.owners))
        ask = Ask(self.count, origin, self.chance.random() < 0.4, owner)
        self.asks[self.loop.create_task(self._acquire(ask))] = ask
        return f"ask {ask.number}: {origin.host} h2={ask.wants_h2}"

    def _end_dial(self) -> str:
        dials = [dial for dial in self.dials if not dial.outcome.done()]
        if not dials:
            return self._ask()
        dial = self.chance.choice(dials)
        outcome = self.chance.choice(("h1", "h2") * 4 + ("dead h2", "failed"))
        if outcome == "failed":
            dial.outcome.set_exception(ConnectError("nothing listens"))
        else:
            dial.outcome.set_result(outcome)
        return f"dial of {dial.origin.host}: {outcome}"

    def _release(self) -> str:
        if not self.holds:
            return self._ask()
        hold = self.holds.pop(self.chance.randrange(len(self.holds)))
        connection = hold.connection
        if isinstance(connection, H2Origin):
            connection.unreserve()
        elif connection in self._existing():
            if self.chance.random() < 0.5:
                connection.bind(hold.ask.owner)
            self.pool.release(connection)
        return f"release what {hold.ask.number} held: {connection.origin.host}"

    def _disturb(self) -> str:
        what = self.chance.choice(
            ("break", "break", "expire", "give up", "give up", "time", "client leaves")
        )
        match what:
            case "break":
                return self._break()
            case "expire":
                self._expire()
            case "give up" if self.asks:
                self.chance.choice(list(self.asks)).cancel()
            case "time":
                self._settle(True)
                self.loop.now += self.chance.choice((1.0, 20.0, 20.0, 60.0, 150.0))
                self._settle(True)
            case "client leaves":
                self._leave(self.chance.randrange(OWNERS))
        return what

    def _break(self) -> str:
        existing = self._existing()
        if not existing:
            return self._ask()
        connection = self.chance.choice(existing)
        how = self.chance.choice(("lost", "finished", "said something"))
        stream = connection.stream
        assert isinstance(stream, FakeStream)
        if how == "lost":
            stream.lose()
        elif how == "finished":
            stream.finish()
        elif isinstance(connection, H2Origin):
            stream.arrive(frames.goaway(0))
        else:
            stream.arrive(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        return f"{connection.origin.host}: {how}"

    def _expire(self) -> None:
        self._settle(True)
        limit = self.loop.time() - LIMITS.idle_expiry_s
        idle = [one for one in self._existing() if not self._held(one)]
        kept = [one for one in idle if one.is_usable and one.idle_since >= limit]
        self.pool.expire()
        existing = self._existing()
        assert [one for one in idle if one in existing] == kept
        # All that was known of the others is forgotten.
        busy = {one.origin for one in existing}
        self.h2_only &= busy | {ask.origin for ask in self.asks.values()}

    def _leave(self, owner: int) -> None:
        leaving, self.owners[owner] = self.owners[owner], Owner()
        for task, ask in self.asks.items():
            if ask.owner is leaving:
                task.cancel()
        self._settle(True)
        for hold in [one for one in self.holds if one.ask.owner is leaving]:
            self.holds.remove(hold)
            self._close(hold.connection)
        self.pool.drop_owner(leaving)
        self.gone.append(leaving)

    def _close(self, connection: Connection) -> None:
        """What an exchange that is given up does."""
        if isinstance(connection, H2Origin):
            connection.unreserve()
        else:
            connection.close()

    # What holds always

    def _check(self) -> None:
        self._nothing_was_handed_out_wrongly()
        self._the_limits_hold()
        self._what_was_bound_ends_with_its_owner()
        if self.is_settled:
            self._what_is_counted_is_what_exists()
            self._nobody_was_overtaken()
            self._nobody_waits_while_there_is_room()

    def _nothing_was_handed_out_wrongly(self) -> None:
        assert not self.broken

    def _the_limits_hold(self) -> None:
        places = [one.origin for one in self._existing()]
        places += [dial.origin for dial in self.dials]
        assert len(places) <= LIMITS.overall
        assert max(map(places.count, places), default=0) <= LIMITS.per_origin
        assert len(places) <= self.pool.open_connections <= LIMITS.overall
        shared = [one.origin for one in self.dials if one.may_use_h2]
        many = {C, *self.chose_h1}
        assert all(shared.count(one) == 1 for one in shared if one not in many)

    def _what_was_bound_ends_with_its_owner(self) -> None:
        assert not any(owner_of(one) in self.gone for one in self._existing())

    # What holds when all that could run has run

    def _what_is_counted_is_what_exists(self) -> None:
        assert self.pool.open_connections == len(self._existing()) + len(self.dials)

    def _nobody_was_overtaken(self) -> None:
        for ask in self.served:
            for other in self._waiting():
                assert not (other.number < ask.number and other.is_like(ask))
        self.served.clear()

    def _nobody_waits_while_there_is_room(self) -> None:
        first: dict[Origin, Ask] = {}
        for ask in self._waiting():
            first.setdefault(ask.origin, ask)
        for ask in first.values():
            assert not self._could_be_served(ask), ask
            assert self.loop.time() - ask.asked_at < LIMITS.wait_s

    def _could_be_served(self, ask: Ask) -> bool:
        ours = [one for one in self._existing() if one.origin == ask.origin]
        dials = [dial for dial in self.dials if dial.origin == ask.origin]
        chose_h1 = self.pool.alpn_of(ask.origin) == "http/1.1"
        if ask.origin in self.h2_only or (ask.wants_h2 and not chose_h1):
            shared = [one for one in ours if isinstance(one, H2Origin)]
            if any(one.is_usable and self._held(one) < MAX_STREAMS for one in shared):
                return True
            if any(dial.may_use_h2 for dial in dials):
                return False
        elif any(self._serves(one, ask) for one in ours):
            return True
        is_full = len(ours) + len(dials) >= LIMITS.per_origin
        if is_full and all(map(self._held, ours)):
            return False
        return self.pool.open_connections < LIMITS.overall or not all(
            map(self._held, self._existing())
        )

    def _serves(self, connection: Connection, ask: Ask) -> bool:
        is_free = isinstance(connection, H1Origin) and not self._held(connection)
        is_ours = owner_of(connection) in (None, ask.owner)
        return is_free and is_ours and connection.is_usable

    # How it ends

    def end(self) -> None:
        """All leave, and the pool is closed."""
        for task in self.asks:
            task.cancel()
        self._settle(True)
        assert not self.asks
        assert not self.dials
        for hold in self.holds:
            self._close(hold.connection)
        self.holds.clear()
        self.loop.run_until_complete(self.pool.aclose())
        self._settle(True)
        assert self.pool.open_connections == 0
        assert not self._existing()
        for one in self.connections:
            if isinstance(one, H2Origin):
                self.loop.run_until_complete(one.ended_tasks())
        assert not asyncio.all_tasks(self.loop)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_pool_in_any_order_of_events(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(POOLS):
        with contextlib.closing(StoppedClock()) as loop:
            machine = PoolMachine(loop, chance)
            try:
                for _ in range(STEPS):
                    machine.step()
                machine.end()
            except AssertionError as error:
                error.add_note("\n".join(machine.log))
                raise
