"""Does to a flow what a rule says, and records each change with the rule as its author.

Nothing waits here: what takes time is the listener's.
"""

from http import HTTPStatus

from int3rceptor.hooks.changes import differences, look, messages
from int3rceptor.hooks.verdicts import Drop, PassThrough, Respond, Verdict
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import DEFAULT_PORTS, Response
from int3rceptor.rules.model import (
    AddHeader,
    Answer,
    Block,
    Ending,
    LeaveAlone,
    PathPart,
    RemoveHeader,
    Rewrite,
    Rule,
    SetHeader,
    Tag,
    Wait,
)
from int3rceptor.rules.patterns import Captures

MAX_TARGET_BYTES = 32 * 1024
"""Longest path and query that a rewrite makes: as long as a client's may be."""


def take_steps(rule: Rule, flow: Flow, captures: Captures) -> float:
    """Everything that the exchange goes on after; the seconds that it waits first."""
    message = messages(rule.phase.point, flow)[0]
    before = look(message)
    seconds = 0.0
    for step in rule.steps:
        match step:
            case Tag(name=name):
                if name not in flow.tags and flow.tag(name):
                    note(rule, flow, f"tagged {name}")
            case RemoveHeader(name=field):
                message.headers.remove(field)
            case SetHeader(name=field, value=value):
                message.headers[field] = value
            case AddHeader(name=field, value=value):
                message.headers.add(field, value)
            case Rewrite():
                _rewrite(step, rule, flow, captures)
            case Wait(seconds=seconds):
                pass
    for what in differences(before, look(message)):
        note(rule, flow, what)
    return seconds


def note(rule: Rule, flow: Flow, what: str) -> None:
    """Record in the flow what this rule did."""
    flow.record(rule.phase.point.value, rule.author, what)


def _rewrite(step: Rewrite, rule: Rule, flow: Flow, captures: Captures) -> None:
    request = flow.request
    if step.path is not None:
        target = _target(step.path, captures, request.target)
        if len(target) > MAX_TARGET_BYTES:
            note(rule, flow, f"not rewritten: the path would pass {MAX_TARGET_BYTES} B")
            return
        request.target = target
    if step.scheme is None and step.host is None and step.port is None:
        return
    scheme, port = step.scheme or request.scheme, step.port or request.port
    if step.port is None and port == DEFAULT_PORTS.get(request.scheme):
        port = DEFAULT_PORTS[scheme]
    host = step.host or request.host
    request.send_to(scheme, host, port, keeps_host=step.keeps_host)


def _target(path: tuple[PathPart, ...], captures: Captures, old: bytes) -> bytes:
    made = b"".join(
        captures[part - 1] if isinstance(part, int) else part for part in path
    )
    if not made.startswith(b"/"):
        made = b"/" + made
    _, mark, query = old.partition(b"?")
    return made if b"?" in made else made + mark + query


def verdict_of(ending: Ending, rule: Rule, flow: Flow) -> Verdict:
    """How the phase ends."""
    match ending:
        case Answer(status=status, headers=fields, body=content):
            body = Body(content, length=len(content))
            headers = Headers(fields)
            return Respond(
                Response(
                    status=status, reason=_phrase(status), headers=headers, body=body
                )
            )
        case Block(how="drop"):
            return Drop(f"by {rule.author}")
        case Block():
            return Respond(_blocked_page(rule, flow))
        case LeaveAlone():
            return PassThrough()


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def _blocked_page(rule: Rule, flow: Flow) -> Response:
    """Who refused, and what; HTML for a client that asks for it."""
    # Not the rule's place: clients may be on other machines than its file.
    text = (
        f"int3rceptor: {flow.request.logged_url} is blocked by the rule {rule.name}.\n"
    )
    kind = b"text/plain"
    if "text/html" in (flow.request.headers.get("accept") or ""):
        import html  # the names of all its characters: 0.3 MB, for who sees a page

        kind = b"text/html"
        text = f"<!doctype html><title>Blocked</title><p>{html.escape(text)}</p>\n"
    content = text.encode("utf-8", "backslashreplace")
    fields = [
        (b"Content-Type", kind + b"; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"X-Int3rceptor", b"answered by the proxy"),
    ]
    return Response(
        status=HTTPStatus.FORBIDDEN,
        reason=b"Forbidden",
        headers=Headers(fields),
        body=Body(content, length=len(content)),
    )
