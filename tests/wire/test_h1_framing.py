"""The judge: what it refuses, what it lets pass, and that h11 reads it no otherwise."""

import contextlib

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.errors import (
    ClientProtocolError,
    Int3rceptorError,
    OriginProtocolError,
)
from int3rceptor.wire.h1.framing import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_START_LINE_BYTES,
    judge_request,
    judge_response,
    judge_trailers,
)
from int3rceptor.wire.h1.server import H1Server
from int3rceptor.wire.peers import Peer
from tests.support.h1_codec import collect, shown, splits

HOST = b"Host: a\r\n"


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    return start + b"\r\n" + host + b"".join(x + b"\r\n" for x in lines) + b"\r\n"


def post(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return get(*lines, start=b"POST / HTTP/" + version)


REFUSED_REQUESTS = {
    # Framing (RFC 9112, 6): the smuggling corpus.
    "CL.TE": (post(b"Content-Length: 4", b"Transfer-Encoding: chunked"), 400, "both"),
    "TE.CL": (post(b"Transfer-Encoding: chunked", b"Content-Length: 4"), 400, "both"),
    "CL and TE, case": (post(b"CONTENT-LENGTH: 0", b"tRANSFER-eNCODING: x"), 400, ""),
    "TE in 1.0": (post(b"Transfer-Encoding: chunked", version=b"1.0"), 400, "HTTP/1.0"),
    "CL twice": (post(b"Content-Length: 4", b"Content-Length: 5"), 400, "2 Content"),
    "CL twice, equal": (post(b"Content-Length: 4", b"content-length: 4"), 400, "2"),
    "CL list": (post(b"Content-Length: 4, 4"), 400, "Content-Length"),
    "CL +": (post(b"Content-Length: +4"), 400, "'+4'"),
    "CL -": (post(b"Content-Length: -4"), 400, "'-4'"),
    "CL hex": (post(b"Content-Length: 0x4"), 400, "'0x4'"),
    "CL inner space": (post(b"Content-Length: 1 2"), 400, "'1 2'"),
    "CL empty": (post(b"Content-Length:"), 400, "Content-Length"),
    "CL underscore": (post(b"Content-Length: 1_0"), 400, "'1_0'"),
    "CL unicode digit": (post("Content-Length: ٤".encode()), 400, "Content-Length"),
    "CL 2^63": (post(b"Content-Length: 9223372036854775808"), 400, "range"),
    "CL 20 digits": (post(b"Content-Length: 00000000000000000004"), 400, "invalid"),
    "TE not chunked": (post(b"Transfer-Encoding: identity"), 400, "exactly one"),
    "TE xchunked": (post(b"Transfer-Encoding: xchunked"), 400, "exactly one"),
    "TE chunked first": (post(b"Transfer-Encoding: chunked, gzip"), 400, "exactly one"),
    "TE chunked twice": (post(b"Transfer-Encoding: chunked, chunked"), 400, "one"),
    "TE two fields": (
        post(b"Transfer-Encoding: chunked", b"Transfer-encoding: cow"), 400, "one"),
    "TE two fields, chunked": (
        post(b"Transfer-Encoding: chunked", b"Transfer-encoding: chunked"), 400, "one"),
    "TE gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked"), 501, "supported"),
    "TE parameter": (post(b"Transfer-Encoding: chunked;q=1"), 400, "exactly one"),
    "TE quoted": (post(b'Transfer-Encoding: "chunked"'), 400, "exactly one"),
    "TE comma": (post(b"Transfer-Encoding: chunked,"), 400, "exactly one"),
    "TE leading comma": (post(b"Transfer-Encoding: , chunked"), 400, "exactly one"),
    "TE empty": (post(b"Transfer-Encoding:"), 400, "exactly one"),
    "TE VT": (post(b"Transfer-Encoding: \x0bchunked"), 400, "control"),
    "TE space colon": (post(b"Transfer-Encoding : chunked"), 400, "space before"),
    "TE tab colon": (post(b"Transfer-Encoding\t: chunked"), 400, "space before"),
    "TE folded": (post(b"Transfer-Encoding:", b" chunked"), 400, "folded"),
    "TE leading space": (post(b" Transfer-Encoding: chunked"), 400, "folded"),
    "TE behind LF": (post(b"X: y\nTransfer-Encoding: chunked"), 400, "bare"),
    "TE behind CR": (post(b"X: y\rTransfer-Encoding: chunked"), 400, "bare"),
    "TE NUL": (post(b"Transfer-Encoding: chunked\x00"), 400, "control"),
    "CL behind LF": (post(b"X: y\nContent-Length: 4"), 400, "bare"),
    "CONNECT with a body": (
        get(b"Content-Length: 4", start=b"CONNECT a:443 HTTP/1.1"), 400, "CONNECT"),
    # Fields (RFC 9112, 5; RFC 9110, 5.5 and 5.6.2)
    "no colon": (get(b"Cookie"), 400, "no colon"),
    "empty name": (get(b": value"), 400, "invalid name"),
    "name with a space": (get(b"A B: value"), 400, "invalid name"),
    "name not ASCII": (get("Ä: value".encode()), 400, "invalid name"),
    "name with brackets": (get(b"A(B): value"), 400, "invalid name"),
    "DEL in a value": (get(b"A: \x7f"), 400, "value of A in line 3"),
    "folded first line": (get(host=b" Host: a\r\n"), 400, "folded"),
    "too many fields": (get(*[b"A: b"] * MAX_FIELDS), 431, "256"),
    "large head": (get(b"A: " + b"b" * MAX_HEAD_BYTES), 431, "65536"),
    # Host (RFC 9112, 3.2)
    "no Host": (get(host=b""), 400, "without a Host"),
    "no Host, absolute": (get(start=b"GET http://a/ HTTP/1.1", host=b""), 400, "Host"),
    "two Hosts": (get(b"host: a"), 400, "2 Host"),
    "two Hosts in 1.0": (get(b"host: b", start=b"GET / HTTP/1.0"), 400, "2 Host"),
    "Host with user": (get(host=b"Host: u@a\r\n"), 400, "Host field"),
    "Host with space": (get(host=b"Host: a b\r\n"), 400, "Host field"),
    "Host with path": (get(host=b"Host: a/b\r\n"), 400, "Host field"),
    "Host with scheme": (get(host=b"Host: http://a\r\n"), 400, "Host field"),
    "Host port": (get(host=b"Host: a:65536\r\n"), 400, "port"),
    "Host port text": (get(host=b"Host: a:b\r\n"), 400, "Host field"),
    "Host two": (get(host=b"Host: a, b\r\n"), 400, "Host field"),
    "Host bad IPv6": (get(host=b"Host: [::1::]\r\n"), 400, "IPv6"),
    # Request line (RFC 9112, 3)
    "garbage": (get(start=b"garbage"), 400, "start line"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "start line"),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/2.0"),
    "HTTP/1.10": (get(start=b"GET / HTTP/1.10"), 505, "HTTP/1.10"),
    "HTTP/3": (get(start=b"GET / HTTP/3"), 505, "HTTP/3"),
    "lower-case version": (get(start=b"GET / http/1.1"), 400, "start line"),
    "two spaces": (get(start=b"GET  / HTTP/1.1"), 400, "start line"),
    "tab": (get(start=b"GET\t/ HTTP/1.1"), 400, "start line"),
    "space in the target": (get(start=b"GET /a b HTTP/1.1"), 400, "start line"),
    "DEL in the target": (get(start=b"GET /\x7f HTTP/1.1"), 400, "start line"),
    "trailing space": (get(start=b"GET / HTTP/1.1 "), 400, "start line"),
    "method not a token": (get(start=b"G@T / HTTP/1.1"), 400, "start line"),
    "long line": (get(start=b"GET /%b HTTP/1.1" % (b"a" * 32768)), 414, "too long"),
    "bare CR": (get(start=b"GET /\r HTTP/1.1"), 400, ""),
    "LF only": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "bare"),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01", 400, "control"),
    # Target forms (RFC 9112, 3.2)
    "no path": (get(start=b"GET a HTTP/1.1"), 400, "neither"),
    "ftp": (get(start=b"GET ftp://a/ HTTP/1.1"), 400, "neither"),
    "userinfo": (get(start=b"GET http://u:p@a/ HTTP/1.1"), 400, "authority"),
    "backslash host": (get(start=b"GET http://a\\@b/ HTTP/1.1"), 400, "authority"),
    "no authority": (get(start=b"GET http:///x HTTP/1.1"), 400, "authority"),
    "star": (get(start=b"GET * HTTP/1.1"), 400, "neither"),
    "authority-form": (get(start=b"GET a:443 HTTP/1.1"), 400, "neither"),
    "CONNECT with a path": (get(start=b"CONNECT /x HTTP/1.1"), 400, "host:port"),
    "CONNECT without a port": (get(start=b"CONNECT a HTTP/1.1"), 400, "host:port"),
    "CONNECT with port 0": (get(start=b"CONNECT a:0 HTTP/1.1"), 400, "port"),
    "empty lines": (b"\r\n" * 5 + get(), 400, "empty lines"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "status", "says"), REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS
)
def test_refused_requests(raw: bytes, status: int, says: str) -> None:
    ways = splits(raw, times=2) if len(raw) < 5_000 else [[raw]]
    for pieces in ways:
        seen = collect(H1Server(), pieces)
        assert shown(seen) == [f"ClientProtocolError {status}"]
        if pieces == [raw]:
            assert says in str(seen)


ACCEPTED_TARGETS = {
    b"GET /a?b=c HTTP/1.1": (b"/a?b=c", "a", "http"),
    b"GET //x/../y HTTP/1.1": (b"//x/../y", "a", "http"),
    b"GET /\xc3\xa4|{}\\^ HTTP/1.1": (b"/\xc3\xa4|{}\\^", "a", "http"),
    b"GET http://b.test HTTP/1.1": (b"/", "b.test", "http"),
    b"GET HTTP://b.test:81?q HTTP/1.1": (b"/?q", "b.test:81", "http"),
    b"GET https://[::1]/x HTTP/1.1": (b"/x", "[::1]", "https"),
    b"OPTIONS * HTTP/1.1": (b"*", "a", "http"),
    b"OPTIONS http://b HTTP/1.1": (b"*", "b", "http"),
    b"CONNECT b:443 HTTP/1.1": (b"b:443", "b:443", "http"),
    b"CONNECT [::1]:443 HTTP/1.1": (b"[::1]:443", "[::1]:443", "http"),
}


@pytest.mark.parametrize("line", ACCEPTED_TARGETS)
def test_target_forms(line: bytes) -> None:
    head, _ = judge_request(get(start=line), "http")
    assert (head.target, head.authority, head.scheme) == ACCEPTED_TARGETS[line]
    assert head.headers.raw == [(b"Host", b"a")]  # as received, whatever wins
    assert head.is_absolute is (b"://" in line)


def test_fields_keep_case_order_and_bytes() -> None:
    raw = get(b"X-b:1", b"x-A: \t two  \t", b"X-b:", b"C: \xff\xfe", b"D: a:b")
    head, _ = judge_request(raw, "http")
    assert head.headers.raw == [
        (b"Host", b"a"),
        (b"X-b", b"1"),
        (b"x-A", b"two"),
        (b"X-b", b""),
        (b"C", b"\xff\xfe"),
        (b"D", b"a:b"),
    ]


def test_http10_needs_no_host() -> None:
    head, framing = judge_request(b"GET / HTTP/1.0\r\n\r\n", "http")
    assert (head.authority, head.version, len(head.headers)) == ("", "HTTP/1.0", 0)
    assert (head.has_body, framing.length) == (False, None)


def test_an_endless_start_line_is_refused_before_its_end() -> None:
    seen = collect(H1Server(), [b"GET /" + b"a" * MAX_START_LINE_BYTES])
    assert shown(seen) == ["ClientProtocolError 414"]


def test_limits_are_reached_before_they_refuse() -> None:
    head, _ = judge_request(get(*[b"A: b"] * (MAX_FIELDS - 1)), "http")
    assert len(head.headers) == MAX_FIELDS
    target = b"/" + b"a" * (MAX_START_LINE_BYTES - len(b"GET / HTTP/1.1\r\n"))
    head, _ = judge_request(get(start=b"GET %b HTTP/1.1" % target), "http")
    assert head.target == target


REFUSED_RESPONSES = {
    "CL and TE": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    "CL twice": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1",
    "TE in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
    "TE gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
    "TE gzip alone": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c",
    "space before the colon": b"HTTP/1.1 200 OK\r\nA : b",
    "bare LF": b"HTTP/1.1 200 OK\nA: b",
    "NUL": b"HTTP/1.1 200 OK\r\nA: \x00",
    "NUL in the reason": b"HTTP/1.1 200 O\x00K",
    "status 99": b"HTTP/1.1 099 OK",
    "status 600": b"HTTP/1.1 600 OK",
    "status 20": b"HTTP/1.1 20 OK",
    "status 2000": b"HTTP/1.1 2000 OK",
    "version": b"HTTP/1.17 200 OK",
    "HTTP/2": b"HTTP/2 200 OK",
    "ICY": b"ICY 200 OK",
    "garbage": b"<html>",
}


@pytest.mark.parametrize("head", REFUSED_RESPONSES.values(), ids=REFUSED_RESPONSES)
def test_refused_responses(head: bytes) -> None:
    with pytest.raises(OriginProtocolError) as caught:
        judge_response(head + b"\r\n\r\n", "GET")
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 200 OK", b"OK"),
        (b"HTTP/1.1 200 ", b""),
        (b"HTTP/1.1 200", b""),
        (b"HTTP/1.0 404 N\xf6 \t way", b"N\xf6 \t way"),
    ],
)
def test_reason_phrases(line: bytes, reason: bytes) -> None:
    head, _ = judge_response(line + b"\r\n\r\n", "GET")
    assert head.reason == reason


@pytest.mark.parametrize(
    ("method", "status", "has_body"),
    [
        ("GET", 200, True),
        ("HEAD", 200, False),
        ("GET", 204, False),
        ("GET", 304, False),
        ("GET", 103, False),
        ("CONNECT", 200, False),
        ("CONNECT", 403, True),
    ],
)
def test_responses_without_a_body(method: str, status: int, has_body: bool) -> None:
    head, _ = judge_response(
        b"HTTP/1.1 %d x\r\nContent-Length: 7\r\n\r\n" % status, method
    )
    assert (head.has_body, head.length) == (has_body, 7)


@pytest.mark.parametrize(
    "name", [b"Content-Length", b"transfer-encoding", b"Host", b"Trailer", b"te"]
)
def test_trailers_that_frame_or_route_are_refused(name: bytes) -> None:
    with pytest.raises(ClientProtocolError, match="not allowed as a trailer"):
        judge_trailers(b"A: b\r\n" + name + b": 1\r\n\r\n", Peer.CLIENT)


# --- against h11 --------------------------------------------------------------------

LINES = st.sampled_from(
    [
        b"Host: a",
        b"Content-Length: 3",
        b"Content-Length: 03",
        b"Content-Length: 3, 3",
        b"Content-length:3",
        b"Content-Length : 3",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked ",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding:\tchunked",
        b" Transfer-Encoding: chunked",
        b"X: y\nContent-Length: 2",
        b"X: y\rContent-Length: 2",
        b"Connection: close",
        b"Cookie: a=b",
        b"",
    ]
)
BODIES = st.sampled_from(
    [b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
     b"03\r\nabc\r\n00\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n",
     b"3\r\nabcd\r\n0\r\n\r\n", b"0\r\nContent-Length: 3\r\n\r\nabc"]
)  # fmt: skip


@given(
    start=st.sampled_from([b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"POST / HTTP/1.0"]),
    lines=st.lists(LINES, max_size=4),
    body=BODIES,
)
def test_what_the_judge_accepts_h11_reads_the_same_or_refuses(
    start: bytes, lines: list[bytes], body: bytes
) -> None:
    raw = b"\r\n".join([start, b"Host: a", *lines, b"", body])
    ours, our_rest = _read(raw)
    if ours is None:
        return
    theirs, their_rest = _read_by_h11(raw)
    if theirs is not None:
        assert ours == theirs
        assert our_rest == their_rest


def _read(raw: bytes) -> tuple[bytes | None, bytes]:
    codec = H1Server()
    seen = collect(codec, [raw])
    words = shown(seen)
    if not words or not words[-1].startswith("end"):
        return None, b""
    body = words[1].removeprefix("data ").encode("latin-1") if len(words) > 2 else b""
    return body, codec.leftover()


def _read_by_h11(raw: bytes) -> tuple[bytes | None, bytes]:
    engine = h11.Connection(h11.SERVER)
    engine.receive_data(raw)
    body = b""
    try:
        while not isinstance(event := engine.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return None, b""
            if isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError:
        return None, b""
    return body, engine.trailing_data[0]


@given(st.binary(max_size=200), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", HOST]))
@example(b"", b"")
def test_no_bytes_raise_outside_the_tree(noise: bytes, prefix: bytes) -> None:
    raw = prefix + noise + b"\r\n\r\n"
    for judge in (
        lambda: judge_request(raw, "http"),
        lambda: judge_response(raw, "GET"),
        lambda: judge_trailers(raw, Peer.ORIGIN),
    ):
        with contextlib.suppress(Int3rceptorError):
            judge()


@pytest.mark.parametrize("minor", range(2, 10))
def test_higher_minor_versions_are_read_as_1_1(minor: int) -> None:
    """RFC 9110, 2.5."""
    start = b"GET / HTTP/1.%d" % minor
    request, framing = judge_request(get(b"Connection: x", start=start), "http")
    assert (request.version, framing.options) == ("HTTP/1.1", {b"x"})

    answer, _ = judge_response(b"HTTP/1.%d 200 OK\r\n\r\n" % minor, "GET")
    assert answer.version == "HTTP/1.1"
