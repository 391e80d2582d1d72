"""The keys that say what a rule does: which are allowed when, and their values."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from int3rceptor.errors import ClientProtocolError, RuleError
from int3rceptor.hooks.verdicts import MAX_DELAY_S
from int3rceptor.model.headers import is_field_value, is_token, to_bytes
from int3rceptor.rules.model import (
    AddHeader,
    Answer,
    Block,
    Ending,
    LeaveAlone,
    Match,
    PathPart,
    Phase,
    RemoveHeader,
    Rewrite,
    SetHeader,
    Step,
    Tag,
    Wait,
)
from int3rceptor.rules.patterns import MAX_CAPTURES
from int3rceptor.rules.reading import Table, show
from int3rceptor.wire.authority import MAX_PORT, parse_host
from int3rceptor.wire.fields import HOP_BY_HOP

if TYPE_CHECKING:
    from mimetypes import MimeTypes

MAX_BODY_BYTES = 1024 * 1024
"""A body that a rule answers with stays in memory; a larger one wants an origin."""

MAX_TAG_CHARS = 128
MAX_VALUE_BYTES = 8 * 1024
"""Servers refuse longer header fields."""

MAX_TEMPLATE_CHARS = 4_096

ReadFile = Callable[[Path, int], bytes]
"""The bytes of a file; OSError when it cannot be read, ValueError (in words) when it is
no file, or larger than that."""

ACTIONS = (
    "tag", "remove_header", "set_header", "add_header", "rewrite", "delay_s", "answer",
    "block", "passthrough",
)  # fmt: skip
"""In the order in which one rule does them."""

ALLOWED = {
    Phase.CONNECT: ("tag", "delay_s", "block", "passthrough"),
    Phase.REQUEST: tuple(key for key in ACTIONS if key != "passthrough"),
    Phase.RESPONSE: tuple(
        key for key in ACTIONS if key not in ("passthrough", "rewrite")
    ),
}
REWRITE_KEYS = ("scheme", "host", "port", "path", "keep_host")
ANSWER_KEYS = ("status", "headers", "body", "body_file")
_ENDINGS = ("answer", "block", "passthrough")

_PROTECTED = HOP_BY_HOP | {b"content-length", b"host", b"trailer"}
"""Framing, hop-by-hop and routing fields, which the proxy writes itself (RFC 9110, 7.2
and 7.6.1): written by a rule they could make two parsers disagree."""

_BODILESS = frozenset({204, 205, 304})
_TEMPLATE = re.compile(r"\\([1-9])|(\\\\)|(\\)|([^\\]+)")


def parse_steps(table: Table, phase: Phase, match: Match) -> tuple[Step, ...]:
    """What the rule does before the exchange goes on, in order."""
    for key in ACTIONS:
        if key in table.values and key not in ALLOWED[phase]:
            raise table.problem(
                key, f'not for a rule on = "{phase.value}"; {_where_allowed(key)}'
            )
    steps: list[Step] = [Tag(name) for name in _tags(table)]
    steps += _header_steps(table)
    rewrite = table.table("rewrite")
    if rewrite is not None:
        steps.append(_rewrite(rewrite, match))
    seconds = table.number("delay_s", MAX_DELAY_S)
    if seconds is not None:
        steps.append(Wait(seconds))
    return tuple(steps)


def _where_allowed(key: str) -> str:
    names = [f'on = "{phase.value}"' for phase in Phase if key in ALLOWED[phase]]
    return f"write {' or '.join(names)}"


def _tags(table: Table) -> tuple[str, ...]:
    tags = table.texts("tag")
    for one in tags:
        if not one or not one.isprintable() or len(one) > MAX_TAG_CHARS:
            raise table.problem(
                "tag", f"a tag is 1 to {MAX_TAG_CHARS} printable characters"
            )
    return tags


# --- header fields --------------------------------------------------------------------


def _header_steps(table: Table) -> Iterator[Step]:
    for one in table.texts("remove_header"):
        yield RemoveHeader(_field_name(table, "remove_header", to_bytes(one)))
    for name, values in table.fields("set_header"):
        if len(values) > 1:
            raise table.problem(
                f"set_header.{name.decode()}", "one value; write add_header for several"
            )
        yield SetHeader(*_field(table, "set_header", name, values[0]))
    for name, values in table.fields("add_header"):
        for value in values:
            yield AddHeader(*_field(table, "add_header", name, value))


def _field_name(table: Table, key: str, name: bytes) -> bytes:
    if not is_token(name):
        raise table.problem(key, f"{show(name)} is no header name; write X-NAME")
    if name.lower() in _PROTECTED:
        hint = "rewrite the URL" if name.lower() == b"host" else "leave it out"
        raise table.problem(
            key, f"{name.decode()} is written by the proxy itself; {hint}"
        )
    return name


def _field(table: Table, key: str, name: bytes, value: str) -> tuple[bytes, bytes]:
    data = value.encode()
    path = f"{key}.{name.decode()}"
    if not is_field_value(data):
        raise table.problem(path, "a value has no control characters; leave them out")
    if len(data) > MAX_VALUE_BYTES:
        raise table.problem(path, f"longer than {MAX_VALUE_BYTES} bytes; shorten it")
    return _field_name(table, key, name), data.strip(b" \t")


# --- rewrite --------------------------------------------------------------------------


def _rewrite(table: Table, match: Match) -> Rewrite:
    table.check_keys(REWRITE_KEYS)
    scheme = table.text("scheme")
    if scheme not in (None, "http", "https"):
        raise table.problem("scheme", f"must be http or https, not {show(scheme)}")
    made = Rewrite(
        scheme=scheme,
        host=_new_host(table),
        port=table.whole("port", 1, MAX_PORT),
        path=_template(table, match),
        keeps_host=table.flag("keep_host", default=False),
    )
    if made == Rewrite(keeps_host=made.keeps_host):
        raise table.problem("", "it changes nothing; add scheme, host, port or path")
    return made


def _new_host(table: Table) -> str | None:
    host = table.text("host")
    if host is None:
        return None
    try:
        return parse_host(host)
    except ClientProtocolError:
        raise table.problem(
            "host", f"{show(host)} is no host; write a name or an address, without port"
        ) from None


def _template(table: Table, match: Match) -> tuple[PathPart, ...] | None:
    text = table.text("path")
    if text is None:
        return None
    if not text.startswith(("/", "\\")) or len(text) > MAX_TEMPLATE_CHARS:
        raise table.problem(
            "path",
            f"must begin with / and have at most {MAX_TEMPLATE_CHARS} characters",
        )
    groups = min((one.groups for one in match.path), default=0)
    parts: list[PathPart] = []
    for capture, backslash, alone, plain in _TEMPLATE.findall(text):
        if alone or (capture and int(capture) > groups):
            raise table.problem("path", _no_such_capture(capture, groups))
        parts.append(
            int(capture) if capture else _target_bytes(table, backslash, plain)
        )
    return tuple(parts)


def _no_such_capture(capture: str, groups: int) -> str:
    if not capture:
        return f"\\ is followed by 1 to {MAX_CAPTURES} or by \\; write \\\\ for itself"
    return (
        f"\\{capture}: every pattern of match.path must capture it, and there are"
        f" {groups}; write a path_regex with ( )"
    )


def _target_bytes(table: Table, backslash: str, plain: str) -> bytes:
    data = b"\\" if backslash else plain.encode()
    if any(byte <= 0x20 or byte in (0x23, 0x7F) for byte in data):
        raise table.problem(
            "path", "no request has spaces, # or control characters there; write %20"
        )
    return data


# --- what ends the phase --------------------------------------------------------------


def parse_ending(
    table: Table, phase: Phase, folder: Path, read: ReadFile
) -> Ending | None:
    """Whether, and how, the rule answers in the origin's place."""
    given = [key for key in _ENDINGS if table.values.get(key) not in (None, False)]
    if len(given) > 1:
        raise table.problem(given[1], f"there is {given[0]} too; keep one of them")
    answer = table.table("answer")
    if answer is not None:
        return _answer(answer, folder, read)
    if table.flag("passthrough", default=False):
        return LeaveAlone()
    return _block(table)


def _block(table: Table) -> Block | None:
    match table.values.get("block", False):
        case True | "page":
            return Block("page")
        case "drop":
            return Block("drop")
        case False:
            return None
        case other:
            raise table.problem(
                "block", f'must be true, "page" or "drop", not {show(other)}'
            )


def _answer(table: Table, folder: Path, read: ReadFile) -> Answer:
    table.check_keys(ANSWER_KEYS)
    status = table.whole("status", 200, 599) or 200
    fields = [
        _field(table, "headers", name, value)
        for name, values in table.fields("headers")
        for value in values
    ]
    body, kind = _body(table, folder, read)
    if body and status in _BODILESS:
        raise table.problem("status", f"{status} has no body; leave the body out")
    if kind and not any(name.lower() == b"content-type" for name, _ in fields):
        fields.append((b"Content-Type", kind.encode("ascii")))
    return Answer(status=status, headers=tuple(fields), body=body)


def _body(table: Table, folder: Path, read: ReadFile) -> tuple[bytes, str]:
    """The content, and its media type where it can be told."""
    text, name = table.text("body"), table.text("body_file")
    if text is not None and name is not None:
        raise table.problem("body_file", "there is body too; keep one of them")
    if text is not None:
        body = text.encode()
        if len(body) > MAX_BODY_BYTES:
            raise table.problem("body", f"larger than {MAX_BODY_BYTES} bytes")
        return body, "text/plain; charset=utf-8" if body else ""
    if name is None:
        return b"", ""
    try:
        body = read(folder / name, MAX_BODY_BYTES)
    except (OSError, ValueError) as error:
        raise _unreadable(table, folder / name, error) from None
    return body, _types().guess_type(name)[0] or "application/octet-stream"


@cache
def _types() -> "MimeTypes":
    """Python's own list, the same on every machine; for who answers with a file."""
    from mimetypes import MimeTypes

    return MimeTypes(())


def _unreadable(table: Table, path: Path, error: OSError | ValueError) -> RuleError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return table.problem(
        "body_file", f"cannot read {path}: {why}; paths are meant from the rule's file"
    )
