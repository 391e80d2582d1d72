"""Field lists to heads and back: what is kept, what is dropped, what is secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.wire.h2.faults import StreamFault
from int3rceptor.wire.h2.fields import (
    _check_values,
    _has_plain_values,
    as_lines,
    request_head,
    response_head,
    trailers,
)
from int3rceptor.wire.h2.hpack.decoder import Decoder
from int3rceptor.wire.h2.hpack.encoder import Encoder
from int3rceptor.wire.h2.hpack.table import Field
from int3rceptor.wire.h2.sending import Sections, informational_fields, trailer_fields
from int3rceptor.wire.peers import Peer
from tests.support.frames import GET, OK, Fields, all_fields

LARGE = 65_536


class Stream:
    """A chunk source that is never asked."""

    async def next_chunk(self) -> bytes:
        raise AssertionError

    def trailers(self) -> Headers | None:
        raise AssertionError


def request(
    *fields: tuple[bytes, bytes],
    method: str = "POST",
    body: Body | None = None,
    target: bytes = b"/p",
    authority: str = "a.test:8443",
) -> Request:
    return Request(
        method=method,
        scheme="https",
        host="10.0.0.1",
        port=8443,
        target=target,
        authority=authority,
        version="HTTP/1.1",
        headers=Headers(fields),
        body=body or Body(),
    )


def request_fields(sent: Request) -> Fields:
    return all_fields(Sections().request(sent))


def response_fields(sent: Response, *, method: str) -> Fields:
    return all_fields(Sections().response(sent, method=method))


def plain(fields: Fields) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in fields]


def test_request_pseudo_headers_come_first_and_host_goes() -> None:
    fields = request_fields(request((b"Host", b"other"), (b"X-Case", b"V")))
    assert plain(fields) == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"a.test:8443"),
        (b":path", b"/p"),
        (b"x-case", b"V"),
    ]


def test_without_an_authority_it_is_made_of_host_and_port() -> None:
    fields = request_fields(request(authority=""))
    assert (b":authority", b"10.0.0.1:8443") in fields


def test_connect_has_no_scheme_and_no_path() -> None:
    fields = request_fields(request(method="CONNECT"))
    assert plain(fields) == [(b":method", b"CONNECT"), (b":authority", b"a.test:8443")]


def test_hop_by_hop_fields_do_not_travel() -> None:
    sent = request(
        (b"Connection", b"close, X-Mine"),
        (b"X-Mine", b"1"),
        (b"Keep-Alive", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"TE", b"gzip, trailers"),
        (b"Accept", b"*/*"),
        body=Body(source=Stream()),
    )
    assert plain(request_fields(sent))[4:] == [
        (b"accept", b"*/*"),
        (b"te", b"trailers"),
    ]


@pytest.mark.parametrize(
    ("body", "declared", "sent"),
    [
        (Body(b"hello"), b"5", b"5"),
        (Body(b"hello"), b"7", b"5"),
        (Body(b"hello"), None, b"5"),
        (Body(), b"0", b"0"),
        (Body(), None, None),
        (Body(source=Stream(), length=9), b"9", b"9"),
        (Body(source=Stream()), b"9", None),
        (Body(source=Stream()), None, None),
    ],
)
def test_content_length_is_true_or_absent(
    body: Body, declared: bytes | None, sent: bytes | None
) -> None:
    fields = [] if declared is None else [(b"Content-Length", declared)]
    for made in (
        request_fields(request(*fields, body=body)),
        response_fields(
            Response(status=200, headers=Headers(fields), body=body), method="GET"
        ),
    ):
        assert dict(plain(made)).get(b"content-length") == sent


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)])
def test_a_length_of_content_that_is_not_sent_is_kept(method: str, status: int) -> None:
    answer = Response(status=status, headers=Headers([(b"Content-Length", b"7")]))
    assert (b"content-length", b"7") in response_fields(answer, method=method)


def test_response_and_informational_and_trailer_fields() -> None:
    answer = Response(status=404, headers=Headers([(b"Connection", b"close")]))
    assert plain(response_fields(answer, method="GET")) == [(b":status", b"404")]
    early = Informational(status=103, headers=Headers([(b"Link", b"</a>")]))
    assert plain(informational_fields(early)) == [
        (b":status", b"103"),
        (b"link", b"</a>"),
    ]
    section = Headers([(b"X-Sum", b"1")])
    assert plain(trailer_fields(section, Peer.ORIGIN)) == [(b"x-sum", b"1")]


def head_of(*fields: tuple[bytes, bytes]) -> tuple[str, bytes, str]:
    head = request_head(fields, ended=True, max_bytes=LARGE)
    return head.authority, head.target, head.scheme


def test_host_stands_in_for_authority_and_may_agree_with_it() -> None:
    host = (b"host", b"a.test")
    assert head_of(*GET[:2], GET[3], host) == ("a.test", b"/", "https")
    assert head_of(*GET, host)[0] == "a.test"
    assert head_of(*GET, (b"host", b"A.TEST:443"))[0] == "a.test"


def test_host_is_kept_among_the_headers() -> None:
    head = request_head((*GET, (b"host", b"a.test")), ended=True, max_bytes=LARGE)
    assert head.headers.raw == [(b"host", b"a.test")]


def test_a_length_that_is_no_signed_number_of_64_bits() -> None:
    def length(value: int) -> int | None:
        fields = (*GET, (b"content-length", b"%d" % value))
        return request_head(fields, ended=False, max_bytes=LARGE).length

    assert length(2**63 - 1) == 2**63 - 1
    with pytest.raises(StreamFault, match="not one number"):
        length(2**63)


def test_connect_and_options_star() -> None:
    connect = ((b":method", b"CONNECT"), (b":authority", b"a.test:443"))
    assert head_of(*connect) == ("a.test:443", b"a.test:443", "https")
    star = ((b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*"))
    assert head_of(*star)[1] == b"*"


def test_high_bytes_in_a_path_and_a_value_pass() -> None:
    fields = (*GET[:3], (b":path", b"/\xc3\xa9\xff"), (b"a", b"\xff \tb"))
    head = request_head(fields, ended=True, max_bytes=LARGE)
    assert head.target == b"/\xc3\xa9\xff"
    assert head.headers.raw == [(b"a", b"\xff \tb")]


def test_te_asks_for_trailers_and_nothing_else() -> None:
    te = (b"te", b"trailers")
    assert request_head((*GET, te), ended=True, max_bytes=LARGE).headers.raw == [te]


def test_a_list_at_its_limit_passes_and_one_byte_more_does_not() -> None:
    fields = (*OK, (b"a", b"1"), (b"b", b""))
    size = sum(len(n) + len(v) + 32 for n, v in fields)
    response_head(fields, method="GET", ended=True, max_bytes=size)
    with pytest.raises(StreamFault) as refused:
        response_head(fields, method="GET", ended=True, max_bytes=size - 1)
    assert refused.value.status == 431


@pytest.mark.parametrize(
    "field",
    [
        (b"content-length", b"1"),
        (b"host", b"a"),
        (b":status", b"1"),
        (b"T", b"1"),
        (b"transfer-encoding", b"chunked"),
    ],
)
def test_what_trailers_may_not_hold(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(StreamFault):
        trailers([field], max_bytes=LARGE)


_any_field = st.tuples(
    st.one_of(
        st.sampled_from([n for n, _ in (*GET, *OK)] + [b"host", b"te", b"cookie"]),
        st.binary(max_size=6),
    ),
    st.one_of(
        st.sampled_from([v for _, v in (*GET, *OK)] + [b"trailers", b"CONNECT"]),
        st.binary(max_size=6),
    ),
)


@given(st.lists(_any_field, max_size=8), st.booleans())
def test_what_is_accepted_can_be_sent_on_unchanged(
    fields: list[tuple[bytes, bytes]], ended: bool
) -> None:
    try:
        head = request_head(fields, ended=ended, max_bytes=LARGE)
    except StreamFault:
        return
    sent = Request(
        method=head.method,
        scheme=head.scheme,
        host="unused",
        port=1,
        target=head.target,
        authority=head.authority,
        version=head.version,
        headers=head.headers,
        body=Body(source=Stream(), length=head.length),
    )
    again = request_head(request_fields(sent), ended=ended, max_bytes=LARGE)
    assert (
        again.method,
        again.target,
        again.authority,
        again.scheme,
        again.length,
    ) == (head.method, head.target, head.authority, head.scheme, head.length)


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=5)), max_size=4))
def test_what_looks_plain_on_all_lines_at_once_is(fields: list[Field]) -> None:
    if _has_plain_values(as_lines(fields), len(fields)):
        _check_values(fields)


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_of_a_value_is_judged(byte: int) -> None:
    is_bad = (byte < 0x20 and byte != 9) or byte == 0x7F
    for value in (b"a%cb" % byte, b"%ca" % byte, b"a%c" % byte):
        is_edge = byte in b" \t" and not value[1:-1].strip(b"ab")
        fields = [*GET, (b"x-a", value), (b"accept", b"*/*")]
        if is_bad or (is_edge and value.strip(b" \t") != value):
            with pytest.raises(StreamFault):
                request_head(fields, ended=True, max_bytes=LARGE)
        else:
            head = request_head(fields, ended=True, max_bytes=LARGE)
            assert head.headers.get_bytes(b"x-a") == value


def test_a_list_that_comes_again_gives_heads_that_share_nothing() -> None:
    decoder = Decoder(LARGE)
    block = Encoder().encode([*GET, (b"x-a", b"1"), (b"te", b"trailers")])
    decoder.decode(block)
    lists = [decoder.decode(b"\x82\x84\x87\x01\x01a") for _ in range(2)]
    assert lists[0] is lists[1]
    first, second = (request_head(one, ended=True, max_bytes=LARGE) for one in lists)
    first.headers["x-b"] = "2"
    assert second.headers.raw == []
    assert second == request_head(list(lists[0]), ended=True, max_bytes=LARGE)
    with pytest.raises(StreamFault):
        trailers(lists[0], max_bytes=LARGE)
    with pytest.raises(StreamFault):
        response_head(lists[0], method="GET", ended=True, max_bytes=LARGE)
