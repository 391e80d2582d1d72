"""H1Server: events in any pieces, keep-alive, ends, refusals, tunnels."""

import pytest

from int3rceptor.errors import (
    ClientProtocolError,
    OriginProtocolError,
    ProtocolError,
)
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Response
from int3rceptor.wire.events import Data, End, Event, RequestHead
from int3rceptor.wire.h1.connection import MAX_CUT_BYTES
from int3rceptor.wire.h1.server import H1Server, Signal
from tests.support.h1_codec import (
    CHUNKS,
    CONNECT,
    GET,
    UPGRADE,
    Nothing,
    collect,
    shown,
    splits,
)


def response(
    status: int = 200, content: bytes = b"", *, streamed: bool = False
) -> Response:
    body = Body(source=Nothing()) if streamed else Body(content)
    return Response(status=status, version="HTTP/1.1", body=body)


def whole(server: H1Server, answer: Response) -> bytes:
    """An answer from head to end."""
    content = answer.body.content or b""
    return b"".join([server.head(answer), *server.data(content), server.end()])


def server_after(raw: bytes, scheme: str = "http") -> H1Server:
    server = H1Server(scheme)
    collect(server, [raw])
    return server


REQUESTS = {
    "GET": (GET, ["GET /", "end"], b""),
    "empty lines first": (b"\r\n\r\n" + GET, ["GET /", "end"], b""),
    "pipelined": (GET + GET, ["GET /", "end"], GET),
    "length": (
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcX",
        ["POST /", "data abc", "end"], b"X"),
    "length 0": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        ["POST /", "end"], b""),
    "chunks and trailers": (
        CHUNKS + GET, ["POST /c", "data abcde", "end [(b'X-t', b'1')]"], GET),
    "bad chunk": (
        CHUNKS.replace(b"2\r\nde", b"2\r\ndef"),
        ["POST /c", "data abcde", "ClientProtocolError 400"], None),
    "Content-Length as a trailer": (
        CHUNKS.replace(b"X-t", b"Content-Length"),
        ["POST /c", "data abcde", "ClientProtocolError 400"], None),
    "CONNECT": (CONNECT + b"\x16\x03", ["CONNECT b:443", "end"], b"\x16\x03"),
    "upgrade": (UPGRADE + b"\x81", ["GET /ws", "end"], b"\x81"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "words", "rest"), REQUESTS.values(), ids=REQUESTS)
def test_requests_in_any_pieces(
    raw: bytes, words: list[str], rest: bytes | None
) -> None:
    for pieces in splits(raw):
        server = H1Server()
        assert shown(collect(server, pieces)) == words
        if rest is not None:
            assert server.leftover() == rest
            assert server.next_event() is Signal.PAUSED


def test_pipelined_requests_are_answered_one_by_one() -> None:
    server = server_after(GET + CHUNKS + GET)
    for path in ("GET /", "POST /c", "GET /"):
        assert whole(server, response(200, b"ok")).endswith(b"\r\n\r\nok")
        assert not server.must_close
        server.next_cycle()
        if path != "GET /" or server.leftover():
            assert shown(collect(server, [b""]))  # reads the next one
    assert server.next_event() is Signal.CLOSED


@pytest.mark.parametrize("read_bytes", [100, 5_000, MAX_CUT_BYTES, 10**6])
def test_pipelined_requests_are_told_apart_however_they_come(read_bytes: int) -> None:
    bodies = [bytes([n % 256]) * (n * 37 % 400) for n in range(300)]
    raw = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
        % (n, len(body), body)
        for n, body in enumerate(bodies)
    )
    assert len(raw) > 3 * MAX_CUT_BYTES
    reads = [raw[at : at + read_bytes] for at in range(0, len(raw), read_bytes)]
    server = H1Server()

    def event() -> Event:
        while isinstance(found := server.next_event(), Signal):
            assert found is Signal.NEED_DATA
            server.receive(reads.pop(0))
        return found

    for n, body in enumerate(bodies):
        head = event()
        assert isinstance(head, RequestHead)
        assert head.target == b"/%d" % n
        # In one piece where it is here, or piece by piece.
        seen = server.take_body(10**6) if n % 2 else None
        if seen is None:
            seen = b""
            while isinstance(found := event(), Data):
                seen += found.data
            assert isinstance(found, End)
        assert seen == body
        assert whole(server, response(200, b"ok")).endswith(b"\r\n\r\nok")
        server.next_cycle()
    assert server.leftover() == b""
    assert not reads


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "closed"),
        (b"\r\n", "closed"),
        (b"GET / HT", "ClientProtocolError 400"),
        (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nab", "ClientProtocolError 400"),
        (CHUNKS[:-2], "ClientProtocolError 400"),
        (CHUNKS[:-30], "ClientProtocolError 400"),
    ],
)
def test_the_end_of_input(raw: bytes, word: str) -> None:
    assert shown(collect(H1Server(), [raw, b""] if raw else [b""]))[-1] == word


def test_a_refusal_stays_and_can_be_answered() -> None:
    server = server_after(b"GET / HTTP/1.1\r\n\r\n")
    for _ in range(2):
        with pytest.raises(ClientProtocolError, match="Host"):
            server.next_event()
    assert server.must_close
    raw = whole(server, response(400, b"no"))
    assert b"\r\nConnection: close\r\n" in raw
    assert raw.endswith(b"\r\n\r\nno")
    with pytest.raises(ProtocolError, match="another exchange"):
        server.next_cycle()


def test_a_refusal_inside_a_body_can_be_answered() -> None:
    server = server_after(CHUNKS.replace(b"3;x", b"x"))
    assert whole(server, response(400)).startswith(b"HTTP/1.1 400 ")
    assert server.must_close


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_clients_that_close(raw: bytes) -> None:
    server = server_after(raw)
    assert b"\r\nConnection: close\r\n" in server.head(response())
    server.end()
    assert server.must_close


def test_the_proxy_can_close() -> None:
    server = server_after(GET)
    assert b"Connection: close" in server.head(response(), close=True)
    assert server.must_close


def test_an_answer_before_the_request_is_whole_closes() -> None:
    server = server_after(CHUNKS[:-2])
    whole(server, response())
    before = server.must_close
    collect(server, [CHUNKS[-2:]])
    assert (before, server.must_close) == (True, False)
    server.next_cycle()


def test_a_stream_to_http10_ends_with_the_connection() -> None:
    server = server_after(b"GET / HTTP/1.0\r\n\r\n")
    head = server.head(response(streamed=True))
    assert head == b"HTTP/1.1 200 \r\nConnection: close\r\n\r\n"
    assert (server.data(b"abc"), server.end(Headers([(b"t", b"1")]))) == ([b"abc"], b"")
    assert server.must_close


def test_a_stream_is_chunked_with_its_trailers() -> None:
    server = server_after(GET)
    chunk = b"x" * 20
    assert b"Transfer-Encoding: chunked" in server.head(response(streamed=True))
    pieces = server.data(chunk)
    assert b"".join(pieces) == b"14\r\n" + chunk + b"\r\n"
    assert any(piece is chunk for piece in pieces)
    assert server.data(b"") == []
    assert server.end(Headers([(b"X-t", b"1")])) == b"0\r\nX-t: 1\r\n\r\n"
    assert not server.must_close


def test_a_response_to_head_has_no_body_whatever_is_sent() -> None:
    server = server_after(GET.replace(b"GET", b"HEAD"))
    raw = whole(server, response(200, b"page"))
    assert raw.endswith(b"Content-Length: 4\r\n\r\n")
    assert not server.must_close


def test_a_body_that_does_not_fit_its_length_is_the_origins_fault() -> None:
    server = server_after(GET)
    server.head(response(200, b"abc"))
    with pytest.raises(OriginProtocolError, match="cannot be sent"):
        server.data(b"abcd")
    server = server_after(GET)
    server.head(response(200, b"abc"))
    with pytest.raises(OriginProtocolError, match="cannot be sent"):
        server.end()
    assert server.must_close


def test_informational_responses() -> None:
    server = server_after(GET)
    assert server.informational(Informational(status=103)).startswith(b"HTTP/1.1 103 ")
    assert whole(server, response())
    old = server_after(b"GET / HTTP/1.0\r\n\r\n")
    assert old.informational(Informational(status=100)) == b""


def test_a_tunnel_after_connect() -> None:
    server = server_after(CONNECT + b"\x16")
    assert whole(server, response(200)) == b"HTTP/1.1 200 \r\n\r\n"
    server.receive(b"\x03")
    assert (server.next_event(), server.leftover()) == (Signal.PAUSED, b"\x16\x03")


def test_connect_refused_keeps_the_connection() -> None:
    server = server_after(CONNECT + GET)
    whole(server, response(403, b"no"))
    server.next_cycle()
    assert isinstance(server.next_event(), RequestHead)


def test_connect_after_another_request() -> None:
    server = server_after(GET + CONNECT + b"\x16")
    whole(server, response())
    server.next_cycle()
    assert shown(collect(server, [b"\x03"])) == ["CONNECT b:443", "end"]
    assert server.leftover() == b"\x16\x03"


def test_switching_protocols() -> None:
    server = server_after(UPGRADE)
    fields = Headers([(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
    head = server.head(Response(status=101, version="HTTP/1.1", headers=fields))
    assert head.endswith(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    server.receive(b"\x81")
    assert (server.next_event(), server.leftover()) == (Signal.PAUSED, b"\x81")
    assert server.end() == b""
