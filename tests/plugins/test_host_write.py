"""What guests change and decide, called from inside a guest on both ways of calling."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Delay, Drop, PassThrough, Respond
from int3rceptor.model.body import Body
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.fields import (
    MAX_FIELD_BYTES,
    MAX_FIELDS,
)
from int3rceptor.plugins.host.names import PROTECTED_FIELDS
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.host.tags import MAX_TAG_CHARS
from tests.plugins.support import Probe, make_flow, make_instance
from tests.support.trying import Try, trying

REQUEST, RESPONSE = HookPoint.REQUEST, HookPoint.RESPONSE
WRITES = ("host_set_header", "host_add_header")


def test_set_header_replaces_and_keeps_the_place(factory: MakerFactory) -> None:
    flow = make_flow()
    assert Probe("host_set_header", factory).call(b"ACCEPT", b"*/*", flow=flow) == 0
    assert flow.request.headers.raw[1:3] == [
        (b"Accept", b"*/*"),
        (b"X-Bytes", b"caf\xe9"),
    ]


def test_add_header_keeps_the_others(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_add_header", factory)
    assert probe.call(b"Set-Cookie", b"c=3", point=RESPONSE, flow=flow) == 0
    assert flow.response is not None
    assert flow.response.headers.get_all("set-cookie") == ["a=1", "b=2", "c=3"]


def test_a_message_holds_so_many_fields_and_no_more(factory: MakerFactory) -> None:
    flow = make_flow()
    add, write = (Probe(name, factory) for name in reversed(WRITES))
    headers = flow.request.headers
    headers.raw[:] = [(b"a", b"1")] * (MAX_FIELDS - 1)
    assert add.call(b"b", b"2", flow=flow) == 0
    assert add.call(b"b", b"3", flow=flow) == Status.TOO_LARGE
    assert write.call(b"B", b"4", flow=flow) == 0
    assert write.call(b"c", b"5", flow=flow) == Status.NOT_FOUND
    assert headers.raw[MAX_FIELDS - 1 :] == [(b"b", b"4")]


def test_a_value_is_no_longer_than_a_head() -> None:
    flow = make_flow()
    limit = MAX_FIELD_BYTES
    big = trying(
        Try("host_add_header", (b"b", b"v" * (limit + 1)), (Status.TOO_LARGE,)),
        Try("host_add_header", (b"b", b"v" * limit), (Status.OK,)),
        pages=4,
    )
    assert make_instance(big.encode()).run(REQUEST, flow) is None
    assert flow.request.headers["b"] == "v" * limit


def test_remove_header_tells_how_many(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_remove_header", factory)
    assert probe.call(b"accept", flow=flow) == 2
    assert probe.call(b"accept", flow=flow) == 0
    assert "accept" not in flow.request.headers


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    "field",
    [
        (b"", b"v"),
        (b"a b", b"v"),
        (b"a:", b"v"),
        (b":authority", b"v"),
        (b"\xc3\xa9", b"v"),
        (b"a", b"v\r\nx: y"),
        (b"a", b"v\nx"),
        (b"a", b"v\0"),
    ],
)
def test_a_field_that_would_break_the_head_is_refused(
    name: str, field: tuple[bytes, bytes]
) -> None:
    flow, wanted = make_flow(), make_flow()
    status = Probe(name).call(*field, flow=flow)
    assert status == (-1 if name == "host_set_header" else Status.BAD_ARGUMENT)
    assert flow.request.headers == wanted.request.headers


@pytest.mark.parametrize("field", sorted(PROTECTED_FIELDS))
def test_framing_belongs_to_the_proxy(field: bytes) -> None:
    flow, wanted = make_flow(), make_flow()
    name = field.upper()
    assert Probe("host_set_header").call(name, b"1", flow=flow) == -1
    assert Probe("host_add_header").call(name, b"1", flow=flow) == Status.PROTECTED
    assert Probe("host_remove_header").call(name, flow=flow) == Status.PROTECTED
    answer = Probe("host_respond").call(200, encode_list([name, b"1"]), b"", flow=flow)
    assert answer == Status.PROTECTED
    assert flow.request.headers == wanted.request.headers


def test_method_and_path_are_set_in_request_hooks_only(factory: MakerFactory) -> None:
    flow = make_flow()
    method, path = Probe("host_set_method", factory), Probe("host_set_path", factory)
    assert method.call(b"PUT", flow=flow) == Status.OK
    assert path.call(b"/new?x=\xff", flow=flow) == Status.OK
    assert (flow.request.method, flow.request.target) == ("PUT", b"/new?x=\xff")
    for probe in (method, path):
        assert probe.call(b"/x", point=RESPONSE, flow=flow) == Status.WRONG_HOOK
    status = method.call(b"PUT", point=HookPoint.CAPTURE, flow=flow)
    assert status == Status.WRONG_HOOK


@pytest.mark.parametrize("method", [b"", b"A B", b"HEAD", b"CONNECT", b"G\r\n"])
def test_methods_that_are_refused(method: bytes) -> None:
    flow = make_flow()
    assert Probe("host_set_method").call(method, flow=flow) == Status.BAD_ARGUMENT
    assert flow.request.method == "POST"


def test_a_head_request_stays_one() -> None:
    flow = make_flow()
    flow.request.method = "HEAD"
    assert Probe("host_set_method").call(b"GET", flow=flow) == Status.BAD_ARGUMENT


@pytest.mark.parametrize(
    "path", [b"", b"x", b"*", b"http://a/", b"/a b", b"/\r\n", b"/#x", b"/\x7f", b"/\0"]
)
def test_paths_that_are_refused(path: bytes) -> None:
    flow, wanted = make_flow(), make_flow()
    assert Probe("host_set_path").call(path, flow=flow) == Status.BAD_ARGUMENT
    assert flow.request.target == wanted.request.target


def test_the_status_brings_its_reason(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_set_status", factory)
    assert probe.call(418, point=RESPONSE, flow=flow) == Status.OK
    assert flow.response is not None
    assert (flow.response.status, flow.response.reason) == (418, b"I'm a Teapot")
    assert probe.call(599, point=RESPONSE, flow=flow) == Status.OK
    assert flow.response.reason == b""


@pytest.mark.parametrize("status", [0, 101, 199, 204, 205, 304, 600, -1])
def test_statuses_that_are_refused(status: int) -> None:
    flow = make_flow()
    probe = Probe("host_set_status")
    assert probe.call(status, point=RESPONSE, flow=flow) == Status.BAD_ARGUMENT
    assert flow.response is not None
    assert flow.response.status == 200


def test_a_status_without_a_body_stays_one() -> None:
    flow = make_flow()
    assert flow.response is not None
    flow.response.status = 304
    probe = Probe("host_set_status")
    assert probe.call(200, point=RESPONSE, flow=flow) == Status.BAD_ARGUMENT
    body = Probe("host_set_body")
    assert body.call(b"x", point=RESPONSE, flow=flow) == Status.BAD_ARGUMENT


def test_a_body_is_replaced_with_its_length(factory: MakerFactory) -> None:
    flow = make_flow()
    probe = Probe("host_set_body", factory)
    assert probe.call(b"longer than before", point=RESPONSE, flow=flow) == Status.OK
    assert flow.response is not None
    assert flow.response.body.content == b"longer than before"
    assert flow.response.body.length == 18


def test_a_streamed_body_is_not_replaced() -> None:
    flow = make_flow()
    flow.request.body = Body(None)
    assert Probe("host_set_body").call(b"x", flow=flow) == Status.TOO_LARGE


def test_tags(factory: MakerFactory) -> None:
    flow, probe = make_flow(), Probe("host_tag", factory)
    assert probe.call("prüfen".encode(), flow=flow) == Status.OK
    assert flow.tags == ["prüfen"]
    for bad in (b"", b"\xff", b"a\nb", b"x" * (MAX_TAG_CHARS + 1)):
        assert probe.call(bad, flow=flow) == Status.BAD_ARGUMENT
    for number in range(100):
        flow.tag(str(number))
    assert probe.call(b"one too many", flow=flow) == Status.TOO_LARGE


def test_respond_builds_the_answer(factory: MakerFactory) -> None:
    probe = Probe("host_respond", factory)
    fields = encode_list([b"X-One", b"1", b"x-one", b"2"])
    assert probe.call(403, fields, b"no", flow=make_flow()) == Status.OK
    assert isinstance(probe.verdict, Respond)
    response = probe.verdict.response
    assert (response.status, response.reason) == (403, b"Forbidden")
    assert response.headers.raw == [(b"X-One", b"1"), (b"x-one", b"2")]
    assert (response.body.content, response.body.length) == (b"no", 2)


@pytest.mark.parametrize(
    ("status", "fields", "body"),
    [
        (101, b"", b""),
        (600, b"", b""),
        (204, b"", b"x"),
        (304, b"", b"x"),
        (200, encode_list([b"odd"]), b""),
        (200, encode_list([b"a", b"b\r\n"]), b""),
        (200, b"\1\0\0\0", b""),
        (200, b"\xff\xff\xff\xff", b""),
    ],
)
def test_answers_that_are_refused(status: int, fields: bytes, body: bytes) -> None:
    probe = Probe("host_respond")
    answer = probe.call(status, fields, body, flow=make_flow())
    assert answer == Status.BAD_ARGUMENT
    assert probe.verdict is None


def test_decisions_become_verdicts(factory: MakerFactory) -> None:
    flow = make_flow()
    drop, delay = Probe("host_drop", factory), Probe("host_delay", factory)
    assert drop.call(flow=flow) == Status.OK
    assert drop.verdict == Drop()
    assert delay.call(1500, flow=flow) == Status.OK
    assert delay.verdict == Delay(1.5)
    through = Probe("host_pass_through", factory)
    assert through.call(flow=flow) == Status.WRONG_HOOK
    assert through.call(point=HookPoint.CONNECT, flow=flow) == Status.OK
    assert through.verdict == PassThrough()


def test_a_delay_has_a_longest() -> None:
    delay = Probe("host_delay")
    assert delay.call(300_001, flow=make_flow()) == Status.BAD_ARGUMENT
    assert delay.verdict is None
