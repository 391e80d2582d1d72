"""What a listener did to a flow's messages: a look before, one after, and the rest."""

from collections import Counter
from collections.abc import Callable
from operator import eq, itemgetter
from typing import final

from int3rceptor.hooks.points import CAPTURE, RESPONSE, RULE_MATCH, HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response

_Fields = list[tuple[bytes, bytes]]

# What a field is shown by; both without a frame of Python.
_LINE: Callable[[tuple[bytes, bytes]], bytes] = b": ".join
_NAME: Callable[[tuple[bytes, bytes]], bytes] = itemgetter(0)

Look = tuple[object, ...]
"""A message's state, cheap to take and to compare: most listeners change nothing."""


@final
class Edited:
    """Header or trailer fields that are about to be edited, and what they are by then.

    Who knows that a listener changed nothing else than these need not look at whole
    messages, before or after. `kind` stands before each phrase. `place` is the one that
    was set or added; None when it is not known, or not the only one.
    """

    __slots__ = ("_is_first", "before", "fields", "kind", "place")

    def __init__(self, fields: Headers, kind: str = "") -> None:
        self.fields = fields
        self.kind = kind
        self.before = fields.raw.copy()
        self.place: int | None = None
        self._is_first = True

    def note(self, place: int | None) -> None:
        """The field at this place was set, or added; None: something else was done."""
        if self._is_first:
            self._is_first, self.place = False, place
        elif place != self.place:
            self.place = None

    def differences(self, *, shows_values: bool) -> list[str]:
        """One phrase per difference."""
        old, new, place = self.before, self.fields.raw, self.place
        count, kind = len(old), self.kind
        if place is None or len(new) - count != (place == count):
            found = _field_differences(old, new, shows_values)
            return [f"{kind}{one}" for one in found]
        shown = _LINE if shows_values else _NAME
        come = f"{kind}+ {shown(new[place]).decode('latin-1')}"
        if place == count:
            return [come]
        if old[place] == new[place]:
            return []
        return [f"{kind}- {shown(old[place]).decode('latin-1')}", come]

    def restore(self) -> None:
        """Make them again what they were."""
        self.fields.raw[:] = self.before


Before = Edited | tuple[Look, ...]
"""What a listener's changes are told from; an empty tuple when it made none."""


def messages(point: HookPoint, flow: Flow) -> tuple[Request | Response, ...]:
    """The messages that a listener at `point` may change."""
    response = flow.response
    if point is RESPONSE:
        assert response is not None
        return (response,)
    # While the rule that matched asks about a response, or the record is made.
    if point is CAPTURE or point is RULE_MATCH:
        return (flow.request,) if response is None else (flow.request, response)
    return (flow.request,)


def looks(point: HookPoint, flow: Flow) -> tuple[Look, ...]:
    """A look at each message that a listener at `point` may change."""
    return tuple(map(look, messages(point, flow)))


def looks_before(point: HookPoint, flow: Flow, edited: Edited) -> tuple[Look, ...]:
    """The same, as it was before these fields were edited."""
    found: list[Look] = []
    for message in messages(point, flow):
        headers, *body, trailers = (taken := look(message))[:5]
        if edited.fields is message.headers:
            headers = edited.before
        elif edited.fields is message.body.trailers:
            trailers = edited.before
        found.append((headers, *body, trailers, *taken[5:]))
    return tuple(found)


def record(point: HookPoint, author: str, flow: Flow, before: Before) -> None:
    """Note in the flow what `author` changed since `before`."""
    shows_values = point is not CAPTURE
    if type(before) is Edited:
        found = before.differences(shows_values=shows_values)
    elif before:
        found = []
        for old, new in zip(before, looks(point, flow), strict=False):
            found += differences(old, new, shows_values=shows_values)
    else:
        return
    if found:
        flow.is_redacted |= not shows_values
        flow.record_all(point._value_, author, found)


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
    start = _alike(old, new)
    old, new = old[start:], new[start:]
    if not old or not new:
        return old, new
    end = _alike(old[::-1], new[::-1])
    return old[: len(old) - end], new[: len(new) - end]


def _alike(old: _Fields, new: _Fields) -> int:
    """How many fields at the beginning are the same; without a loop of our own."""
    alike = [*map(eq, old, new)]
    return alike.index(False) if False in alike else len(alike)


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
    return (_LINE if shows_value else _NAME)(field).decode("latin-1")
