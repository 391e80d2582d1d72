"""Rules at the dispatcher: what they do, who is recorded, what costs nothing."""

import asyncio
import inspect

import pytest

from int3rceptor.hooks.dispatcher import Answer, Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Delay, Drop, PassThrough, Respond
from int3rceptor.model.flow import MAX_TAGS, Flow, RuleFacts
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response
from int3rceptor.rules.actions import MAX_TARGET_BYTES
from int3rceptor.rules.listener import PRIORITY, Rules
from tests.support.listening import Clock
from tests.support.ruling import a_flow, authored, is_heard, rules_of


class Ruled:
    """A dispatcher with rules from TOML."""

    def __init__(self, text: str) -> None:
        self.clock = Clock()
        self.hooks = Dispatcher(sleep=self.clock.sleep)
        self.rules = Rules(self.hooks, sleep=self.clock.sleep)
        self.rules.replace(rules_of(text))

    async def ask(self, flow: Flow, point: HookPoint = HookPoint.REQUEST) -> Answer:
        return await self.hooks.dispatch(point, flow)

    def hear(self, answer: Answer, heard: list[str]) -> None:
        """A listener of on_rule_match that answers so."""

        def call(flow: Flow) -> Answer:
            heard.append(flow.rule)
            return answer

        self.hooks.add(Listener(name="plugin", point=HookPoint.RULE_MATCH, call=call))


def one(lines: str) -> Ruled:
    return Ruled(f'[[rules]]\nname = "one"\n{lines}\n')


# --- what costs nothing ---------------------------------------------------------------


def test_without_rules_nothing_is_registered() -> None:
    ruled = Ruled("")

    assert not any(is_heard(ruled.hooks, point) for point in HookPoint)


def test_only_the_phases_that_have_rules_are_registered() -> None:
    ruled = one('match = {}\non = "response"\ntag = "t"\nenabled = true')
    assert is_heard(ruled.hooks, HookPoint.RESPONSE)
    assert not is_heard(ruled.hooks, HookPoint.REQUEST)

    ruled.rules.replace(
        rules_of('[[rules]]\nname="a"\nmatch={}\nenabled=false\ntag="t"')
    )
    assert not any(is_heard(ruled.hooks, point) for point in HookPoint)


def test_what_matches_nothing_makes_no_coroutine() -> None:
    ruled = one('match = { host = "b.test" }\nblock = true')
    (listener,) = ruled.hooks._roster.at[HookPoint.REQUEST]

    assert listener.call(a_flow()) is None
    asked = listener.call(a_flow(host="b.test"))
    assert inspect.iscoroutine(asked)
    asked.close()


async def test_rules_come_before_plugins() -> None:
    ruled = one('match = {}\nset_header = { X-A = "rule" }')
    seen: list[str | None] = []
    ruled.hooks.add(
        Listener(
            name="a plugin",
            point=HookPoint.REQUEST,
            call=lambda flow: seen.append(flow.request.headers.get("x-a")),
        )
    )
    await ruled.ask(a_flow())

    assert seen == ["rule"]
    assert PRIORITY < 0


# --- actions --------------------------------------------------------------------------


async def test_headers_of_a_request() -> None:
    flow = a_flow(headers=((b"Cookie", b"a"), (b"X-A", b"1"), (b"x-a", b"2")))
    await one(
        'match = {}\nset_header = { x-A = "3" }\nremove_header = "cookie"\n'
        'add_header = { X-B = ["4", "5"] }'
    ).ask(flow)

    assert flow.request.headers.raw == [
        (b"Host", b"a.test"),
        (b"X-A", b"3"),
        (b"X-B", b"4"),
        (b"X-B", b"5"),
    ]
    assert sorted(authored(flow)) == sorted(
        ["- Cookie: a", "- X-A: 1", "- x-a: 2", "+ X-A: 3", "+ X-B: 4", "+ X-B: 5"]
    )
    assert {one.point for one in flow.changes} == {"on_request"}
    assert flow.rule == "one"


async def test_headers_of_a_response() -> None:
    response = Response(status=200, headers=Headers([(b"Server", b"s")]))
    flow = a_flow(response=response)
    await one(
        'match = {}\non = "response"\nset_header = { Server = "x" }\n'
        'add_header = { A = "1" }'
    ).ask(flow, HookPoint.RESPONSE)

    assert response.headers.raw == [(b"Server", b"x"), (b"A", b"1")]
    assert flow.request.headers.raw == [(b"Host", b"a.test")]
    assert authored(flow) == ["- Server: s", "+ Server: x", "+ A: 1"]
    assert {one.point for one in flow.changes} == {"on_response"}


async def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    flow = a_flow(headers=((b"X-A", b"1"),))
    await one('match = {}\nset_header = { x-a = "1" }\nremove_header = "none"').ask(
        flow
    )

    assert authored(flow) == []


@pytest.mark.parametrize(
    ("rewrite", "url", "authority"),
    [
        ('host = "b.test"', "https://b.test/path?q", "b.test"),
        ('host = "B.test", port = 8443', "https://b.test:8443/path?q", "b.test:8443"),
        ('host = "::1"', "https://[::1]/path?q", "[::1]"),
        ('host = "[::1]", port = 1', "https://[::1]:1/path?q", "[::1]:1"),
        ('scheme = "http"', "http://a.test/path?q", "a.test"),
        ('scheme = "http", port = 443', "http://a.test:443/path?q", "a.test:443"),
        ("port = 444", "https://a.test:444/path?q", "a.test:444"),
        ('path = "/new"', "https://a.test/new?q", "a.test"),
        ('path = "/new?other"', "https://a.test/new?other", "a.test"),
        ('path = "/new?"', "https://a.test/new?", "a.test"),
        ("path = '\\1/x'", "https://a.test/ath/x?q", "a.test"),
        ('host = "b.test", keep_host = true', "https://b.test/path?q", "a.test"),
    ],
)
async def test_rewrite(rewrite: str, url: str, authority: str) -> None:
    flow = a_flow(target=b"/path?q")
    await one(f"match.path_regex = '/.(.*)'\nrewrite = {{ {rewrite} }}").ask(flow)

    assert flow.request.url == url
    assert flow.request.authority == authority
    assert flow.request.headers.get("host") == authority
    assert authored(flow)[0].startswith("GET https://a.test:443/path?q -> GET ")


async def test_another_port_than_the_default_stays_with_a_new_scheme() -> None:
    flow = a_flow(port=8443)
    await one('match = {}\nrewrite = { scheme = "http" }').ask(flow)

    assert (flow.request.scheme, flow.request.port) == ("http", 8443)


async def test_host_is_not_added_where_http2_has_none() -> None:
    flow = a_flow()
    flow.request.headers.remove("host")
    await one('match = {}\nrewrite = { host = "b.test" }').ask(flow)

    assert "host" not in flow.request.headers
    assert flow.request.authority == "b.test"


async def test_a_path_cannot_grow_without_bound() -> None:
    flow = a_flow(target=b"/" + b"x" * (MAX_TARGET_BYTES // 4))
    before = flow.request.target
    await one(
        "match.path_regex = '/(.*)'\n"
        "rewrite = { host = 'b.test', path = '/\\1\\1\\1\\1\\1' }"
    ).ask(flow)

    assert flow.request.target == before
    assert flow.request.host == "a.test"
    assert authored(flow) == ["not rewritten: the path would pass 32768 B"]


async def test_tags() -> None:
    flow = a_flow()
    await one('match = {}\ntag = ["a", "b", "a"]').ask(flow)

    assert flow.tags == ["a", "b"]
    assert authored(flow) == ["tagged a", "tagged b"]

    full = a_flow()
    full.tags = [str(number) for number in range(MAX_TAGS)]
    await one('match = {}\ntag = "a"').ask(full)
    assert authored(full) == []


async def test_delay() -> None:
    flow = a_flow()
    ruled = Ruled(
        '[[rules]]\nname = "one"\nmatch = {}\ndelay_s = 1.5\n'
        '[[rules]]\nname = "two"\nmatch = {}\ntag = "after"\n'
    )

    assert await ruled.ask(flow) is None
    assert ruled.clock.slept == [1.5]
    assert authored(flow) == ["delayed by 1.5 s"]
    assert flow.tags == ["after"]


async def test_answer() -> None:
    flow = a_flow()
    ruled = one(
        "match = {}\n"
        'answer = { status = 201, body = "x", headers = { A = ["1", "2"] } }'
    )
    verdict = await ruled.ask(flow)

    assert isinstance(verdict, Respond)
    made = verdict.response
    assert (made.status, made.reason, made.body.content) == (201, b"Created", b"x")
    assert made.headers.get_all("a") == ["1", "2"]
    assert authored(flow) == ["answered 201"]
    again = await ruled.ask(a_flow())
    assert isinstance(again, Respond)
    assert again.response.headers is not made.headers


async def test_answer_with_a_status_that_has_no_name() -> None:
    verdict = await one("match = {}\nanswer = { status = 599 }").ask(a_flow())

    assert isinstance(verdict, Respond)
    assert (verdict.response.status, verdict.response.reason) == (599, b"")


@pytest.mark.parametrize(
    ("accept", "kind"), [(b"text/html,*/*", "text/html"), (b"*/*", "text/plain")]
)
async def test_block_with_a_page(accept: bytes, kind: str) -> None:
    target = b"/<script>?token=secret"
    flow = a_flow(target=target, headers=((b"Accept", accept),))
    verdict = await one("match = {}\nblock = true").ask(flow)

    assert isinstance(verdict, Respond)
    made = verdict.response
    assert made.status == 403
    assert (made.headers.get("content-type") or "").startswith(kind)
    content = made.body.content or b""
    assert b"blocked by the rule one" in content
    assert (b"<script>" in content) == (kind == "text/plain")
    assert b"secret" not in content
    assert authored(flow) == ["answered 403"]


async def test_block_without_an_answer() -> None:
    flow = a_flow()

    assert await one('match = {}\nblock = "drop"').ask(flow) == Drop("by rule one")
    assert authored(flow) == ["dropped: by rule one"]


async def test_passthrough() -> None:
    flow = a_flow()
    ruled = one('match = {}\non = "connect"\npassthrough = true')

    assert await ruled.ask(flow, HookPoint.CONNECT) == PassThrough()
    assert authored(flow) == ["passed through"]


# --- several rules --------------------------------------------------------------------

CHAIN = """
[[rules]]
name = "one"
match = { path = "/path" }
rewrite = { path = "/second" }
[[rules]]
name = "two"
match = { path = "/second" }
answer = { body = "two" }
[[rules]]
name = "three"
match = {}
tag = "never"
"""


async def test_each_rule_sees_what_those_before_it_left_until_one_answers() -> None:
    flow = a_flow()
    verdict = await Ruled(CHAIN).ask(flow)

    assert isinstance(verdict, Respond)
    assert verdict.response.body.content == b"two"
    assert flow.rule == "two"
    assert flow.tags == []
    assert authored(flow, "rule two") == ["answered 200"]


async def test_a_host_that_was_rewritten_can_still_be_blocked() -> None:
    ruled = Ruled(
        '[[rules]]\nname = "one"\nmatch = { host = "a.test" }\n'
        'rewrite = { host = "b.test" }\n'
        '[[rules]]\nname = "two"\nmatch = { host = "b.test" }\nblock = "drop"\n'
    )

    assert await ruled.ask(a_flow()) == Drop("by rule two")


async def test_an_exchange_ends_a_phase_with_the_rules_it_began_with() -> None:
    gate = asyncio.Event()

    async def sleep(_: float) -> None:
        await gate.wait()

    hooks = Dispatcher(sleep=sleep)
    rules = Rules(hooks, sleep=sleep)
    text = '[[rules]]\nname = "one"\nmatch = {}\ndelay_s = 1\n'
    rules.replace(rules_of(text + '[[rules]]\nname = "b"\nmatch = {}\ntag = "old"\n'))
    flow = a_flow()
    async with asyncio.TaskGroup() as group:
        group.create_task(_dispatch(hooks, flow))
        await asyncio.sleep(0)
        rules.replace(rules_of('[[rules]]\nname = "b"\nmatch = {}\ntag = "new"\n'))
        gate.set()
    after = a_flow()
    await _dispatch(hooks, after)

    assert (flow.tags, after.tags) == (["old"], ["new"])


async def _dispatch(hooks: Dispatcher, flow: Flow) -> None:
    await hooks.dispatch(HookPoint.REQUEST, flow)


# --- on_rule_match --------------------------------------------------------------------


async def test_every_match_is_told_with_its_name() -> None:
    heard: list[str] = []
    ruled = Ruled(CHAIN)
    ruled.hear(None, heard)
    await ruled.ask(a_flow())

    assert heard == ["one", "two"]


@pytest.mark.parametrize("point", [HookPoint.REQUEST, HookPoint.RESPONSE])
async def test_a_verdict_of_on_rule_match_counts(point: HookPoint) -> None:
    on = "request" if point is HookPoint.REQUEST else "response"
    ruled = one(f'match = {{}}\non = "{on}"\ntag = "t"\nanswer = {{ status = 201 }}')
    ruled.hear(Drop("seen"), [])
    flow = a_flow(response=Response(status=200))

    assert await ruled.ask(flow, point) == Drop("seen")
    assert flow.tags == []
    assert authored(flow) == []
    assert authored(flow, "plugin") == ["dropped: seen"]


async def test_a_delay_of_on_rule_match_lets_the_rule_act() -> None:
    ruled = one('match = {}\ntag = "t"')
    ruled.hear(Delay(2.0), [])
    flow = a_flow()
    await ruled.ask(flow)

    assert ruled.clock.slept == [2.0]
    assert flow.tags == ["t"]


async def test_a_change_in_on_rule_match_is_seen_by_the_rules_after() -> None:
    ruled = Ruled(
        '[[rules]]\nname = "one"\nmatch = {}\ntag = "t"\n'
        '[[rules]]\nname = "two"\nmatch = { host = "b.test" }\nblock = "drop"\n'
    )

    def move(flow: Flow) -> None:
        flow.request.host = "b.test"

    ruled.hooks.add(Listener(name="plugin", point=HookPoint.RULE_MATCH, call=move))

    assert await ruled.ask(a_flow()) == Drop("by rule two")


async def test_who_is_asked_about_a_match_knows_what_the_rule_will_do() -> None:
    ruled = one('match = {}\non = "response"\ntag = "t"')
    flow = a_flow(response=Response(status=200))
    seen: list[RuleFacts | None] = []
    point = HookPoint.RULE_MATCH
    ruled.hooks.add(
        Listener(
            name="plugin", point=point, call=lambda flow: seen.append(flow.rule_facts)
        )
    )
    await ruled.ask(flow, HookPoint.RESPONSE)

    assert seen[0] is not None
    assert (seen[0].phase, seen[0].does) == ("response", ("tag t",))
