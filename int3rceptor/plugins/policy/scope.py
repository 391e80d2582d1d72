"""Which flows a plugin is asked about, judged before its guest is called. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.policy.manifest import Scope

Test = Callable[[Flow], bool]

_NEVER = "(?!)"
_ANSWERED = (HookPoint.RESPONSE, HookPoint.CAPTURE)


def scope_test(scope: Scope, point: HookPoint, *, is_guard: bool) -> Test | None:
    """Whether a flow is in scope at this hook; None: every flow is.

    A flow can go by several names (CONNECT, SNI, Host), and a message can claim several
    content types. A plugin that blocks when it fails is a guard: one in scope is
    enough, so that nothing slips past it by another. Any other plugin sees only flows
    of which all are in scope. A connection has neither method nor content yet: at
    on_connect the names alone decide.
    """
    decide = any if is_guard else all
    tests = [_hosts(scope.hosts, decide)]
    if point is not HookPoint.CONNECT:
        tests.append(_methods(scope.methods))
        tests.append(_content_types(scope.content_types, point, decide))
    wanted = [one for one in tests if one is not None]
    if len(wanted) < 2:
        return wanted[0] if wanted else None
    return lambda flow: all(one(flow) for one in wanted)


_Decide = Callable[[Iterable[bool]], bool]


def _matcher(globs: Sequence[str], flags: int = 0) -> Callable[[str], bool] | None:
    if "*" in globs:
        return None
    pattern = "|".join(translate(one) for one in globs) or _NEVER
    match = re.compile(pattern, flags).match
    return lambda text: match(text) is not None


def _hosts(globs: Sequence[str], decide: _Decide) -> Test | None:
    fits = _matcher(globs, re.IGNORECASE)
    if fits is None:
        return None
    return lambda flow: decide(fits(name.rstrip(".")) for name in flow.hosts())


def _methods(globs: Sequence[str]) -> Test | None:
    fits = _matcher(globs)  # methods have a case (RFC 9110, 9.1)
    return None if fits is None else lambda flow: fits(flow.request.method)


def _content_types(
    globs: Sequence[str], point: HookPoint, decide: _Decide
) -> Test | None:
    fits = _matcher(globs, re.IGNORECASE)
    if fits is None:
        return None
    is_answer = point in _ANSWERED

    def applies(flow: Flow) -> bool:
        message = flow.response if is_answer else flow.request
        return decide(map(fits, _types_of(message)))

    return applies


def _types_of(message: Request | Response | None) -> list[str]:
    """The media types that a message claims, without parameters; "" for none."""
    if message is None:
        return [""]
    values = message.headers.get_all_bytes(b"content-type")
    types = [value.partition(b";")[0].decode("latin-1").strip() for value in values]
    return types or [""]
