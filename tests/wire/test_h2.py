"""The codec against itself: messages, bodies and windows, both ways."""

import random

import hpack
import pytest
from hyperframe.frame import (
    HeadersFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from int3rceptor.errors import (
    StreamLost,
)
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h2.events import (
    H2Event,
    StreamData,
    StreamEnd,
    StreamHead,
    StreamReset,
    WindowOpened,
)
from int3rceptor.wire.h2.limits import H2Limits
from tests.support.frames import GET, Crafted, of_kind
from tests.support.h2_pair import Pair, content, heads, request, response


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_the_preface_names_our_limits() -> None:
    sent = Crafted("client").sent
    assert isinstance(sent[0], SettingsFrame)
    assert sent[0].settings[SettingsFrame.ENABLE_PUSH] == 0
    assert sent[0].settings[SettingsFrame.INITIAL_WINDOW_SIZE] == 262_144
    assert sent[0].settings[SettingsFrame.MAX_HEADER_LIST_SIZE] == 65_536
    (opened,) = of_kind(sent, WindowUpdateFrame)
    assert opened.window_increment == 4_194_304 - 65_535


def test_a_get_and_its_answer(pair: Pair) -> None:
    stream_id = pair.client.open_stream(request(), end=True)
    _, at_server = pair.run()
    head = heads(at_server)[0]
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.scheme) == ("GET", b"/x?y=1", "https")
    assert (head.authority, head.version, head.has_body) == ("a.test", "HTTP/2", False)
    assert head.headers.raw == []
    pair.server.send_response_head(
        stream_id,
        pair.server.response_head(stream_id, response(body=b"hello")),
        end=False,
    )
    pair.server.send_data(stream_id, b"hello", end=True)
    at_client, _ = pair.run()
    answer = heads(at_client)[0]
    assert isinstance(answer, ResponseHead)
    assert (answer.status, answer.length, answer.has_body) == (200, 5, True)
    assert at_client[1:] == [
        StreamData(stream_id, b"hello"),
        StreamEnd(stream_id, None),
    ]
    assert pair.client.open_streams == pair.server.open_streams == 0


def test_trailers_and_informational_both_ways(pair: Pair) -> None:
    body = Body(source=NoSource())
    stream_id = pair.client.open_stream(request("POST", body=body), end=False)
    pair.client.send_data(stream_id, b"up")
    pair.client.send_trailers(stream_id, Headers([(b"X-Sum", b"1")]))
    _, at_server = pair.run()
    assert at_server[-1] == StreamEnd(stream_id, Headers([(b"x-sum", b"1")]))
    early = Informational(status=103, headers=Headers([(b"Link", b"</a>")]))
    pair.server.send_informational(stream_id, early)
    pair.server.send_response_head(
        stream_id, pair.server.response_head(stream_id, response()), end=False
    )
    pair.server.send_trailers(stream_id, Headers([(b"grpc-status", b"0")]))
    at_client, _ = pair.run()
    assert [head.status for head in heads(at_client)] == [103, 200]  # type: ignore[union-attr]  # a client hears responses
    assert at_client[-1] == StreamEnd(stream_id, Headers([(b"grpc-status", b"0")]))


class NoSource:
    """A chunk source that is never asked."""

    async def next_chunk(self) -> bytes:
        raise AssertionError

    def trailers(self) -> Headers | None:
        raise AssertionError


def test_empty_trailers_still_end_the_stream(pair: Pair) -> None:
    stream_id = pair.client.open_stream(request("POST"), end=False)
    pair.client.send_trailers(stream_id, Headers())
    _, at_server = pair.run()
    assert at_server[-1] == StreamEnd(stream_id, None)


def test_a_field_that_is_never_to_be_indexed_stays_so_on_its_way() -> None:
    peer, onward = Crafted("server"), Crafted("client")
    secret = hpack.NeverIndexedHeaderTuple(b"x-token", b"s3cret")
    (begun,) = peer.receive(peer.head(1, [*GET, secret, (b"x-a", b"1")]))
    assert isinstance(begun, StreamHead)
    sent = request()
    sent.headers = begun.head.headers
    onward.codec.open_stream(sent, end=True)
    (head,) = of_kind(onward.output(), HeadersFrame)
    decoded = hpack.Decoder().decode(head.data, raw=True)
    never = [bytes(f[0]) for f in decoded if not f.indexable]
    assert never == [b"x-token"]


def test_large_bodies_respect_frames_and_windows(pair: Pair) -> None:
    blob = random.Random(1).randbytes(1_000_000)
    stream_id = pair.client.open_stream(request("POST"), end=False)
    sent, got = 0, b""
    while sent < len(blob):
        room = pair.client.window(stream_id)
        assert room > 0
        piece = blob[sent : sent + room]
        sent += len(piece)
        pair.client.send_data(stream_id, piece, end=sent == len(blob))
        _, at_server = pair.run()
        got += content(at_server, stream_id)
        pair.server.consumed(stream_id, len(content(at_server, stream_id)))
        pair.run()
    assert got == blob


def test_sending_more_than_the_window_is_refused(pair: Pair) -> None:
    stream_id = pair.client.open_stream(request("POST"), end=False)
    with pytest.raises(ValueError, match="window"):
        pair.client.send_data(stream_id, bytes(pair.client.window(stream_id) + 1))


def test_large_heads_pass_by_continuation(pair: Pair) -> None:
    fields = [(b"x-%d" % i, bytes([97 + i % 26]) * 3000) for i in range(20)]
    stream_id = pair.client.open_stream(request("GET", *fields), end=True)
    _, at_server = pair.run()
    assert heads(at_server)[0].headers.raw == fields
    pair.server.send_response_head(
        stream_id, pair.server.response_head(stream_id, response(*fields)), end=True
    )
    at_client, _ = pair.run()
    assert heads(at_client)[0].headers.raw == fields


def test_random_pieces_give_the_same_events() -> None:
    def talk(pair: Pair) -> list[H2Event]:
        heard: list[H2Event] = []
        for number in range(5):
            stream_id = pair.client.open_stream(request("POST"), end=False)
            pair.client.send_data(stream_id, bytes([number]) * 30_000, end=True)
            heard += pair.run()[1]
            pair.server.send_response_head(
                stream_id, pair.server.response_head(stream_id, response()), end=False
            )
            pair.server.send_data(stream_id, b"x" * 100)
            pair.server.send_trailers(stream_id, Headers([(b"t", b"1")]))
            heard += pair.run()[0]
        return [event for event in heard if not isinstance(event, WindowOpened)]

    whole = talk(Pair())
    for seed in range(5):
        assert talk(Pair(pieces=random.Random(seed))) == whole


def test_a_stalled_stream_holds_up_no_other(pair: Pair) -> None:
    stalled = pair.client.open_stream(request(), end=True)
    other = pair.client.open_stream(request(), end=True)
    pair.run()
    for stream_id in (stalled, other):
        pair.server.send_response_head(
            stream_id, pair.server.response_head(stream_id, response()), end=False
        )
    while room := pair.server.window(stalled):
        pair.server.send_data(stalled, bytes(room))
        pair.run()
    for _ in range(100):
        room = min(pair.server.window(other), 100_000)
        assert room > 0, "the stalled stream froze the connection"
        pair.server.send_data(other, bytes(room))
        at_client, _ = pair.run()
        pair.client.consumed(other, len(content(at_client, other)))
        pair.run()
    assert pair.server.window(stalled) == 0
    pair.client.consumed(stalled, 262_144)
    at_client, at_server = pair.run()
    assert WindowOpened(stalled) in at_server
    assert pair.server.window(stalled) == 262_144


def test_unread_bytes_over_all_streams_are_bounded() -> None:
    limits = H2Limits(max_unread=600_000, connection_window=300_000)
    pair = Pair(limits)
    streams = [pair.client.open_stream(request(), end=True) for _ in range(10)]
    pair.run()
    unread: dict[int, int] = {}
    for stream_id in streams:
        pair.server.send_response_head(
            stream_id, pair.server.response_head(stream_id, response()), end=False
        )
        while room := pair.server.window(stream_id):
            pair.server.send_data(stream_id, bytes(room))
            at_client, _ = pair.run()
            got = len(content(at_client, stream_id))
            unread[stream_id] = unread.get(stream_id, 0) + got
    assert sum(unread.values()) <= 600_000 + 300_000
    assert pair.server.window(streams[-1]) == 0
    pair.client.reset(streams[0])
    pair.client.consumed(streams[1], unread[streams[1]])
    pair.run()
    assert pair.server.window(streams[-1]) > 0


def test_bytes_of_finished_streams_count_until_consumed() -> None:
    limits = H2Limits(max_unread=100_000, connection_window=100_000)
    pair = Pair(limits)
    stream_id = pair.client.open_stream(request(), end=True)
    pair.run()
    pair.server.send_response_head(
        stream_id, pair.server.response_head(stream_id, response()), end=False
    )
    pair.server.send_data(stream_id, bytes(90_000))
    pair.run()
    pair.server.send_data(stream_id, bytes(90_000), end=True)
    pair.run()
    assert pair.client.open_streams == 0
    other = pair.client.open_stream(request(), end=True)
    pair.run()
    pair.server.send_response_head(
        other, pair.server.response_head(other, response()), end=False
    )
    assert pair.server.window(other) == 10_000
    pair.client.consumed(stream_id, 180_000)
    pair.run()
    assert pair.server.window(other) == 100_000


def test_a_reset_is_heard_and_what_was_in_flight_is_ignored(pair: Pair) -> None:
    stream_id = pair.client.open_stream(request("POST"), end=False)
    pair.run()
    pair.client.send_data(stream_id, b"in flight")
    pair.client.send_trailers(stream_id, Headers([(b"t", b"1")]))
    pair.server.reset(stream_id, 8)
    assert not pair.server.receive(pair.client.take_output())
    at_client, _ = pair.run()
    assert at_client == [StreamReset(stream_id=stream_id, code=8, by_peer=True)]
    with pytest.raises(StreamLost):
        pair.client.send_data(stream_id, b"x")
    with pytest.raises(StreamLost):
        pair.server.send_response_head(
            stream_id, pair.server.response_head(stream_id, response()), end=True
        )
    pair.client.end(stream_id)
    pair.client.reset(stream_id)
    pair.client.consumed(stream_id, 10)
    assert pair.run() == ([], [])
