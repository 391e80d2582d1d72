"""One field of a head, found with and without taking the head apart."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.store.heads import parse_head, values_in

NAMES = st.sampled_from(
    [b"Content-Type", b"content-type", b"X-Content-Type", b"content-type-x", b"a"]
)
VALUES = st.text("ab: \tC\u00e9", max_size=8).map(str.encode) | st.just(
    b"x content-type: y"
)
STARTS = st.sampled_from([b"GET / HTTP/1.1", b"HTTP/1.1 200 OK", b":status: 200"])


@given(STARTS, st.lists(st.tuples(NAMES, VALUES), max_size=6))
@example(b"GET /content-type: HTTP/1.1", [])
@example(b"GET / HTTP/1.1", [(b"content-type", b""), (b"CONTENT-TYPE", b"b")])
def test_a_value_is_what_the_parsed_head_says(
    start: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    block = b"\r\n".join([start, *(name + b": " + value for name, value in fields)])
    head = parse_head(block)

    names = (b"content-type", b"a", b"absent")
    assert values_in(block, *names) == [head.value(name) for name in names]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b""])
def test_a_value_ends_with_its_line(end: bytes) -> None:
    assert values_in(b"X: 1\nA:  b " + end, b"a") == ["b"]
    assert values_in(b"a: b" + end + b" c", b"a") == ["b" if end else "b c"]
