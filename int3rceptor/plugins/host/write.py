"""Host functions that change a message's line and body, or decide about the flow.

Each validates what the guest gave, keeps what undoes the change, then acts. None
raises. Fields are written in `host/fields`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import MAX_DELAY_S, Delay, Drop, Respond
from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers, is_token
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.fields import (
    BODILESS,
    FIELD_WRITERS,
    MAX_FIELDS,
    changing_request,
    field_problem,
)
from int3rceptor.plugins.host.host import Host, HostAct

_FIXED_METHODS = frozenset({b"CONNECT", b"HEAD"})
_STATUSES = range(200, 600)


def set_method(host: Host, address: int, length: int) -> int:
    """host_set_method.

    HEAD and CONNECT decide how the answer is framed, which the client has been
    promised already (RFC 9112, 6.3).
    """
    method, request = host.read(address, length), changing_request(host)
    if method is None:
        return Status.BAD_POINTER
    if request is None:
        return Status.WRONG_HOOK
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
    target, request = host.read(address, length), changing_request(host)
    if target is None:
        return Status.BAD_POINTER
    if request is None:
        return Status.WRONG_HOOK
    if not target.startswith(b"/") or not is_target(target):
        return Status.BAD_ARGUMENT
    if request.method == "CONNECT":  # it names a host there, not a path
        return Status.BAD_ARGUMENT
    old = request.target

    def restore() -> None:
        request.target = old

    host.save("target", restore)
    request.target = target
    return Status.OK


def is_target(target: bytes) -> bool:
    """Whether a request line can carry it: no spaces, controls, fragment."""
    return all(byte > 0x20 and byte not in (0x23, 0x7F) for byte in target)


def set_status(host: Host, status: int) -> int:
    """host_set_status.

    Not across the line between statuses with and without a body (RFC 9112, 6.3): the
    body that is on its way would not fit the new head.
    """
    response = host.message
    if not isinstance(response, Response):
        return Status.WRONG_HOOK
    old, reason = response.status, response.reason
    if status not in _STATUSES or not BODILESS.isdisjoint((status, old)):
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
    return _replace_body(host, address, length, host.message)


def set_request_body(host: Host, address: int, length: int) -> int:
    """host_set_request_body."""
    return _replace_body(host, address, length, changing_request(host))


def _replace_body(
    host: Host, address: int, length: int, message: Request | Response | None
) -> int:
    content = host.read(address, length)
    if content is None:
        return Status.BAD_POINTER
    if message is None:
        return Status.NOT_FOUND
    is_kept = host.point is HookPoint.CAPTURE  # a stream that has passed, too
    if isinstance(message, Response) and message.status in BODILESS:
        return Status.BAD_ARGUMENT
    body = message.body
    if not body.is_whole and not is_kept:
        return Status.TOO_LARGE
    host.save(f"body {id(body)}", body.snapshot())
    body.replace(content)
    return Status.OK


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
    if content and status in BODILESS:
        return Status.BAD_ARGUMENT
    if len(items) > 2 * MAX_FIELDS:
        return Status.TOO_LARGE
    headers = Headers()
    for name, value in zip(items[::2], items[1::2], strict=True):
        problem = field_problem(host, name, value)
        if problem is not None:
            return problem
        headers.add(name, value)
    body = Body(content, length=len(content))
    answer = Response(status=status, reason=_phrase(status), headers=headers, body=body)
    host.decide(Respond(answer))
    return Status.OK


def drop(host: Host) -> int:
    """host_drop."""
    host.decide(Drop())
    return Status.OK


def delay(host: Host, milliseconds: int) -> int:
    """host_delay."""
    seconds = milliseconds / 1000
    if seconds > MAX_DELAY_S:
        return Status.BAD_ARGUMENT
    host.decide(Delay(seconds))
    return Status.OK


WRITERS: Mapping[str, HostAct] = MappingProxyType(
    {
        **FIELD_WRITERS,
        "host_set_method": set_method,
        "host_set_path": set_path,
        "host_set_status": set_status,
        "host_set_body": set_body,
        "host_set_request_body": set_request_body,
        "host_respond": respond,
        "host_drop": drop,
        "host_delay": delay,
    }
)
"""By the name that guests import them under."""
