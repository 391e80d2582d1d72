"""H1Client: answers in any pieces, reuse, truncation, upgrades, floods."""

import pytest

from int3rceptor.errors import (
    ClientProtocolError,
    OriginClosed,
    OriginProtocolError,
)
from int3rceptor.model.body import Body
from int3rceptor.wire.h1.server import MAX_INFORMATIONAL, H1Client, Signal
from tests.support.h1_codec import (
    OK,
    SWITCH,
    WANTS_UPGRADE,
    Nothing,
    a_request,
    client_asking,
    collect,
    shown,
    splits,
)

CLOSES = "OriginClosed 502"
FAULT = "OriginProtocolError 502"
ANSWERS = {
    "length": ("GET", OK, ["200", "data hi", "end"], True),
    "chunks": (
        "GET",
        b"HTTP/1.1 200\r\ntransfer-encoding:chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n",
        ["200", "data a", "end [(b'T', b'1')]"], True),
    "after 1xx": (
        "GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n" + OK,
        ["100", "103", "200", "data hi", "end"], True),
    "HEAD": ("HEAD", OK[:-2], ["200", "end"], True),
    "204": ("GET", b"HTTP/1.1 204 x\r\n\r\n", ["204", "end"], True),
    "204 with a length": (
        "GET", b"HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n", ["204", "end"], False),
    "304": (
        "GET", b"HTTP/1.1 304 x\r\nContent-Length: 2\r\n\r\n", ["304", "end"], True),
    "close": (
        "GET", OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        ["200", "data hi", "end"], False),
    "1.0": ("GET", OK.replace(b"1.1", b"1.0"), ["200", "data hi", "end"], False),
    "1.0 kept alive": (
        "GET", OK.replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n")
        .replace(b"1.1", b"1.0"), ["200", "data hi", "end"], True),
    "leftover": ("GET", OK + b"x", ["200", "data hi", "end"], False),
    "CL and TE": (
        "GET", OK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        [FAULT], False),
    "garbage": ("GET", b"<html>\r\n", [FAULT], False),
    "101 unasked": ("GET", b"HTTP/1.1 101 x\r\n\r\n", [FAULT], False),
    "flood": (
        "GET", b"HTTP/1.1 102 x\r\n\r\n" * (MAX_INFORMATIONAL + 1),
        ["102"] * MAX_INFORMATIONAL + [FAULT], False),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "raw", "words", "is_reusable"), ANSWERS.values(), ids=ANSWERS
)
def test_answers_in_any_pieces(
    method: str, raw: bytes, words: list[str], is_reusable: bool
) -> None:
    for pieces in splits(raw, times=3):
        client = client_asking(method)
        assert shown(collect(client, pieces)) == words
        assert client.is_reusable is is_reusable
        if is_reusable:
            client.next_cycle()
            assert client.is_reusable
            assert client.head(a_request()).startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", [CLOSES]),
        (b"HTTP/1.1 200", [CLOSES]),
        (b"HTTP/1.1 100 x\r\n\r\n", ["100", CLOSES]),
        (OK[:-1], ["200", "data h", CLOSES]),
        (b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
         ["200", "data hi", CLOSES]),
        (b"HTTP/1.1 200 x\r\n\r\nhi", ["200", "data hi", "end"]),
        (b"HTTP/1.0 200 x\r\n\r\n", ["200", "end"]),
        (OK, ["200", "data hi", "end"]),
    ],
)  # fmt: skip
def test_an_origin_that_closes(raw: bytes, words: list[str]) -> None:
    client = client_asking()
    seen = collect(client, [raw, b""] if raw else [b""])
    assert shown(seen) == words
    assert not client.is_reusable
    if words[-1] == CLOSES:
        with pytest.raises(OriginClosed, match="the origin closed the connection"):
            client.next_event()


def test_bytes_nobody_asked_for() -> None:
    client = H1Client()
    before = client.is_reusable
    client.receive(OK)
    assert (before, client.is_reusable) == (True, False)
    with pytest.raises(OriginProtocolError, match="without being asked"):
        client.next_event()


def test_an_idle_connection_that_closes() -> None:
    client = H1Client()
    client.receive(b"")
    assert (client.next_event(), client.is_reusable) == (Signal.CLOSED, False)


def test_an_answer_before_the_request_is_whole() -> None:
    client = H1Client()
    client.head(a_request("POST", body=Body(source=Nothing())))
    assert shown(collect(client, [OK])) == ["200", "data hi", "end"]
    before = client.is_reusable
    assert b"".join(client.data(b"ab")) == b"2\r\nab\r\n"
    assert client.end() == b"0\r\n\r\n"
    assert (before, client.is_reusable) == (False, True)


def test_an_upgrade_leaves_the_bytes_behind_it() -> None:
    client = client_asking("GET", *WANTS_UPGRADE)
    assert shown(collect(client, [SWITCH + b"\x81", b"\x02"])) == ["101"]
    assert client.leftover() == b"\x81\x02"
    assert (client.next_event(), client.is_reusable) == (Signal.PAUSED, False)


def test_an_upgrade_that_is_declined() -> None:
    client = client_asking("GET", *WANTS_UPGRADE)
    assert shown(collect(client, [OK])) == ["200", "data hi", "end"]
    client.next_cycle()


def test_an_upgrade_before_the_request_is_whole() -> None:
    client = H1Client()
    client.head(a_request("POST", *WANTS_UPGRADE, body=Body(source=Nothing())))
    assert shown(collect(client, [SWITCH])) == [FAULT]


def test_a_tunnel_through_another_proxy() -> None:
    client = H1Client()
    request = a_request("CONNECT", target=b"b:443", authority="b:443")
    assert client.head(request) == b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"
    client.end()
    assert shown(collect(client, [b"HTTP/1.1 200 x\r\n\r\n\x16"])) == ["200"]
    assert (client.leftover(), client.is_reusable) == (b"\x16", False)


def test_a_body_that_does_not_fit_its_length_is_the_clients_fault() -> None:
    client = H1Client()
    client.head(a_request("PUT", body=Body(source=Nothing(), length=3)))
    with pytest.raises(ClientProtocolError, match="cannot be sent"):
        client.data(b"abcd")
    assert not client.is_reusable
