"""One flow for people: what it was, both messages, their bodies readable."""

from collections.abc import Iterator

from int3rceptor.cli.flows.tables import started, url_of
from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.figures import address, duration, size
from int3rceptor.cli.output.json_indent import indented
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.decoding import Decoded, decode_content, text_of
from int3rceptor.store.heads import lines_of, parse_head
from int3rceptor.store.records import BodyRecord, FlowRecord, TlsFacts

MAX_SHOWN_BYTES = 256 * 1024
"""Most of a decoded body that is shown: some thousand lines; `--body` has it whole."""

MAX_READ_BYTES = 8 * 1024 * 1024
"""Most of a kept body that is read for it."""

MAX_DUMPED_BYTES = 256
"""What is shown of a body that is no text."""

_DUMP_WIDTH = 16


def flow_lines(row: FlowRow, record: FlowRecord) -> Iterator[str]:
    """The flow, line by line, safe to print."""
    yield from summary(row, record)
    if record.request_received or record.request_sent:
        yield from _message(
            "request",
            record.request_received,
            record.request_sent,
            record.request_body,
            record.request_trailers,
        )
    for block in record.informational:
        yield ""
        yield "# informational response"
        yield from head_lines(block)
    if record.response_received or record.response_sent:
        yield from _message(
            "response",
            record.response_received,
            record.response_sent,
            record.response_body,
            record.response_trailers,
        )


def head_lines(block: bytes) -> list[str]:
    """A head's lines, safe to print."""
    return [
        printable(line.decode("utf-8", "surrogateescape")) for line in lines_of(block)
    ]


def body_text(body: BodyRecord, head: bytes) -> tuple[Decoded, str | None]:
    """A body without its content codings, and as text if it is text; both bounded."""
    fields = parse_head(head)
    coding = fields.value(b"content-encoding")
    decoded = decode_content(body.content, coding, MAX_SHOWN_BYTES)
    return decoded, text_of(_to_character(decoded), fields.value(b"content-type"))


def text_lines(text: str) -> list[str]:
    """Text from a stranger as lines, safe to print."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [printable(line.removesuffix("\r").expandtabs()) for line in lines]


def summary(
    row: FlowRow, record: FlowRecord, *, explains: bool = False
) -> Iterator[str]:
    """What the flow was, safe to print; `explains`: who did what follows."""
    took = duration(record.total_s) if record.total_s else "did not end"
    yield f"Flow {record.id}: {printable(record.method)} {printable(url_of(row))}"
    yield f"Started: {started(record.created)}, {took}{_head_time(record)}"
    if record.status:
        yield f"Status: {record.status}"
    client = address(*record.client)
    yield f"Client: {printable(client)} {record.version}{_tls(record.client_tls)}"
    if record.connect is not None:
        yield f"CONNECT: {printable(address(*record.connect))}"
    if (origin := record.origin) is not None:
        where = printable(address(origin.host, origin.port))
        reused = ", reused connection" if origin.is_reused else ""
        yield f"Origin: {where} {origin.version}{_tls(origin.tls)}{reused}"
    if record.kind == "tunnel":
        up, down = size(record.bytes_up), size(record.bytes_down)
        yield f"Relayed: {up} to the origin, {down} to the client"
    if record.messages_up or record.messages_down:
        sent = f"{record.messages_up} from the client"
        yield f"Messages: {sent}, {record.messages_down} from the origin"
    yield from _remarks(row, record, explains)


def _remarks(row: FlowRow, record: FlowRecord, explains: bool) -> Iterator[str]:
    if record.error:
        yield f"Error: {printable(record.error)}"
    if record.rule:
        yield f"Rule: {printable(record.rule)}"
    if record.tags:
        yield f"Tags: {printable(', '.join(record.tags))}"
    if row.is_marked:
        yield "Marked: it is not deleted when old flows are"
    if record.is_redacted:
        yield "Redacted: a listener of on_capture changed what is kept"
    if record.changes:
        count = len(record.changes)
        hint = "" if explains else "; add --explain to see who did what"
        yield f"Changes: {count}{hint}"


def _head_time(record: FlowRecord) -> str:
    return f", response after {duration(record.head_s)}" if record.head_s else ""


def _tls(facts: TlsFacts | None) -> str:
    if facts is None:
        return ""
    parts = [facts.version, facts.cipher]
    if facts.alpn:
        parts.append(f"ALPN {facts.alpn}")
    if facts.sni:
        parts.append(f"SNI {facts.sni}")
    if facts.is_resumed:
        parts.append("resumed")
    return f" ({printable(', '.join(parts))})"


def _message(
    name: str, received: bytes, sent: bytes, body: BodyRecord, trailers: bytes
) -> Iterator[str]:
    yield ""
    if not sent:
        yield f"# {name}, as received; it was not sent on"
    elif sent == received:
        yield f"# {name}"
    else:
        yield f"# {name}, as sent on"
    head = sent or received
    yield from head_lines(head)
    yield from _body(name, body, head)
    if trailers:
        yield ""
        yield "# trailers"
        yield from head_lines(trailers)


def _body(name: str, body: BodyRecord, head: bytes) -> Iterator[str]:
    if not body.size and not body.content:
        return
    decoded, text = body_text(body, head)
    yield ""
    if text is None:
        yield f"# {size(body.size)} that are no text; --body {name} -o FILE saves them"
        yield from _dump(decoded.data[:MAX_DUMPED_BYTES])
    else:
        is_whole = not (decoded.is_cut or decoded.problem)
        yield from text_lines((indented(text) if is_whole else None) or text)
    if decoded.problem:
        yield f"# {printable(decoded.problem)}"
    if decoded.is_cut:
        shown = size(len(decoded.data))
        yield f"# the first {shown} of it; --body {name} -o FILE saves all"
    elif len(body.content) < body.size:
        kept = size(len(body.content))
        yield f"# it was {size(body.size)}; {kept} of it are kept"


def _dump(data: bytes) -> Iterator[str]:
    """Offset, bytes in hexadecimal and what of them is ASCII."""
    for offset in range(0, len(data), _DUMP_WIDTH):
        part = data[offset : offset + _DUMP_WIDTH]
        shown = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in part)
        yield f"{offset:08x}  {part.hex(' '):<{_DUMP_WIDTH * 3 - 1}}  {shown}"


def _to_character(decoded: Decoded) -> bytes:
    """Without a UTF-8 sequence that the limit, or the end of what is kept, cut."""
    data = decoded.data
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            is_torn = back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
            return data[:-back] if is_torn else data
    return data
