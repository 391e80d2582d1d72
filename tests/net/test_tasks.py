import asyncio
import logging
from collections.abc import Coroutine

import pytest

from int3rceptor.net import tasks
from int3rceptor.net.tasks import Tasks, first_of
from tests.support.streams import turns


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def give(what: str, after: int = 0) -> str:
    await turns(after)
    return what


async def fail(message: str) -> None:
    raise RuntimeError(message)


async def test_tasks_are_named_after_their_owner() -> None:
    owner = Tasks("client 7")
    task = owner.spawn(asyncio.sleep(0), "reader")

    assert task.get_name() == "client 7/reader"
    await task


async def test_what_the_program_makes_of_tasks_is_not_for_ours() -> None:
    """An eager one (asyncio.eager_task_factory) would begin before it is known."""

    def refuse(
        loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, None], **_: str
    ) -> asyncio.Future[None]:
        work.close()
        raise AssertionError("made by the factory")

    asyncio.get_running_loop().set_task_factory(refuse)
    owner = Tasks("owner")
    owner.start(asyncio.sleep(0), "nap")
    asyncio.get_running_loop().set_task_factory(None)
    assert len(owner) == 1
    assert await owner.wait(5)


async def test_an_ended_task_is_forgotten() -> None:
    owner = Tasks("owner")
    owner.start(asyncio.sleep(0), "nap")
    assert len(owner) == 1

    assert await owner.wait(5)
    assert len(owner) == 0


async def test_wait_says_whether_all_have_ended() -> None:
    owner, ended = Tasks("owner"), list[str]()
    owner.start(forever(ended), "work")

    assert not await owner.wait(0.01)
    assert await Tasks("idle").wait(0.0)
    assert ended == []
    await owner.close()


async def test_close_cancels_and_waits_for_the_clean_up() -> None:
    owner, ended = Tasks("owner"), list[str]()
    for number in range(3):
        owner.start(forever(ended), str(number))
    await turns()
    await owner.close()

    assert ended == ["ended"] * 3
    assert len(owner) == 0
    await owner.close()


async def test_cancel_does_not_wait() -> None:
    owner, ended = Tasks("owner"), list[str]()
    owner.start(forever(ended), "work")
    await turns()
    owner.cancel()

    assert ended == []
    assert await owner.wait(5)
    assert ended == ["ended"]


async def test_a_task_may_close_its_own_owner() -> None:
    owner, ended = Tasks("owner"), list[str]()

    async def close() -> None:
        await owner.close()
        ended.append("closed")

    owner.start(forever(ended), "other")
    await turns()
    task = owner.spawn(close(), "self")
    await task

    assert ended == ["ended", "closed"]


async def test_an_escaped_exception_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = Tasks("owner")
    owner.start(fail("surprise"), "work")
    await owner.wait(5)
    await turns()

    (record,) = caplog.records
    assert record.getMessage() == "internal error in owner/work"
    assert record.exc_info is not None
    assert "surprise" in str(record.exc_info[1])


async def test_a_cancelled_task_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    owner = Tasks("owner")
    owner.start(forever([]), "work")
    await turns()
    await owner.close()

    assert caplog.records == []


async def test_a_spawned_tasks_exception_is_its_owners_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = Tasks("owner").spawn(fail("mine"), "work")

    with pytest.raises(RuntimeError, match="mine"):
        await task
    assert caplog.records == []


async def test_a_task_that_does_not_end_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "CANCEL_GRACE_S", 0.02)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    owner = Tasks("owner")
    owner.start(stubborn(), "work")
    await turns()
    with caplog.at_level(logging.ERROR):
        await owner.close()

    assert [one.getMessage() for one in caplog.records] == [
        "task owner/work does not end"
    ]
    release.set()
    assert await owner.wait(5)


async def test_first_of_gives_what_ends_first() -> None:
    ended = list[str]()
    assert await first_of(give("a"), forever(ended)) == "a"
    assert await first_of(forever(ended), give("b")) == "b"
    assert ended == ["ended", "ended"]


async def test_first_of_prefers_the_second_when_both_have_ended() -> None:
    assert await first_of(give("a"), give("b")) == "b"


async def test_first_of_raises_what_ends_first() -> None:
    ended = list[str]()
    with pytest.raises(RuntimeError, match="first"):
        await first_of(fail("first"), forever(ended))
    with pytest.raises(RuntimeError, match="second"):
        await first_of(forever(ended), fail("second"))
    assert ended == ["ended", "ended"]


async def test_first_of_cancelled_cancels_both() -> None:
    ended = list[str]()
    task = asyncio.create_task(first_of(forever(ended), forever(ended)))
    await turns()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert ended == ["ended", "ended"]
