"""Host functions about chunks and decoding: each status, on both ways of calling."""

import gzip
import random

import brotli
import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.body import READ_SHARE
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.streaming.chunks import MAX_GIVEN_BYTES, Chunk, message_chunk
from tests.plugins.support import DATA_AT, EVERYTHING, PAGE, Probe, guest, make_flow
from tests.plugins.support import make_instance as instance_of

RESPONSE = HookPoint.RESPONSE
PLAIN = b"plain words " * 1000
CHUNK = Extra.RESPONSE_CHUNK


class ChunkProbe(Probe):
    """A probe that is shown a chunk."""

    def on(self, chunk: Chunk, *args: int | bytes) -> int:
        result = self.run(*args, point=CHUNK, flow=make_flow(), chunk=chunk)
        assert not isinstance(result, Fault), result
        return self.status()


def test_a_chunk_is_read(factory: MakerFactory) -> None:
    probe = ChunkProbe("host_get_chunk", factory)
    chunk = Chunk(data=b"piece", is_last=False)
    assert probe.on(chunk, DATA_AT, 2) == 5
    assert probe.read(DATA_AT, 5) == bytes(5)
    assert probe.on(chunk, DATA_AT, 5) == 5
    assert probe.read(DATA_AT, 5) == b"piece"
    assert probe.on(chunk, PAGE - 4, 5) == Status.BAD_POINTER
    assert probe.on(Chunk(data=b"", is_last=True), PAGE, 0) == 0


def test_the_end_is_told(factory: MakerFactory) -> None:
    probe = ChunkProbe("host_is_last_chunk", factory)
    assert probe.on(Chunk(data=b"x", is_last=False)) == 0
    assert probe.on(Chunk(data=b"", is_last=True)) == 1


def test_a_chunk_is_replaced(factory: MakerFactory) -> None:
    probe = ChunkProbe("host_set_chunk", factory)
    chunk = Chunk(data=b"piece", is_last=False)
    assert probe.on(chunk, b"other") == Status.OK
    assert chunk.given == b"other"
    assert probe.on(chunk, b"") == Status.OK
    assert chunk.given == b""
    assert probe.on(chunk, PAGE - 4, 5) == Status.BAD_POINTER
    assert chunk.given == b""


@pytest.mark.parametrize("is_text", [True, False])
def test_a_message_is_read_and_replaced_by_its_kind(
    factory: MakerFactory, *, is_text: bool
) -> None:
    message = WebSocketMessage(data=b"hello", is_text=is_text, is_from_client=True)
    chunk = message_chunk(message)
    get, put = Probe("host_get_chunk", factory), Probe("host_set_chunk", factory)
    where = {"point": Extra.WEBSOCKET_MESSAGE, "flow": make_flow(), "chunk": chunk}
    get.run(DATA_AT, 5, **where)
    assert get.status() == 5
    assert get.read(DATA_AT, 5) == b"hello"
    put.run(b"\xff", **where)
    assert put.status() == (Status.BAD_ARGUMENT if is_text else Status.OK)
    assert chunk.given == (None if is_text else b"\xff")
    put.run("grüße".encode(), **where)
    assert put.status() == Status.OK


@pytest.mark.parametrize("name", ["host_is_last_chunk", "host_list_trailers"])
def test_a_message_is_no_chunk(name: str, factory: MakerFactory) -> None:
    message = WebSocketMessage(data=b"hello", is_text=True, is_from_client=True)
    probe = Probe(name, factory)
    args = [0, 0] if name == "host_list_trailers" else []
    probe.run(
        *args,
        point=Extra.WEBSOCKET_MESSAGE,
        flow=make_flow(),
        chunk=message_chunk(message),
    )
    assert probe.status() == Status.WRONG_HOOK


def test_a_chunk_has_a_largest_size(factory: MakerFactory) -> None:
    limits = Limits(host_bytes=4 * MAX_GIVEN_BYTES)
    probe = ChunkProbe("host_set_chunk", factory, limits=limits)
    chunk = Chunk(data=b"piece", is_last=False)
    assert probe.on(chunk, 0, MAX_GIVEN_BYTES + 1) == Status.TOO_LARGE
    assert probe.on(chunk, 0, MAX_GIVEN_BYTES) == Status.BAD_POINTER
    assert chunk.given is None


@pytest.mark.parametrize(
    "name", ["host_get_chunk", "host_set_chunk", "host_is_last_chunk"]
)
def test_there_are_no_chunks_at_hooks(name: str, factory: MakerFactory) -> None:
    probe = Probe(name, factory)
    args = [0, 0] if name != "host_is_last_chunk" else []
    for point in HookPoint:
        assert probe.call(*args, point=point, flow=make_flow()) == Status.WRONG_HOOK


def test_to_change_a_chunk_needs_a_grant(factory: MakerFactory) -> None:
    granted = EVERYTHING - {grant_of(Permission.BODY_MODIFY)}
    probe = ChunkProbe("host_set_chunk", factory, granted=granted)
    chunk = Chunk(data=b"piece", is_last=False)
    assert probe.on(chunk, b"other") == Status.NO_PERMISSION
    assert chunk.given is None


def test_trailers_are_known_at_the_end(factory: MakerFactory) -> None:
    probe = Probe("host_get_trailer", factory)
    flow = make_flow()
    flow.request.body.trailers = Headers([(b"x-sum", b"42")])
    for is_last, wanted in ((False, Status.TOO_LARGE), (True, 2)):
        chunk = Chunk(data=b"", is_last=is_last)
        entry = Extra.REQUEST_CHUNK
        probe.run(b"x-sum", 512, 8, point=entry, flow=flow, chunk=chunk)
        assert probe.status() == wanted


# --- decoding -------------------------------------------------------------------------


def coded(content: bytes, coding: bytes = b"gzip") -> Flow:
    flow = make_flow()
    assert flow.response is not None
    flow.response.headers = Headers([(b"Content-Encoding", coding)])
    flow.response.body = Body(content)
    return flow


def answer_of(flow: Flow) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    assert flow.response is not None
    return flow.response.headers.raw, flow.response.body.content


def decoded(factory: MakerFactory, flow: Flow) -> int:
    return Probe("host_decode_body", factory).call(point=RESPONSE, flow=flow)


def test_codings_are_taken_off(factory: MakerFactory) -> None:
    flow = coded(brotli.compress(gzip.compress(PLAIN)), b"gzip, br")
    assert decoded(factory, flow) == 2
    assert answer_of(flow) == ([], PLAIN)
    assert decoded(factory, flow) == 0


@pytest.mark.parametrize(
    ("content", "coding", "wanted"),
    [
        (b"never coded", b"gzip", Status.BAD_ARGUMENT),
        (gzip.compress(PLAIN)[:-1], b"gzip", Status.BAD_ARGUMENT),
        (PLAIN, b"compress", Status.NOT_FOUND),
    ],
    ids=["never", "early", "unknown"],
)
def test_what_cannot_be_decoded_has_a_status_and_stays(
    content: bytes, coding: bytes, wanted: Status, factory: MakerFactory
) -> None:
    flow = coded(content, coding)
    before = answer_of(flow)
    assert decoded(factory, flow) == wanted
    assert answer_of(flow) == before


def test_no_transform_is_obeyed(factory: MakerFactory) -> None:
    flow = coded(gzip.compress(PLAIN))
    assert flow.response is not None
    flow.response.headers.add("cache-control", "no-transform")
    assert decoded(factory, flow) == Status.PROTECTED
    partial = coded(gzip.compress(PLAIN))
    assert partial.response is not None
    partial.response.status = 206
    assert decoded(factory, partial) == Status.PROTECTED


@pytest.mark.parametrize("point", [HookPoint.CONNECT, HookPoint.CAPTURE, CHUNK])
def test_elsewhere_there_is_nothing_to_decode(
    point: HookPoint, factory: MakerFactory
) -> None:
    probe = Probe("host_decode_body", factory)
    assert probe.call(point=point, flow=make_flow()) == Status.WRONG_HOOK


def test_to_decode_needs_a_grant(factory: MakerFactory) -> None:
    granted = EVERYTHING - {grant_of(Permission.BODY_MODIFY)}
    probe = Probe("host_decode_body", factory, granted=granted)
    content = gzip.compress(PLAIN)
    flow = coded(content)
    assert probe.call(point=RESPONSE, flow=flow) == Status.NO_PERMISSION
    assert answer_of(flow)[1] == content


def whole(factory: MakerFactory, flow: Flow, limits: Limits) -> tuple[object, str]:
    """What a module that reads whole bodies makes of an answer, and what it logs."""
    one = instance_of(guest("decode_whole"), factory, limits=limits)
    result = one.run(RESPONSE, flow)
    return result, "".join(text for _, text in one.take_lines())


LARGE = Limits(host_bytes=8_000_000, memory_bytes=4_000_000, fuel=10_000_000)


def test_a_whole_body_is_read_decoded(factory: MakerFactory) -> None:
    flow = coded(gzip.compress(PLAIN))
    assert whole(factory, flow, LARGE) == (None, f"b {len(PLAIN):x}")
    assert answer_of(flow) == ([], PLAIN)


def test_whole_and_too_large_stays_as_it_was(factory: MakerFactory) -> None:
    content = gzip.compress(bytes(64_000_000))
    flow = coded(content)
    assert whole(factory, flow, LARGE) == (None, f"Z {len(content):x}")
    assert answer_of(flow)[1] == content


def test_half_of_the_budget_is_to_decode_and_half_to_read(
    factory: MakerFactory,
) -> None:
    content = gzip.compress(PLAIN)
    for host_bytes, wanted in (
        (2 * len(PLAIN) + 20, f"b {len(PLAIN):x}"),
        (2 * len(PLAIN) - 2, f"Z {len(content):x}"),
    ):
        limits = Limits(host_bytes=host_bytes, memory_bytes=4_000_000)
        assert whole(factory, coded(content), limits) == (None, wanted)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(bytes(9_000_000), mtime=0), b"never"],
    ids=["bomb", "never"],
)
def test_decoding_in_vain_is_spent(content: bytes, factory: MakerFactory) -> None:
    probe = Probe("host_decode_body", factory, limits=Limits(host_bytes=64))
    probe.instance.host.wants_whole = True
    probe.call(point=RESPONSE, flow=coded(content))
    assert probe.instance.host.bytes_left == max(0, 32 - len(content) // READ_SHARE)


def test_nothing_is_decoded_without_a_budget(factory: MakerFactory) -> None:
    probe = Probe("host_decode_body", factory, limits=Limits(host_bytes=1))
    probe.instance.host.wants_whole = True
    status = probe.call(point=RESPONSE, flow=coded(b"never"))
    assert status == Status.TOO_LARGE


def test_a_module_without_use_for_whole_bodies_takes_a_large_one_as_a_stream(
    factory: MakerFactory,
) -> None:
    plain = random.Random(1).randbytes(3_000_000)
    flow = coded(gzip.compress(plain, compresslevel=1))
    assert flow.response is not None
    assert decoded(factory, flow) == 1
    assert flow.response.body.content is None


def test_a_fault_takes_the_decoding_back(factory: MakerFactory) -> None:
    content = gzip.compress(b"!" + PLAIN)
    flow = coded(content)
    result, _ = whole(factory, flow, LARGE)
    assert isinstance(result, Fault)
    assert result.kind is FaultKind.TRAP
    assert answer_of(flow) == ([(b"Content-Encoding", b"gzip")], content)
