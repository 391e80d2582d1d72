"""Requests that are known but for a cookie mean and become what they always did."""

from collections.abc import Iterator

import pytest

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.message import Request
from int3rceptor.wire.h1 import framing as h1_framing
from int3rceptor.wire.h1.cookies import MAX_CUT_FIELDS_BYTES, cut_cookie
from int3rceptor.wire.h1.framing import MAX_FIELDS, judge_request
from int3rceptor.wire.h1.server import H1Client, H1Server
from tests.support.h1_heads import forget, nothing_known

START = b"GET /path HTTP/1.1\r\n"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with nothing_known():
        yield


def whole(fields: bytes) -> Request | None:
    return H1Server("https").whole_request(START + fields, "a", 443)


def passed_on(fields: bytes) -> bytes | None:
    request = whole(fields)
    return None if request is None else H1Client().whole_request(request)


def learn(fields: bytes) -> None:
    judge_request(START + fields, "https")


KEPT = [
    b"Host: a\r\nCookie: s=1\r\n\r\n",
    b"Host: a\r\nCookie: s=1\r\nAccept: */*\r\n\r\n",
    b"Host: a\r\nAccept: */*\r\nCookie: s=1; t=2\r\n\r\n",
    b"Host: a\r\nAccept: */*\r\nCookie: s=1 \r\n\r\n",
    b"Host: a\r\nX-Cookie: s=1\r\nCookie: s=1 \r\n\r\n",
    b"Host: a\r\nCookie: \r\n\r\n",
    b"Host: a\r\nCookie: s=\xff\r\n\r\n",
    b"Host: a\r\nConnection: keep-alive\r\nCookie: s=1\r\n\r\n",
    b"Host: a\r\nConnection: cookie\r\nCookie: s=1\r\n\r\n",
    b"Accept: */*\r\nCookie: s=1\r\nHost: a\r\n\r\n",
    b"host:a\r\nCookie: s=1\r\n\r\n",
]


@pytest.mark.parametrize("fields", KEPT)
def test_a_new_cookie_makes_no_other_head(fields: bytes) -> None:
    """Whatever is known: nothing, all but the cookie, or how that goes on, too."""
    other = fields.replace(b"\r\nCookie: ", b"\r\nCookie: other")
    judged = []
    for _ in range(3):
        request = whole(fields)
        if request is not None:
            judged.append((request.headers.raw, passed_on(fields)))
        learn(other)
        passed_on(other)
    forget()
    head, _framing = judge_request(START + fields, "https")
    forget()
    fresh = Request("GET", "https", "a", 443, b"/path", "a", "HTTP/1.1", head.headers)

    assert judged == [(head.headers.raw, H1Client().head(fresh))] * 2


def test_no_cookie_is_remembered() -> None:
    for number in range(3):
        fields = b"Host: a\r\nCookie: s3cret=%d\r\n\r\n" % number
        learn(fields)
        assert passed_on(fields)

    assert list(h1_framing._requests) == [("HTTP/1.1", b"Host: a\r\n\r\n")]
    assert "s3cret" not in repr(h1_framing._requests)


@pytest.mark.parametrize("name", [b"Cookie", b"Authorization", b"X-Api-Key"])
def test_what_has_another_secret_is_not_remembered(name: bytes) -> None:
    learn(b"Host: a\r\nCookie: s=1\r\n" + name + b": s3cret\r\n\r\n")

    assert not h1_framing._requests


@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a\r\n\r\nCookie: s=1\r\n",
        b"Host: a\r\n\r\n\r\nCookie: s=1\r\n\r\n",
        b"Host: a\r\nCookie: s=1\r\n\r\nHost: b\r\n\r\n",
        b"Host: a\r\nCookie: s=1\r\n",
        b"Host: a\r\nCookie: s\r\r\n\r\n",
        b"Host: a\r\nCookie: s\nX: y\r\n\r\n",
        b"Host: a\r\nCookie: s\0\r\n\r\n",
        b"Host: a\r\nCookie: s\r\n x\r\n\r\n",
        b"Host: a\r\nCookie : s\r\n\r\n",
    ],
)
def test_what_is_no_cookie_in_a_head_is_not_cut_out(fields: bytes) -> None:
    learn(b"Host: a\r\n\r\n")
    learn(b"Host: a\r\nCookie: s\r\n\r\n")

    assert whole(fields) is None


def test_one_field_too_many_is_refused() -> None:
    most = b"Host: a\r\n" + b"b:\r\n" * (MAX_FIELDS - 1)
    learn(most + b"\r\n")
    assert whole(most + b"\r\n")

    too_many = most + b"Cookie: s=1\r\n\r\n"
    assert whole(too_many) is None
    with pytest.raises(ClientProtocolError, match="more than 256"):
        learn(too_many)


def test_large_heads_are_not_looked_through() -> None:
    head = b"Host: a\r\nCookie: %b\r\n\r\n"
    room = MAX_CUT_FIELDS_BYTES - len(head % b"")

    assert cut_cookie(head % (b"s" * room)) is not None
    assert cut_cookie(head % (b"s" * (room + 1))) is None
