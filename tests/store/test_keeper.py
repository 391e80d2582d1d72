import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from int3rceptor.hooks.keeper import Ended
from int3rceptor.model.body import Body
from int3rceptor.model.flow import (
    ClientInfo,
    Flow,
    FlowKind,
    OriginInfo,
    Participant,
    TlsInfo,
)
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.model.websocket import WebSocket
from int3rceptor.store.journal import keeper as keeper_module
from int3rceptor.store.journal.framing import BODY, FLOW, read_records
from int3rceptor.store.journal.journal import Journal
from int3rceptor.store.journal.keeper import PIECE_BYTES, Keeper
from int3rceptor.store.journal.segment import JOURNAL_FOLDER
from int3rceptor.store.records import (
    INLINE_BODY_BYTES,
    BodyRecord,
    FlowRecord,
    OriginFacts,
    PluginFacts,
    TlsFacts,
    decode_flow,
    decode_piece,
    encode,
)
from int3rceptor.store.trouble import RETRY_MAX_S
from tests.store.test_ids import Clock
from tests.support.kept_flows import a_record

if TYPE_CHECKING:
    from int3rceptor.hooks.keeper import Keeper as KeeperProtocol

CAP = 8 * 1024 * 1024
TLS = TlsInfo(version="TLSv1.3", cipher="AES", alpn="h2", sni="a.test")
TLS_FACTS = TlsFacts("TLSv1.3", "AES", "h2", "a.test", False)


class Chunks:
    """A body's chunks, and the trailers behind them."""

    def __init__(self, *chunks: bytes, trailers: Headers | None = None) -> None:
        self._chunks = list(chunks)
        self._trailers = trailers

    async def next_chunk(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def trailers(self) -> Headers | None:
        return self._trailers


def streamed(*chunks: bytes, trailers: Headers | None = None) -> Body:
    return Body(source=Chunks(*chunks, trailers=trailers))


def passed(body: Body) -> bytes:
    """All that passes of `body`, as the next hop reads it."""

    async def read() -> bytes:
        return b"".join([chunk async for chunk in body])

    return asyncio.run(read())


def read_whole(body: Body, limit_bytes: int = CAP) -> bytes:
    return asyncio.run(body.read(limit_bytes))


def flow_with(request: Body | None = None, response: Body | None = None) -> Flow:
    """A plain flow that was answered when there is a body for it."""
    flow = Flow(
        client=ClientInfo(address=("127.0.0.1", 5)),
        request=Request(
            method="POST",
            scheme="http",
            host="a.test",
            port=80,
            target=b"/path",
            authority="a.test",
            version="HTTP/1.1",
            headers=Headers([(b"Host", b"a.test"), (b"Cookie", b"secret")]),
            body=Body() if request is None else request,
        ),
    )
    if response is not None:
        flow.response = Response(
            status=200,
            reason=b"OK",
            version="HTTP/1.1",
            headers=Headers([(b"Set-Cookie", b"secret")]),
            body=response,
        )
    return flow


class Kept:
    """A keeper on a real journal, and what can be read of it."""

    def __init__(self, folder: Path, max_body_bytes: int = CAP) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.journal = Journal(folder, max_bytes=1 << 40, on_problem=self.told.append)
        self.keeper: KeeperProtocol = Keeper(self.journal, max_body_bytes)

    def pass_through(self, flow: Flow) -> None:
        """What the proxy does with a flow, up to its end."""
        self.keeper.begin(flow)
        if flow.request.body.content is None:
            passed(flow.request.body)
        self.keeper.answered(flow)
        if flow.response is not None and flow.response.body.content is None:
            passed(flow.response.body)

    def keep(self, flow: Flow) -> FlowRecord:
        """Through and kept; its record as it is read."""
        self.pass_through(flow)
        self.keeper.finish([Ended(flow, is_wanted=True)])
        return self.records()[-1]

    def _payloads(self, wanted: int) -> list[bytes]:
        found: list[bytes] = []
        for segment in sorted((self.folder / JOURNAL_FOLDER).iterdir()):
            with segment.open("rb") as file:
                found += [
                    data for _, kind, data in read_records(file) if kind == wanted
                ]
        return found

    def records(self) -> list[FlowRecord]:
        return [decode_flow(payload) for payload in self._payloads(FLOW)]

    def pieces(self, number: int, side: str) -> list[bytes]:
        """The pieces of one body, those that were voided left out."""
        pieces: list[bytes] = []
        for piece in map(decode_piece, self._payloads(BODY)):
            if (piece.id, piece.side) == (number, side):
                pieces = [*pieces, piece.data] if piece.data else []
        return pieces

    def content(self, record: FlowRecord, side: str) -> bytes:
        """A body joined from its pieces and its record."""
        body = record.request_body if side == "request" else record.response_body
        ahead = b"".join(self.pieces(record.id, side))
        assert len(ahead) == body.ahead
        return ahead + body.content


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "flows")
    yield kept
    kept.journal.close()
    assert not kept.told


def test_everything_known_of_a_flow(kept: Kept) -> None:
    flow = flow_with(Body(b"asked"), Body(b"answered"))
    flow.client = ClientInfo(
        address=("127.0.0.1", 5), connect_host="a.test", connect_port=443, tls=TLS
    )
    flow.origin = OriginInfo(
        address=("192.0.2.1", 443), tls=TLS, version="HTTP/2", is_reused=True
    )
    flow.created = 1_700_000_000.25
    flow.times.started = 100.0
    flow.times.response_head = 100.5
    flow.times.ended = 102.0
    flow.request.received, flow.request.sent = b"received", b"sent"
    assert flow.response
    flow.response.received, flow.response.sent = b"from origin", b"to client"
    flow.request.body.trailers = Headers([(b"X-Sum", b"1"), (b"x-two", b"2")])
    flow.informational.append(
        Informational(status=103, headers=Headers([(b"link", b"</a>")]))
    )
    flow.record("on_request", "someone", "+ x: y")
    flow.tag("slow")
    flow.rule = "a rule"
    flow.error = "broke off"
    flow.bytes_up, flow.bytes_down = 11, 22

    record = kept.keep(flow)

    assert record == FlowRecord(
        id=1,
        kind="http",
        created=1_700_000_000.25,
        head_s=0.5,
        total_s=2.0,
        client=("127.0.0.1", 5),
        connect=("a.test", 443),
        client_tls=TLS_FACTS,
        origin=OriginFacts("192.0.2.1", 443, TLS_FACTS, "HTTP/2", True),
        method="POST",
        scheme="http",
        host="a.test",
        port=80,
        target=b"/path",
        authority="a.test",
        version="HTTP/1.1",
        status=200,
        request_received=b"received",
        request_sent=b"sent",
        response_received=b"from origin",
        response_sent=b"to client",
        informational=[b":status: 103\r\nlink: </a>"],
        request_body=BodyRecord(5, 0, b"asked"),
        response_body=BodyRecord(8, 0, b"answered"),
        request_trailers=b"X-Sum: 1\r\nx-two: 2",
        response_trailers=b"",
        error="broke off",
        changes=[("on_request", "someone", "+ x: y")],
        tags=["slow"],
        rule="a rule",
        bytes_up=11,
        bytes_down=22,
        is_redacted=False,
    )


def test_the_plugins_that_took_part(kept: Kept) -> None:
    flow = flow_with()
    for fuel in (5, 6):
        flow.took_part(
            Participant(
                name="stamp",
                version="1.0",
                digest="3fa9c01b77de",
                hook="on_request",
                calls=1,
                fuel=fuel,
                micros=7,
            )
        )
    record = kept.keep(flow)

    wanted = PluginFacts("stamp", "1.0", "3fa9c01b77de", "on_request", 2, 11, 14)
    assert record.plugins == [wanted]


def test_a_flow_that_failed_before_its_answer(kept: Kept) -> None:
    flow = flow_with(streamed(b"sent before that"))
    flow.times.started, flow.times.ended = 5.0, 6.5
    flow.error = "nothing answers"
    record = kept.keep(flow)

    assert record.status == 0
    assert (record.head_s, record.total_s) == (0.0, 1.5)
    assert record.origin is None
    assert record.client_tls is None
    assert record.connect is None
    assert record.response_body == BodyRecord()
    assert record.error == "nothing answers"
    assert kept.content(record, "request") == b"sent before that"


def test_a_flow_that_never_got_anywhere(kept: Kept) -> None:
    record = kept.keep(flow_with())

    assert (record.head_s, record.total_s, record.status) == (0.0, 0.0, 0)
    assert (record.request_received, record.response_sent) == (b"", b"")


def test_a_tunnel(kept: Kept) -> None:
    flow = flow_with()
    flow.kind = FlowKind.TUNNEL
    flow.bytes_up, flow.bytes_down = 5, 7
    record = kept.keep(flow)

    assert record.kind == "tunnel"
    assert (record.bytes_up, record.bytes_down) == (5, 7)


def test_the_messages_of_a_websocket_are_counted(kept: Kept) -> None:
    flow = flow_with()
    assert (kept.keep(flow).messages_up, kept.keep(flow).messages_down) == (0, 0)
    flow.websocket = WebSocket(up=3, down=4)
    record = kept.keep(flow)

    assert (record.messages_up, record.messages_down) == (3, 4)
    older = msgspec.structs.astuple(record)[:-2]  # of a release without these two
    assert decode_flow(encode(older)) == msgspec.structs.replace(
        record, messages_up=0, messages_down=0
    )


def test_numbers_rise(kept: Kept) -> None:
    flows = [flow_with() for _ in range(3)]
    for flow in flows:
        kept.keep(flow)

    assert [flow.id for flow in flows] == [1, 2, 3]
    assert [record.id for record in kept.records()] == [1, 2, 3]


def test_an_http1_hint_and_trailers_of_a_stream(kept: Kept) -> None:
    trailers = Headers([(b"Expires", b"now")])
    flow = flow_with(response=streamed(b"content", trailers=trailers))
    flow.informational.append(Informational(status=103, reason=b"Early Hints"))
    record = kept.keep(flow)

    assert record.informational == [b"HTTP/1.1 103 Early Hints"]
    assert record.response_trailers == b"Expires: now"


SIZES = (
    0,
    1,
    INLINE_BODY_BYTES - 1,
    INLINE_BODY_BYTES,
    INLINE_BODY_BYTES + 1,
    2 * INLINE_BODY_BYTES,
    PIECE_BYTES + INLINE_BODY_BYTES + 1,
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunk", [1_000, 64 * 1024, 4 * 1024 * 1024])
def test_a_streamed_body_is_kept_whole(kept: Kept, size: int, chunk: int) -> None:
    content = numbered(size)
    chunks = [content[at : at + chunk] for at in range(0, size, chunk)]
    record = kept.keep(flow_with(response=streamed(*chunks)))

    assert kept.content(record, "response") == content
    assert record.response_body.size == size
    assert len(record.response_body.content) <= INLINE_BODY_BYTES


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", ["request", "response"])
def test_a_whole_body_is_kept_whole(kept: Kept, size: int, side: str) -> None:
    content = numbered(size)
    record = kept.keep(flow_with(**{side: Body(content)}))

    assert kept.content(record, side) == content
    assert len(record.request_body.content) <= INLINE_BODY_BYTES
    assert len(record.response_body.content) <= INLINE_BODY_BYTES


@pytest.mark.parametrize("cap", [0, 1, 1_000, 100_000, 200_000])
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_body_over_the_cap_is_cut_and_says_its_size(
    tmp_path: Path, cap: int, is_streamed: bool
) -> None:
    kept = Kept(tmp_path, cap)
    content = numbered(300_000)
    chunks = [content[at : at + 7_000] for at in range(0, len(content), 7_000)]
    body = streamed(*chunks) if is_streamed else Body(content)
    record = kept.keep(flow_with(request=body))
    kept.journal.close()

    assert record.request_body.size == len(content)
    assert kept.content(record, "request") == content[:cap]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=30), max_size=8),
    cap=st.integers(0, 100),
    is_streamed=st.booleans(),
)
def test_any_body_is_kept_up_to_the_cap(
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
    chunks: list[bytes],
    cap: int,
    is_streamed: bool,
) -> None:
    monkeypatch.setattr(keeper_module, "INLINE_BODY_BYTES", 10)
    monkeypatch.setattr(keeper_module, "PIECE_BYTES", 8)
    content = b"".join(chunks)
    kept.keeper = Keeper(kept.journal, cap)
    body = streamed(*chunks) if is_streamed else Body(content)
    record = kept.keep(flow_with(response=body))

    assert record.response_body.size == len(content)
    assert len(record.response_body.content) <= 10
    assert kept.content(record, "response") == content[:cap]


def test_a_passing_body_is_not_held_in_memory(kept: Kept) -> None:
    flow = flow_with(response=streamed(*[bytes(10_000)] * 100))
    kept.keeper.begin(flow)
    kept.keeper.answered(flow)
    assert flow.response
    body = flow.response.body
    largest = 0

    async def read() -> None:
        nonlocal largest
        async for _ in body:
            assert isinstance(body.tap, keeper_module._Tap)
            largest = max(largest, len(body.tap.held))

    asyncio.run(read())
    assert 0 < largest <= INLINE_BODY_BYTES


def test_a_stream_that_nobody_told_of_is_counted(kept: Kept) -> None:
    flow = flow_with()
    kept.keeper.begin(flow)
    flow.request.body = streamed(b"from a listener")
    passed(flow.request.body)
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert record.request_body == BodyRecord(15, 0, b"")


def test_a_body_read_whole_and_not_replaced(kept: Kept) -> None:
    flow = flow_with(response=streamed(b"one ", b"two"))
    kept.keeper.begin(flow)
    kept.keeper.answered(flow)
    assert flow.response
    read_whole(flow.response.body)
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert record.response_body == BodyRecord(7, 0, b"one two")


def test_a_body_too_large_to_read_and_put_back(kept: Kept) -> None:
    content = numbered(200_000)
    flow = flow_with(response=streamed(content[:90_000], content[90_000:]))
    kept.keeper.begin(flow)
    kept.keeper.answered(flow)
    assert flow.response
    with pytest.raises(Exception, match="larger than"):
        read_whole(flow.response.body, 100_000)
    assert passed(flow.response.body) == content
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert kept.content(record, "response") == content
    assert record.response_body.size == len(content)


def test_a_replaced_body_has_its_original(kept: Kept) -> None:
    flow = flow_with(Body(b"asked"), streamed(b"answered"))
    kept.keeper.begin(flow)
    flow.request.body.replace(b"")
    kept.keeper.answered(flow)
    assert flow.response
    read_whole(flow.response.body)
    flow.response.body.replace(b"changed")
    flow.response.body.replace(b"changed twice")
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert record.request_body == BodyRecord(0, 0, b"", b"asked")
    assert record.response_body == BodyRecord(13, 0, b"changed twice", b"answered")


def test_a_transformed_body_is_kept_as_it_went_on(kept: Kept) -> None:
    flow = flow_with(Body(b"asked"), streamed(b"answered"))
    kept.keeper.begin(flow)
    flow.request.body.transform(bytes.upper)
    assert passed(flow.request.body) == b"ASKED"
    kept.keeper.answered(flow)
    assert flow.response
    flow.response.body.transform(bytes.upper)
    assert passed(flow.response.body) == b"ANSWERED"
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert record.request_body == BodyRecord(5, 0, b"ASKED", b"asked")
    assert record.response_body == BodyRecord(8, 0, b"ANSWERED", None)


@pytest.mark.parametrize("limit", ["cap", "record"])
def test_an_original_over_the_limit_is_not_kept(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit == "record":
        monkeypatch.setattr(keeper_module, "MAX_ORIGINAL_BYTES", 10)
    kept = Kept(tmp_path, 10 if limit == "cap" else CAP)
    flow = flow_with(Body(b"eleven byte"))
    flow.request.body.replace(b"ten bytes.")
    other = flow_with(Body(b"ten bytes."))
    other.request.body.replace(b"changed")

    assert kept.keep(flow).request_body == BodyRecord(10, 0, b"ten bytes.", None)
    assert kept.keep(other).request_body.original == b"ten bytes."
    kept.journal.close()


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_replaced_after_it_had_passed_only_the_new_one_is_left(
    kept: Kept, size: int
) -> None:
    flow = flow_with(response=streamed(b"secret" * 50_000))
    kept.pass_through(flow)
    assert kept.pieces(flow.id, "response")
    assert flow.response
    flow.response.body.replace(numbered(size))
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert kept.content(record, "response") == numbered(size)
    assert record.response_body.size == size


def test_an_unwanted_flow_leaves_no_piece(kept: Kept) -> None:
    flow = flow_with(streamed(bytes(100_000)), streamed(bytes(100_000)))
    kept.pass_through(flow)
    assert kept.pieces(flow.id, "request")
    assert kept.pieces(flow.id, "response")
    kept.keeper.finish([Ended(flow, is_wanted=False)])

    assert kept.pieces(flow.id, "request") == []
    assert kept.pieces(flow.id, "response") == []
    assert kept.records() == []


def test_an_unwanted_flow_without_pieces_writes_nothing(kept: Kept) -> None:
    flow = flow_with(streamed(b"small"), None)
    kept.pass_through(flow)
    kept.keeper.finish([Ended(flow, is_wanted=False)])

    assert kept.journal.written_bytes == 0


def test_of_flows_that_end_together_the_wanted_are_kept(kept: Kept) -> None:
    flows = [flow_with(Body(b"asked"), Body(b"answered")) for _ in range(4)]
    for flow in flows:
        kept.pass_through(flow)
    flows[2].is_redacted = True
    flows[2].request.target = b"/left"
    kept.keeper.finish([Ended(flow, is_wanted=flow is not flows[1]) for flow in flows])

    wanted = [flows[0], flows[2], flows[3]]
    assert [one.id for one in kept.records()] == [one.id for one in wanted]
    assert [one.target for one in kept.records()] == [
        one.request.target for one in wanted
    ]


class LosesThirdPiece(Journal):
    """As when the disk is full for a moment."""

    pieces = 0

    def append_piece(self, number: int, side: str, data: bytes) -> bool:
        self.pieces += 1
        return self.pieces != 3 and super().append_piece(number, side, data)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_nothing_follows_a_piece_that_was_lost(kept: Kept, is_streamed: bool) -> None:
    content = numbered(5 * PIECE_BYTES)
    chunks = [content[at : at + 50_000] for at in range(0, len(content), 50_000)]
    body = streamed(*chunks) if is_streamed else Body(content)
    kept.journal = LosesThirdPiece(
        kept.folder, max_bytes=1 << 40, on_problem=kept.told.append
    )
    kept.keeper = Keeper(kept.journal, CAP)
    record = kept.keep(flow_with(response=body))

    body_record = record.response_body
    assert body_record.size == len(content)
    assert 0 < body_record.ahead < len(content)
    assert body_record.content == b""
    assert kept.content(record, "response") == content[: body_record.ahead]


def test_the_rest_of_a_body_is_not_kept_after_a_full_disk(tmp_path: Path) -> None:
    clock = Clock()
    full = False

    def write(descriptor: int, data: bytes | bytearray) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, data)

    kept = Kept(tmp_path)
    kept.journal = Journal(
        tmp_path,
        max_bytes=1 << 40,
        on_problem=kept.told.append,
        write=write,
        clock=clock,
    )
    kept.keeper = Keeper(kept.journal, CAP)
    content = numbered(400_000)
    chunks = [content[at : at + 100_000] for at in range(0, len(content), 100_000)]
    flow = flow_with(response=streamed(*chunks))
    assert flow.response
    body = flow.response.body
    kept.keeper.begin(flow)
    kept.keeper.answered(flow)
    asyncio.run(body.chunk())
    full = True
    asyncio.run(body.chunk())
    full = False
    clock.now += RETRY_MAX_S
    passed(body)
    kept.keeper.finish([Ended(flow, is_wanted=True)])
    kept.journal.close()

    (record,) = kept.records()
    assert record.response_body == BodyRecord(400_000, 100_000, b"")
    assert kept.content(record, "response") == content[:100_000]


def test_redacted_heads_are_made_of_what_is_left(kept: Kept) -> None:
    flow = flow_with(Body(b"x"), Body(b"y"))
    assert flow.response
    flow.request.received = b"POST /secret HTTP/1.0\r\nHost: a.test\r\nCookie: secret"
    flow.request.sent = b":method: POST\r\n:path: /secret\r\ncookie: secret"
    flow.response.received = b":status: 200\r\nset-cookie: secret"
    flow.response.sent = b"HTTP/1.1 200 OK\r\nSet-Cookie: secret"
    flow.request.target = b"/path"
    flow.request.headers["cookie"] = "***"
    del flow.response.headers["set-cookie"]
    flow.is_redacted = True
    record = kept.keep(flow)

    assert record.request_received == (
        b"POST /path HTTP/1.0\r\nHost: a.test\r\nCookie: ***"
    )
    assert record.request_sent == (
        b":method: POST\r\n:scheme: http\r\n:authority: a.test\r\n:path: /path\r\n"
        b"Host: a.test\r\nCookie: ***"
    )
    assert record.response_received == b":status: 200"
    assert record.response_sent == b"HTTP/1.1 200 OK"
    assert record.is_redacted


def test_redacted_heads_that_did_not_pass_stay_empty(kept: Kept) -> None:
    flow = flow_with(response=Body())
    flow.request.received = b"POST / HTTP/1.1"
    flow.is_redacted = True
    record = kept.keep(flow)

    assert record.request_received.startswith(b"POST /path HTTP/1.1")
    assert record.request_sent == b""
    assert record.response_received == b""
    assert record.response_sent == b""


def test_a_redacted_connect_in_http2_has_no_path(kept: Kept) -> None:
    flow = flow_with()
    flow.request.method = "CONNECT"
    flow.request.authority = "a.test:443"
    flow.request.headers = Headers()
    flow.request.received = b":method: CONNECT\r\n:authority: a.test:443"
    flow.is_redacted = True

    assert kept.keep(flow).request_received == flow.request.received


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("- cookie: secret", "- cookie"),
        ("+ x-a: b: secret -> c", "+ x-a"),
        ("- cookie", "- cookie"),
        ("GET http://a:80/?secret -> GET http://a:80/", "start line"),
        ("404 -> 200", "start line"),
        ("failed: ValueError: secret", "failed"),
        ("body replaced by 5 bytes", "body replaced by 5 bytes"),
        ("header order", "header order"),
    ],
)
def test_redacted_changes_hold_no_value(kept: Kept, what: str, left: str) -> None:
    flow = flow_with()
    flow.record("on_request", "someone", what)
    flow.is_redacted = True

    assert kept.keep(flow).changes == [("on_request", "someone", left)]


def test_nothing_of_a_redacted_secret_is_in_the_journal(kept: Kept) -> None:
    flow = flow_with(Body(b"secret asked"), streamed(b"secret answered"))
    assert flow.response
    flow.request.received = b"POST /secret HTTP/1.1\r\nCookie: secret"
    flow.request.sent = flow.request.received
    flow.response.received = flow.response.sent = b"HTTP/1.1 200 OK\r\nA: secret"
    flow.record("on_request", "someone", "+ cookie: secret")
    kept.pass_through(flow)
    flow.request.headers["cookie"] = "***"
    flow.response.headers["set-cookie"] = "***"
    flow.request.body.replace(b"***")
    flow.response.body.replace(b"***")
    flow.is_redacted = True
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (segment,) = (kept.folder / JOURNAL_FOLDER).iterdir()
    assert b"secret" not in segment.read_bytes()


def test_an_answer_that_is_told_of_twice_is_kept_once(kept: Kept) -> None:
    flow = flow_with(response=streamed(bytes(100_000), b"rest"))
    kept.keeper.begin(flow)
    kept.keeper.answered(flow)
    assert flow.response
    asyncio.run(flow.response.body.chunk())
    kept.keeper.answered(flow)
    passed(flow.response.body)
    kept.keeper.finish([Ended(flow, is_wanted=True)])

    (record,) = kept.records()
    assert kept.content(record, "response") == bytes(100_000) + b"rest"


def test_records_of_earlier_releases_can_be_read() -> None:
    # A shorter array: fields are only ever appended, each with a default.
    payload = msgspec.msgpack.encode([9, 3])

    assert msgspec.msgpack.decode(payload, type=BodyRecord) == BodyRecord(9, 3)
    fields = msgspec.structs.astuple(a_record(7))
    before_plugins = msgspec.msgpack.encode(fields[:-1])
    assert decode_flow(before_plugins) == a_record(7)


def numbered(size: int) -> bytes:
    """Content in which no part is like another."""
    return b"".join(b"%07d " % number for number in range(size // 8 + 1))[:size]
