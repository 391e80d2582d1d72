"""Host functions that change a message or decide about the flow.

Each validates what the guest gave, keeps what undoes the change, then acts. None
raises. Framing stays the proxy's: a guest cannot set the fields that carry it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import MAX_DELAY_S, Delay, Drop, PassThrough, Respond
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, is_field_value, is_token
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.codes import Status
from int3rceptor.plugins.host import Host, HostAct

PROTECTED_FIELDS = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Framing, hop-by-hop and routing fields (RFC 9110, 7.2 and 7.6.1): written by a guest
they could make two parsers disagree about where a message ends or whom it is for."""

_BODILESS = frozenset({204, 205, 304})
_FIXED_METHODS = frozenset({b"CONNECT", b"HEAD"})
_STATUSES = range(200, 600)


def _field_problem(name: bytes, value: bytes) -> Status | None:
    if not is_token(name) or not is_field_value(value):
        return Status.BAD_ARGUMENT
    return Status.PROTECTED if name.lower() in PROTECTED_FIELDS else None


def save_headers(host: Host, headers: Headers) -> None:
    """Keep the fields as they are, before the first change of a call."""
    if "headers" in host.saved:  # a second copy would hold this call's own changes
        return
    kept = headers.raw.copy()

    def restore() -> None:
        headers.raw[:] = kept

    host.save("headers", restore)


def set_header(host: Host, name_at: int, name_len: int, at: int, length: int) -> int:
    """host_set_header."""
    return _write_header(host, (name_at, name_len), (at, length), is_added=False)


def add_header(host: Host, name_at: int, name_len: int, at: int, length: int) -> int:
    """host_add_header."""
    return _write_header(host, (name_at, name_len), (at, length), is_added=True)


def _write_header(
    host: Host, name_span: tuple[int, int], span: tuple[int, int], *, is_added: bool
) -> int:
    name, value = host.read(*name_span), host.read(*span)
    if name is None or value is None:
        return Status.BAD_POINTER
    problem = _field_problem(name, value)
    if problem is not None:
        return problem
    message = host.message()
    if message is None:
        return Status.WRONG_HOOK
    save_headers(host, message.headers)
    if is_added:
        message.headers.add(name, value)
    else:
        message.headers[name] = value
    return Status.OK


def remove_header(host: Host, name_at: int, name_len: int) -> int:
    """host_remove_header."""
    name = host.read(name_at, name_len)
    if name is None:
        return Status.BAD_POINTER
    problem = _field_problem(name, b"")
    if problem is not None:
        return problem
    message = host.message()
    if message is None:
        return Status.WRONG_HOOK
    save_headers(host, message.headers)
    return message.headers.remove(name)


def _request(host: Host) -> Request | None:
    message = host.message()
    return message if isinstance(message, Request) else None


def set_method(host: Host, address: int, length: int) -> int:
    """host_set_method.

    HEAD and CONNECT decide how the answer is framed, which the client has been
    promised already (RFC 9112, 6.3).
    """
    method, request = host.read(address, length), _request(host)
    if method is None or request is None:
        return Status.BAD_POINTER
    old = request.method
    if not is_token(method) or not _FIXED_METHODS.isdisjoint((method, old.encode())):
        return Status.BAD_ARGUMENT

    def restore() -> None:
        request.method = old

    host.save("method", restore)
    request.method = method.decode("ascii")
    return Status.OK


def set_path(host: Host, address: int, length: int) -> int:
    """host_set_path."""
    target, request = host.read(address, length), _request(host)
    if target is None or request is None:
        return Status.BAD_POINTER
    if not target.startswith(b"/") or not _is_target(target):
        return Status.BAD_ARGUMENT
    old = request.target

    def restore() -> None:
        request.target = old

    host.save("target", restore)
    request.target = target
    return Status.OK


def _is_target(target: bytes) -> bool:
    """Without spaces, controls and a fragment, which no request line can carry."""
    return all(byte > 0x20 and byte not in (0x23, 0x7F) for byte in target)


def set_status(host: Host, status: int) -> int:
    """host_set_status.

    Not across the line between statuses with and without a body (RFC 9112, 6.3): the
    body that is on its way would not fit the new head.
    """
    response = host.message()
    if not isinstance(response, Response):
        return Status.WRONG_HOOK
    old, reason = response.status, response.reason
    if status not in _STATUSES or not _BODILESS.isdisjoint((status, old)):
        return Status.BAD_ARGUMENT

    def restore() -> None:
        response.status, response.reason = old, reason

    host.save("status", restore)
    response.status, response.reason = status, _phrase(status)
    return Status.OK


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def set_body(host: Host, address: int, length: int) -> int:
    """host_set_body."""
    content, message = host.read(address, length), host.message()
    if content is None or message is None:
        return Status.BAD_POINTER
    if isinstance(message, Response) and message.status in _BODILESS:
        return Status.BAD_ARGUMENT
    body = message.body
    if not body.is_whole:
        return Status.TOO_LARGE
    host.save("body", body.snapshot())
    body.replace(content)
    return Status.OK


def tag(host: Host, address: int, length: int) -> int:
    """host_tag."""
    data, flow = host.read(address, length), host.flow
    if data is None or flow is None:
        return Status.BAD_POINTER
    try:
        name = data.decode("utf-8")
    except UnicodeDecodeError:
        return Status.BAD_ARGUMENT
    if not name or not name.isprintable() or len(name) > MAX_TAG_CHARS:
        return Status.BAD_ARGUMENT
    tags, count = flow.tags, len(flow.tags)

    def restore() -> None:
        del tags[count:]

    host.save("tags", restore)
    return Status.OK if flow.tag(name) else Status.TOO_LARGE


MAX_TAG_CHARS = 128
"""Tags are words to filter by; with MAX_TAGS a flow keeps at most 8 KiB of them."""


def decode_list(data: bytes) -> list[bytes] | None:
    """The items of a list in the ABI's form; None when it does not add up."""
    items: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            return None
        items.append(data[start:at])
    return items


def respond(
    host: Host, status: int, fields_at: int, fields_len: int, at: int, length: int
) -> int:
    """host_respond."""
    fields, content = host.read(fields_at, fields_len), host.read(at, length)
    if fields is None or content is None:
        return Status.BAD_POINTER
    items = decode_list(fields)
    if items is None or len(items) % 2 or status not in _STATUSES:
        return Status.BAD_ARGUMENT
    if content and status in _BODILESS:
        return Status.BAD_ARGUMENT
    headers = Headers()
    for name, value in zip(items[::2], items[1::2], strict=True):
        problem = _field_problem(name, value)
        if problem is not None:
            return problem
        headers.add(name, value)
    body = Body(content, length=len(content))
    answer = Response(status=status, reason=_phrase(status), headers=headers, body=body)
    host.verdict = Respond(answer)
    return Status.OK


def drop(host: Host) -> int:
    """host_drop."""
    host.verdict = Drop()
    return Status.OK


def delay(host: Host, milliseconds: int) -> int:
    """host_delay."""
    seconds = milliseconds / 1000
    if seconds > MAX_DELAY_S:
        return Status.BAD_ARGUMENT
    host.verdict = Delay(seconds)
    return Status.OK


def pass_through(host: Host) -> int:
    """host_pass_through."""
    if host.point is not HookPoint.CONNECT:
        return Status.WRONG_HOOK
    host.verdict = PassThrough()
    return Status.OK


WRITERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_set_header": set_header,
        "host_add_header": add_header,
        "host_remove_header": remove_header,
        "host_set_method": set_method,
        "host_set_path": set_path,
        "host_set_status": set_status,
        "host_set_body": set_body,
        "host_tag": tag,
        "host_respond": respond,
        "host_drop": drop,
        "host_delay": delay,
        "host_pass_through": pass_through,
    }
)
"""By the name that guests import them under."""
