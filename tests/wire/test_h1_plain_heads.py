"""Heads that go on as they came: known with their fields, and nothing else for that."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import Int3rceptorError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.h1.framing import judge_request, judge_response, may_have_body
from int3rceptor.wire.h1.serialise import (
    NOTHING,
    Sending,
    plain_request_head,
    plain_response_head,
    request_framing,
    request_head,
    response_framing,
    response_head,
)
from tests.support.h1_codec import Nothing, a_request
from tests.support.h1_heads import REQUESTS, RESPONSES, mutated, nothing_known

Sent = TypeVar("Sent", Request, Response)
Head = TypeVar("Head")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with nothing_known():
        yield


EDITS: tuple[Callable[[Headers], object], ...] = (
    lambda headers: None,
    lambda headers: headers.add("x-new", "1"),
    lambda headers: headers.remove("host"),
    lambda headers: headers.put(b"content-length", b"7"),
    lambda headers: headers.append(b"te", b"trailers"),
    lambda headers: headers.raw.reverse(),
)
BODIES: tuple[Callable[[], Body], ...] = (
    lambda: Body(b"", length=0),
    lambda: Body(b"abc", length=3),
    lambda: Body(b"abcd"),
    lambda: Body(b"abc", trailers=Headers([(b"t", b"1")])),
    lambda: Body(source=Nothing(), length=3),
    lambda: Body(source=Nothing()),
)


NEARLY_PLAIN = (
    REQUESTS[0],
    b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTrailer: t\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n",
)


@given(
    mutated(REQUESTS),
    st.sampled_from(["", "GET", "POST", "CONNECT", "a b"]),
    st.sampled_from(["", "other.test:1"]),
    st.sampled_from(["HTTP/1.1", "HTTP/2"]),
    st.sampled_from(BODIES),
    st.sampled_from(EDITS),
)
def test_a_plain_request_head_is_the_head(
    raw: bytes,
    method: str,
    authority: str,
    version: str,
    body: Callable[[], Body],
    edit: Callable[[Headers], object],
) -> None:
    for _ in range(3):
        try:
            head, _ = judge_request(raw, "https")
        except Int3rceptorError:
            return
        request = a_request(
            method or head.method,
            target=head.target,
            authority=authority or head.authority,
            version=version,
            body=body(),
        )
        request.headers = head.headers
        edit(request.headers)
        if plain := _or_none(plain_request_head, request):
            sending = request_framing(request)
            assert sending is NOTHING
            assert plain == request_head(request, sending, absolute_form=False)


@given(
    mutated(RESPONSES),
    st.sampled_from([0, 100, 101, 204, 304, 404]),
    st.sampled_from([b"", b"R", b"a\nb"]),
    st.sampled_from(BODIES),
    st.sampled_from(EDITS),
    st.booleans(),
)
def test_a_plain_response_head_is_the_head(
    raw: bytes,
    status: int,
    reason: bytes,
    body: Callable[[], Body],
    edit: Callable[[Headers], object],
    is_http10: bool,
) -> None:
    for _ in range(3):
        try:
            head, _ = judge_response(raw, "GET")
        except Int3rceptorError:
            return
        edit(head.headers)
        response = Response(
            status=status or head.status,
            reason=reason or head.reason,
            version=head.version,
            headers=head.headers,
            body=body(),
        )
        if plain := _or_none(plain_response_head, response):
            assert may_have_body("GET", response.status)
            sending = response_framing(response, "GET", is_http10=is_http10)
            assert sending == Sending(plain[1])
            assert plain[0] == response_head(response, sending, close=False)


def _or_none(serialise: Callable[[Sent], Head | None], message: Sent) -> Head | None:
    """What it says; None as well when it refuses, as the other would."""
    try:
        return serialise(message)
    except Int3rceptorError:
        return None


def plain_request(raw: bytes = REQUESTS[0]) -> Request:
    head, _ = judge_request(raw, "https")
    request = a_request(authority=head.authority)
    request.headers = head.headers
    return request


def plain_response(raw: bytes = RESPONSES[0]) -> Response:
    head, _ = judge_response(raw, "GET")
    headers = head.headers
    return Response(status=200, reason=b"OK", headers=headers, body=Body(b"abc"))


def test_what_goes_on_as_it_came_is_plain() -> None:
    for _ in range(2):
        assert plain_request_head(plain_request()) == REQUESTS[0]
        assert plain_response_head(plain_response()) == (RESPONSES[0], 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authority", "other.test"),
        ("version", "HTTP/2"),
        ("method", "POST"),
        ("method", "CONNECT"),
        ("body", Body(b"abc")),
        ("body", Body(source=Nothing(), length=0)),
        ("body", Body(trailers=Headers([(b"t", b"1")]))),
        ("headers", Headers([(b"Host", b"a")])),
    ],
)
def test_a_request_is_plain_no_more(name: str, value: object) -> None:
    plain_request_head(plain_request())
    request = plain_request()
    setattr(request, name, value)
    assert plain_request_head(request) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", 101),
        ("status", 204),
        ("status", 304),
        ("reason", b""),
        ("body", Body(b"abcd")),
        ("body", Body(source=Nothing(), length=4)),
        ("body", Body(b"abc", trailers=Headers([(b"t", b"1")]))),
        ("headers", Headers([(b"Content-Length", b"3")])),
    ],
)
def test_a_response_is_plain_no_more(name: str, value: object) -> None:
    plain_response_head(plain_response())
    response = plain_response()
    setattr(response, name, value)
    assert plain_response_head(response) is None


def test_edited_fields_are_not_plain() -> None:
    request, response = plain_request(), plain_response()
    request.headers["user-agent"] = "y"
    response.headers.raw.append((b"x", b"y"))
    assert plain_request_head(request) is None
    assert plain_response_head(response) is None


@pytest.mark.parametrize("raw", NEARLY_PLAIN[1:])
def test_fields_that_ask_for_more_are_not_plain(raw: bytes) -> None:
    for _ in range(2):
        if raw.startswith(b"HTTP"):
            assert plain_response_head(plain_response(raw)) is None
        else:
            assert plain_request_head(plain_request(raw)) is None
