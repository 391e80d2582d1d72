"""The codec against another implementation of HTTP/2, which judges all that it says."""

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Response
from int3rceptor.wire.events import RequestHead, ResponseHead
from int3rceptor.wire.h2.connection import H2Codec
from int3rceptor.wire.h2.events import (
    PeerGoAway,
    StreamData,
    StreamEnd,
    StreamHead,
    StreamReset,
)
from tests.support.frames import GET, all_of
from tests.support.h2_pair import request

regular = st.lists(
    st.tuples(
        st.sampled_from([b"x-a", b"x-b", b"cookie", b"etag", b"authorization"]),
        st.sampled_from([b"", b"1", b"a=b", b"v" * 300, b"w" * 900]),
    ),
    max_size=4,
)
sizes = st.sampled_from([0, 1, 1000, 16_384, 16_385, 60_000])


class Peers(RuleBasedStateMachine):
    """Ours and theirs on one connection; what one says, the other must have heard."""

    streams = Bundle("streams")
    is_ours_client = False

    def __init__(self) -> None:
        super().__init__()
        role = "client" if self.is_ours_client else "server"
        self.ours = H2Codec("client" if role == "client" else "server")
        self.theirs = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=not self.is_ours_client,
                header_encoding=None,
                normalize_inbound_headers=False,
            )
        )
        self.ours.start()
        self.theirs.initiate_connection()
        self.said: dict[tuple[str, int], list[object]] = {}
        self.heard: dict[tuple[str, int], list[object]] = {}
        self.we_ended: set[int] = set()
        self.they_ended: set[int] = set()
        self.gone: set[int] = set()
        self.unread: dict[int, int] = {}
        self.carry()

    # What was said and heard: pieces of a body count as one.

    def note(self, where: dict[tuple[str, int], list[object]], who: str, stream_id: int,
             what: object) -> None:  # fmt: skip
        told = where.setdefault((who, stream_id), [])
        if isinstance(what, bytes) and told and isinstance(told[-1], bytes):
            told[-1] += what
        elif what != b"":
            told.append(what)

    def carry(self) -> None:
        while True:
            up, down = self.ours.take_output(), self.theirs.data_to_send()
            if not up and not down:
                break
            for event in self.theirs.receive_data(up):
                self.they_hear(event)
            for ours in all_of(self.ours, down):
                self.we_hear(ours)
        for key, told in self.said.items():
            if key[1] not in self.gone:
                assert self.heard.get(key, []) == told

    def we_hear(self, event: object) -> None:
        match event:
            case StreamHead(stream_id, RequestHead() as head, ended):
                fields = [(b":path", head.target), *head.headers.raw]
                self.note(self.heard, "theirs", stream_id, fields)
            case StreamHead(stream_id, ResponseHead() as head, ended):
                fields = [(b":status", b"%d" % head.status), *head.headers.raw]
                self.note(self.heard, "theirs", stream_id, fields)
            case StreamData(stream_id, data):
                self.unread[stream_id] = self.unread.get(stream_id, 0) + len(data)
                self.note(self.heard, "theirs", stream_id, data)
                return
            case StreamEnd(stream_id, trailers):
                if trailers is not None:
                    self.note(self.heard, "theirs", stream_id, trailers.raw)
                ended = True
            case StreamReset(stream_id=stream_id):
                self.gone.add(stream_id)
                return
            case _:
                assert not isinstance(event, PeerGoAway)
                return
        if ended:
            self.note(self.heard, "theirs", stream_id, "end")

    def they_hear(self, event: object) -> None:
        match event:
            case (
                h2.events.RequestReceived()
                | h2.events.ResponseReceived()
                | h2.events.InformationalResponseReceived()
                | h2.events.TrailersReceived()
            ):
                fields = [(bytes(n), bytes(v)) for n, v in event.headers]
                kept = [
                    f
                    for f in fields
                    if f[0] not in (b":method", b":scheme", b":authority")
                ]
                self.note(self.heard, "ours", event.stream_id, kept)
            case h2.events.DataReceived():
                self.note(self.heard, "ours", event.stream_id, event.data)
                self.theirs.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            case h2.events.StreamEnded():
                self.note(self.heard, "ours", event.stream_id, "end")
            case h2.events.StreamReset():
                self.gone.add(event.stream_id)
            case _:
                assert not isinstance(event, h2.events.ConnectionTerminated)

    # What either may do

    @rule(target=streams, fields=regular, end=st.booleans())
    def begin(self, fields: list[tuple[bytes, bytes]], end: bool) -> int:
        if self.is_ours_client:
            body = Body() if end else Body(source=_NoSource())
            stream_id = self.ours.open_stream(
                request("GET" if end else "POST", *fields, body=body), end=end
            )
            self.note(self.said, "ours", stream_id, [(b":path", b"/x?y=1"), *fields])
            self.end_of("ours", stream_id, end=end)
        else:
            stream_id = self.theirs.get_next_available_stream_id()
            self.theirs.send_headers(stream_id, [*GET, *fields], end_stream=end)
            self.note(self.said, "theirs", stream_id, [(b":path", b"/"), *fields])
            self.end_of("theirs", stream_id, end=end)
        self.carry()
        return stream_id

    def end_of(self, who: str, stream_id: int, *, end: bool) -> None:
        if end:
            self.note(self.said, who, stream_id, "end")
            (self.we_ended if who == "ours" else self.they_ended).add(stream_id)

    @rule(stream_id=streams, fields=regular, end=st.booleans(), early=st.booleans())
    def answer(
        self, stream_id: int, fields: list[tuple[bytes, bytes]], end: bool, early: bool
    ) -> None:
        who = "theirs" if self.is_ours_client else "ours"
        answered = (who, stream_id) in self.said and self.said[who, stream_id][-1:] != [
            [(b":status", b"103")]
        ]
        if stream_id in self.gone or answered:
            return
        if early:
            end, fields = False, []
        said = [(b":status", b"103" if early else b"200"), *fields]
        if self.is_ours_client:
            self.theirs.send_headers(stream_id, said, end_stream=end)
        elif early:
            self.ours.send_informational(stream_id, Informational(status=103))
        else:
            head = self.ours.response_head(
                stream_id, Response(status=200, headers=Headers(fields), body=Body(
                    source=_NoSource()))
            )  # fmt: skip
            self.ours.send_response_head(stream_id, head, end=end)
        self.note(self.said, who, stream_id, said)
        self.end_of(who, stream_id, end=end)
        self.carry()

    def may_send(self, who: str, stream_id: int) -> bool:
        """Its head is out and its end is not."""
        ended = self.we_ended if who == "ours" else self.they_ended
        told = self.said.get((who, stream_id), [])
        has_head = any(one != [(b":status", b"103")] for one in told)
        return has_head and stream_id not in ended and stream_id not in self.gone

    @rule(stream_id=streams, size=sizes, end=st.booleans())
    def we_send(self, stream_id: int, size: int, end: bool) -> None:
        if not self.may_send("ours", stream_id):
            return
        window = self.ours.window(stream_id)
        assert window == self.theirs.remote_flow_control_window(stream_id)
        if window < 0:
            return  # then h2 takes an empty frame for too much (RFC 9113, 6.9.1)
        data = b"x" * min(size, window)
        if data or end:
            self.ours.send_data(stream_id, data, end=end)
        self.note(self.said, "ours", stream_id, data)
        self.end_of("ours", stream_id, end=end)
        self.carry()

    @rule(stream_id=streams, size=sizes, end=st.booleans())
    def they_send(self, stream_id: int, size: int, end: bool) -> None:
        if not self.may_send("theirs", stream_id):
            return
        window = self.theirs.local_flow_control_window(stream_id)
        data = b"y" * max(0, min(size, window, 16_384))
        self.theirs.send_data(stream_id, data, end_stream=end)
        self.note(self.said, "theirs", stream_id, data)
        self.end_of("theirs", stream_id, end=end)
        self.carry()

    @rule(stream_id=streams)
    def we_end_with_trailers(self, stream_id: int) -> None:
        if self.may_send("ours", stream_id):
            self.ours.send_trailers(stream_id, Headers([(b"X-Sum", b"1")]))
            self.note(self.said, "ours", stream_id, [(b"x-sum", b"1")])
            self.end_of("ours", stream_id, end=True)
            self.carry()

    @rule(stream_id=streams)
    def we_consume(self, stream_id: int) -> None:
        self.ours.consumed(stream_id, self.unread.pop(stream_id, 0))
        self.carry()

    @rule(stream_id=consumes(streams), ours=st.booleans())
    def reset(self, stream_id: int, ours: bool) -> None:
        both = stream_id in self.we_ended and stream_id in self.they_ended
        if stream_id in self.gone or both:
            return
        self.gone.add(stream_id)
        if ours:
            self.ours.reset(stream_id)
        else:
            self.theirs.reset_stream(stream_id)
        self.carry()

    @rule(window=st.sampled_from([0, 1000, 65_535, 300_000]))
    def they_set_the_window(self, window: int) -> None:
        self.theirs.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.carry()

    @rule(table=st.sampled_from([0, 100, 4096, 65_536]))
    def they_set_the_table(self, table: int) -> None:
        self.theirs.update_settings({SettingCodes.HEADER_TABLE_SIZE: table})
        self.carry()

    @rule()
    def they_ping(self) -> None:
        self.theirs.ping(b"12345678")
        self.carry()


class _NoSource:
    """A chunk source that is never asked."""

    async def next_chunk(self) -> bytes:
        raise AssertionError

    def trailers(self) -> Headers | None:
        raise AssertionError


class OursIsClient(Peers):
    is_ours_client = True


Limited = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestOurServerAndTheirClient = Peers.TestCase
TestOurServerAndTheirClient.settings = Limited
TestOurClientAndTheirServer = OursIsClient.TestCase
TestOurClientAndTheirServer.settings = Limited
