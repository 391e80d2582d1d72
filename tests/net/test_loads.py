"""How many clients each of several processes serves, in memory that they share."""

import contextlib

import pytest

from int3rceptor.net.loads import Loads, Place, new_loads


def places(counts: list[int | None]) -> tuple[contextlib.ExitStack, list[Place]]:
    """Places with these counts; None: absent."""
    stack = contextlib.ExitStack()
    loads = stack.enter_context(new_loads(len(counts)))
    found = [loads.place_of(number) for number in range(1, len(counts) + 1)]
    for place, count in zip(found, counts, strict=True):
        if count is not None:
            place.set(count)
    return stack, found


@pytest.mark.parametrize(
    ("counts", "ahead"),
    [
        ([0, 0], [False, False]),
        ([1, 0], [True, False]),
        ([1, 1, 0], [True, True, False]),
        ([8, 8, 7], [True, True, False]),
        ([9, 8], [False, False]),
        ([10, 8], [True, False]),
        ([900, 800], [False, False]),
        ([901, 800], [True, False]),
        ([5, None], [False, False]),
        ([5, None, 4], [True, False, False]),
    ],
    ids=str,
)
def test_who_is_ahead(counts: list[int | None], ahead: list[bool]) -> None:
    stack, found = places(counts)
    with stack:
        judged = [
            count is not None and place.is_ahead()
            for place, count in zip(found, counts, strict=True)
        ]

    assert judged == ahead


def test_one_that_leaves_is_waited_for_no_more() -> None:
    stack, (first, second) = places([3, 1])
    with stack:
        assert first.is_ahead()
        second.leave()
        assert not first.is_ahead()


def test_every_mapping_of_the_file_sees_the_same() -> None:
    with (
        new_loads(2) as loads,
        contextlib.closing(Loads(loads.descriptor, 2)) as other,
    ):
        loads.place_of(2).set(1)
        other.place_of(1).set(4)
        assert loads.place_of(1).is_ahead()
        assert not other.place_of(2).is_ahead()
