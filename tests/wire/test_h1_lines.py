"""Field lines are judged as a block of them was, remembered or not."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from int3rceptor.model.headers import STEERING
from int3rceptor.wire.h1 import lines as h1_lines
from int3rceptor.wire.h1.lines import BadLine, Line, received, sendable

# RFC 9110, 5.1 and 5.5, written down once more, and judged as one block.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
BLOCK = re.compile(rb"(?:%s:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n" % TOKEN)
SECRETS = (
    b"Authorization",
    b"COOKIE",
    b"proxy-authorization",
    b"Set-Cookie",
    b"X-Api-Key",
    b"x-auth-token",
)

PLAIN = st.sampled_from([b"Accept", b"hOST", b"Connection", b"x", b"!#$%&'*+-.^_`|~"])
ODD_VALUES = (
    *(b"", b" ", b"\t a b \t", b"a:b", b"a\r\nB: c", b"a\nB: c", b"a\0", b"\x0bx"),
    *(b"\xff", b"\x7f", b": b"),
)
VALUES = st.binary(max_size=12) | st.sampled_from(ODD_VALUES)
NEAR = st.builds(
    lambda name, colon, value: name + colon + value,
    PLAIN | st.binary(max_size=4),
    st.sampled_from([b":", b": ", b" :", b"", b"\r\n", b"::"]),
    VALUES,
)
LINES = NEAR | st.binary(max_size=24)
FIELDS = st.tuples(PLAIN | st.binary(max_size=6), VALUES)

Table = h1_lines._Known | h1_lines._Sendable


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """The tables are the module's own: each test finds and leaves them empty."""
    for table in tables():
        table.clear()
    yield
    for table in tables():
        table.clear()


def tables() -> tuple[Table, Table]:
    """What `received` and `sendable` remember."""
    reading: object = getattr(received, "__self__", None)
    writing: object = getattr(sendable, "__self__", None)
    assert isinstance(reading, h1_lines._Known)
    assert isinstance(writing, h1_lines._Sendable)
    return reading, writing


def taken(line: bytes) -> Line | None:
    try:
        return received(line)
    except BadLine:
        return None


def given_out(field: tuple[bytes, bytes]) -> Line | None:
    try:
        return sendable(field)
    except BadLine:
        return None


def by_the_block(line: bytes) -> tuple[bytes, bytes] | None:
    """What a parser makes of a block that holds this line alone."""
    if b"\r\n" in line or not line or BLOCK.fullmatch(line + b"\r\n\r\n") is None:
        return None
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")


# --- received -------------------------------------------------------------------------


@given(LINES)
@example(b"")
@example(b":")
@example(b"a:")
@example(b"a : b")
@example(b" a: b")
@example(b"a: b\r")
@example(b"a: b\n")
@example(b"a: b\r\nc: d")
@example(b"a: \xa0b\x85")
@example(b"a:\x0b b \x0c")
def test_a_line_is_what_it_is_in_a_block(line: bytes) -> None:
    found = taken(line)

    assert (found and found.field) == by_the_block(line)
    assert taken(line) == found


@given(LINES)
def test_a_line_says_what_else_it_is(line: bytes) -> None:
    if found := taken(line):
        name, value = found.field
        assert found.key == name.lower()
        assert found.sent == name + b": " + value
        assert found.is_steering is (found.key in STEERING)


@pytest.mark.parametrize("name", sorted(STEERING))
def test_what_steers_is_told_in_any_case(name: bytes) -> None:
    assert received(name.title() + b": x").is_steering
    assert sendable((name.upper(), b"x")).is_steering
    assert not received(b"x-" + name + b": x").is_steering


# --- sendable -------------------------------------------------------------------------


@given(FIELDS)
@example((b"", b"x"))
@example((b"a", b"\r\n\r\nGET / HTTP/1.1"))
@example((b"a: b\r\nc", b"d"))
@example((b"a", b"b\r"))
@example((b"a ", b"b"))
@example((b"a", b"\x00"))
@example((b"a", b"\x7f"))
@example((b"\xe4", b"b"))
def test_what_is_sent_stays_one_line_of_a_block(field: tuple[bytes, bytes]) -> None:
    name, value = field
    assume(b":" not in name)  # see below
    is_sound = re.fullmatch(TOKEN, name) is not None
    is_sound = is_sound and re.search(rb"[^\t\x20-\x7e\x80-\xff]", value) is None

    found = given_out(field)
    assert (found is not None) is is_sound
    assert given_out(field) == found
    if found is not None:
        assert found == Line(
            field, name.lower(), name + b": " + value, name.lower() in STEERING
        )
        assert BLOCK.fullmatch(found.sent + b"\r\n\r\n")


@pytest.mark.parametrize("name", [b"a:", b"a: b", b"Transfer-Encoding:", b"a::"])
def test_a_name_does_not_reach_into_its_value(name: bytes) -> None:
    assert given_out((name, b"chunked")) is None


@given(FIELDS.filter(lambda field: b":" not in field[0]))
def test_what_is_sent_is_received_as_the_same(field: tuple[bytes, bytes]) -> None:
    if found := given_out(field):
        name, value = field
        assert received(found.sent).field == (name, value.strip(b" \t"))


# --- what is remembered ---------------------------------------------------------------


@given(st.lists(NEAR, max_size=20), st.lists(FIELDS, max_size=20))
def test_to_remember_changes_nothing(
    lines: list[bytes], fields: list[tuple[bytes, bytes]]
) -> None:
    for table in tables():
        table.clear()
    first = [*map(taken, lines), *map(given_out, fields)]
    again = [*map(taken, lines), *map(given_out, fields)]
    fresh: list[Line | None] = []
    for line in lines:
        tables()[0].clear()
        fresh.append(taken(line))
    for field in fields:
        tables()[1].clear()
        fresh.append(given_out(field))

    assert first == again == fresh


def test_a_line_is_judged_once() -> None:
    assert received(b"accept: x") is received(b"accept: x")
    assert sendable((b"accept", b"x")) is sendable((b"accept", b"x"))


@pytest.mark.parametrize("step", [1, -1])
def test_what_differs_in_case_or_space_is_not_confused(step: int) -> None:
    for shape in [b"a: b", b"A: b", b"a:b", b"a:  b", b"a: B", b"a: b "][::step]:
        name, value = shape[:1], shape[2:]
        assert received(shape).field == (name, value.strip())
        assert received(shape).sent == name + b": " + value.strip()
        assert sendable((name, value)).field == (name, value)
        assert sendable((name, value)).sent == name + b": " + value


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_not_remembered(name: bytes) -> None:
    for shape in (name, name.lower(), name.upper(), name.title()):
        assert received(shape + b": s3cret").field == (shape, b"s3cret")
        assert sendable((shape, b"s3cret")).field == (shape, b"s3cret")

    assert [*tables()[0], *tables()[1]] == []


def test_long_lines_are_not_remembered() -> None:
    most = h1_lines.MAX_KNOWN_LINE_BYTES - len(b"a: ")
    longest, longer = b"v" * most, b"v" * (most + 1)
    for value in (longest, longer):
        received(b"a: " + value)
        sendable((b"a", value))

    assert [list(table) for table in tables()] == [
        [b"a: " + longest],
        [(b"a", longest)],
    ]


def test_white_space_does_not_make_what_is_remembered_longer() -> None:
    received(b"a:" + b" " * 60_000 + b"b")
    sendable((b"a", b" " * 60_000 + b"b"))

    kept = sum(len(line) for line in tables()[0])
    assert kept <= h1_lines.MAX_KNOWN_LINE_BYTES
    assert not tables()[1]


def test_bad_lines_are_not_remembered() -> None:
    for _ in range(2):
        assert taken(b"no line") is None
        assert given_out((b"a b", b"c")) is None

    assert not any(tables())


def test_no_more_is_remembered_than_the_limit() -> None:
    most = h1_lines.MAX_KNOWN_LINES
    reading, writing = tables()
    for number in range(most):
        received(b"n: %d" % number)
        sendable((b"n", b"%d" % number))
    assert (len(reading), len(writing)) == (most, most)

    assert received(b"n: new").field == (b"n", b"new")
    assert sendable((b"n", b"new")).sent == b"n: new"
    assert list(reading) == [b"n: new"]
    assert list(writing) == [(b"n", b"new")]
    # What was forgotten is as it was.
    assert received(b"n: 0") == sendable((b"n", b"0"))
