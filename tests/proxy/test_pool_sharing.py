"""How the pool shares HTTP/2 connections, and what it learns of origins."""

import pytest

from int3rceptor.errors import ConnectError
from int3rceptor.proxy.upstream import alpn_memory
from tests.support.pool import A, B, PoolBench
from tests.support.streams import turns


async def test_a_shared_connection_is_shared(bench: PoolBench) -> None:
    first = await bench.get_h2()

    assert await bench.get_h2() is first
    assert bench.pool.open_connections == 1
    assert bench.pool.alpn_of(A) == "h2"
    assert bench.pool.alpn_of(B) is None


async def test_one_dial_serves_all_who_can_share(bench: PoolBench) -> None:
    tasks = [await bench.ask(wants_h2=True) for _ in range(5)]
    (dial,) = bench.dials
    assert dial.may_use_h2
    dial.h2()

    assert len({id(await task) for task in tasks}) == 1
    assert bench.pool.open_connections == 1


async def test_who_cannot_share_does_not_wait_for_it(bench: PoolBench) -> None:
    _ = await bench.ask(wants_h2=True)
    _ = await bench.ask(wants_h2=False)

    assert [dial.may_use_h2 for dial in bench.dials] == [True, False]


async def test_an_origin_without_h2_is_dialled_for_each(bench: PoolBench) -> None:
    tasks = [await bench.ask(wants_h2=True) for _ in range(3)]
    bench.dials.popleft().h1()
    await turns()
    assert [dial.may_use_h2 for dial in bench.dials] == [True, True]
    for dial in bench.dials:
        dial.h1()

    assert len({id(await task) for task in tasks}) == 3
    assert bench.pool.alpn_of(A) == "http/1.1"


async def test_an_origin_may_take_http2_up_at_any_time(bench: PoolBench) -> None:
    first = await bench.ask(wants_h2=True)
    bench.dials.popleft().h1()
    await first
    assert bench.pool.alpn_of(A) == "http/1.1"
    tasks = [await bench.ask(wants_h2=True) for _ in range(3)]
    bench.dials.popleft().h2()

    shared = await tasks[0]
    assert bench.pool.alpn_of(A) == "h2"
    assert await bench.get_h2() is shared


async def test_what_it_chose_is_forgotten_in_time(
    bench: PoolBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.get_h2()
    monkeypatch.setattr(alpn_memory, "ALPN_TRUST_S", 0.0)

    assert bench.pool.alpn_of(A) is None


async def test_those_who_wait_to_share_share_the_failure(bench: PoolBench) -> None:
    tasks = [await bench.ask(wants_h2=True) for _ in range(3)]
    bench.dials.popleft().fail(ConnectError("refused"))
    await turns()

    for task in tasks:
        with pytest.raises(ConnectError, match="refused"):
            await task
    assert not bench.dials
    assert bench.pool.open_connections == 0
    await bench.get_h2()


async def test_a_cancelled_dial_is_no_failure_of_others(bench: PoolBench) -> None:
    tasks = [await bench.ask(wants_h2=True) for _ in range(3)]
    tasks[0].cancel()
    await turns()
    assert len(bench.dials) == 2
    bench.dials[1].h2()

    assert await tasks[1] is await tasks[2]


async def test_a_full_connection_is_not_given_out(bench: PoolBench) -> None:
    first = await bench.get_h2()
    for _ in range(first.codec.peer_max_streams - 1):
        assert await bench.get_h2() is first

    assert await bench.get_h2() is not first


async def test_a_place_that_is_given_back_goes_to_who_waits(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    shared = await bench.get_h2()
    for _ in range(shared.codec.peer_max_streams - 1):
        await bench.get_h2()
    waiting = await bench.ask(wants_h2=True)
    assert not waiting.done()
    shared.unreserve()

    assert await waiting is shared


async def test_a_retired_connection_takes_nothing_new(bench: PoolBench) -> None:
    shared = await bench.get_h2()
    bench.pool.retire(shared)
    bench.pool.retire(shared)

    assert await bench.get_h2() is not shared
    assert bench.pool.open_connections == 2


async def test_a_shared_connection_that_ends_leaves(bench: PoolBench) -> None:
    shared = await bench.get_h2()
    await shared.stream.aclose()
    await turns(10)

    assert bench.pool.open_connections == 0
    assert await bench.get_h2() is not shared


async def test_an_origin_of_h2_alone_is_shared_by_all(bench: PoolBench) -> None:
    # Such an origin answers an offer of HTTP/1.1 with "no common ALPN"; the dialler
    # then offers both, and gives back HTTP/2 to who did not ask for it.
    task = await bench.ask(wants_h2=False)
    bench.dials.popleft().h2()
    first = await task
    second = await bench.ask(wants_h2=False)

    assert not bench.dials
    assert await second is first


async def test_an_idle_connection_of_the_wrong_kind_makes_room(
    bench: PoolBench,
) -> None:
    bench.limit(per_origin=1)
    bench.pool.release(await bench.get_h1())
    _ = await bench.ask(wants_h2=True)

    assert [dial.may_use_h2 for dial in bench.dials] == [True]


async def test_an_origin_may_evict_its_own_last_connection(bench: PoolBench) -> None:
    bench.limit(overall=1)
    bench.pool.release(await bench.get_h1())
    first = await bench.get_h2()
    assert bench.pool.open_connections == 1

    assert await bench.get_h2() is first


async def test_who_stood_behind_a_waiter_that_left_is_served(bench: PoolBench) -> None:
    bench.limit(per_origin=1)
    shared = await bench.get_h2()
    ahead = await bench.ask(wants_h2=False)
    behind = await bench.ask(wants_h2=True)
    ahead.cancel()
    await turns()

    assert behind.done()
    assert await behind is shared
