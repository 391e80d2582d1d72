"""Which flows a rule matches: every key, case, several names, order."""

import pytest

from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.rules import matching
from int3rceptor.rules.matching import PhaseRules
from int3rceptor.rules.model import Phase
from tests.support.ruling import a_flow, rule_of, rules_of


def matches(
    match: str, flow: Flow, *, action: str = 'tag = "t"', on: str = "request"
) -> bool:
    rule = rule_of(f'match = {match}\n{action}\non = "{on}"')
    message = flow.response if on == "response" else flow.request
    assert message is not None
    rules = PhaseRules([rule], Phase(on))
    return rules.first(flow, message.headers, after=-1) is not None


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ('"a.test"', True),
        ('"A.TEST"', True),
        ('"a.test."', True),
        ('"*.test"', True),
        ('["b.test", "a.t*t"]', True),
        ('"*"', True),
        ('"test"', False),
        ('"a.test.b"', False),
    ],
)
def test_host(host: str, fits: bool) -> None:
    assert matches(f"{{ host = {host} }}", a_flow(host="a.test")) is fits
    assert matches(f"{{ host = {host} }}", a_flow(host="A.Test.")) is fits


def test_host_by_regex() -> None:
    assert matches("{ host_regex = 'A\\.(test|example)' }", a_flow(host="a.test"))
    assert not matches("{ host_regex = 'test' }", a_flow(host="a.test"))


def test_host_that_is_an_address() -> None:
    assert matches('{ host = "[::1]" }', a_flow(host="::1"))
    assert matches('{ host = "::1" }', a_flow(host="::1"))
    assert matches('{ host = "127.0.0.*" }', a_flow(host="127.0.0.1"))


def test_a_name_outside_of_ascii_is_judged_as_it_is_resolved() -> None:
    flow = a_flow(host="bücher.test", authority="xn--bcher-kva.test")

    assert matches('{ host = "xn--bcher-kva.test" }', flow)
    assert not matches('{ host = "a.test" }', a_flow(host="\udcff.test"))


ONE_IS_OTHER = {
    "connect": a_flow(connect_host="b.test", sni="a.test"),
    "sni": a_flow(sni="b.test"),
    "host field": a_flow(authority="b.test"),
    "origin": a_flow(
        host="b.test", connect_host="a.test", sni="a.test", authority="a.test"
    ),
}


@pytest.mark.parametrize("flow", ONE_IS_OTHER.values(), ids=ONE_IS_OTHER)
def test_one_name_is_enough_to_be_blocked(flow: Flow) -> None:
    assert matches('{ host = "b.test" }', flow, action="block = true")
    assert matches('{ host = "b.test" }', flow, action='block = "drop"')


@pytest.mark.parametrize("flow", ONE_IS_OTHER.values(), ids=ONE_IS_OTHER)
def test_all_names_are_needed_for_anything_else(flow: Flow) -> None:
    assert not matches('{ host = "b.test" }', flow)
    assert not matches('{ host = "a.test" }', flow)
    assert matches('{ host = ["a.test", "b.test"] }', flow)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ('{ method = "POST" }', True),
        ('{ method = "post" }', False),
        ('{ method = ["GET", "P*"] }', True),
        ("{ method_regex = 'P(OST|UT)' }", True),
        ('{ path = "/Shop" }', True),
        ('{ path = "/shop" }', False),
        ('{ path = "/Sh*" }', True),
        ('{ path = "/Shop?q=*" }', False),
        ("{ path_regex = '/[A-Z].*' }", True),
        ("{ path_regex = '/(.)hop', path = '/never' }", True),
        ('{ query = "q=1" }', True),
        ('{ query = "*Q*" }', False),
        ("{ query_regex = 'q=[0-9]' }", True),
        ('{ header = { X-KIND = "a" } }', True),
        ('{ header = { x-kind = "b*" } }', True),
        ('{ header = { x-kind = "A" } }', False),
        ('{ header = { x-kin = "*" } }', False),
        ('{ header = { x-kind = ["z", "a"], host = "*" } }', True),
        ('{ header = { x-kind = "a", x-none = "*" } }', False),
        ("{ header_regex = { x-kind = '[bc]+' } }", True),
        ('{ method = "POST", path = "/no" }', False),
        ('{ method = "GET", path = "/Shop" }', False),
        ("{}", True),
    ],
)
def test_request(match: str, fits: bool) -> None:
    flow = a_flow(
        method="POST",
        target=b"/Shop?q=1",
        headers=((b"X-Kind", b"a"), (b"x-kind", b"bc")),
    )

    assert matches(match, flow) is fits


def test_no_query_is_an_empty_one() -> None:
    assert matches('{ query = "" }', a_flow(target=b"/a"))
    assert not matches('{ query = "?*" }', a_flow(target=b"/a?"))


@pytest.mark.parametrize(
    ("status", "fits"),
    [
        ("404", True),
        ('"404"', True),
        ('"4xx"', True),
        ('"4XX"', True),
        ('"40?"', True),
        ('["5xx", 404]', True),
        ("500", False),
        ('"*4"', True),
    ],
)
def test_status(status: str, fits: bool) -> None:
    flow = a_flow(response=Response(status=404))

    assert matches(f"{{ status = {status} }}", flow, on="response") is fits


def test_a_response_is_matched_by_its_own_headers() -> None:
    response = Response(status=200, headers=Headers([(b"X-A", b"answer")]))
    flow = a_flow(headers=((b"X-A", b"question"),), response=response)

    assert matches('{ header = { x-a = "answer" } }', flow, on="response")
    assert not matches('{ header = { x-a = "question" } }', flow, on="response")
    assert matches("{ status_regex = '2..' }", flow, on="response")


ORDERED = """
[[rules]]
name = "late"
order = 200
match = {}
tag = "t"
[[rules]]
name = "b"
match = {}
tag = "t"
[[rules]]
name = "off"
enabled = false
match = {}
tag = "t"
[[rules]]
name = "a"
match = {}
tag = "t"
[[rules]]
name = "elsewhere"
on = "response"
match = {}
tag = "t"
[[rules]]
name = "first"
order = -1
match = {}
tag = "t"
"""


def test_order() -> None:
    rules = PhaseRules(rules_of(ORDERED), Phase.REQUEST)
    flow, found, at = a_flow(), [], -1
    while one := rules.first(flow, flow.request.headers, after=at):
        found.append(one.rule.name)
        at = one.position

    assert found == ["first", "b", "a", "late"]
    assert len(rules) == 4


def test_captures_come_from_the_pattern_that_fits() -> None:
    rule = rule_of("match.path_regex = ['/a/(.*)', '/b/(.)(.*)']\ntag = 't'")
    flow = a_flow(target=b"/b/xyz?q")
    found = PhaseRules([rule], Phase.REQUEST).first(
        flow, flow.request.headers, after=-1
    )

    assert found is not None
    assert found.captures == (b"x", b"yz")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_REMEMBERED", 4)
    rules = PhaseRules([rule_of('match.host = "h1.test"\ntag = "t"')], Phase.REQUEST)
    for _ in range(2):
        for number in range(10):
            flow = a_flow(host=f"h{number}.test")
            found = rules.first(flow, flow.request.headers, after=-1)
            assert (found is not None) == (number == 1)
    long = a_flow(host="h" * 2_000)
    assert rules.first(long, long.request.headers, after=-1) is None

    assert len(rules._remembered) == 4
    assert long.hosts() not in rules._remembered
