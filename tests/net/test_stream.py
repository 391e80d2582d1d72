"""What every ByteStream promises, asked of each of them, on each event loop."""

import asyncio
import contextlib
import random

import pytest

from int3rceptor.errors import StreamError, StreamLost, StreamTimeout
from int3rceptor.net import transport
from int3rceptor.net.stream import MAX_UNREAD_BYTES
from tests.support.patience import PATIENT_S
from tests.support.streams import (
    Pair,
    eventually,
    go_on_reading,
    read_exactly,
    stop_reading,
    stuck,
    turns,
)

SOON_S = 0.05
MUCH = 8 * 1024 * 1024


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def fill(pair: Pair) -> None:
    """Write until the peer, who reads nothing, has no room left."""
    stop_reading(pair.theirs)
    while pair.ours.has_room:
        pair.ours.write(bytes(65536))
        await turns(1)


async def test_bytes_arrive_in_order_both_ways(pair: Pair) -> None:
    data = some_bytes(1_000_000)

    async def send_ours() -> None:
        for start in range(0, len(data), 70_000):
            pair.ours.write(data[start : start + 70_000])
            await pair.ours.drain(PATIENT_S)

    async with asyncio.TaskGroup() as group:
        group.create_task(send_ours())
        group.create_task(pair.theirs.send(data))
        down = group.create_task(pair.theirs.read_exactly(len(data)))
        up = group.create_task(read_exactly(pair.ours, len(data)))

    assert down.result() == data
    assert up.result() == data


async def test_a_list_is_written_as_one(pair: Pair) -> None:
    pair.ours.write([b"one ", b"", b"two ", b"three"])

    assert await pair.theirs.read_exactly(13) == b"one two three"


async def test_writing_nothing_sends_nothing(pair: Pair) -> None:
    pair.ours.write(b"")
    pair.ours.write([])
    pair.ours.write([b""])
    pair.ours.write(b"x")

    assert await pair.theirs.read_exactly(1) == b"x"


async def test_drain_returns_at_once_while_there_is_room(pair: Pair) -> None:
    pair.ours.write(b"x")

    assert pair.ours.has_room
    await pair.ours.drain(0.0)


async def test_read_is_empty_once_the_peer_has_finished(pair: Pair) -> None:
    await pair.theirs.send(b"last words")
    await pair.theirs.aclose()

    assert await read_exactly(pair.ours, 10) == b"last words"
    assert await pair.ours.read(PATIENT_S) == b""
    assert await pair.ours.read(PATIENT_S) == b""
    assert not pair.ours.is_usable


async def test_read_ends_while_it_waits_when_the_peer_finishes(pair: Pair) -> None:
    reading = asyncio.create_task(pair.ours.read(PATIENT_S))
    await turns()
    await pair.theirs.aclose()

    assert await reading == b""


async def test_read_gives_up_at_its_deadline_and_can_be_tried_again(pair: Pair) -> None:
    with pytest.raises(StreamTimeout):
        await pair.ours.read(SOON_S)
    with pytest.raises(StreamTimeout):
        await pair.ours.read(0.0)

    await pair.theirs.send(b"late")

    assert await pair.ours.read(PATIENT_S) == b"late"
    assert pair.ours.is_usable


async def test_a_long_deadline_after_a_short_one_is_kept(pair: Pair) -> None:
    with pytest.raises(StreamTimeout):
        await pair.ours.read(SOON_S)

    assert await stuck(pair.ours.read(PATIENT_S))


async def test_a_short_deadline_after_a_long_one_is_kept(pair: Pair) -> None:
    await pair.theirs.send(b"x")
    await pair.ours.read(3600.0)

    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(StreamTimeout):
            await pair.ours.read(SOON_S)


async def test_a_cancelled_read_loses_nothing(pair: Pair) -> None:
    reading = asyncio.create_task(pair.ours.read(PATIENT_S))
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    await pair.theirs.send(b"kept")

    assert await pair.ours.read(PATIENT_S) == b"kept"


async def test_a_read_cancelled_as_bytes_come_loses_nothing(pair: Pair) -> None:
    dice = random.Random(1)
    for _ in range(20):
        reading = asyncio.create_task(pair.ours.read(PATIENT_S))
        await turns(2)
        await pair.theirs.send(b"kept")
        await turns(dice.randrange(4))
        reading.cancel()
        await asyncio.wait([reading])
        got = b"" if reading.cancelled() else reading.result()

        assert got + await read_exactly(pair.ours, 4 - len(got)) == b"kept"


async def test_only_one_may_read_at_a_time(pair: Pair) -> None:
    reading = asyncio.create_task(pair.ours.read(PATIENT_S))
    await turns()

    with pytest.raises(RuntimeError, match="second"):
        await pair.ours.read(PATIENT_S)

    await pair.theirs.send(b"for the first")
    assert await reading == b"for the first"


async def test_what_is_put_back_is_read_first(pair: Pair) -> None:
    await pair.theirs.send(b"abc")
    assert await read_exactly(pair.ours, 3) == b"abc"

    pair.ours.unread(b"bc")
    pair.ours.unread(b"a")
    pair.ours.unread(b"")
    assert pair.ours.has_unread
    await pair.theirs.send(b"d")

    assert await read_exactly(pair.ours, 4) == b"abcd"
    assert not pair.ours.has_unread


async def test_what_is_put_back_survives_the_end(pair: Pair) -> None:
    await pair.theirs.aclose()
    assert await pair.ours.read(PATIENT_S) == b""

    pair.ours.unread(b"kept")

    assert await pair.ours.read(PATIENT_S) == b"kept"
    assert await pair.ours.read(PATIENT_S) == b""


async def test_has_unread_tells_of_all_that_waits(pair: Pair) -> None:
    await pair.theirs.send(some_bytes(40_000))
    first = await pair.ours.read(PATIENT_S)
    seen = len(first)
    while seen < 40_000:
        await eventually(lambda: pair.ours.has_unread)
        seen += len(await pair.ours.read(PATIENT_S))

    assert not pair.ours.has_unread


async def test_a_peer_that_is_not_read_has_to_stop(pair: Pair) -> None:
    data = some_bytes(MUCH)
    pair.theirs.writer.write(data)
    # Time for all of it to come, if nobody stopped it.
    await stuck(asyncio.Event().wait())

    first = await pair.ours.read(PATIENT_S)
    rest = await read_exactly(pair.ours, MUCH - len(first))

    assert len(first) <= 2 * MAX_UNREAD_BYTES + 65536
    assert first + rest == data


async def test_drain_waits_for_a_peer_that_does_not_read(pair: Pair) -> None:
    await fill(pair)
    with pytest.raises(StreamTimeout):
        await pair.ours.drain(SOON_S)

    draining = asyncio.create_task(pair.ours.drain(PATIENT_S))
    await turns()
    go_on_reading(pair.theirs)
    while not draining.done():
        await pair.theirs.read()

    await draining
    assert pair.ours.has_room


async def test_drain_ends_when_the_peer_is_gone(pair: Pair) -> None:
    await fill(pair)
    draining = asyncio.create_task(pair.ours.drain(PATIENT_S))
    await turns()
    pair.theirs.reset()

    with pytest.raises(StreamLost):
        await draining
    with pytest.raises(StreamLost):
        await pair.ours.drain(PATIENT_S)


async def test_a_reset_ends_a_read_and_is_told_once(pair: Pair) -> None:
    told: list[str] = []
    pair.ours.when_lost(lambda: told.append("lost"))
    reading = asyncio.create_task(pair.ours.read(PATIENT_S))
    await turns()
    pair.theirs.reset()

    with pytest.raises(StreamLost):
        await reading
    await eventually(lambda: bool(told))
    await turns()

    assert told == ["lost"]
    assert not pair.ours.is_usable
    with pytest.raises(StreamLost):
        await pair.ours.read(PATIENT_S)


async def test_whoever_took_the_callback_back_is_not_told(pair: Pair) -> None:
    told: list[str] = []
    pair.ours.when_lost(lambda: told.append("lost"))
    pair.ours.when_lost(None)
    pair.theirs.reset()
    with pytest.raises(StreamLost):
        await pair.ours.read(PATIENT_S)
    await turns()

    assert told == []


async def test_writing_to_a_peer_that_is_gone_is_harmless(pair: Pair) -> None:
    pair.theirs.reset()
    with pytest.raises(StreamLost):
        await pair.ours.read(PATIENT_S)

    for _ in range(10):
        pair.ours.write(b"x" * 1000)
        pair.ours.write([b"x", b"y"])
        await turns(1)
    with pytest.raises(StreamLost):
        await pair.ours.drain(PATIENT_S)
    await pair.ours.aclose()


async def test_aclose_sends_what_was_written(pair: Pair) -> None:
    data = some_bytes(200_000)
    reading = asyncio.create_task(pair.theirs.read_to_end())
    pair.ours.write(data)
    await pair.ours.aclose()

    assert await reading == data
    assert not pair.ours.is_usable


async def test_aclose_does_not_wait_for_ever(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CLOSE_GRACE_S", SOON_S)
    await fill(pair)

    assert not await stuck(pair.ours.aclose(), 3.0)
    assert not pair.ours.is_usable


async def test_aclose_twice_and_at_once_is_harmless(pair: Pair) -> None:
    await asyncio.gather(pair.ours.aclose(), pair.ours.aclose())
    await pair.ours.aclose()
    pair.ours.abort()

    assert not pair.ours.is_usable


async def test_our_own_close_is_not_told(pair: Pair) -> None:
    told: list[str] = []
    pair.ours.when_lost(lambda: told.append("lost"))
    await pair.ours.aclose()
    await turns()

    assert told == []


async def test_abort_takes_effect_at_once(pair: Pair) -> None:
    told: list[str] = []
    pair.ours.when_lost(lambda: told.append("lost"))
    pair.ours.abort()

    assert not pair.ours.is_usable
    pair.ours.write(b"into the void")
    pair.ours.write([b"into ", b"the void"])
    assert not pair.ours.send_eof()
    pair.ours.abort()
    await pair.ours.aclose()
    with pytest.raises(StreamLost):
        await pair.ours.drain(PATIENT_S)
    await turns()

    assert told == []
    assert await pair.theirs.read_to_end() == b""


async def test_abort_is_no_clean_end_of_the_peers_bytes(pair: Pair) -> None:
    # b"" would tell the reader of a close-delimited body that it has all of it.
    reading = asyncio.create_task(pair.ours.read(PATIENT_S))
    await turns()
    pair.ours.abort()

    with pytest.raises(StreamLost):
        await reading
    with pytest.raises(StreamLost):
        await pair.ours.read(PATIENT_S)


async def test_reset_is_no_clean_end_for_the_peer(pair: Pair) -> None:
    pair.ours.write(b"half")
    await pair.theirs.read_exactly(4)
    pair.ours.reset()
    pair.ours.reset()

    with pytest.raises(ConnectionResetError):
        await pair.theirs.read()
    assert not pair.ours.is_usable


async def test_writes_after_our_end_go_nowhere(pair: Pair) -> None:
    pair.ours.write(b"all")
    if not pair.ours.send_eof():
        pytest.skip("this stream cannot half-close")
    pair.ours.write(b"more")
    pair.ours.write([b"and", b"more"])

    assert await pair.theirs.read_to_end() == b"all"


async def test_it_knows_its_peer(pair: Pair) -> None:
    assert pair.ours.peer == pair.theirs.writer.get_extra_info("sockname")


async def test_it_shows_its_tls_session(pair: Pair) -> None:
    session = pair.ours.ssl_object

    assert (session is None) == (pair.kind == "tcp")
    assert session is None or session.version() == "TLSv1.3"


async def test_errors_are_of_one_family() -> None:
    assert issubclass(StreamLost, StreamError)
    assert issubclass(StreamTimeout, StreamError)


# --- corked ---------------------------------------------------------------------------


async def test_a_corked_stream_holds_what_is_written(pair: Pair) -> None:
    ours = pair.ours
    ours.write(b"zero ")
    assert ours.cork(ours.uncork)
    assert not ours.cork(ours.uncork)
    ours.write(b"one ")
    ours.write([b"two ", b"three "])
    assert await pair.theirs.read_exactly(5) == b"zero "
    assert await stuck(pair.theirs.read_exactly(1), SOON_S)

    ours.uncork()
    ours.write(b"four")

    assert await pair.theirs.read_exactly(18) == b"one two three four"


async def test_reading_goes_on_while_a_stream_is_corked(pair: Pair) -> None:
    pair.ours.cork(pair.ours.uncork)
    await pair.theirs.send(b"asked")

    assert await read_exactly(pair.ours, 5) == b"asked"


async def test_too_much_is_not_held(pair: Pair) -> None:
    data = some_bytes(transport.MAX_HELD_BYTES + 1)
    pair.ours.cork(pair.ours.uncork)
    pair.ours.write(data[:-1])
    pair.ours.write(data[-1:])

    assert await pair.theirs.read_exactly(len(data)) == data


async def test_what_is_held_comes_before_the_end(pair: Pair) -> None:
    pair.ours.cork(pair.ours.uncork)
    pair.ours.write(b"last words")
    reading = asyncio.create_task(pair.theirs.read_to_end())
    await pair.ours.aclose()

    assert await reading == b"last words"


async def test_what_is_held_is_dropped_by_an_abort(pair: Pair) -> None:
    hurried: list[None] = []
    pair.ours.cork(lambda: hurried.append(None))
    pair.ours.write(b"held")
    pair.ours.abort()
    pair.ours.uncork()
    await turns()

    with contextlib.suppress(OSError):
        assert await pair.theirs.read_to_end() == b""
    assert not hurried
