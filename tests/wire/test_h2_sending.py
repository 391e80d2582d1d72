"""What is remembered of sent heads changes nothing of what is sent."""

import contextlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import ClientProtocolError, OriginProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.wire.h2.fields import as_lines, request_head, response_head
from int3rceptor.wire.h2.hpack.table import Field, NeverIndexed
from int3rceptor.wire.h2.limits import H2Limits
from int3rceptor.wire.h2.outbound import Outbound
from int3rceptor.wire.h2.sending import (
    MAX_KNOWN_SECTIONS,
    Sections,
    trailer_fields,
)
from int3rceptor.wire.h2.settings import Setting
from int3rceptor.wire.peers import Peer
from tests.support.frames import all_fields
from tests.support.h2_pair import request

SECRET = NeverIndexed((b"x-token", b"1"))
PLAIN: Field = (b"x-token", b"1")


def answer(*fields: Field, status: int = 200, content: bytes = b"") -> Response:
    body = Body(content, length=len(content))
    return Response(status=status, headers=Headers(fields), body=body)


def test_equal_fields_are_one_section_whatever_the_path() -> None:
    sections = Sections()
    first = sections.request(request("GET", (b"accept", b"*/*"), target=b"/a"))
    second = sections.request(request("GET", (b"accept", b"*/*"), target=b"/b"))
    assert first.start is second.start
    assert first.rest is second.rest
    assert all_fields(second)[3] == (b":path", b"/b")


def test_a_field_that_is_never_indexed_stays_so_beside_its_equal() -> None:
    for order in ((SECRET, PLAIN), (PLAIN, SECRET)):
        sections = Sections()
        for field in order * 2:
            sent = sections.response(answer(field), method="GET").rest.fields
            assert [type(one) for one in sent] == [type(field)]


def test_requests_and_responses_share_no_section() -> None:
    sections, host = Sections(), (b"host", b"a.test")
    assert sections.response(answer(host), method="GET").rest.fields == [host]
    assert sections.request(request("GET", host)).rest.fields == []
    assert sections.response(answer(host), method="GET").rest.fields == [host]


def test_a_body_of_another_length_is_another_section() -> None:
    sections, declared = Sections(), (b"content-length", b"1")
    for size in (1, 2, 1, 0):
        sent = sections.response(answer(declared, content=bytes(size)), method="GET")
        assert sent.rest.fields == [(b"content-length", b"%d" % size)]
    head = sections.response(answer(declared), method="HEAD")
    assert head.rest.fields == [declared]


def test_what_is_remembered_is_bounded() -> None:
    sections = Sections()
    for number in range(3 * MAX_KNOWN_SECTIONS):
        sections.response(answer((b"etag", b"%d" % number)), method="GET")
        sections.response(answer((b"x", b"v" * 2_000)), method="GET")
        sections.request(request(f"M{number}"))
    assert len(sections._known) <= MAX_KNOWN_SECTIONS
    assert all(len(one.lines) < 2_000 for one in sections._known.values())


_FIELDS = st.lists(
    st.sampled_from(
        [
            (b"X-A", b"1"),
            (b"x-b", b"v" * 900),
            (b"x-c", b"w" * 700),
            (b"etag", b"1"),
            (b"te", b"trailers"),
            PLAIN,
            SECRET,
        ]
    ),
    max_size=4,
)
_STEPS = st.lists(
    st.one_of(
        st.integers(0, 9_000),
        st.tuples(_FIELDS, st.sampled_from([b"", b"/a", b"/b"])),
    ),
    max_size=25,
)


@given(_STEPS)
def test_another_decoder_understands_all_that_is_sent(
    steps: list[int | tuple[list[Field], bytes]],
) -> None:
    """Paths stand for requests, none for responses; numbers are sizes of the table."""
    outbound = Outbound(H2Limits(), is_server=True)
    sections, decoder = Sections(), hpack.Decoder(65_536)
    for step in steps:
        if isinstance(step, int):
            outbound.apply([(Setting.HEADER_TABLE_SIZE, step)])
            outbound.take()
            continue
        fields, path = step
        if path:
            head = sections.request(request("GET", *fields, target=path))
        else:
            head = sections.response(answer(*fields), method="GET")
        outbound.send_head(1, head, end=True)
        decoded = list(decoder.decode(outbound.take()[9:], raw=True))
        expected = all_fields(head)
        assert decoded == expected
        assert head.lines == as_lines(expected)
        never = [isinstance(one, hpack.NeverIndexedHeaderTuple) for one in decoded]
        assert never == [type(one) is NeverIndexed for one in expected]


_ODD_BYTES = st.text("aZ-:_ \t\r\n\0\x7f\xff", max_size=4).map(str.encode)
_ODD_FIELDS = st.lists(st.tuples(_ODD_BYTES, _ODD_BYTES), max_size=3)


@given(_ODD_FIELDS, _ODD_BYTES, _ODD_BYTES)
def test_a_request_leaves_only_as_a_peer_would_take_it(
    fields: list[Field], method: bytes, path: bytes
) -> None:
    asked = request(method.decode(), *fields, target=b"/" + path)
    with contextlib.suppress(ClientProtocolError):
        sent = all_fields(Sections().request(asked))
        request_head(sent, ended=True, max_bytes=10_000)


@given(_ODD_FIELDS)
def test_a_response_leaves_only_as_a_peer_would_take_it(fields: list[Field]) -> None:
    with contextlib.suppress(OriginProtocolError):
        sent = all_fields(Sections().response(answer(*fields), method="GET"))
        response_head(sent, method="GET", ended=True, max_bytes=10_000)


@pytest.mark.parametrize(
    ("author", "error"),
    [(Peer.CLIENT, ClientProtocolError), (Peer.ORIGIN, OriginProtocolError)],
)
def test_trailers_that_no_peer_would_take_do_not_leave(
    author: Peer, error: type[Exception]
) -> None:
    with pytest.raises(error, match="cannot carry"):
        trailer_fields(Headers([(b"a", b"b\r\nc")]), author)
