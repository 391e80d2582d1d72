"""Which flows are in a plugin's scope: names, methods, content types, at each hook."""

from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.authoring.description import describe
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.manifest import Scope, read_manifest
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from int3rceptor.plugins.policy.scope import scope_test
from tests.plugins.support import LogBook, make_dispatcher, make_flow, probe_source

CONNECT, REQUEST = HookPoint.CONNECT, HookPoint.REQUEST
RESPONSE, CAPTURE = HookPoint.RESPONSE, HookPoint.CAPTURE


def is_in(
    scope: Scope, flow: Flow, point: HookPoint = REQUEST, *, is_guard: bool = False
) -> bool:
    applies = scope_test(scope, point, is_guard=is_guard)
    return applies is None or applies(flow)


@pytest.mark.parametrize(
    ("globs", "as_reader", "as_guard"),
    [
        (("*.example.com",), True, True),
        (("api.example.com",), False, True),
        (("API.EXAMPLE.COM",), False, True),
        (("example.com",), False, False),
        (("*.example.co",), False, False),
        (("api.*", "sni.*", "connect.*"), True, True),
        ((), False, False),
        (("*.EXAMPLE.com", "[x]"), True, True),
    ],
)
def test_names_match_the_strictest(
    globs: tuple[str, ...], as_reader: bool, as_guard: bool
) -> None:
    flow, scope = make_flow(), Scope(hosts=globs)
    assert is_in(scope, flow) is as_reader
    assert is_in(scope, flow, is_guard=True) is as_guard


@pytest.mark.parametrize("point", HookPoint)
def test_a_scope_of_everything_is_no_test_at_all(point: HookPoint) -> None:
    everything = Scope(hosts=("a", "*"), methods=("*",), content_types=("*", "b"))
    assert scope_test(everything, point, is_guard=False) is None


@pytest.mark.parametrize(
    ("globs", "is_matched"),
    [(("POST",), True), (("P*", "GET"), True), (("post",), False), ((), False)],
)
@pytest.mark.parametrize("is_guard", [True, False])
def test_methods_have_a_case(
    globs: tuple[str, ...], is_matched: bool, is_guard: bool
) -> None:
    scope, flow = Scope(methods=globs), make_flow()
    for point in HookPoint:
        found = is_in(scope, flow, point, is_guard=is_guard)
        assert found is (is_matched or point is CONNECT)


@pytest.mark.parametrize(
    ("asked", "answered", "expected"),
    [
        (b"application/json", b"text/html", {REQUEST, HookPoint.RULE_MATCH}),
        (b"text/html", b"Application/JSON; charset=utf-8", {RESPONSE, CAPTURE}),
        (b"application/problem+json", b" application/json ;x", {RESPONSE, CAPTURE}),
        (b"", b"", set()),
    ],
)
def test_content_types_are_those_of_the_hooks_message(
    asked: bytes, answered: bytes, expected: set[HookPoint]
) -> None:
    flow = make_flow()
    assert flow.response is not None
    if asked:
        flow.request.headers.add("Content-Type", asked)
        flow.response.headers.add("Content-Type", answered)
    scope = Scope(content_types=("application/json",))
    found = {point for point in HookPoint if is_in(scope, flow, point)}
    assert found == expected | {CONNECT}


def test_a_flow_without_an_answer_has_no_content_type() -> None:
    flow = make_flow(has_response=False)
    assert not is_in(Scope(content_types=("text/*",)), flow, CAPTURE)
    assert is_in(Scope(content_types=("text/*", "*")), flow, CAPTURE)


def test_two_content_types_hide_nothing_from_a_guard() -> None:
    flow = make_flow()
    flow.request.headers.add("Content-Type", "application/json")
    flow.request.headers.add("Content-Type", "text/plain")
    scope = Scope(content_types=("application/*",))
    assert is_in(scope, flow, is_guard=True)
    assert not is_in(scope, flow)


def test_every_part_must_agree() -> None:
    flow = make_flow()
    flow.request.headers.add("Content-Type", "text/plain")
    parts = {"hosts": ("*.example.com",), "methods": ("P*",), "content_types": ("t*",)}
    assert is_in(Scope(**parts), flow)
    for part in parts:
        assert not is_in(Scope(**parts | {part: ("no",)}), flow)


# --- the hooks that are used ----------------------------------------------------------


def put(folder: Path, manifest: str) -> Path:
    path = folder / "probe.wat"
    path.write_bytes(probe_source("host_add_header"))
    path.with_suffix(".toml").write_text(manifest)
    return path


async def test_only_the_named_hooks_are_used_and_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, 'hooks = ["on_response"]\ndescription = "one hook"')
    dispatcher = make_dispatcher()
    manager = PluginManager(dispatcher, log=LogBook())
    plugin = (await manager.load(path, is_trusted=False)).current
    assert plugin is not None
    assert plugin.withheld == {grant_of(Permission.RESPONSE_MODIFY)}
    flow = make_flow()
    heard = [point for point in HookPoint if dispatcher.is_heard(point, flow)]
    assert heard == [RESPONSE]
    await manager.aclose()
    lines = describe(path).lines()
    assert "Hooks: on_response" in lines
    assert "Says of itself: one hook" in lines


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('hooks = ["on_respond"]', "hooks: 'on_respond' is not exported; it exports "),
        ("hooks = []", "hooks: names none"),
    ],
)
async def test_a_hook_that_is_not_there_is_told(
    manifest: str, message: str, tmp_path: Path
) -> None:
    path = put(tmp_path, manifest)
    manager = PluginManager(make_dispatcher(), log=LogBook())
    with pytest.raises(PluginError, match=message):
        await manager.load(path)
    await manager.aclose()
    assert any(message in line for line in describe(path).lines())


def test_a_scope_is_read_from_both_places(tmp_path: Path) -> None:
    path = put(tmp_path, '[scope]\nmethods = ["GET"]\ncontent_types = ["text/*"]')
    settings = {"probe": {"scope": {"methods": ["POST"]}}}
    scope = read_manifest(path, settings, b"").scope  # type: ignore[arg-type]
    assert scope == Scope(methods=("POST",), content_types=("text/*",))
