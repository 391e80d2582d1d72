"""The live view: one line per finished exchange, as text or as JSON.

A hook listener like any other; it reads flows and changes nothing.
"""

import time
from collections.abc import Callable

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.figures import address, cut, duration, size
from int3rceptor.cli.output.json_lines import json_line, timestamp
from int3rceptor.hooks.changes import without_value
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow, FlowKind

PRIORITY = 1_000_000
"""After everyone who may still mark the flow."""

MAX_URL_CHARS = 1_000
MAX_NOTE_CHARS = 200
"""What one line of text shows of a URL and of an error; JSON has them whole."""

MAX_MARKS = 4
"""Authors of changes named on one line of text."""

VERSIONS = {"HTTP/1.0": "h1.0", "HTTP/1.1": "h1", "HTTP/2": "h2", "": "-"}

# How the dispatcher words edits of a message; all else it records is worth reading.
_EDITS = ("+ ", "- ", "body replaced by ", "header order", "trailer ")

_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_RED, _MAGENTA = "\x1b[31m", "\x1b[35m"
_STATUS_COLOURS = {1: "\x1b[36m", 2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: _RED}


def listener(write: Callable[[str], None], form: Callable[[Flow], str]) -> Listener:
    """A listener that hands each finished flow, formed into a line, to `write`."""

    def show(flow: Flow) -> None:
        write(form(flow))

    return Listener(
        name="live",
        point=HookPoint.CAPTURE,
        call=show,
        priority=PRIORITY,
        only_looks=True,
    )


class TextForm:
    """A flow as a line for people; ANSI colours only if asked for."""

    def __init__(self, *, has_colours: bool) -> None:
        self._has_colours = has_colours
        self._second = -1
        self._clock = ""

    def __call__(self, flow: Flow) -> str:
        parts = [
            self._paint(_DIM, self._clock_of(flow)),
            self._paint(_BOLD, f"{_method(flow):<7}"),
            cut(printable(_target(flow)), MAX_URL_CHARS),
            *self._outcome(flow),
            _duration(flow),
        ]
        if flow.kind is FlowKind.HTTP:
            parts.append(f"{_client_version(flow)}→{_origin_version(flow)}")
        if marks := _marks(flow):
            parts.append(self._paint(_MAGENTA, f"[{marks}]"))
        parts += [f"#{printable(tag)}" for tag in flow.tags]
        if flow.error:
            parts.append(self._paint(_RED, cut(printable(flow.error), MAX_NOTE_CHARS)))
        return " ".join(parts)

    def _clock_of(self, flow: Flow) -> str:
        milliseconds = int((flow.created or time.time()) * 1000)
        second = milliseconds // 1000
        if second != self._second:  # the same for hundreds of lines when it matters
            self._second = second
            self._clock = time.strftime("%H:%M:%S", time.localtime(second))
        return f"{self._clock}.{milliseconds % 1000:03d}"

    def _outcome(self, flow: Flow) -> list[str]:
        parts = []
        if flow.response is not None:
            status = flow.response.status
            colour = _STATUS_COLOURS.get(status // 100, _RED)
            parts.append(self._paint(colour, str(status)))
        elif flow.kind is FlowKind.HTTP:
            parts.append(self._paint(_RED, "---"))
        if flow.kind is FlowKind.TUNNEL:
            return [*parts, f"↑{size(flow.bytes_up)}", f"↓{size(flow.bytes_down)}"]
        return [*parts, size(flow.bytes_down)]

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._has_colours else text


def json_form(flow: Flow) -> str:
    """A flow as one JSON object; `docs/cli.md` has the fields."""
    client, origin, tls = flow.client, flow.origin, flow.client.tls
    ended = flow.times.ended
    record = {
        "type": "exchange" if flow.kind is FlowKind.HTTP else "tunnel",
        "time": timestamp(flow.created or time.time()),
        "id": flow.id,
        "method": flow.request.method,
        "url": _target(flow),
        "status": None if flow.response is None else flow.response.status,
        "bytes_up": flow.bytes_up,
        "bytes_down": flow.bytes_down,
        "duration_ms": round((ended - flow.times.started) * 1000, 3) if ended else None,
        "client": address(*client.address),
        "client_version": flow.request.version,
        "origin": None if origin is None else address(*origin.address),
        "origin_version": None if origin is None else origin.version,
        "connect_host": client.connect_host,
        "sni": None if tls is None else tls.sni,
        "marks": [
            {"author": author, "edits": edits, "notes": notes}
            for author, (edits, notes) in _changes(flow).items()
        ],
        "tags": flow.tags,
        "error": flow.error or None,
    }
    return json_line(record)


def _changes(flow: Flow) -> dict[str, tuple[int, list[str]]]:
    """Author -> how many edits, and what else was recorded of them."""
    found: dict[str, tuple[int, list[str]]] = {}
    for change in flow.changes:
        edits, notes = found.setdefault(change.author, (0, []))
        if change.what.startswith(_EDITS):
            # An edited field may be a secret: that it was edited is enough here.
            found[change.author] = (edits + 1, notes)
        else:
            notes.append(
                without_value(change.what) if flow.is_redacted else change.what
            )
    return found


def _marks(flow: Flow) -> str:
    changes = _changes(flow)
    marks = []
    for author, (edits, notes) in list(changes.items())[:MAX_MARKS]:
        counted = [f"{edits} edit{'s' if edits != 1 else ''}"] if edits else []
        what = cut(printable(", ".join(counted + notes)), MAX_NOTE_CHARS)
        marks.append(f"{printable(author)}: {what}")
    if len(changes) > MAX_MARKS:
        marks.append(f"and {len(changes) - MAX_MARKS} more")
    return "; ".join(marks)


def _method(flow: Flow) -> str:
    if flow.kind is FlowKind.TUNNEL:
        return "TUNNEL"
    return cut(printable(flow.request.method), MAX_NOTE_CHARS)


def _target(flow: Flow) -> str:
    """The URL; of a connection relayed blind only host and port are known."""
    request = flow.request
    if flow.kind is FlowKind.TUNNEL and flow.response is None:
        return address(request.host, request.port)
    return request.url


def _client_version(flow: Flow) -> str:
    return VERSIONS.get(flow.request.version, flow.request.version)


def _origin_version(flow: Flow) -> str:
    version = "" if flow.origin is None else flow.origin.version
    return VERSIONS.get(version, version)


def _duration(flow: Flow) -> str:
    ended = flow.times.ended
    return duration(ended - flow.times.started) if ended else "-"
