"""What a listener did to a flow's messages: a look before, one after, and the rest."""

from collections import Counter

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Request, Response

_Fields = list[tuple[bytes, bytes]]

Look = tuple[object, ...]
"""A message's state, cheap to take and to compare: most listeners change nothing."""


def messages(point: HookPoint, flow: Flow) -> tuple[Request | Response, ...]:
    """The messages that a listener at `point` may change."""
    response = flow.response
    if point is HookPoint.RESPONSE:
        assert response is not None
        return (response,)
    # While the rule that matched asks about a response, or the record is made.
    if point is HookPoint.CAPTURE or point is HookPoint.RULE_MATCH:
        return (flow.request,) if response is None else (flow.request, response)
    return (flow.request,)


def looks(point: HookPoint, flow: Flow) -> tuple[Look, ...]:
    """A look at each message that a listener at `point` may change."""
    return tuple(map(look, messages(point, flow)))


def record(point: HookPoint, author: str, flow: Flow, before: tuple[Look, ...]) -> None:
    """Note in the flow what `author` changed since `before`."""
    is_kept_secret = point is HookPoint.CAPTURE
    for old, new in zip(before, looks(point, flow), strict=False):
        found = differences(old, new, shows_values=not is_kept_secret)
        flow.is_redacted |= is_kept_secret and bool(found)
        for what in found:
            flow.record(point.value, author, what)


def look(message: Request | Response) -> Look:
    """What can be told apart later; the field list is copied, its fields are not."""
    body = message.body
    if isinstance(message, Request):
        return (
            message.headers.raw.copy(),
            body,
            body.content,
            body.replaced,
            body.trailers.raw.copy() if body.trailers else None,
            message.method,
            message.scheme,
            message.host,
            message.port,
            message.target,
        )
    return (
        message.headers.raw.copy(),
        body,
        body.content,
        body.replaced,
        body.trailers.raw.copy() if body.trailers else None,
        message.status,
        message.reason,
    )


def differences(before: Look, after: Look, *, shows_values: bool = True) -> list[str]:
    """One phrase per difference; without `shows_values` fields by their names only."""
    old_fields, old_body, old_content, old_replaced, old_trailers, *old_line = before
    new_fields, new_body, new_content, new_replaced, new_trailers, *new_line = after
    found = []
    if old_line != new_line:
        line = f"{_show(old_line)} -> {_show(new_line)}"
        found.append(line if shows_values else without_value(line))
    found += _field_differences(old_fields, new_fields, shows_values)
    was_read = old_content is None and new_content is not None
    # A stream's trailers are there once it was read.
    if old_trailers != new_trailers and not (was_read and old_trailers is None):
        changes = _field_differences(old_trailers, new_trailers, shows_values)
        found += [f"trailer {one}" for one in changes]
    is_same_body = (
        new_body is old_body
        and new_replaced == old_replaced
        and (new_content is old_content or was_read)
    )
    if not is_same_body and (new_content is None or new_content != old_content):
        size = "a stream"
        if isinstance(new_content, bytes):
            size = f"{len(new_content)} bytes"
        found.append(f"body replaced by {size}")
    return found


def without_value(what: str) -> str:
    """A change's phrase with the names in it, not the values, old or new.

    "- cookie: a=b" is "- cookie"; a changed line ("GET https://a/ -> GET https://b/")
    and a phrase that quotes ("failed: ...") keep nothing of what they show.
    """
    if what.startswith(("- ", "+ ")) or " -> " not in what:
        return what.partition(":")[0]
    return "start line"


def _field_differences(old: object, new: object, shows_values: bool) -> list[str]:
    gone, come = _middles(_listed(old), _listed(new))
    if not gone and not come:
        return []
    if gone and come:
        gone, come = _without_common(gone, come)
        if not gone and not come:
            return ["header order"]
    lines = [f"- {_field(one, shows_values)}" for one in gone]
    return lines + [f"+ {_field(one, shows_values)}" for one in come]


def _listed(fields: object) -> _Fields:
    """No trailers are as good as none that are there."""
    return fields if isinstance(fields, list) else []


def _middles(old: _Fields, new: _Fields) -> tuple[_Fields, _Fields]:
    """What is left of both without what they begin and end with alike: a listener that
    sets one field leaves one of each, and compares no others."""
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    end = 0
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]


def _without_common(old: _Fields, new: _Fields) -> tuple[_Fields, _Fields]:
    """Without those that both have, wherever they stand."""
    if len(old) == len(new) == 1:
        return old, new
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    return list(gone.elements()), list(come.elements())


def _show(line: list[object]) -> str:
    if len(line) == 2:
        return str(line[0])
    method, scheme, host, port, target = line
    path = target.decode("latin-1") if isinstance(target, bytes) else target
    return f"{method} {scheme}://{host}:{port}{path}"


def _field(field: tuple[bytes, bytes], shows_value: bool) -> str:
    name = field[0].decode("latin-1")
    return f"{name}: {field[1].decode('latin-1')}" if shows_value else name
