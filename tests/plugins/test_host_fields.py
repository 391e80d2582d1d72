"""The request beside a response, trailers, tags, what is kept: written by guests."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.body import Body
from int3rceptor.model.flow import MAX_TAGS, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import Probe, make_flow, make_instance
from tests.support.listening import Held, OneChunk

REQUEST, RESPONSE = HookPoint.REQUEST, HookPoint.RESPONSE
CAPTURE, RULE_MATCH = HookPoint.CAPTURE, HookPoint.RULE_MATCH
BUFFER = 4096
RECORD_ONLY = frozenset({grant_of(Permission.RECORD)})
TRAILERS = (("host_set_trailer", RESPONSE), ("host_set_request_trailer", REQUEST))


def answer(flow: Flow) -> Response:
    assert flow.response is not None
    return flow.response


async def streamed(content: bytes) -> Body:
    """A body that has passed, and is still held."""
    body = Body(source=OneChunk(content))
    body.tap = Held()
    while await body.chunk():
        pass
    return body


# --- the request's side ---------------------------------------------------------------


@pytest.mark.parametrize("point", [REQUEST, RULE_MATCH, CAPTURE])
def test_the_request_is_written_where_it_can_change(
    point: HookPoint, factory: MakerFactory
) -> None:
    flow = make_flow(has_response=point is CAPTURE)
    one = Probe("host_set_request_header", factory)
    assert one.call(b"ACCEPT", b"*/*", point=point, flow=flow) == Status.OK
    more = Probe("host_add_request_header", factory)
    assert more.call(b"X-New", b"1", point=point, flow=flow) == Status.OK
    gone = Probe("host_remove_request_header", factory)
    assert gone.call(b"x-bytes", point=point, flow=flow) == 1
    assert flow.request.headers.raw[1:] == [(b"Accept", b"*/*"), (b"X-New", b"1")]


@pytest.mark.parametrize(
    "name", ["host_set_request_header", "host_set_header", "host_add_request_header"]
)
def test_a_request_that_was_sent_does_not_change(name: str) -> None:
    flow, wanted = make_flow(), make_flow()
    status = Probe(name).call(b"accept", b"1", point=RULE_MATCH, flow=flow)
    assert status == (-1 if name == "host_set_header" else Status.WRONG_HOOK)
    assert flow.request.headers == wanted.request.headers


@pytest.mark.parametrize("field", [b"Host", b"Content-Length", b"TE"])
def test_framing_is_protected_there_too(field: bytes) -> None:
    for name in ("host_set_request_header", "host_set_trailer", "host_add_trailer"):
        point = RESPONSE if "trailer" in name else REQUEST
        status = Probe(name).call(field, b"1", point=point, flow=make_flow())
        assert status == Status.PROTECTED


def test_the_requests_body_is_read_and_replaced(factory: MakerFactory) -> None:
    flow = make_flow(body=b"asked")
    read, write = (
        Probe("host_get_request_body", factory),
        Probe("host_set_request_body", factory),
    )
    for point in (REQUEST, RESPONSE, CAPTURE):
        assert read.call(BUFFER, 99, point=point, flow=flow) == 5
        assert read.read(BUFFER, 5) == b"asked"
    assert write.call(b"new", point=RESPONSE, flow=flow) == Status.WRONG_HOOK
    for content in (b"first", b"second"):
        assert write.call(content, flow=flow) == Status.OK
    assert flow.request.body.content == b"second"
    assert flow.request.body.original == b"asked"


# --- trailers -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "point"), TRAILERS)
def test_trailers_are_set_added_and_removed(
    name: str, point: HookPoint, factory: MakerFactory
) -> None:
    flow = make_flow()
    message = answer(flow) if point is RESPONSE else flow.request
    message.body.trailers = None
    assert Probe(name, factory).call(b"X-Sum", b"1", point=point, flow=flow) == 0
    adder = Probe(name.replace("_set_", "_add_"), factory)
    assert adder.call(b"x-sum", b"2", point=point, flow=flow) == Status.OK
    assert message.body.trailers == Headers([(b"X-Sum", b"1"), (b"x-sum", b"2")])
    remover = Probe(name.replace("_set_", "_remove_"), factory)
    assert remover.call(b"X-SUM", point=point, flow=flow) == 2
    assert not message.body.trailers


def test_a_message_that_can_have_no_trailers_gets_none(factory: MakerFactory) -> None:
    probe = Probe("host_set_trailer", factory)

    def status(flow: Flow, point: HookPoint = RESPONSE) -> int:
        return probe.call(b"X-Sum", b"1", point=point, flow=flow)

    flow = make_flow()
    flow.request.version = "HTTP/1.0"
    assert status(flow) == Status.BAD_ARGUMENT
    flow = make_flow()
    flow.request.method = "HEAD"
    assert status(flow) == Status.BAD_ARGUMENT
    flow = make_flow()
    answer(flow).status = 304
    assert status(flow) == Status.BAD_ARGUMENT
    flow = make_flow(body=b"")
    flow.request.body.trailers = None
    assert status(flow, REQUEST) == Status.BAD_ARGUMENT
    flow = make_flow()
    answer(flow).body = Body(source=OneChunk(b"x"))
    assert status(flow) == Status.TOO_LARGE
    assert status(make_flow(has_response=False), CAPTURE) == Status.NOT_FOUND


def test_an_expectation_is_no_trailer() -> None:
    probe = Probe("host_set_trailer")
    assert probe.call(b"Expect", b"1", flow=make_flow()) == Status.PROTECTED


def test_the_requests_trailers_are_listed(factory: MakerFactory) -> None:
    probe, flow = Probe("host_list_request_trailers", factory), make_flow()
    wanted = encode_list([b"X-Sum", b"42"])
    for point in (REQUEST, RESPONSE, CAPTURE):
        assert probe.call(BUFFER, 99, point=point, flow=flow) == len(wanted)
        assert probe.read(BUFFER, len(wanted)) == wanted


# --- tags -----------------------------------------------------------------------------


def test_tags_are_listed(factory: MakerFactory) -> None:
    probe, flow = Probe("host_list_tags", factory), make_flow()
    assert probe.call(BUFFER, 99, flow=flow) == 0
    flow.tags = ["a", "prüfen"]
    wanted = encode_list([b"a", "prüfen".encode()])
    assert probe.call(BUFFER, 99, flow=flow) == len(wanted)
    assert probe.read(BUFFER, len(wanted)) == wanted


def test_only_an_own_tag_is_taken_away(factory: MakerFactory) -> None:
    add, remove = Probe("host_tag", factory), Probe("host_remove_tag", factory)
    flow = make_flow()
    flow.tag("a rule's")
    assert add.call(b"mine", flow=flow) == Status.OK
    assert add.call(b"a rule's", flow=flow) == Status.OK
    assert remove.call(b"mine", point=RESPONSE, flow=flow) == Status.OK
    assert remove.call(b"mine", point=RESPONSE, flow=flow) == Status.NOT_FOUND
    assert remove.call(b"a rule's", flow=flow) == Status.PROTECTED
    for bad in (b"", b"\xff", b"a\nb"):
        assert remove.call(bad, flow=flow) == Status.BAD_ARGUMENT
    assert flow.tags == ["a rule's"]
    assert [one.what for one in flow.changes] == ["tagged mine", "untagged mine"]


def test_a_full_flow_takes_no_tag_and_records_none() -> None:
    flow = make_flow()
    flow.tags = [str(number) for number in range(MAX_TAGS)]
    assert Probe("host_tag").call(b"more", flow=flow) == Status.TOO_LARGE
    assert flow.changes == []


TAGS_AND_TRAPS = b"""(module
  (import "env" "host_tag" (func $tag (param i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "tag")
  (func (export "on_request") (result i32)
    (drop (call $tag (i32.const 0) (i32.const 3))) unreachable))"""


def test_a_fault_takes_a_tag_and_its_record_back(factory: MakerFactory) -> None:
    flow = make_flow()
    make_instance(TAGS_AND_TRAPS, factory).run(REQUEST, flow)
    assert flow.tags == []
    assert flow.changes == []


# --- what is kept ---------------------------------------------------------------------


async def test_a_stream_that_is_still_held_can_be_read_and_replaced(
    factory: MakerFactory,
) -> None:
    flow = make_flow()
    answer(flow).body = await streamed(b"a secret")
    read, write = Probe("host_get_body", factory), Probe("host_set_body", factory)
    assert read.call(BUFFER, 99, point=CAPTURE, flow=flow) == 8
    assert read.read(BUFFER, 8) == b"a secret"
    assert write.call(b"***", point=CAPTURE, flow=flow) == Status.OK
    assert answer(flow).body.content == b"***"


async def test_a_stream_that_is_not_can_only_be_replaced(factory: MakerFactory) -> None:
    flow = make_flow()
    body = answer(flow).body = await streamed(b"a secret")
    assert body.tap is not None
    body.tap.held.clear()  # it went ahead of the record
    read, write = Probe("host_get_body", factory), Probe("host_set_body", factory)
    assert read.call(BUFFER, 99, point=CAPTURE, flow=flow) == Status.TOO_LARGE
    assert write.call(b"***", point=CAPTURE, flow=flow) == Status.OK


def test_what_is_kept_may_be_masked_and_its_path_changed(factory: MakerFactory) -> None:
    flow = make_flow()
    one = Probe("host_set_request_header", factory, granted=RECORD_ONLY)
    assert one.call(b"Authorization", b"***", point=CAPTURE, flow=flow) == Status.OK
    path = Probe("host_set_path", factory)
    assert path.call(b"/path?q=***", point=CAPTURE, flow=flow) == Status.OK
    assert flow.request.target == b"/path?q=***"
    flow.request.method = "CONNECT"
    assert path.call(b"/", point=CAPTURE, flow=flow) == Status.BAD_ARGUMENT


def test_a_flow_without_an_answer_has_no_body_to_change() -> None:
    flow = make_flow(has_response=False)
    for name in ("host_set_body", "host_set_trailer"):
        args = (b"x", b"y") if "trailer" in name else (b"x",)
        assert Probe(name).call(*args, point=CAPTURE, flow=flow) == Status.NOT_FOUND
    read = Probe("host_get_body")
    assert read.call(BUFFER, 9, point=CAPTURE, flow=flow) == Status.NOT_FOUND
