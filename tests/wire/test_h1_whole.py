"""Plain messages that are here whole: taken and sent at once, as step by step."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.errors import Int3rceptorError
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h1.framing import judge_request, judge_response
from int3rceptor.wire.h1.server import NEED_DATA, H1Client, H1Server
from tests.support.h1_codec import GET, OK, Nothing, a_request, collect
from tests.support.h1_heads import REQUESTS, RESPONSES, mutated, nothing_known

LIMIT = 1000
AFTER = st.sampled_from([b"", b"", b"", b"abc", b"abcd", b"\r\n", GET])
BEFORE = st.sampled_from([b"", b"", b"", b"\r\n", b"GET", GET])
ASKED = st.sampled_from(["GET", "GET", "POST", "HEAD", "CONNECT"])
METHODS = st.sampled_from(["GET", "GET", "POST", "HEAD", "CONNECT", "a b"])


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with nothing_known():
        yield


def learn(judge: Callable[[], object]) -> None:
    """Have a head known, if it is good."""
    with contextlib.suppress(Int3rceptorError):
        judge()


def outcome(do: Callable[[], object]) -> object:
    try:
        return do()
    except Int3rceptorError as error:
        return type(error).__name__, str(error)


def fields_of(request: Request) -> tuple[object, ...]:
    return (
        request.method,
        request.target,
        request.authority,
        request.scheme,
        request.version,
        request.headers.raw,
        request.headers.steering,
        request.received,
    )


@given(BEFORE, mutated(REQUESTS), AFTER)
@example(b"", REQUESTS[0], b"")
def test_a_whole_request_is_what_its_events_say(
    before: bytes, raw: bytes, after: bytes
) -> None:
    learn(lambda: judge_request(raw, "https"))
    data = raw + after
    quick, slow = H1Server("https"), H1Server("https")
    if before:
        quick.receive(before)
        slow.receive(before)
    request = quick.whole_request(data, "h.test", 1)
    if request is None:
        assert collect(quick, [data, b""]) == collect(slow, [data, b""])
        return

    assert not before
    slow.receive(data)
    head = slow.next_event()
    assert isinstance(head, RequestHead)
    assert not head.has_body
    assert (head.length, head.is_absolute) == (None, False)
    assert slow.take_body(LIMIT) == b""
    known = head.method, head.target, head.authority, head.scheme, head.version
    of_fields = head.headers.raw, head.headers.steering, head.block
    assert fields_of(request) == (*known, *of_fields)
    assert (request.host, request.port, request.body.content) == ("h.test", 1, b"")
    for codec in (quick, slow):
        response = Response(200, b"OK", "HTTP/1.1", body=Body(b"hi"))
        assert codec.next_event() is slow.next_event()
        assert codec.head(response).endswith(b"\r\n\r\n")
        assert codec.whole(b"hi") == b"hi"
        assert not codec.must_close
        codec.next_cycle()
    assert collect(quick, [GET, b""]) == collect(slow, [GET, b""])


@given(ASKED, mutated(RESPONSES), st.sampled_from([b"", b"abc", b"abcd", OK]))
@example("GET", RESPONSES[0], b"abc")
@example("HEAD", RESPONSES[0], b"abc")
def test_a_whole_answer_is_what_its_events_say(
    method: str, raw: bytes, body: bytes
) -> None:
    learn(lambda: judge_response(raw, "GET"))
    data = raw + body
    quick, slow = asking(method), asking(method)
    answer = quick.whole_answer(data)
    if answer is None:
        assert collect(quick, [data, b""]) == collect(slow, [data, b""])
        return

    slow.receive(data)
    head = slow.next_event()
    assert isinstance(head, ResponseHead)
    assert answer.body.content == slow.take_body(LIMIT)
    assert answer.body.length == head.length
    of_line = (answer.status, answer.reason, answer.version)
    assert of_line == (head.status, head.reason, head.version)
    assert answer.headers.raw == head.headers.raw
    assert answer.headers.steering == head.headers.steering
    assert answer.received == head.block
    assert slow.is_reusable
    slow.next_cycle()
    for codec in (quick, slow):
        assert codec.is_reusable
        assert codec.next_event() is NEED_DATA
        assert codec.head(a_request()) == quick_head()
    assert collect(quick, [OK, b""]) == collect(slow, [OK, b""])


def asking(method: str) -> H1Client:
    """A client whose request is sent, where it can be."""
    client = H1Client()
    learn(lambda: client.head(a_request(method)))
    learn(client.end)
    return client


def quick_head() -> bytes:
    return H1Client().head(a_request())


def test_nothing_is_taken_of_an_answer_that_nobody_asked_for() -> None:
    learn(lambda: judge_response(RESPONSES[0], "GET"))
    client = H1Client()
    assert client.whole_answer(RESPONSES[0] + b"abc") is None
    client.head(a_request())  # the end of the request is not sent yet
    assert client.whole_answer(RESPONSES[0] + b"abc") is None


@pytest.mark.parametrize(
    "raw",
    [
        RESPONSES[0].replace(b"1.1", b"1.0"),
        RESPONSES[0].replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        RESPONSES[0].replace(b"\r\n", b"\r\nWWW-Authenticate: NTLM\r\n", 1),
    ],
)
def test_an_answer_that_says_more_of_its_connection_is_not_taken(raw: bytes) -> None:
    judge_response(raw, "GET")
    assert asking("GET").whole_answer(raw + b"abc") is None


def test_a_request_that_ends_its_connection_is_not_taken() -> None:
    raw = REQUESTS[0].replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    judge_request(raw, "https")
    assert H1Server("https").whole_request(raw, "h.test", 1) is None


BODIES: tuple[Callable[[], Body], ...] = (
    lambda: Body(b"abc", length=3),
    lambda: Body(b"abc", length=3),
    lambda: Body(b"abcd"),
    lambda: Body(b""),
    lambda: Body(b"abc", trailers=Headers([(b"t", b"1")])),
    lambda: Body(source=Nothing(), length=3),
)
EDITS: tuple[Callable[[Headers], object], ...] = (
    lambda headers: None,
    lambda headers: None,
    lambda headers: headers.add("x-new", "1"),
    lambda headers: headers.raw.reverse(),
)


@given(
    st.sampled_from(["GET", "POST", "HEAD"]),
    mutated(RESPONSES),
    st.sampled_from([0, 0, 204, 404]),
    st.sampled_from(BODIES),
    st.sampled_from(EDITS),
)
@example("GET", RESPONSES[0], 0, BODIES[0], EDITS[0])
def test_an_answer_is_sent_at_once_as_step_by_step(
    method: str,
    raw: bytes,
    status: int,
    body: Callable[[], Body],
    edit: Callable[[Headers], object],
) -> None:
    quick, slow = asked(method), asked(method)
    try:
        head, _ = judge_response(raw, "GET")
    except Int3rceptorError:
        return
    edit(head.headers)

    def response() -> Response:
        line = (status or head.status, head.reason, head.version)
        return Response(*line, head.headers, body())

    one, other = response(), response()
    whole = quick.whole_answer(one)
    if whole is None:
        assert outcome(lambda: quick.head(one)) == outcome(lambda: slow.head(other))
        return
    content = other.body.content or b""
    assert whole == slow.head(other) + slow.whole(content, other.body.trailers)
    assert one.sent == other.sent
    for codec in (quick, slow):
        assert not codec.must_close
        codec.next_cycle()
    assert collect(quick, [GET, b""]) == collect(slow, [GET, b""])


def asked(method: str) -> H1Server:
    server = H1Server()
    collect(server, [b"%b / HTTP/1.1\r\nHost: a\r\n\r\n" % method.encode()])
    return server


@given(mutated(REQUESTS), METHODS, st.sampled_from(BODIES), st.sampled_from(EDITS))
@example(REQUESTS[0], "GET", BODIES[3], EDITS[0])
def test_a_request_is_sent_at_once_as_step_by_step(
    raw: bytes,
    method: str,
    body: Callable[[], Body],
    edit: Callable[[Headers], object],
) -> None:
    try:
        head, _ = judge_request(raw, "https")
    except Int3rceptorError:
        return
    edit(head.headers)

    def request() -> Request:
        made = a_request(method, authority=head.authority, body=body())
        made.headers = head.headers
        return made

    quick, slow = H1Client(), H1Client()
    one, other = request(), request()
    try:
        whole = quick.whole_request(one)
    except Int3rceptorError:
        assert outcome(lambda: slow.head(other)) == outcome(lambda: quick.head(one))
        return
    if whole is None:
        assert outcome(lambda: quick.head(one)) == outcome(lambda: slow.head(other))
        return
    assert whole == slow.head(other) + slow.whole(b"")
    assert one.sent == other.sent
    assert collect(quick, [OK]) == collect(slow, [OK])
    assert quick.is_reusable is slow.is_reusable


def test_what_is_plain_is_taken_and_sent_at_once() -> None:
    # So that the comparisons above are known to compare something.
    learn(lambda: judge_request(GET, "http"))
    learn(lambda: judge_response(RESPONSES[0], "GET"))
    server, client = H1Server(), H1Client()
    for _ in range(3):
        request = server.whole_request(GET, "a", 80)
        assert request is not None
        assert client.whole_request(request) == GET
        answer = client.whole_answer(RESPONSES[0] + b"abc")
        assert answer is not None
        assert server.whole_answer(answer) == RESPONSES[0] + b"abc"
        server.next_cycle()
    assert server.whole_request(GET + b"x", "a", 80) is None


def test_a_long_start_line_is_left_to_the_judge() -> None:
    learn(lambda: judge_request(GET, "http"))
    long = b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    server = H1Server()
    assert server.whole_request(long, "a", 80) is None
    assert collect(server, [long])[0][1] == 414  # type: ignore[index]
