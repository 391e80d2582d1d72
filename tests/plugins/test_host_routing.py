"""Where requests and connections go, said by guests on both ways of calling."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import PassThrough
from int3rceptor.model.flow import Upstream
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import EVERYTHING, Probe, make_flow

CONNECT, REQUEST = HookPoint.CONNECT, HookPoint.REQUEST
PLACES = [
    (b"http://b.test/x?y", ("http", "b.test", 80, b"/x?y"), "b.test"),
    (b"https://B.Test:8443", ("https", "b.test", 8443, b"/"), "b.test:8443"),
    (b"https://b.test?q=/", ("https", "b.test", 443, b"/?q=/"), "b.test"),
    (b"http://[::1]:81/a?b?c", ("http", "::1", 81, b"/a?b?c"), "[::1]:81"),
]


@pytest.mark.parametrize(("url", "place", "host"), PLACES)
def test_a_request_is_sent_elsewhere_and_host_follows(
    url: bytes,
    place: tuple[str, str, int, bytes],
    host: str,
    factory: MakerFactory,
) -> None:
    flow = make_flow(has_response=False)
    request = flow.request
    probe = Probe("host_set_url", factory)
    assert probe.call(url, point=HookPoint.RULE_MATCH, flow=flow) == Status.OK
    assert (request.scheme, request.host, request.port, request.target) == place
    assert request.authority == request.headers["host"] == host


@pytest.mark.parametrize(
    "url",
    [
        b"",
        b"/path",
        b"ftp://b.test/",
        b"HTTP://b.test/",
        b"http://",
        b"http://u:p@b.test/",
        b"http://b.test:0/",
        b"http://b.test:65536/",
        b"http://b test/",
        b"http://b.test/a b",
        b"http://b.test/#x",
        b"http://b.test\r\n/",
        b"http://b.test/\r\nx: y",
        "http://bücher.test/".encode(),
        b"http://[::1/",
    ],
)
def test_what_is_no_url_is_refused(url: bytes) -> None:
    flow, wanted = make_flow(), make_flow()
    assert Probe("host_set_url").call(url, flow=flow) == Status.BAD_ARGUMENT
    assert (flow.request.url, flow.request.headers) == (
        wanted.request.url,
        wanted.request.headers,
    )


def test_a_request_that_was_sent_goes_nowhere_else() -> None:
    probe, url = Probe("host_set_url"), b"http://b.test/"
    flow = make_flow()
    status = probe.call(url, point=HookPoint.RULE_MATCH, flow=flow)
    assert status == Status.WRONG_HOOK
    status = probe.call(url, point=HookPoint.CAPTURE, flow=flow)
    assert status == Status.WRONG_HOOK
    flow.request.method = "CONNECT"
    assert probe.call(url, flow=flow) == Status.BAD_ARGUMENT


def test_changing_a_request_is_not_leading_it_elsewhere(factory: MakerFactory) -> None:
    granted = EVERYTHING - {grant_of(Permission.CONNECT)}
    probe = Probe("host_set_url", factory, granted=granted)
    assert probe.call(b"http://b.test/", flow=make_flow()) == Status.NO_PERMISSION


@pytest.mark.parametrize(
    ("host", "dialled"),
    [(b"127.0.0.1", "127.0.0.1"), (b"Up.Test", "up.test"), (b"::1", "::1")],
)
def test_a_connection_is_dialled_elsewhere(
    host: bytes, dialled: str, factory: MakerFactory
) -> None:
    probe = Probe("host_set_upstream", factory)
    for port in (1, 8443, 65_535):
        assert probe.call(host, port, point=CONNECT, flow=make_flow()) == Status.OK
        assert probe.verdict == Upstream(dialled, port)
    assert probe.call(host, 1, point=REQUEST, flow=make_flow()) == Status.WRONG_HOOK


@pytest.mark.parametrize(
    ("host", "port"),
    [
        (b"", 1),
        (b"a b", 1),
        (b"a:1", 1),
        (b"[::1", 1),
        (b"a/", 1),
        (b"\xff", 1),
        (b"a", 0),
        (b"a", 65_536),
        (b"a", -1),
    ],
)
def test_what_cannot_be_dialled_is_refused(host: bytes, port: int) -> None:
    probe = Probe("host_set_upstream")
    status = probe.call(host, port, point=CONNECT, flow=make_flow())
    assert status == Status.BAD_ARGUMENT
    assert probe.verdict is None


def test_a_connection_is_left_alone(factory: MakerFactory) -> None:
    probe = Probe("host_pass_through", factory)
    assert probe.call(point=CONNECT, flow=make_flow()) == Status.OK
    assert probe.verdict == PassThrough()
    assert probe.call(point=REQUEST, flow=make_flow()) == Status.WRONG_HOOK
    assert probe.verdict is None
