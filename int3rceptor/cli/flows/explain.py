"""Explains a flow: as received, what each author did, as sent."""

from collections.abc import Iterator

from int3rceptor.cli.flows.steps import Way, difference, shown, ways
from int3rceptor.cli.flows.text import body_text, text_lines
from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.figures import size
from int3rceptor.cli.output.json_indent import indented
from int3rceptor.store.records import BodyRecord, FlowRecord, PluginFacts

MAX_COMPARED_LINES = 2_000
"""Longest body that is compared line by line: that takes up to the square of it."""


def explanation(record: FlowRecord) -> Iterator[str]:
    """Both ways, line by line, safe to print."""
    for way in ways(record):
        yield ""
        yield f"# {way.side}"
        yield from _way(way, record)
    if record.plugins:
        yield ""
        yield "# plugins that changed or decided something"
        yield from map(_plugin, record.plugins)
    if record.is_redacted:
        yield ""
        yield "# a listener of on_capture changed what is kept: this is what it left"


def explained(record: FlowRecord) -> list[dict[str, object]]:
    """Both ways for JSON."""
    return [
        {
            "side": way.side,
            "received": shown(way.received),
            "steps": [
                {
                    "point": step.point,
                    "author": step.author,
                    "what": step.what,
                    "diff": step.diff,
                }
                for step in way.steps
            ],
            "sent": shown(way.sent),
            "body": _body_difference(way, record),
        }
        for way in ways(record)
    ]


def _way(way: Way, record: FlowRecord) -> Iterator[str]:
    source, target = "client", "origin"
    if way.side == "response":
        source, target = target, source
    if way.received:
        yield f"## received from the {source}"
        yield from (f"  {line}" for line in shown(way.received))
    else:
        yield f"## nothing was received from the {source}"
    for number, step in enumerate(way.steps, 1):
        where = f" at {step.point}" if step.point else " itself"
        yield f"## step {number}: {printable(step.author)}{where}"
        if step.diff:
            yield from (f"  {line}" for line in step.diff)
        yield from (
            f"  {one}" for one in step.what if not (_is_line(one) and step.diff)
        )
    if body := _body_difference(way, record):
        yield "## the body that was replaced"
        yield from (f"  {line}" for line in body)
    if way.sent == way.received and way.sent:
        yield f"## sent to the {target} as it came"
    elif way.sent:
        yield f"## sent to the {target}"
        yield from (f"  {line}" for line in shown(way.sent))
    else:
        yield f"## nothing was sent to the {target}"


def _plugin(one: PluginFacts) -> str:
    name = printable(f"{one.name} {one.version}".rstrip())
    calls = "1 call" if one.calls == 1 else f"{one.calls} calls"
    fuel = f"{one.fuel:,} fuel, " if one.fuel else ""
    return (
        f"  {name} (sha256 {printable(one.digest)}…) at {printable(one.hook)}: "
        f"{calls}, {fuel}{one.micros:,} µs"
    )


def _is_line(what: str) -> bool:
    """Whether the difference shows it already."""
    return what.startswith(("- ", "+ "))


def _body_difference(way: Way, record: FlowRecord) -> list[str]:
    """How a replaced body differs from what was received, if both are text."""
    body = record.request_body if way.side == "request" else record.response_body
    if body.original is None:
        return []
    old = _body_lines(BodyRecord(content=body.original), way.received or way.sent)
    new = _body_lines(body, way.sent or way.received)
    if old is None or new is None:
        return [f"{size(len(body.original))} became {size(body.size)}"]
    return difference(old, new)


def _body_lines(body: BodyRecord, head: list[bytes]) -> list[str] | None:
    decoded, text = body_text(body, b"\r\n".join(head))
    if text is None or decoded.is_cut:
        return None
    lines = text_lines(indented(text) or text)
    return lines if len(lines) <= MAX_COMPARED_LINES else None
