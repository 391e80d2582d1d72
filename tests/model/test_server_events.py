"""Streams of events: cut up as a client reads them, and written byte for byte."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.model.headers import Headers
from int3rceptor.model.server_events import (
    MAX_FIELD_BYTES,
    Event,
    EventCutter,
    Kind,
    Piece,
    is_event_stream,
)

LIMIT = 40


def cut(*chunks: bytes, limit: int = LIMIT) -> tuple[list[Piece], bytes]:
    cutter = EventCutter(limit)
    return [piece for one in chunks for piece in cutter.feed(one)], cutter.rest()


def events(*chunks: bytes, limit: int = LIMIT) -> list[Event]:
    pieces, _ = cut(*chunks, limit=limit)
    return [Event(piece.raw) for piece in pieces if piece.kind is Kind.EVENT]


def as_a_client(stream: bytes) -> list[tuple[str, bytes, str]]:
    """Type, data and last id of each event: the standard's own steps, a line at a time,
    of a stream that is here whole."""
    text = stream.removeprefix(b"\xef\xbb\xbf")
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found, data, kind, last_id = [], b"", b"", b""
    for line in lines:
        if not line:
            if data:
                name = (kind or b"message").decode("utf-8", "replace")
                found.append((name, data[:-1], last_id.decode("utf-8", "replace")))
            data, kind = b"", b""
            continue
        if line.startswith(b":"):
            continue
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if name == b"data":
            data += value + b"\n"
        elif name == b"event":
            kind = value
        elif name == b"id" and b"\0" not in value:
            last_id = value
    return found


PARTS = [
    *(b"data", b"event", b"id", b"retry", b"other", b":", b": ", b" ", b"x", b"12"),
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n"),
    *(b"\xef\xbb\xbf", b"\0", b"\xc3\xa9", b"data: a\n\n", b": ping\n"),
]
STREAMS = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)
BIG = 10_000


@given(stream=STREAMS)
@example(stream=b"\xef\xbb\xbfdata: a\r\rdata\n\n")
def test_events_are_those_that_a_client_gets(stream: bytes) -> None:
    wanted = as_a_client(stream)
    found = events(stream, limit=BIG)
    assert [(one.type, one.data) for one in found] == [one[:2] for one in wanted]


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 200)), limit=st.integers(1, 60))
def test_any_split_gives_the_same_events_and_all_bytes(
    stream: bytes, cuts: list[int], limit: int
) -> None:
    at = [0, *sorted(min(one, len(stream)) for one in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(at)]
    whole, rest = cut(stream, limit=limit)
    split, split_rest = cut(*chunks, limit=limit)
    assert b"".join(one.raw for one in whole) + rest == stream
    assert b"".join(one.raw for one in split) + split_rest == stream
    # A LF that comes later than its CR is a piece of its own.
    assert bare(split) == bare(whole)
    assert rest == split_rest


def bare(pieces: list[Piece]) -> list[bytes]:
    """The events, without the LF that the last CR may have."""
    raws = [one.raw for one in pieces if one.kind is Kind.EVENT]
    return [one.removesuffix(b"\n").removesuffix(b"\r") for one in raws]


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_out_as_soon_as_it_is_whole(ending: bytes) -> None:
    stream = b"id: 1" + ending + b"data: a" + ending + ending
    last = stream.removesuffix(b"\n") if ending == b"\r\n" else stream
    cutter = EventCutter()
    for byte in last[:-1]:
        assert list(cutter.feed(bytes([byte]))) == []
    assert list(cutter.feed(last[-1:])) == [Piece(last, Kind.EVENT)]
    assert cutter.rest() == b""


def test_comments_and_empty_lines_are_not_held_back() -> None:
    cutter = EventCutter()
    for part in (b":", b" pin", b"g\n", b"\n", b": x\r\n", b"\r", b"\n"):
        assert list(cutter.feed(part)) == [Piece(part, Kind.OTHER)]
    assert list(cutter.feed(b"data: a\n: in it\n")) == []
    (piece,) = cutter.feed(b"\n")
    assert piece == Piece(b"data: a\n: in it\n\n", Kind.EVENT)


def test_what_is_no_event_passes_unseen() -> None:
    pieces, rest = cut(b"retry: 10\n\nid: 7\r\n\r\ndatax: 1\n\ndata: unfinished\n")
    assert pieces == [
        Piece(b"retry: 10\n\nid: 7\r\n\r\ndatax: 1\n\n", Kind.OTHER),
    ]
    assert rest == b"data: unfinished\n"


def test_a_byte_order_mark_is_no_part_of_a_line() -> None:
    bom = b"\xef\xbb\xbf"
    assert [one.data for one in events(bom[:1], bom[1:], b"data: a\n\n")] == [b"a"]
    assert cut(bom[:2]) == ([], bom[:2])
    assert events(b"\n" + bom + b"data: a\n\n") == []
    assert cut(bom + b": x\n")[0] == [Piece(bom + b": x\n", Kind.OTHER)]


def test_one_over_the_limit_passes_in_parts_and_the_next_is_seen() -> None:
    large = b"data: " + b"x" * LIMIT
    cutter = EventCutter(LIMIT)
    assert list(cutter.feed(large)) == [Piece(large, Kind.LARGE)]
    for part in (b"y" * 100, b"\n", b"data: more\r", b"\n", b"\r"):
        assert list(cutter.feed(part)) == [Piece(part, Kind.LARGE)]
    after = list(cutter.feed(b"\ndata: a\n\n"))
    assert after == [Piece(b"\n", Kind.OTHER), Piece(b"data: a\n\n", Kind.EVENT)]


@pytest.mark.parametrize(("size", "kind"), [(LIMIT, Kind.EVENT), (LIMIT + 1, "LARGE")])
def test_the_limit_counts_all_but_the_empty_line(size: int, kind: Kind | str) -> None:
    block = b"data: ".ljust(size - 1, b"x") + b"\n"
    (piece,), _ = cut(block + b"\n")
    assert piece.kind in (kind, Kind[str(kind)] if isinstance(kind, str) else kind)


# --- one event ------------------------------------------------------------------------


def test_fields_are_what_a_client_takes() -> None:
    event = Event(
        b"event:a\nevent: b\nid: 1\nid: \0\nretry: 5\nretry: x\ndata\ndata: z\n"
    )
    assert (event.type, event.id, event.retry, event.data) == ("b", "1", 5, b"\nz")
    bare = Event(b"data:  two\n\n")
    assert (bare.type, bare.id, bare.retry, bare.data) == (
        "message",
        None,
        None,
        b" two",
    )
    assert Event(b"event:\nid\ndata: a\n\n").type == "message"
    assert Event(b"event:\nid\ndata: a\n\n").id == ""


def test_unchanged_it_is_written_as_it_came() -> None:
    raw = b": c\rdata:a\r\nid:1\n\n"
    event = Event(raw)
    assert event.written() == raw
    assert not event.is_changed
    event.data = b"b"
    event.id = "2"
    event.drop()
    event.restore()
    assert event.written() == raw


def test_what_is_set_is_written_and_the_rest_stays() -> None:
    event = Event(b": c\nid:1\nx: y\ndata:a\ndata: b\nid:2\n\n")
    event.data = b"1\r2\r\n3\n"
    event.id = "9"
    event.type = "t"
    assert event.written() == (
        b"event: t\n: c\nid: 9\nx: y\ndata: 1\ndata: 2\ndata: 3\ndata: \n\n"
    )
    assert (event.data, event.id, event.type) == (b"1\r2\r\n3\n", "9", "t")


def test_it_keeps_its_kind_of_line_ending() -> None:
    event = Event(b"event: e\r\ndata: a\r\n\r\n")
    event.data = b""
    event.retry = 7
    assert event.written() == b"retry: 7\r\nevent: e\r\ndata: \r\n\r\n"


def test_dropped_there_is_nothing_of_it() -> None:
    event = Event(b"data: a\n\n")
    event.drop()
    assert event.written() == b""


@given(
    stream=STREAMS,
    data=st.none() | st.binary(max_size=8) | st.sampled_from([b"\r", b"a\nb", b""]),
    name=st.none() | st.sampled_from(["", "t", " t"]),
    number=st.none() | st.integers(0, 10**17),
)
def test_what_was_set_is_what_a_client_gets(
    stream: bytes, data: bytes | None, name: str | None, number: int | None
) -> None:
    for event in events(stream, limit=BIG):
        wanted = event.data if data is None else as_lines(data)
        kind = event.type if name is None else (name or "message")
        if data is not None:
            event.data = data
        if name is not None:
            event.type = name
        if number is not None:
            event.retry = number
            event.id = str(number)
        written = event.written()
        ((found_kind, found_data, found_id),) = as_a_client(written)
        assert (found_kind, found_data) == (kind, wanted)
        (again,) = events(written, limit=10 * BIG)
        if number is not None:
            assert (found_id, again.retry) == (str(number), number)
        else:
            assert again.id == event.id


def as_lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"event", b"a\nb"),
        (b"event", b"a\r"),
        (b"id", b"a\0"),
        (b"retry", b""),
        (b"retry", b"1s"),
        (b"retry", b"9" * 19),
        (b"data", b"x"),
        (b"other", b"x"),
        (b"", b"x"),
    ],
)
def test_what_would_be_no_such_field_is_refused(name: bytes, value: bytes) -> None:
    event = Event(b"data: a\n\n")
    with pytest.raises(ValueError, match="not a value of"):
        event.set_field(name, value)
    assert not event.is_changed


def test_a_large_field_can_be_set() -> None:
    event = Event(b"data: a\n\n")
    event.set_field(b"event", b"x" * MAX_FIELD_BYTES)
    assert len(event.type) == MAX_FIELD_BYTES


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream ; charset=utf-8", True),
        (b"text/event-streams", False),
        (b"text/html; x=text/event-stream", False),
    ],
)
def test_the_media_type_says_what_is_a_stream_of_events(
    value: bytes, is_one: bool
) -> None:
    assert is_event_stream(Headers([(b"Content-Type", value)])) is is_one


def test_without_a_type_it_is_none() -> None:
    assert not is_event_stream(Headers())
