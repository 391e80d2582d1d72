import asyncio

import pytest

from int3rceptor.errors import ConnectError, PoolExhausted
from int3rceptor.proxy.upstream import pool as pool_module
from int3rceptor.proxy.upstream.h1_client import H1Origin
from tests.support.pool import A, B, C, PoolBench
from tests.support.streams import turns

# --- reuse ----------------------------------------------------------------------------


async def test_a_connection_is_reused(bench: PoolBench) -> None:
    first = await bench.get_h1()
    was_reused = first.is_reused
    bench.pool.release(first)

    assert await bench.get_h1() is first
    assert (was_reused, first.is_reused) == (False, True)
    assert bench.pool.open_connections == 1


async def test_a_connection_that_is_taken_is_not_shared(bench: PoolBench) -> None:
    first = await bench.get_h1()
    second = await bench.get_h1()

    assert first is not second
    assert bench.pool.open_connections == 2


async def test_the_most_recently_used_comes_first(bench: PoolBench) -> None:
    one, two, three = [await bench.get_h1() for _ in range(3)]
    for connection in (two, three, one):
        bench.pool.release(connection)

    assert [await bench.get_h1() for _ in range(3)] == [one, three, two]


async def test_origins_are_apart(bench: PoolBench) -> None:
    bench.pool.release(await bench.get_h1(A))
    await bench.get_h1(A._replace(sni="other"))
    await bench.get_h1(A._replace(scheme="http"))
    await bench.get_h1(B)

    assert bench.pool.open_connections == 4


@pytest.mark.parametrize("what", ["finished", "unasked bytes"])
async def test_a_connection_gone_stale_is_not_given_out(
    bench: PoolBench, what: str
) -> None:
    stale = await bench.get_h1()
    bench.pool.release(stale)
    stream = stale.stream
    if what == "finished":
        await stream.aclose()
    else:
        stream.unread(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    fresh = await bench.get_h1()
    await turns()

    assert fresh is not stale
    assert not stream.is_usable
    assert bench.pool.open_connections == 1


async def test_a_lost_idle_connection_leaves_by_itself(bench: PoolBench) -> None:
    lost = await bench.get_h1()
    bench.pool.release(lost)
    lost.close()

    assert bench.pool.open_connections == 0
    assert await bench.get_h1() is not lost


# --- limits and waiters ---------------------------------------------------------------


async def test_no_more_than_the_limit_per_origin(bench: PoolBench) -> None:
    bench.limit(per_origin=2)
    for _ in range(2):
        await bench.get_h1()
    waiting = await bench.ask()

    assert not waiting.done()
    assert not bench.dials
    await bench.get_h1(B)


async def test_waiters_are_served_in_order(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    waiters = [await bench.ask() for _ in range(4)]

    for at, waiter in enumerate(waiters):
        bench.pool.release(connection)
        await turns()
        assert [one.done() for one in waiters] == [i <= at for i in range(4)]
        assert await waiter is connection


async def test_nobody_overtakes_who_waits(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    first = await bench.ask()
    bench.pool.release(connection)
    # The waiter has been given it, but has not run yet.
    late = asyncio.create_task(bench.pool.acquire(A, wants_h2=False))

    assert await first is connection
    await turns()
    assert not late.done()
    bench.pool.release(connection)
    assert await late is connection


async def test_a_waiter_dials_when_a_connection_is_lost(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    waiting = await bench.ask()
    connection.close()
    await turns()
    bench.dials.popleft().h1()

    assert await waiting is not connection
    assert bench.pool.open_connections == 1


async def test_a_waiter_gives_up_in_time(bench: PoolBench) -> None:
    bench.limit(per_origin=1, wait_s=0.02)
    connection = await bench.get_h1()

    with pytest.raises(PoolExhausted, match=r"1 connections to a\.test"):
        await bench.pool.acquire(A, wants_h2=False)

    bench.pool.release(connection)
    assert await bench.get_h1() is connection


async def test_no_more_waiters_than_the_limit(
    bench: PoolBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITERS", 2)
    bench.limit(per_origin=1)
    await bench.get_h1()
    for _ in range(2):
        _ = await bench.ask()

    with pytest.raises(PoolExhausted, match="2 requests wait"):
        await bench.pool.acquire(A, wants_h2=False)


async def test_a_cancelled_waiter_leaves_the_line(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    first, second = await bench.ask(), await bench.ask()
    first.cancel()
    await turns()
    bench.pool.release(connection)

    assert await second is connection


async def test_a_waiter_cancelled_as_it_is_served_gives_back(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    first, second = await bench.ask(), await bench.ask()
    bench.pool.release(connection)
    first.cancel()

    assert await second is connection
    assert first.cancelled()


async def test_a_waiter_cancelled_as_it_may_dial_gives_back(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    connection = await bench.get_h1()
    first, second = await bench.ask(), await bench.ask()
    connection.close()
    first.cancel()
    await turns()
    bench.dials.popleft().h1()

    assert isinstance(await second, H1Origin)
    assert bench.pool.open_connections == 1


async def test_a_cancelled_dial_gives_its_place_back(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    dialling = await bench.ask()
    waiting = await bench.ask()
    dialling.cancel()
    await turns()
    assert len(bench.dials) == 2
    bench.dials[1].h1()

    assert isinstance(await waiting, H1Origin)
    assert bench.pool.open_connections == 1


async def test_a_failed_dial_gives_its_place_back(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    dialling = await bench.ask()
    waiting = await bench.ask()
    bench.dials.popleft().fail()
    with pytest.raises(ConnectError):
        await dialling
    await turns()
    bench.dials.popleft().h1()

    assert isinstance(await waiting, H1Origin)
    assert bench.pool.open_connections == 1


# --- overall --------------------------------------------------------------------------


async def test_no_more_than_the_limit_overall(bench: PoolBench) -> None:
    bench.limit(overall=2)
    await bench.get_h1(A)
    await bench.get_h1(B)
    waiting = await bench.ask(C)

    assert not waiting.done()
    assert not bench.dials


async def test_the_longest_idle_makes_room(bench: PoolBench) -> None:
    bench.limit(overall=2)
    old, young = await bench.get_h1(A), await bench.get_h1(B)
    bench.pool.release(old)
    await asyncio.sleep(0.01)
    bench.pool.release(young)
    await bench.get_h1(C)

    assert not old.stream.is_usable
    assert young.stream.is_usable
    assert bench.pool.open_connections == 2


async def test_who_waits_for_room_hears_of_a_lost_connection(bench: PoolBench) -> None:
    bench.limit(overall=1)
    taken = await bench.get_h1(A)
    waiting = await bench.ask(B)
    taken.close()
    await turns()
    bench.dials.popleft().h1()

    assert (await waiting).origin == B


async def test_who_waits_for_room_hears_of_an_idle_connection(
    bench: PoolBench,
) -> None:
    bench.limit(overall=1)
    taken = await bench.get_h1(A)
    _ = await bench.ask(B)
    bench.pool.release(taken)
    await turns()

    assert [dial.origin for dial in bench.dials] == [B]


async def test_who_waits_for_room_hears_of_an_idle_shared_connection(
    bench: PoolBench,
) -> None:
    bench.limit(overall=1)
    taken = await bench.get_h2(A)
    _ = await bench.ask(B)
    taken.unreserve()
    await turns()

    assert [dial.origin for dial in bench.dials] == [B]


# --- owners ---------------------------------------------------------------------------


async def test_a_bound_connection_serves_its_owner_alone(bench: PoolBench) -> None:
    owner, other = object(), object()
    bound = await bench.get_h1(owner=owner)
    bound.bind(owner)
    bench.pool.release(bound)

    assert await bench.get_h1(owner=other) is not bound
    assert await bench.get_h1() is not bound
    assert await bench.get_h1(owner=owner) is bound


async def test_a_bound_connection_ends_with_its_owner(bench: PoolBench) -> None:
    owner = object()
    bound, free = await bench.get_h1(owner=owner), await bench.get_h1(owner=owner)
    bound.bind(owner)
    bench.pool.release(bound)
    bench.pool.release(free)
    bench.pool.drop_owner(owner)

    assert not bound.stream.is_usable
    assert free.stream.is_usable
    assert bench.pool.open_connections == 1


async def test_a_connection_bound_to_another_makes_room(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    owner, other = object(), object()
    bound = await bench.get_h1(owner=owner)
    bound.bind(owner)
    bench.pool.release(bound)
    _ = await bench.ask(owner=other)

    assert len(bench.dials) == 1


# --- ending ---------------------------------------------------------------------------


async def test_what_is_idle_for_too_long_is_closed(bench: PoolBench) -> None:
    bench.limit(idle_expiry_s=1000)
    old, taken = await bench.get_h1(), await bench.get_h1()
    shared = await bench.get_h2(B)
    busy = await bench.get_h2(C)
    bench.pool.release(old)
    shared.unreserve()
    bench.pool.expire()
    assert old.stream.is_usable
    for one in (old, taken, shared, busy):
        one.idle_since -= 1001  # so much time passes
    young = await bench.get_h1()  # takes old
    assert young is old
    bench.pool.release(young)
    bench.pool.expire()

    assert young.stream.is_usable
    assert not shared.stream.is_usable
    assert taken.stream.is_usable
    assert busy.stream.is_usable


async def test_what_the_peer_has_ended_is_closed(bench: PoolBench) -> None:
    ended = await bench.get_h1()
    bench.pool.release(ended)
    await ended.stream.aclose()
    bench.pool.expire()

    assert bench.pool.open_connections == 0


async def test_aclose_closes_what_is_listed(bench: PoolBench) -> None:
    idle = await bench.get_h1(A)
    bench.pool.release(idle)
    shared = await bench.get_h2(B)
    await bench.pool.aclose()

    assert not idle.stream.is_usable
    assert not shared.stream.is_usable
    assert bench.pool.open_connections == 0
