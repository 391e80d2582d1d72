"""What a flow's recorded changes did to its heads, one step per author. Pure.

What they do not account for is the proxy's own last step: hop-by-hop fields, framing,
the translation between HTTP versions. So the last step always ends in what was sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from itertools import groupby

from int3rceptor.cli.output.escaping import printable
from int3rceptor.store.heads import fields_of, lines_of, parse_head
from int3rceptor.store.records import FlowRecord

OURSELVES = "int3rceptor"

_NEW_LINE = re.compile(r".* -> (\S+) (\w+)://[^/]*(/.*|\*)", re.DOTALL)
_NEW_STATUS = re.compile(r"\d{3} -> (\d{3})")
_ANSWERED = ("answered ", "blocked")

Lines = list[bytes]
Change = tuple[str, str, str]
"""Hook point, author, what: as in a FlowRecord."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Step:
    """What one author did at one hook point to one message.

    `what` are the recorded changes, `diff` the lines of a unified difference of the
    head without its file names; both safe to print. `point` is "" for the proxy itself.
    """

    point: str
    author: str
    what: list[str]
    diff: list[str]


@dataclass(slots=True, frozen=True, kw_only=True)
class Way:
    """One message's way: `side` is "request" or "response"; heads as they passed."""

    side: str
    received: Lines
    steps: list[Step]
    sent: Lines


def ways(record: FlowRecord) -> list[Way]:
    """The request's way, and the response's if there was one."""
    requested, answered = _by_side(record)
    received, sent = record.request_received, record.request_sent
    found = [_way("request", received, sent, requested)]
    received, sent = record.response_received, record.response_sent
    if sent and not received:
        # Nobody but who answered can say what is in it.
        answered = [one for one in requested if one[2].startswith(_ANSWERED)] + answered
    if sent or received:
        found.append(_way("response", received, sent, answered))
    return found


def difference(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """A unified difference without the two lines that name files."""
    return [*unified_diff(old, new, lineterm="", n=3)][2:]


def _by_side(record: FlowRecord) -> tuple[list[Change], list[Change]]:
    """The changes of the request, and those of the response."""
    requested: list[Change] = []
    answered: list[Change] = []
    for change in record.changes:
        is_answer = change[0] == "on_response" or (
            change[0] in ("on_rule_match", "on_capture")
            and _is_of_response(change[2], record, answered)
        )
        (answered if is_answer else requested).append(change)
    return requested, answered


def _is_of_response(what: str, record: FlowRecord, answered: list[Change]) -> bool:
    """Whose change it is, where the hook point does not tell: by what it names."""
    if _NEW_STATUS.fullmatch(what):
        return True
    if not what.startswith(("- ", "+ ")):
        return bool(answered) and "://" not in what
    name = what[2:].partition(": ")[0].lower().encode("latin-1", "replace")
    blocks = (record.response_received, record.response_sent)
    is_named = any(_has(block, name) for block in blocks)
    blocks = (record.request_received, record.request_sent)
    return is_named and not any(_has(block, name) for block in blocks)


def _has(block: bytes, name: bytes) -> bool:
    return any(key.lower() == name for key, _ in parse_head(block).fields)


def _way(side: str, received: bytes, sent: bytes, changes: list[Change]) -> Way:
    start, end = lines_of(received), lines_of(sent)
    lines = start
    steps: list[Step] = []
    for (point, author), group in groupby(changes, key=lambda one: one[:2]):
        what = [one[2] for one in group]
        before, lines = lines, _changed(lines, what, end)
        steps.append(_step(point, author, what, before, lines))
    if end and lines != end:
        if len(steps) == 1 and not start:
            # Its author made all of it.
            steps = [replace(steps[0], diff=difference([], shown(end)))]
        else:
            steps.append(_step("", OURSELVES, [], lines, end))
    return Way(side=side, received=start, steps=steps, sent=end)


def _step(point: str, author: str, what: list[str], old: Lines, new: Lines) -> Step:
    return Step(
        point=point,
        author=author,
        what=[printable(one) for one in what],
        diff=difference(shown(old), shown(new)),
    )


def shown(lines: Lines) -> list[str]:
    """Lines of a head, safe to print."""
    return [printable(line.decode("utf-8", "surrogateescape")) for line in lines]


def _changed(lines: Lines, what: list[str], end: Lines) -> Lines:
    """The head after these changes, as far as they tell; `end` is what it became."""
    lines = lines.copy()
    places: dict[bytes, int] = {}
    for one in what:
        if one.startswith("- "):
            _remove(lines, _bytes(one[2:]), places)
        elif one.startswith("+ "):
            _add(lines, _bytes(one[2:]), places)
        elif match := _NEW_LINE.fullmatch(one):
            lines = _with_request_line(lines, *map(_bytes, match.groups()))
        elif match := _NEW_STATUS.fullmatch(one):
            lines = _with_status(lines, _bytes(match[1]), end)
    return lines


def _remove(lines: Lines, field: bytes, places: dict[bytes, int]) -> None:
    name, _, value = field.partition(b": ")
    for at, line in enumerate(lines):
        if fields_of(line) == [(name, value.strip(b" \t"))]:
            del lines[at]
            places[name.lower()] = at
            return


def _add(lines: Lines, field: bytes, places: dict[bytes, int]) -> None:
    """Where one of the same name was taken away, else at the end."""
    name = field.partition(b": ")[0].lower()
    lines.insert(min(places.pop(name, len(lines)), len(lines)), field)


def _with_request_line(
    lines: Lines, method: bytes, scheme: bytes, target: bytes
) -> Lines:
    if lines and not lines[0].startswith(b":"):
        version = lines[0].rpartition(b" ")[2]
        return [b" ".join((method, target, version)), *lines[1:]]
    new = {b":method": method, b":scheme": scheme, b":path": target}
    return [_with_pseudo_field(line, new) for line in lines]


def _with_status(lines: Lines, status: bytes, end: Lines) -> Lines:
    if lines and not lines[0].startswith(b":"):
        parts = lines[0].split(b" ", 2)
        # The phrase is recorded nowhere else.
        is_sent = bool(end) and end[0].split(b" ")[1:2] == [status]
        line = end[0] if is_sent else b" ".join((parts[0], status))
        return [line, *lines[1:]]
    return [_with_pseudo_field(line, {b":status": status}) for line in lines]


def _with_pseudo_field(line: bytes, new: dict[bytes, bytes]) -> bytes:
    name, colon, _ = line.partition(b": ")
    return b"%b: %b" % (name, new[name]) if colon and name in new else line


def _bytes(text: str) -> bytes:
    """A recorded change as bytes: they were taken one to one."""
    return text.encode("latin-1", "replace")
