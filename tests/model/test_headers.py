import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.model.headers import (
    Headers,
    RawHeaders,
    is_field_value,
    is_token,
    to_bytes,
    to_text,
)

NAMES = st.sampled_from([b"A", b"a", b"B-c", b"b-C", b"Set-Cookie", b"x"])
VALUES = st.binary(max_size=6).filter(is_field_value)
RAW = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def sample() -> Headers:
    return Headers(
        [(b"Host", b"a"), (b"X-One", b"1"), (b"x-ONE", b"2"), (b"Last", b"z")]
    )


@given(st.binary())
def test_every_byte_survives_as_text(value: bytes) -> None:
    assert to_bytes(to_text(value)) == value
    assert to_bytes(value) == value


def test_names_are_compared_without_case() -> None:
    headers = sample()

    assert headers["x-one"] == headers["X-ONE"] == "1"
    assert headers.get_all("X-oNe") == ["1", "2"]
    assert headers.get_all_bytes(b"x-one") == [b"1", b"2"]
    assert "HOST" in headers
    assert b"HOST" in headers
    assert "absent" not in headers
    assert 1 not in headers


def test_absent_fields() -> None:
    headers = sample()

    assert headers.get("absent") is None
    assert headers.get("absent", "default") == "default"
    assert headers.get_all("absent") == []
    assert headers.get_bytes(b"absent") is None
    with pytest.raises(KeyError, match="absent"):
        headers["absent"]
    with pytest.raises(KeyError, match="absent"):
        del headers["absent"]
    assert headers.remove("absent") == 0


def test_an_empty_value_is_not_absent() -> None:
    headers = Headers([(b"Empty", b"")])

    assert headers["empty"] == ""
    assert "empty" in headers


def test_setting_replaces_the_first_where_it_stands_and_drops_the_others() -> None:
    headers = sample()
    headers["x-one"] = "new"

    assert headers.raw == [(b"Host", b"a"), (b"X-One", b"new"), (b"Last", b"z")]


def test_setting_what_is_absent_appends() -> None:
    headers = sample()
    headers["X-New"] = b"raw"

    assert headers.raw[-1] == (b"X-New", b"raw")
    assert len(headers) == 5


def test_add_keeps_those_of_the_same_name() -> None:
    headers = sample()
    headers.add("x-one", "3")

    assert headers.get_all("x-one") == ["1", "2", "3"]


def test_remove_drops_every_one_and_counts() -> None:
    headers = sample()

    assert headers.remove(b"X-ONE") == 2
    assert headers.raw == [(b"Host", b"a"), (b"Last", b"z")]
    del headers["host"]
    assert list(headers) == ["Last"]


def test_values_lose_the_white_space_around_them() -> None:
    headers = Headers()
    headers["a"] = " \tb c\t "

    assert headers.raw == [(b"a", b"b c")]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0", "\x7f", "\x1b["])
def test_a_value_cannot_break_the_head(value: str) -> None:
    headers = sample()
    before = headers.copy()

    with pytest.raises(ValueError, match="control character"):
        headers["x"] = value
    with pytest.raises(ValueError, match="control character"):
        headers.add("x", value)
    assert headers == before


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\n", "ä", ":path", "a\0"])
def test_a_name_is_a_token(name: str) -> None:
    headers = sample()
    before = headers.copy()

    with pytest.raises(ValueError, match="not a header name"):
        headers[name] = "v"
    with pytest.raises(ValueError, match="not a header name"):
        headers.add(name, "v")
    assert headers == before


@pytest.mark.parametrize("name", [b"a", b"!#$%&'*+-.^_`|~09AZaz"])
def test_tokens(name: bytes) -> None:
    assert is_token(name)


def test_tab_and_bytes_past_ascii_are_field_values() -> None:
    assert is_field_value(b"a\tb \xff\x80")


def test_a_copy_is_independent() -> None:
    headers = sample()
    copy = headers.copy()
    copy["Host"] = "other"
    copy.add("more", "1")

    assert headers == sample()
    assert copy != headers


def test_equality_is_that_of_the_wire() -> None:
    assert sample() == sample()
    assert Headers([(b"A", b"1")]) != Headers([(b"a", b"1")])
    assert sample() != sample().raw
    with pytest.raises(TypeError):
        hash(sample())


def test_items_are_in_wire_order_with_repeats() -> None:
    assert list(sample().items()) == [
        ("Host", "a"),
        ("X-One", "1"),
        ("x-ONE", "2"),
        ("Last", "z"),
    ]
    assert repr(Headers([(b"a", b"b")])) == "Headers([(b'a', b'b')])"


def other(raw: RawHeaders, name: bytes) -> RawHeaders:
    return [field for field in raw if field[0].lower() != name.lower()]


@given(RAW, NAMES, VALUES)
def test_set_touches_nothing_else(raw: RawHeaders, name: bytes, value: bytes) -> None:
    headers = Headers(raw)
    headers[name] = value

    assert headers.get_all_bytes(name.lower()) == [value.strip(b" \t")]
    assert other(headers.raw, name) == other(raw, name)


@given(RAW, NAMES, VALUES)
def test_add_touches_nothing_else(raw: RawHeaders, name: bytes, value: bytes) -> None:
    headers = Headers(raw)
    headers.add(name, value)

    assert headers.raw == [*raw, (name, value.strip(b" \t"))]


@given(RAW, NAMES)
def test_remove_touches_nothing_else(raw: RawHeaders, name: bytes) -> None:
    headers = Headers(raw)
    removed = headers.remove(name)

    assert headers.raw == other(raw, name)
    assert removed == len(raw) - len(headers)
    assert name not in headers
