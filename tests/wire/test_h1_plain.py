"""The plain lane: h11, fed the same bytes, sees the same exchange."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int3rceptor.errors import (
    ClientProtocolError,
    OriginProtocolError,
    ProtocolError,
)
from int3rceptor.model.body import Body
from int3rceptor.model.message import Informational, Response
from int3rceptor.wire.h1.server import H1Client, H1Server
from tests.support.h1_codec import (
    GET,
    OK,
    Nothing,
    a_request,
    collect,
    shown,
    splits,
)

# One exchange as h11 and we are both driven through it. A message is its length (None
# for chunks) and the pieces of body that are really sent; `ends` says whether it is
# brought to its end. The answer may begin before the request is whole.


@dataclass(frozen=True, kw_only=True)
class Message:
    length: int | None
    pieces: list[bytes] = field(default_factory=list)
    ends: bool = True

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        if self.length is None:
            return [(b"transfer-encoding", b"chunked")]
        return [(b"content-length", b"%d" % self.length)]

    def on_the_wire(self, start: bytes) -> bytes:
        head = start + b"".join(b"%b: %b\r\n" % f for f in self.fields) + b"\r\n"
        content = b"".join(self.pieces)
        if self.length is not None:
            return head + content[: self.length]
        chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
        return head + chunk + (b"0\r\n\r\n" if self.ends else b"")


@st.composite
def messages(draw: st.DrawFn) -> Message:
    pieces = draw(st.lists(st.binary(min_size=1, max_size=5), max_size=3))
    size = len(b"".join(pieces))
    length = draw(st.sampled_from([size, size, size, None, size + 1, max(size - 1, 0)]))
    return Message(length=length, pieces=pieces, ends=draw(st.booleans()))


Calls = list[Callable[[], object]]
METHODS = st.sampled_from(["GET", "POST", "HEAD"])
STATUSES = st.sampled_from([200, 200, 404, 204, 304])


def calls(codec: H1Client | H1Server, message: Message) -> Calls:
    steps: Calls = [partial(codec.data, piece) for piece in message.pieces]
    return [*steps, codec.end] if message.ends else steps


def h11_calls(engine: h11.Connection, message: Message) -> Calls:
    steps: Calls = [partial(engine.send, h11.Data(data=p)) for p in message.pieces]
    end = partial(engine.send, h11.EndOfMessage())
    return [*steps, end] if message.ends else steps


def accepted(steps: Calls) -> list[bool]:
    """Which of the calls were not refused."""
    answers = []
    for step in steps:
        try:
            step()
        except (ProtocolError, h11.LocalProtocolError):
            answers.append(False)
        else:
            answers.append(True)
    return answers


def received(engine: h11.Connection, raw: bytes) -> list[str]:
    """What h11 makes of `raw`, in the words of `shown`."""
    engine.receive_data(raw)
    words, content = [], ""
    while True:
        event = engine.next_event()
        if isinstance(event, h11.Data):
            content += bytes(event.data).decode("latin-1")
            continue
        if content:
            words.append(f"data {content}")
            content = ""
        match event:
            case h11.Request():
                words.append(f"{event.method.decode()} {event.target.decode()}")
            case h11.InformationalResponse() | h11.Response():
                words.append(f"{event.status_code}")
            case h11.EndOfMessage():
                words.append("end")
            case _:
                return words


def is_whole(engine: h11.Connection) -> bool:
    return (engine.our_state, engine.their_state) == (h11.DONE, h11.DONE)


def fitted(message: Message, method: str, status: int) -> Message:
    """`message` without what the judge or the status would keep from being sent."""
    if method == "HEAD" or status in (204, 304):
        return Message(length=0, ends=message.ends)
    return message


EARLY_CHUNKS = [
    Message(length=3, pieces=[b"ab", b"c"]), 200, Message(length=None, pieces=[b"x"])
]  # fmt: skip


@given(METHODS, messages(), STATUSES, messages(), st.booleans(), st.integers(0, 99))
@example("POST", *EARLY_CHUNKS, True, 0)
@example("POST", Message(length=1, pieces=[b"ab"]), *EARLY_CHUNKS[1:], False, 0)
def test_a_client_and_h11_agree(
    method: str,
    request: Message,
    status: int,
    response: Message,
    is_early: bool,
    seed: int,
) -> None:
    request = request if method == "POST" else Message(length=0, ends=request.ends)
    response = fitted(response, method, status)
    ours, theirs = H1Client(), h11.Connection(h11.CLIENT)
    body = Body(source=Nothing(), length=request.length)
    asked = a_request(method, body=body)
    told = h11.Request(
        method=method, target="/", headers=[(b"host", b"a"), *request.fields]
    )
    our_calls: Calls = [partial(ours.head, asked), *calls(ours, request)]
    their_calls: Calls = [partial(theirs.send, told), *h11_calls(theirs, request)]
    first = 1 if is_early else len(our_calls)
    assert accepted(our_calls[:first]) == accepted(their_calls[:first])
    raw = response.on_the_wire(b"HTTP/1.1 %d x\r\n" % status)
    pieces = list(splits(raw, seed=seed, times=1))[-1]
    assert shown(collect(ours, pieces)) == received(theirs, raw)
    assert accepted(our_calls[first:]) == accepted(their_calls[first:])
    assert ours.is_reusable is is_whole(theirs)
    if is_whole(theirs):
        ours.next_cycle()
        assert ours.is_reusable


@given(METHODS, messages(), STATUSES, messages(), st.booleans(), st.integers(0, 99))
@example("POST", *EARLY_CHUNKS, True, 0)
@example("POST", Message(length=3, pieces=[b"ab"]), *EARLY_CHUNKS[1:], False, 0)
def test_a_server_and_h11_agree(
    method: str,
    request: Message,
    status: int,
    response: Message,
    is_early: bool,
    seed: int,
) -> None:
    request = request if method == "POST" else Message(length=0)
    response = fitted(response, method, status)
    ours, theirs = H1Server(), h11.Connection(h11.SERVER)
    raw = request.on_the_wire(b"%b / HTTP/1.1\r\nHost: a\r\n" % method.encode())
    start = raw.index(b"\r\n\r\n") + 4 if is_early else len(raw)
    pieces = list(splits(raw[:start], seed=seed, times=1))[-1]
    assert shown(collect(ours, pieces)) == received(theirs, raw[:start])
    body = Body(source=Nothing(), length=response.length)
    answer = Response(status=status, body=body)
    fields = response.fields if status not in (204, 304) else []
    told = h11.Response(status_code=status, headers=fields)
    our_calls: Calls = [partial(ours.head, answer), *calls(ours, response)]
    their_calls: Calls = [partial(theirs.send, told), *h11_calls(theirs, response)]
    assert accepted(our_calls) == accepted(their_calls)
    if raw[start:]:
        assert shown(collect(ours, [raw[start:]])) == received(theirs, raw[start:])
    is_cut = theirs.our_state is h11.DONE and theirs.their_state is not h11.DONE
    assert ours.must_close is (is_cut or theirs.our_state is h11.ERROR)
    with nullcontext() if is_whole(theirs) else pytest.raises(ProtocolError):
        ours.next_cycle()


@pytest.mark.parametrize(
    "again",
    [
        lambda server: server.head(Response(status=200)),
        lambda server: server.head(Response(status=101)),
        lambda server: server.informational(Informational(status=103)),
        lambda server: server.end(),
    ],
    ids=["head", "switch", "progress", "end"],
)
def test_a_plain_answer_is_sent_once(again: Callable[[H1Server], object]) -> None:
    server = H1Server()
    collect(server, [GET])
    server.head(Response(status=200))
    server.end()
    with pytest.raises(OriginProtocolError, match="cannot be sent"):
        again(server)
    assert server.must_close


def test_an_answer_after_progress_reports_is_not_plain_but_the_next_is() -> None:
    client = H1Client()
    for raw in (b"HTTP/1.1 103 x\r\n\r\n" + OK, OK, OK.replace(b"200", b"404")):
        client.head(a_request("POST", body=Body(b"abc")))
        assert client.data(b"abc") == [b"abc"]
        client.end()
        assert shown(collect(client, [raw]))[-2:] == ["data hi", "end"]
        client.next_cycle()


def test_a_request_behind_an_answer_that_nobody_asked_for() -> None:
    server = H1Server()
    server.head(Response(status=408))
    assert shown(collect(server, [GET])) == ["ClientProtocolError 400"]


def test_a_failed_request_stays_failed_when_its_answer_is_not_plain() -> None:
    client = H1Client()
    client.head(a_request("PUT", body=Body(source=Nothing(), length=3)))
    with pytest.raises(ClientProtocolError, match="longer"):
        client.data(b"abcd")
    answer = Message(length=None, pieces=[b"no"]).on_the_wire(b"HTTP/1.1 400 x\r\n")
    assert shown(collect(client, [answer])) == ["400", "data no", "end"]
    with pytest.raises(ClientProtocolError, match="cannot be sent"):
        client.data(b"abc")
    assert not client.is_reusable


def test_an_end_before_any_head_is_refused_for_good() -> None:
    client = H1Client()
    with pytest.raises(ClientProtocolError, match="not expected"):
        client.end()
    with pytest.raises(ClientProtocolError, match="cannot be sent"):
        client.head(a_request())
    assert not client.is_reusable
