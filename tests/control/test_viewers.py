import asyncio
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.control import viewers
from int3rceptor.control.viewers import Viewer, Viewers

END = "end"


def gap(missed: int) -> str:
    return json.dumps(missed)


async def drain(viewer: Viewer) -> list[str]:
    """All that waits for the viewer."""
    found: list[str] = []
    while True:
        step = asyncio.ensure_future(viewer.next())
        await asyncio.sleep(0)  # runs it up to its first wait, if it has one
        if not step.done():
            step.cancel()
            return found
        found.append(step.result())


async def test_all_that_fits_comes_in_order() -> None:
    viewer = Viewer(gap)
    for number in range(viewers.MAX_QUEUED):
        assert viewer.put(f"m{number}")

    assert await drain(viewer) == [f"m{n}" for n in range(viewers.MAX_QUEUED)]


async def test_the_gap_stands_where_messages_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(viewers, "MAX_QUEUED", 2)
    viewer = Viewer(gap)
    assert [viewer.put(text) for text in ("a", "b", "c", "d")] == [
        True,
        True,
        False,
        False,
    ]
    assert await viewer.next() == "a"
    viewer.put("e")
    rest = await drain(viewer)

    assert rest[0] == "b"
    missed = sum(int(text) for text in rest if text.isdigit())
    shown = [text for text in rest if text.isalpha()]
    assert shown == ["b", "e"]
    assert missed == 2
    assert rest.index("2") < rest.index("e")


async def test_a_gap_at_the_end_is_told_without_a_message_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(viewers, "MAX_QUEUED", 1)
    viewer = Viewer(gap)
    viewer.put("a")
    viewer.put("b")
    viewer.put("c")

    assert await drain(viewer) == ["a", "2"]


async def test_what_was_lost_before_is_a_gap_too() -> None:
    viewer = Viewer(gap)
    viewer.put("a")
    viewer.skip(3)
    viewer.put("b")

    assert await drain(viewer) == ["a", "3", "b"]


def steps(texts: Iterable[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.sampled_from(list(texts)), max_size=60)


@given(steps(["put", "skip", "next"]))
def test_nothing_is_lost_untold_repeated_or_out_of_order(plan: list[str]) -> None:
    async def play() -> None:
        viewer = Viewer(gap)
        number = 0
        seen: list[str] = []
        waiting = 0
        for step in plan:
            if step == "put":
                viewer.put(f"m{number}")
                number += 1
                waiting += 1
            elif step == "skip":
                viewer.skip(1)
                number += 1
                waiting += 1
            elif waiting:
                text = await viewer.next()
                seen.append(text)
                waiting -= int(text) if text.isdigit() else 1
        seen += await drain(viewer)
        expected = 0
        for text in seen:
            if text.isdigit():
                expected += int(text)
            else:
                assert text == f"m{expected}"
                expected += 1
        assert expected == number

    original = viewers.MAX_QUEUED
    viewers.MAX_QUEUED = 3
    try:
        asyncio.run(play())
    finally:
        viewers.MAX_QUEUED = original


async def test_the_first_and_the_last_viewer_are_told_of() -> None:
    told: list[bool] = []
    all_viewers = Viewers(told.append, gap)
    first, second = all_viewers.join(), all_viewers.join()
    assert first is not None
    assert second is not None
    all_viewers.leave(first)
    assert told == [True]
    all_viewers.leave(second)

    assert told == [True, False]


async def test_there_is_room_for_so_many() -> None:
    all_viewers = Viewers(lambda _: None, gap)
    joined = [all_viewers.join() for _ in range(viewers.MAX_VIEWERS)]

    assert None not in joined
    assert all_viewers.join() is None
