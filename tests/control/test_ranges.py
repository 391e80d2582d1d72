from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.control.ranges import UnsatisfiableRange, wanted_range


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("bytes=0-", range(10)),
        ("bytes=0-0", range(1)),
        ("bytes=2-4", range(2, 5)),
        ("bytes=9-9", range(9, 10)),
        ("bytes=2-999999999999999999", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("Bytes= 2-4 ", range(2, 5)),
        # As good as none: malformed, or another unit.
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=1-2,", None),
        ("bytes=1--2", None),
        ("lines=1-2", None),
        ("bytes 1-2", None),
        (f"bytes={'9' * 5000}-", None),
        ("bytes=\u0661-\u0662", None),
    ],
)
def test_of_ten_bytes(field: str, wanted: Sequence[int] | None) -> None:
    assert wanted_range(field, 10) == wanted


@pytest.mark.parametrize(
    "field", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=0-1,3-4", "bytes=0-,0-,0-"]
)
def test_of_ten_bytes_not_to_be_had(field: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        wanted_range(field, 10)


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_nothing_has_no_part(field: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        wanted_range(field, 0)


@given(st.text(), st.integers(0, 1 << 40))
def test_any_text(field: str, size: int) -> None:
    try:
        wanted = wanted_range(f"bytes={field}", size)
    except UnsatisfiableRange:
        return
    assert wanted is None or (wanted and 0 <= wanted.start < wanted.stop <= size)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_is_the_slice_that_it_names(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    try:
        wanted = wanted_range(f"bytes={first}-{last}", size)
    except UnsatisfiableRange:
        assert first >= size
        return
    if last < first:
        assert wanted is None
    else:
        assert wanted is not None
        assert content[wanted.start : wanted.stop] == content[first : last + 1]
