"""Heads mean what they meant when they were judged, however often they come again."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import Int3rceptorError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h1 import framing as h1_framing
from int3rceptor.wire.h1 import lines as h1_lines
from int3rceptor.wire.h1.framing import Framing, judge_request, judge_response
from int3rceptor.wire.h1.serialise import (
    request_framing,
    request_head,
    response_framing,
    response_head,
)
from tests.support.h1_codec import a_request
from tests.support.h1_heads import (
    REQUESTS,
    RESPONSES,
    TABLES,
    forget,
    mutated,
    nothing_known,
)

Judged = tuple[RequestHead | ResponseHead, Framing] | tuple[str, str]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with nothing_known():
        yield


def request_of(head: bytes) -> Judged:
    return _outcome(lambda: judge_request(head, "https"))


def response_of(head: bytes) -> Judged:
    return _outcome(lambda: judge_response(head, "GET"))


def _outcome(
    judge: Callable[[], tuple[RequestHead | ResponseHead, Framing]],
) -> Judged:
    try:
        return judge()
    except Int3rceptorError as error:
        return type(error).__name__, str(error)


@given(
    st.lists(mutated(REQUESTS), min_size=1, max_size=8),
    st.lists(mutated(RESPONSES), min_size=1, max_size=8),
)
def test_to_remember_changes_no_judgement(
    requests: list[bytes], responses: list[bytes]
) -> None:
    forget()
    fresh = []
    for head in requests:
        forget()
        fresh.append(request_of(head))
    for head in responses:
        forget()
        fresh.append(response_of(head))
    # The corpus is known beforehand: what is near it must not be taken for it.
    for head in REQUESTS:
        request_of(head)
    for head in RESPONSES:
        response_of(head)
    first = [*map(request_of, requests), *map(response_of, responses)]
    again = [*map(request_of, requests), *map(response_of, responses)]

    assert first == again == fresh
    steering = [one[0].headers.steering for one in fresh if not isinstance(one[0], str)]
    known = [one[0].headers.steering for one in again if not isinstance(one[0], str)]
    assert known == steering


@given(mutated(REQUESTS), mutated(RESPONSES))
def test_only_what_was_accepted_is_remembered(request: bytes, response: bytes) -> None:
    forget()
    is_refused = isinstance(request_of(request)[0], str)
    with contextlib.suppress(Int3rceptorError):
        judge_response(response, "GET")

    # The block alone may be good where the start line was not.
    for (version, block), known in h1_framing._requests.items():
        start = b"GET / " + version.encode() + b"\r\n"
        if known.host is not None and known.authority is None:
            continue  # what is wrong with it is judged with the target
        found, framing = judge_request(start + block, "https")
        assert (found.headers.raw, framing) == (known.raw, known.framing)
    if not is_refused:
        assert len(h1_framing._requests) <= 1


def test_what_is_done_to_one_head_is_not_seen_in_the_next() -> None:
    first, _ = judge_request(REQUESTS[0], "https")
    first.headers["user-agent"] = "changed"
    first.headers.add("x-new", "1")
    first.headers.remove("host")
    again, _ = judge_request(REQUESTS[0], "https")

    assert again.headers.raw == [(b"Host", b"a"), (b"User-Agent", b"x")]
    assert again.headers.steering == {b"host"}
    assert first.headers.steering == frozenset()


def test_versions_are_told_apart() -> None:
    with_host = b"Host: a\r\n\r\n"
    for number in (b"1.1", b"1.0", b"1.1"):
        head, _ = judge_request(b"GET / HTTP/" + number + b"\r\n" + with_host, "http")
        assert head.version == "HTTP/" + number.decode()
    assert judge_request(b"GET / HTTP/1.0\r\n\r\n", "http")[0].authority == ""
    for _ in range(2):
        assert request_of(b"GET / HTTP/1.1\r\n\r\n") == (
            "ClientProtocolError",
            "an HTTP/1.1 request without a Host field",
        )


def test_what_is_sent_follows_from_all_that_it_depends_on() -> None:
    headers = ((b"A", b"1"), (b"Content-Length", b"9"), (b"Connection", b"close"))

    def answer(content: bytes, *, close: bool, method: str = "GET") -> bytes:
        response = Response(status=200, headers=Headers(headers), body=Body(content))
        sending = response_framing(response, method, is_http10=False)
        return response_head(response, sending, close=close).partition(b"\r\n")[2]

    def ask(authority: str) -> bytes:
        request = a_request("GET", (b"Host", b"a"), authority=authority)
        return request_head(request, request_framing(request), absolute_form=False)

    for _ in range(2):
        assert answer(b"1234", close=False) == b"A: 1\r\nContent-Length: 4\r\n\r\n"
        assert answer(b"12345", close=False) == b"A: 1\r\nContent-Length: 5\r\n\r\n"
        closed = b"A: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        assert answer(b"1234", close=True) == closed
        kept = b"A: 1\r\nContent-Length: 9\r\n\r\n"
        assert answer(b"", close=False, method="HEAD") == kept
        assert ask("b") == b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"
        assert ask("c:1") == b"GET / HTTP/1.1\r\nHost: c:1\r\n\r\n"


@pytest.mark.parametrize("name", sorted(h1_lines._SECRET))
def test_secrets_are_not_remembered(name: bytes) -> None:
    secret = name.title() + b": s3cret\r\n\r\n"
    head, _ = judge_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + secret, "https")
    judge_response(b"HTTP/1.1 200 OK\r\n" + secret, "GET")
    request = a_request("GET", *head.headers.raw)
    assert b"Host: a" in request_head(
        request, request_framing(request), absolute_form=False
    )

    # A request without its cookie may be.
    assert b"s3cret" not in repr(TABLES).encode()
    assert not any(TABLES) or name == b"cookie"


def test_large_blocks_are_not_remembered() -> None:
    size = h1_lines.MAX_KNOWN_BLOCK_BYTES - len(b"Host: a\r\n\r\n")
    lines = b"".join(b"x: " + b"v" * 45 + b"\r\n" for _ in range(size // 50))
    fitting = lines + b"y: " + b"v" * (size % 50 - 5) + b"\r\n"
    for block in (fitting, fitting.replace(b"y: ", b"y: v")):
        judge_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + block + b"\r\n", "https")

    assert [len(block) for _, block in h1_framing._requests] == [
        h1_lines.MAX_KNOWN_BLOCK_BYTES
    ]


def test_no_more_is_remembered_than_the_limit() -> None:
    for number in range(h1_lines.MAX_KNOWN_BLOCKS + 1):
        judge_response(b"HTTP/1.1 200 OK\r\nn: %d\r\n\r\n" % number, "GET")

    assert len(h1_framing._responses) == 1
