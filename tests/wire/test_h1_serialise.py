"""Heads for the next hop, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import ClientProtocolError, OriginProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.wire.fields import HOP_BY_HOP
from int3rceptor.wire.h1.framing import judge_request
from int3rceptor.wire.h1.serialise import (
    Sending,
    informational_head,
    last_chunk,
    request_framing,
    request_head,
    response_framing,
    response_head,
)
from int3rceptor.wire.peers import Peer
from tests.support.h1_codec import a_request


class Stream:
    """A body that nobody reads here."""

    async def next_chunk(self) -> bytes:
        raise AssertionError("read")

    def trailers(self) -> Headers | None:
        return None


def stream(length: int | None = None) -> Body:
    return Body(source=Stream(), length=length)


def sent(request: Request, *, absolute_form: bool = False) -> bytes:
    return request_head(request, request_framing(request), absolute_form=absolute_form)


def answered(
    response: Response, method: str = "GET", *, is_http10: bool = False
) -> bytes:
    sending = response_framing(response, method, is_http10=is_http10)
    return response_head(response, sending, close=False)


CONNECTION_UPGRADE = (b"connection", b"keep-alive, Upgrade")
REQUESTS = {
    "untouched": (
        a_request("GET", (b"X-a", b"1"), (b"hOst", b"a.test"), (b"x-A", b"\xff")),
        b"GET / HTTP/1.1\r\nX-a: 1\r\nhOst: a.test\r\nx-A: \xff\r\n\r\n",
    ),
    "Host is the effective authority": (
        a_request("GET", (b"A", b"1"), (b"HOST", b"x"), authority="b:81"),
        b"GET / HTTP/1.1\r\nA: 1\r\nHOST: b:81\r\n\r\n",
    ),
    "Host first when it was absent": (
        a_request("GET", (b"a", b"1"), authority="", version="HTTP/1.0"),
        b"GET / HTTP/1.1\r\nHost: a.test\r\na: 1\r\n\r\n",
    ),
    "one cookie field from HTTP/2": (
        a_request("GET", (b"cookie", b"a=b"), (b"x", b"1"), (b"cookie", b"c=d"),
                  version="HTTP/2"),
        b"GET / HTTP/1.1\r\nHost: a.test\r\ncookie: a=b; c=d\r\nx: 1\r\n\r\n",
    ),
    "cookie fields of HTTP/1 as they were": (
        a_request("GET", (b"Host", b"a.test"), (b"Cookie", b"a"), (b"Cookie", b"b")),
        b"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: a\r\nCookie: b\r\n\r\n",
    ),
    "length in place": (
        a_request("POST", (b"CONTENT-length", b"07"), (b"Host", b"a.test"),
                  body=Body(b"abc")),
        b"POST / HTTP/1.1\r\nCONTENT-length: 3\r\nHost: a.test\r\n\r\n",
    ),
    "length in the place of chunks": (
        a_request("PUT", (b"Host", b"a.test"), (b"Connection", b"close"), (b"A", b"1"),
                  (b"Transfer-Encoding", b"chunked"), (b"B", b"1"), body=Body(b"abc")),
        (b"PUT / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\nContent-Length: 3\r\n"
         b"B: 1\r\n\r\n"),
    ),
    "chunks in place": (
        a_request("PUT", (b"Host", b"a.test"), (b"transfer-ENCODING", b"Chunked"),
                  (b"B", b"1"), body=stream()),
        b"PUT / HTTP/1.1\r\nHost: a.test\r\ntransfer-ENCODING: chunked\r\nB: 1\r\n\r\n",
    ),
    "trailers announced": (
        a_request("PUT", (b"Host", b"a.test"), (b"Content-Length", b"3"),
                  (b"Trailer", b"T"), body=stream(3)),
        (b"PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n"
         b"Trailer: T\r\n\r\n"),
    ),
    "trailers in hand": (
        a_request("PUT", (b"Host", b"a.test"),
                  body=Body(b"a", trailers=Headers([(b"t", b"1")]))),
        b"PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "Trailer on a request without a body": (
        a_request("GET", (b"Host", b"a.test"), (b"Trailer", b"T")),
        b"GET / HTTP/1.1\r\nHost: a.test\r\nTrailer: T\r\n\r\n",
    ),
    "no length invented for GET": (
        a_request("GET", (b"Host", b"a.test"), (b"Content-Length", b"0")),
        b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
    ),
    "an empty POST has a length": (
        a_request("POST", (b"Host", b"a.test")),
        b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
    ),
    "hop-by-hop": (
        a_request("GET", (b"Host", b"a.test"), (b"Connection", b"close, x-y, host"),
                  (b"X-Y", b"1"), (b"Keep-Alive", b"1"), (b"Proxy-Connection", b"x"),
                  (b"Upgrade", b"websocket"), (b"Expect", b"100-continue")),
        b"GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\r\n",
    ),
    "upgrade": (
        a_request("GET", (b"Host", b"a.test"), CONNECTION_UPGRADE, (b"upGrade", b"ws")),
        b"GET / HTTP/1.1\r\nHost: a.test\r\nconnection: Upgrade\r\nupGrade: ws\r\n\r\n",
    ),
    "no upgrade in HTTP/1.0": (
        a_request("GET", (b"Host", b"a.test"), CONNECTION_UPGRADE, (b"Upgrade", b"ws"),
                  version="HTTP/1.0"),
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    "TE: trailers": (
        a_request("GET", (b"Host", b"a.test"), (b"te", b"x, trailers"), (b"a", b"1")),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nte: trailers\r\na: 1\r\n"
         b"Connection: TE\r\n\r\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "head"), REQUESTS.values(), ids=REQUESTS)
def test_request_heads(request_: Request, head: bytes) -> None:
    before = request_.headers.copy()
    assert sent(request_) == head
    assert request_.headers == before


@pytest.mark.parametrize(
    ("method", "target", "line"),
    [
        ("GET", b"/\xc3\xa4?b", b"GET http://b:81/\xc3\xa4?b HTTP/1.1"),
        ("OPTIONS", b"*", b"OPTIONS http://b:81 HTTP/1.1"),
        ("CONNECT", b"b:81", b"CONNECT b:81 HTTP/1.1"),
    ],
)
def test_absolute_form(method: str, target: bytes, line: bytes) -> None:
    request = a_request(method, target=target, authority="b:81")
    assert sent(request, absolute_form=True) == line + b"\r\nHost: b:81\r\n\r\n"


def a_response(
    *fields: tuple[bytes, bytes],
    status: int = 200,
    body: Body | None = None,
    version: str = "HTTP/1.1",
    reason: bytes = b"",
) -> Response:
    return Response(
        status=status,
        reason=reason,
        version=version,
        headers=Headers(fields),
        body=body or Body(),
    )


LENGTH_7 = (b"content-length", b"7")
CHUNKED = (b"Transfer-Encoding", b"chunked")
RESPONSES = {
    "whole": (a_response(LENGTH_7, body=Body(b"ab")), "GET", b"content-length: 2\r\n"),
    "empty": (a_response(), "GET", b"Content-Length: 0\r\n"),
    "length": (a_response(LENGTH_7, body=stream(7)), "GET", b"content-length: 7\r\n"),
    "chunks": (a_response(body=stream()), "GET", b"Transfer-Encoding: chunked\r\n"),
    "HEAD": (a_response(LENGTH_7), "HEAD", b"content-length: 7\r\n"),
    "HEAD of chunks": (a_response(CHUNKED), "HEAD", b""),
    "HEAD of our own page": (
        a_response(body=Body(b"ab")), "HEAD", b"Content-Length: 2\r\n"),
    "304": (a_response(LENGTH_7, status=304), "GET", b"content-length: 7\r\n"),
    "304 without": (a_response(status=304), "GET", b""),
    "304 that was given a body": (a_response(status=304, body=Body(b"ab")), "GET", b""),
    "204": (a_response(LENGTH_7, status=204), "GET", b""),
    "CONNECT": (a_response(LENGTH_7), "CONNECT", b""),
    "CONNECT refused": (
        a_response(status=403, body=Body(b"ab")), "CONNECT", b"Content-Length: 2\r\n"),
    "trailers announced": (
        a_response((b"trailer", b"t"), LENGTH_7, body=stream(7)), "GET",
        b"trailer: t\r\nTransfer-Encoding: chunked\r\n"),
    "Upgrade offered": (
        a_response((b"Upgrade", b"h2"), (b"Connection", b"Upgrade")), "GET",
        b"Content-Length: 0\r\n"),
    "101": (
        a_response((b"Upgrade", b"ws"), (b"connection", b"upgrade"), status=101), "GET",
        b"Upgrade: ws\r\nconnection: Upgrade\r\n"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("response", "method", "fields"), RESPONSES.values(), ids=RESPONSES
)
def test_response_fields(response: Response, method: str, fields: bytes) -> None:
    line = b"HTTP/1.1 %d \r\n" % response.status
    assert answered(response, method) == line + fields + b"\r\n"


@pytest.mark.parametrize(
    ("response", "fields"),
    [
        (a_response(body=stream()), b""),
        (a_response(body=stream(7)), b"Content-Length: 7\r\n"),
        (a_response((b"Trailer", b"t"), body=stream()), b"Trailer: t\r\n"),
    ],
    ids=["close", "length", "trailers"],
)
def test_nothing_is_chunked_for_http10(response: Response, fields: bytes) -> None:
    expected = b"HTTP/1.1 200 \r\n" + fields + b"\r\n"
    assert answered(response, is_http10=True) == expected


@pytest.mark.parametrize(
    ("version", "reason", "line"),
    [
        ("HTTP/2", b"", b"HTTP/1.1 404 Not Found\r\n"),
        ("", b"", b"HTTP/1.1 404 Not Found\r\n"),
        ("HTTP/1.1", b"", b"HTTP/1.1 404 \r\n"),
        ("HTTP/1.0", b"N\xf6pe", b"HTTP/1.1 404 N\xf6pe\r\n"),
    ],
)
def test_reason_phrases(version: str, reason: bytes, line: bytes) -> None:
    response = a_response(status=404, version=version, reason=reason)
    assert answered(response).startswith(line)


def test_close_is_said_in_place() -> None:
    response = a_response((b"cONNECTION", b"keep-alive"), (b"A", b"1"))
    head = response_head(response, Sending(0), close=True)
    assert head == (
        b"HTTP/1.1 200 \r\ncONNECTION: close\r\nA: 1\r\nContent-Length: 0\r\n\r\n"
    )


def test_informational() -> None:
    early = Informational(status=103, headers=Headers([(b"link", b"x"), LENGTH_7]))
    assert informational_head(early) == b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"


def test_trailers() -> None:
    trailers = Headers([(b"X-T", b"1"), LENGTH_7, (b"x-t", b"2")])
    assert last_chunk(trailers, Peer.ORIGIN) == b"0\r\nX-T: 1\r\nx-t: 2\r\n\r\n"
    assert last_chunk(None, Peer.ORIGIN) == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"A", b"1\r\nB: 2"),
        (b"A", b"1\n"),
        (b"A", b"\x00"),
        (b"A: b\r\nC", b"1"),
        (b"A ", b"1"),
        (b"", b"1"),
        (b"A", b"1\r\n"),
    ],
)
def test_a_hook_cannot_split_a_head(name: bytes, value: bytes) -> None:
    with pytest.raises(ClientProtocolError, match="cannot carry"):
        sent(a_request("GET", (name, value)))
    with pytest.raises(OriginProtocolError, match="cannot carry"):
        answered(a_response((name, value)))
    with pytest.raises(OriginProtocolError, match="cannot carry"):
        last_chunk(Headers([(name, value)]), Peer.ORIGIN)


@pytest.mark.parametrize(
    ("method", "target"), [("GET", b"/ HTTP/1.1\r\nA: b"), ("G T", b"/"), ("GET", b"")]
)
def test_nor_a_request_line(method: str, target: bytes) -> None:
    with pytest.raises(ClientProtocolError, match="cannot carry"):
        sent(a_request(method, target=target))


def test_nor_a_status_line() -> None:
    with pytest.raises(OriginProtocolError, match="cannot carry"):
        answered(a_response(reason=b"OK\r\nA: b"))


NAMES = st.from_regex(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True).filter(
    lambda name: name.lower() not in HOP_BY_HOP | {b"host", b"content-length"}
)
VALUES = st.binary(max_size=12).map(
    lambda raw: bytes(c for c in raw if c == 9 or (c > 31 and c != 127)).strip(b" \t")
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_what_is_sent_is_read_back(fields: list[tuple[bytes, bytes]]) -> None:
    received = [(b"hOsT", b"a.test"), *fields]
    head, _ = judge_request(sent(a_request("GET", *received)), "http")
    assert head.headers.raw == received
