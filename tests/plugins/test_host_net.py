"""host_http_fetch: what a guest may ask, how often, and how it gets the answer."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import LogLevel, Status
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.fastcall import FastMaker
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.host.net import parse_request
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.host.write import decode_list
from int3rceptor.plugins.network.outbound import (
    FetchAnswer,
    FetchFailure,
    FetchRequest,
    FetchTerms,
)
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Grant, Permission, grant_of
from tests.plugins.support import FETCHED, Probe, make_flow, make_instance, probe_source

AT = 8192
GET = encode_list([b"GET", b"https://api.example.com/v1?q=1", b""])
ESCAPED = "".join(rf"\{byte:02x}" for byte in GET)
ANSWER = encode_list([b"200", b"fetched", b"x-from", b"afar"])
GRANTED = frozenset(
    {grant_of(Permission.BASE), grant_of(Permission.NETWORK, "api.example.com")}
)


class Network:
    """A fetcher that keeps what it is asked."""

    def __init__(self, answer: FetchAnswer | FetchFailure = FETCHED) -> None:
        self.answer = answer
        self.asked: list[tuple[FetchRequest, FetchTerms]] = []

    def __call__(
        self, request: FetchRequest, terms: FetchTerms
    ) -> FetchAnswer | FetchFailure:
        self.asked.append((request, terms))
        return self.answer


class Fetching(Probe):
    """A guest that fetches."""

    def __init__(
        self,
        network: Network,
        factory: MakerFactory = FastMaker,
        *,
        limits: Limits | None = None,
        granted: frozenset[Grant] = GRANTED,
    ) -> None:
        self.width = 4
        self.instance = make_instance(
            probe_source("host_http_fetch"),
            factory,
            limits=limits,
            granted=granted,
            surroundings=Surroundings(fetch=network),
        )

    def fetch(self, request: bytes, room: int = 4096) -> int:
        return self.call(request, AT, room, flow=make_flow())


def test_an_answer_is_a_list(factory: MakerFactory) -> None:
    network = Network()
    guest = Fetching(network, factory)
    headers = [(b"Accept", b"*/*"), (b"X-A", b"1")]
    fields = [b"GET", b"https://api.example.com/v1?q=1", b"", *chain(*headers)]
    assert guest.fetch(encode_list(fields)) == len(ANSWER)
    assert guest.read(AT, len(ANSWER)) == ANSWER
    ((request, terms),) = network.asked
    assert request.headers == headers
    assert (request.host, request.port, request.target) == (
        *("api.example.com", 443),
        b"/v1?q=1",
    )
    assert 0 < terms.seconds <= 3.0
    assert not terms.may_be_private
    ((level, line),) = guest.instance.take_lines()
    assert level is LogLevel.INFO
    assert line.startswith("fetched from https://api.example.com: 200 in ")
    assert guest.instance.take_fetches() == 1
    assert guest.instance.take_fetches() == 0


def test_an_answer_that_does_not_fit_waits_for_the_same_request() -> None:
    source = f"""(module
      (import "env" "host_http_fetch"
        (func $fetch (param i32 i32 i32 i32) (result i32)))
      (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "{ESCAPED}")
      (func (export "on_request") (result i32) (local $need i32)
        (local.set $need (call $fetch
          (i32.const 0) (i32.const {len(GET)}) (i32.const 1000) (i32.const 3)))
        (local.set $need (call $fetch
          (i32.const 0) (i32.const {len(GET)}) (i32.const 1000) (local.get $need)))
        (drop (call $log (i32.const 1) (i32.const 1011) (i32.const 7)))
        (i32.const 0)))""".encode()
    network = Network()
    instance = make_instance(
        source, granted=GRANTED, surroundings=Surroundings(fetch=network)
    )
    for calls in (1, 2):  # nothing is kept beyond the call
        assert instance.run(HookPoint.REQUEST, make_flow()) is None
        assert len(network.asked) == calls
        assert [text for _, text in instance.take_lines()][1] == "fetched"


REFUSED = [
    (b"", Status.BAD_ARGUMENT),
    (b"\xff\xff\xff\xff", Status.BAD_ARGUMENT),
    (encode_list([b"GET", b"https://api.example.com/"]), Status.BAD_ARGUMENT),
    (encode_list([b"GET", b"https://api.example.com/", b"", b"a"]), -3),
    *(
        (encode_list([b"GET", url, b""]), Status.BAD_ARGUMENT)
        for url in (
            b"",
            b"/path",
            b"api.example.com",
            b"ftp://api.example.com/",
            b"file:///etc/passwd",
            b"https://user@api.example.com/",
            b"https://user:pw@api.example.com/",
            b"https://api.example.com\\@evil.test/",
            b"https://api.example.com#@evil.test/",
            b"https://api.example.com/a b",
            b"https://api.example.com/\r\nHost: evil",
            b"https://api.example.com/\0",
            b"https://api.example.com/\xc3\xa4",
            b"https://api.example.com:0/",
            b"https://api.example.com:70000/",
            b"https://[::1/",
            b"https://[1::2::3]/",
            b"https:///x",
            b"https://api.example.com/" + b"x" * 9000,
        )
    ),
    *(
        (encode_list([method, b"https://api.example.com/", b""]), -3)
        for method in (b"", b"GET ", b"GET\r\n", b"CONNECT", b"TRACE", b"G\xc3\x84T")
    ),
    *(
        (encode_list([b"GET", b"https://api.example.com/", b"", name, value]), status)
        for name, value, status in (
            (b"", b"x", Status.BAD_ARGUMENT),
            (b"a b", b"x", Status.BAD_ARGUMENT),
            (b"a", b"x\r\nb: c", Status.BAD_ARGUMENT),
            (b"a", b"x\0", Status.BAD_ARGUMENT),
            (b"a\r\nb", b"x", Status.BAD_ARGUMENT),
            (b"Host", b"evil.test", Status.PROTECTED),
            (b"transfer-encoding", b"chunked", Status.PROTECTED),
            (b"Content-Length", b"1", Status.PROTECTED),
            (b"Connection", b"upgrade", Status.PROTECTED),
        )
    ),
    *(
        (encode_list([b"GET", url, b""]), Status.NO_PERMISSION)
        for url in (
            b"https://example.com/",
            b"https://api.example.com:8443/",
            b"http://api.example.com:443/",
            b"https://api.example.com.evil.test/",
            b"http://127.0.0.1/",
            b"http://[::1]/",
        )
    ),
]


@pytest.mark.parametrize(("request_", "status"), REFUSED)
def test_what_may_not_be_sent_is_not(request_: bytes, status: int) -> None:
    network = Network()
    assert Fetching(network).fetch(request_) == status
    assert network.asked == []


def test_the_body_and_a_name_with_a_dot_at_its_end() -> None:
    network = Network()
    raw = encode_list([b"POST", b"HTTP://API.Example.com.?x", b"data"])
    assert Fetching(network).fetch(raw) > 0
    ((request, _),) = network.asked
    assert (request.method, request.scheme, request.body) == ("POST", "http", b"data")
    assert (request.host, request.target) == ("api.example.com", b"/?x")


def test_without_the_permission_nothing_is_sent(factory: MakerFactory) -> None:
    network = Network()
    guest = Fetching(network, factory, granted=frozenset())
    assert guest.fetch(GET) == Status.NO_PERMISSION
    assert network.asked == []


def test_a_private_grant_is_told_to_the_fetcher() -> None:
    network = Network()
    granted = frozenset({grant_of(Permission.NETWORK_PRIVATE, "localhost:8080")})
    guest = Fetching(network, granted=granted)
    url = b"http://localhost:8080/"
    assert guest.fetch(encode_list([b"GET", url, b""])) > 0
    assert network.asked[0][1].may_be_private


def test_fetches_are_counted_for_each_call(factory: MakerFactory) -> None:
    network = Network()
    guest = Fetching(network, factory, limits=Limits(fetches=1))
    for _ in range(2):
        assert guest.fetch(GET) > 0
    none = Fetching(network, factory, limits=Limits(fetches=0))
    assert none.fetch(GET) == Status.TOO_LARGE
    assert len(network.asked) == 2


@pytest.mark.parametrize(
    ("rest", "target"), [(b"", b"/"), (b"?q", b"/?q"), (b"/a?q", b"/a?q")]
)
def test_a_url_without_a_path_is_for_the_root(rest: bytes, target: bytes) -> None:
    network = Network()
    url = b"https://api.example.com" + rest
    assert Fetching(network).fetch(encode_list([b"GET", url, b""])) > 0
    assert network.asked[0][0].target == target


def test_one_call_may_fetch_so_often_and_the_next_again() -> None:
    source = f"""(module
      (import "env" "host_http_fetch"
        (func $fetch (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "{ESCAPED}")
      (func $get (drop (call $fetch
        (i32.const 0) (i32.const {len(GET)}) (i32.const 1000) (i32.const 4096))))
      (func (export "on_request") (result i32)
        (call $get) (call $get) (call $get) (i32.const 0)))""".encode()
    network = Network()
    instance = make_instance(
        source,
        limits=Limits(fetches=2),
        granted=GRANTED,
        surroundings=Surroundings(fetch=network),
    )
    for fetched in (2, 4):
        assert instance.run(HookPoint.REQUEST, make_flow()) is None
        assert len(network.asked) == fetched


def test_a_request_over_the_limit_is_not_sent() -> None:
    network = Network()
    guest = Fetching(network, limits=Limits(fetch_bytes=len(GET) - 1))
    assert guest.fetch(GET) == Status.TOO_LARGE
    assert network.asked == []


def test_an_answer_over_the_rest_of_the_budget_is_refused() -> None:
    network = Network(FetchAnswer(status=200, headers=[], body=b"x" * 5000))
    guest = Fetching(network, limits=Limits(host_bytes=4000))
    assert guest.fetch(GET, 6000) == Status.TOO_LARGE


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (FetchFailure("connection refused"), Status.UNREACHABLE),
        (FetchFailure("leads to 10.0.0.1", is_private=True), Status.NO_PERMISSION),
        (FetchFailure("more than 9 bytes", is_large=True), Status.TOO_LARGE),
    ],
)
def test_a_failure_is_a_status_and_a_line(
    failure: FetchFailure, status: Status
) -> None:
    guest = Fetching(Network(failure))
    assert guest.fetch(GET) == status
    ((level, line),) = guest.instance.take_lines()
    assert level is LogLevel.WARN
    assert line.startswith(
        f"could not fetch from https://api.example.com: {failure.reason} ("
    )


def test_with_no_time_left_nothing_is_begun() -> None:
    network = Network()
    guest = Fetching(network)
    guest.instance.start()
    outbound = guest.instance.host.outbound
    assert outbound is not None
    times = iter([0.0, 4.9995])
    outbound.clock = lambda: next(times)
    assert guest.fetch(GET) == Status.UNREACHABLE
    assert network.asked == []


def test_without_a_network_it_is_unreachable() -> None:
    guest = Probe("host_http_fetch", granted=GRANTED)
    guest.instance = make_instance(
        probe_source("host_http_fetch"), granted=GRANTED, surroundings=Surroundings()
    )
    assert guest.call(GET, AT, 10, flow=make_flow()) == Status.UNREACHABLE


def test_what_was_fetched_is_forgotten_after_a_fault() -> None:
    network = Network()
    guest = Fetching(network)
    assert guest.fetch(GET, 3) == len(ANSWER)
    assert guest.fetch(GET) == len(ANSWER)
    assert len(network.asked) == 2
    result = guest.run(GET, AT, 3, flow=make_flow())
    assert not isinstance(result, Fault)


@given(items=st.lists(st.binary(max_size=40), max_size=8), rest=st.binary(max_size=8))
def test_any_request_is_judged(items: list[bytes], rest: bytes) -> None:
    request = parse_request(encode_list(items) + rest)
    if isinstance(request, Status):
        assert request < 0
    else:
        assert request.target.startswith(b"/")


def test_the_list_form_is_the_abis() -> None:
    assert decode_list(ANSWER) == [b"200", b"fetched", b"x-from", b"afar"]
