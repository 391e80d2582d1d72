"""What guests read, called from inside a guest on both ways of calling."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.body import Body
from int3rceptor.plugins.abi.codes import LogLevel, Status
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.host.write import decode_list
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import Probe, make_flow
from tests.support.listening import OneChunk

BUFFER = 4096
REQUEST, RESPONSE, CAPTURE = HookPoint.REQUEST, HookPoint.RESPONSE, HookPoint.CAPTURE

TEXTS = [
    ("host_get_method", REQUEST, b"POST"),
    ("host_get_method", RESPONSE, b"POST"),
    ("host_get_url", REQUEST, b"https://api.example.com:8443/path?q=\xff"),
    ("host_get_scheme", REQUEST, b"https"),
    ("host_get_host", REQUEST, b"api.example.com"),
    ("host_get_path", REQUEST, b"/path?q=\xff"),
    ("host_get_version", REQUEST, b"HTTP/1.1"),
    ("host_get_version", RESPONSE, b"HTTP/2"),
    ("host_get_client_addr", HookPoint.CONNECT, b"127.0.0.1:5555"),
    ("host_get_sni", REQUEST, b"sni.example.com"),
    ("host_get_connect_host", REQUEST, b"connect.example.com"),
    ("host_get_rule", HookPoint.RULE_MATCH, b"a rule"),
    ("host_get_body", REQUEST, b"body"),
    ("host_get_body", RESPONSE, b"body"),
    ("host_list_trailers", REQUEST, encode_list([b"X-Sum", b"42"])),
    ("host_list_trailers", RESPONSE, b""),
    (
        "host_list_headers",
        RESPONSE,
        encode_list([b"set-cookie", b"a=1", b"Set-Cookie", b"b=2"]),
    ),
    (
        "host_list_headers",
        CAPTURE,
        encode_list([b"set-cookie", b"a=1", b"Set-Cookie", b"b=2"]),
    ),
]


@pytest.mark.parametrize(("name", "point", "wanted"), TEXTS)
def test_a_text_is_copied(
    name: str, point: HookPoint, wanted: bytes, factory: MakerFactory
) -> None:
    probe, flow = Probe(name, factory), make_flow()
    length = probe.call(BUFFER, 1000, point=point, flow=flow)
    assert length == len(wanted)
    assert probe.read(BUFFER, length) == wanted
    # One byte too small: the needed length, and nothing written.
    if wanted:
        other = Probe(name, factory)
        assert other.call(BUFFER, length - 1, point=point, flow=flow) == length
        assert other.read(BUFFER, length) == bytes(length)


NAMED = [
    ("host_get_header", REQUEST, b"ACCEPT", b"text/html"),
    ("host_get_header", REQUEST, b"x-bytes", b"caf\xe9"),
    ("host_get_header", RESPONSE, b"set-cookie", b"a=1"),
    ("host_get_request_header", RESPONSE, b"accept", b"text/html"),
    ("host_get_request_header", CAPTURE, b"accept", b"text/html"),
    (
        "host_get_header_values",
        REQUEST,
        b"accept",
        encode_list([b"text/html", b"text/plain"]),
    ),
    ("host_get_trailer", REQUEST, b"x-sum", b"42"),
]


@pytest.mark.parametrize(("name", "point", "key", "wanted"), NAMED)
def test_a_field_is_found_by_its_name_without_case(
    name: str, point: HookPoint, key: bytes, wanted: bytes, factory: MakerFactory
) -> None:
    probe, flow = Probe(name, factory), make_flow()
    length = probe.call(key, BUFFER, 1000, point=point, flow=flow)
    assert probe.read(BUFFER, length) == wanted
    assert probe.call(key, BUFFER, 0, point=point, flow=flow) == length
    absent = probe.call(b"absent", BUFFER, 1000, point=point, flow=flow)
    assert absent == Status.NOT_FOUND


def test_numbers_come_as_results(factory: MakerFactory) -> None:
    flow = make_flow()
    assert Probe("host_get_port", factory).call(flow=flow) == 8443
    status = Probe("host_get_status", factory)
    assert status.call(point=RESPONSE, flow=flow) == 200
    assert status.call(point=CAPTURE, flow=flow) == 200
    assert status.call(point=REQUEST, flow=flow) == Status.WRONG_HOOK
    assert Probe("host_now_ms", factory).call(flow=flow) == 1 << 41


def test_a_capture_without_response_has_no_message() -> None:
    flow = make_flow(has_response=False)
    for name in ("host_list_headers", "host_get_version"):
        status = Probe(name).call(BUFFER, 99, point=CAPTURE, flow=flow)
        assert status == Status.NOT_FOUND
    assert Probe("host_get_status").call(point=CAPTURE, flow=flow) == Status.NOT_FOUND


def test_facts_that_a_flow_does_not_have() -> None:
    flow = make_flow()
    flow.client.tls = flow.client.connect_host = None
    flow.rule = ""
    for name in ("host_get_sni", "host_get_connect_host", "host_get_rule"):
        assert Probe(name).call(BUFFER, 99, flow=flow) == Status.NOT_FOUND


def test_an_ipv6_client_is_bracketed() -> None:
    flow = make_flow()
    flow.client.address = ("::1", 9)
    probe = Probe("host_get_client_addr")
    length = probe.call(BUFFER, 99, flow=flow)
    assert probe.read(BUFFER, length) == b"[::1]:9"


def test_a_body_that_was_not_buffered_is_too_large() -> None:
    flow = make_flow()
    flow.request.body = Body(source=OneChunk(b"x"))
    for name in ("host_get_body", "host_list_trailers"):
        assert Probe(name).call(BUFFER, 99, flow=flow) == Status.TOO_LARGE


def test_a_body_over_the_budget_is_refused_and_no_fault() -> None:
    probe = Probe("host_get_body", limits=Limits(host_bytes=100))
    flow = make_flow(body=b"x" * 101)
    assert probe.call(BUFFER, 1000, flow=flow) == Status.TOO_LARGE
    assert probe.call(BUFFER, 10, flow=flow) == 101


def test_configuration_is_read_by_key_or_whole(factory: MakerFactory) -> None:
    config = {"": b'{"a": 1}', "a": b"1"}
    probe, flow = Probe("host_get_config", factory, config=config), make_flow()
    assert probe.call(b"a", BUFFER, 99, flow=flow) == 1
    assert probe.read(BUFFER, 1) == b"1"
    assert probe.call(b"", BUFFER, 99, flow=flow) == len('{"a": 1}')
    assert probe.call(b"b", BUFFER, 99, flow=flow) == Status.NOT_FOUND
    assert probe.call(b"\xff", BUFFER, 99, flow=flow) == Status.NOT_FOUND


@pytest.mark.parametrize(
    ("level", "wanted"),
    [(0, LogLevel.DEBUG), (3, LogLevel.ERROR), (4, LogLevel.INFO), (-1, LogLevel.INFO)],
)
def test_log_levels(level: int, wanted: LogLevel, factory: MakerFactory) -> None:
    probe = Probe("host_log", factory)
    assert probe.call(level, b"text", flow=make_flow()) == Status.OK
    assert probe.instance.take_lines() == [(wanted, "text")]


@pytest.mark.parametrize("name", ["host_log", "host_abort"])
def test_log_text_that_is_not_utf_8_is_refused_with_minus_one(name: str) -> None:
    probe = Probe(name)
    args: tuple[int | bytes, ...] = (1, b"\xff") if name == "host_log" else (b"\xff",)
    assert probe.call(*args, flow=make_flow()) == -1
    assert probe.instance.take_lines() == []


def test_a_log_line_cannot_drive_a_terminal() -> None:
    probe = Probe("host_log")
    probe.call(1, "a\x1b[2J\nb\tc\u202edé".encode(), flow=make_flow())
    assert probe.instance.take_lines() == [(LogLevel.INFO, r"a\x1b[2J\nb\tc\u202edé")]


def test_random_fills_the_buffer_and_is_charged() -> None:
    probe = Probe("host_random", limits=Limits(host_bytes=10))
    assert probe.call(BUFFER, 10, flow=make_flow()) == Status.OK
    assert probe.read(BUFFER, 11) == b"r" * 10 + b"\0"
    assert isinstance(probe.run(BUFFER, 11, flow=make_flow()), Fault)


def test_what_is_not_granted_is_refused(factory: MakerFactory) -> None:
    base = frozenset({grant_of(Permission.BASE)})
    flow = make_flow()
    url = Probe("host_get_url", factory, granted=base)
    assert url.call(BUFFER, 99, flow=flow) == Status.NO_PERMISSION
    # The original ABI knows one failure only: -1.
    header = Probe("host_get_header", factory, granted=base)
    assert header.call(b"accept", BUFFER, 99, flow=flow) == -1
    spent = Probe("host_get_url", granted=base, limits=Limits(host_calls=0))
    assert isinstance(spent.run(BUFFER, 99, flow=flow), Fault)


def test_lists_survive_a_round_trip() -> None:
    items = [b"", b"a", b"\0" * 300]
    assert decode_list(encode_list(items)) == items
    assert decode_list(encode_list(items)[:-1]) is None
    assert decode_list(b"\1\0\0") is None
