"""`Headers.steering` is never out of date, however the fields were changed."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.model.headers import STEERING, Headers, RawHeaders

NAMES = st.sampled_from(
    [
        b"Host",
        b"hOsT",
        b"Connection",
        b"TE",
        b"te",
        b"Upgrade",
        b"Expect",
        b"X",
        b"x-te",
    ]
)
VALUES = st.sampled_from([b"", b"a", b"b"])
FIELD = st.tuples(NAMES, VALUES)
RAW = st.lists(FIELD, max_size=6)


def truth(raw: RawHeaders) -> frozenset[bytes]:
    return frozenset(name.lower() for name, _ in raw if name.lower() in STEERING)


class Edit(NamedTuple):
    """One change; `is_asked`: whether somebody asks for `steering` after it."""

    how: str
    field: tuple[bytes, bytes]
    others: RawHeaders
    place: int
    is_asked: bool


def set_item(headers: Headers, edit: Edit) -> None:
    headers[edit.field[0].decode()] = edit.field[1]


def set_raw_item(headers: Headers, edit: Edit) -> None:
    if headers.raw:
        headers.raw[edit.place % len(headers.raw)] = edit.field


def rename(headers: Headers, edit: Edit) -> None:
    """The same value under another name: the list is as long as before."""
    if headers.raw:
        place = edit.place % len(headers.raw)
        headers.raw[place] = (edit.field[0], headers.raw[place][1])


def delete_item(headers: Headers, edit: Edit) -> None:
    if edit.field[0].decode() in headers:
        del headers[edit.field[0].decode()]


def delete_raw_item(headers: Headers, edit: Edit) -> None:
    if headers.raw:
        del headers.raw[edit.place % len(headers.raw)]


def rebind(headers: Headers, edit: Edit) -> None:
    headers.raw = list(edit.others)


def rebind_copy(headers: Headers, _: Edit) -> None:
    """The same fields in another list, which is changed next."""
    headers.raw = list(headers.raw)


EDITS: dict[str, Callable[[Headers, Edit], object]] = {
    "set": set_item,
    "add": lambda headers, edit: headers.add(*edit.field),
    "remove": lambda headers, edit: headers.remove(edit.field[0]),
    "delete": delete_item,
    "raw set": set_raw_item,
    "raw rename": rename,
    "raw append": lambda headers, edit: headers.raw.append(edit.field),
    "raw extend": lambda headers, edit: headers.raw.extend(edit.others),
    "raw insert": lambda headers, edit: headers.raw.insert(edit.place, edit.field),
    "raw delete": delete_raw_item,
    "raw clear": lambda headers, _: headers.raw.clear(),
    "raw slice": lambda headers, edit: headers.raw.__setitem__(
        slice(0, edit.place), edit.others
    ),
    "raw reverse": lambda headers, _: headers.raw.reverse(),
    "raw sort": lambda headers, _: headers.raw.sort(),
    "rebind": rebind,
    "rebind copy": rebind_copy,
}

CHANGES = st.lists(
    st.builds(
        Edit, st.sampled_from(list(EDITS)), FIELD, RAW, st.integers(0, 9), st.booleans()
    ),
    max_size=12,
)


def plain(raw: RawHeaders) -> Headers:
    return Headers(raw)


def judged(raw: RawHeaders) -> Headers:
    return Headers.judged(list(raw), truth(raw))


@pytest.mark.parametrize("made", [plain, judged])
@given(RAW, CHANGES)
@example([(b"Host", b"a")], [Edit("raw rename", (b"X", b""), [], 0, False)])
@example([(b"X", b"a")], [Edit("raw rename", (b"TE", b""), [], 0, True)])
def test_what_steers_is_known_after_every_change(
    made: Callable[[RawHeaders], Headers], raw: RawHeaders, changes: list[Edit]
) -> None:
    headers = made(raw)
    assert headers.steering == truth(raw)
    for edit in changes:
        EDITS[edit.how](headers, edit)
        if edit.is_asked:
            assert headers.steering == truth(headers.raw), edit
    assert headers.steering == truth(headers.raw)


@given(RAW, CHANGES)
def test_the_fields_of_a_parser_are_like_any_others(
    raw: RawHeaders, changes: list[Edit]
) -> None:
    one, other = judged(raw), plain(raw)
    for edit in changes:
        EDITS[edit.how](one, edit)
        EDITS[edit.how](other, edit)
        assert one == other
        assert one.raw == other.raw
        if edit.is_asked:
            assert one.steering == other.steering


@given(RAW, CHANGES)
def test_a_copy_knows_for_itself(raw: RawHeaders, changes: list[Edit]) -> None:
    headers = judged(raw)
    copy = headers.copy()
    for edit in changes:
        EDITS[edit.how](copy, edit)

    assert headers.raw == raw
    assert headers.steering == truth(raw)
    assert copy.steering == truth(copy.raw)


def test_what_a_parser_said_is_believed_until_a_change() -> None:
    headers = Headers.judged([(b"Host", b"a")], frozenset({b"told"}))
    assert headers.steering == {b"told"}
    headers.raw[0] = (b"Host", b"b")

    assert headers.steering == {b"host"}
