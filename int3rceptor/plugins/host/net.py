"""The host function that fetches: what is asked is judged here, and who may ask it."""

import re
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.headers import is_field_value, is_token
from int3rceptor.plugins.abi.codes import LogLevel, Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.host.names import PROTECTED_FIELDS
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.host.write import decode_list
from int3rceptor.plugins.network.outbound import (
    DEFAULT_PORTS,
    FetchAnswer,
    FetchFailure,
    FetchRequest,
    FetchTerms,
    Outbound,
    covers,
)
from int3rceptor.plugins.policy.permissions import Permission
from int3rceptor.wire.authority import parse_authority

MAX_URL_BYTES = 8 * 1024
"""What servers take; most refuse a longer one."""

MIN_SECONDS = 0.001
"""With less left of the call's time nothing is begun."""

# No user information, no fragment, nothing that would end the request line early.
_URL = re.compile(rb"(https?)://([A-Za-z0-9._:\[\]-]+)([/?][!-\"$-~]*)?", re.IGNORECASE)
_REFUSED_METHODS = frozenset({b"CONNECT", b"TRACE"})
"""CONNECT would be a tunnel; TRACE shows what a proxy on the way added."""


def fetch(host: Host, at: int, length: int, address: int, room: int) -> int:
    """host_http_fetch."""
    raw, outbound = host.read(at, length), host.outbound
    if raw is None or outbound is None:
        return Status.BAD_POINTER
    answers = outbound.answers
    if raw not in answers:
        fetched = _fetched(host, outbound, raw)
        if isinstance(fetched, Status):
            return fetched
        if not answers:
            host.at_end(answers.clear)
        answers[raw] = fetched
    answer = answers[raw]
    if room >= len(answer) > host.bytes_left:
        return Status.TOO_LARGE
    given = host.give(answer, address, room)
    if 0 <= given <= room:
        del answers[raw]
    return given


def _fetched(host: Host, outbound: Outbound, raw: bytes) -> bytes | Status:
    if len(raw) > outbound.max_bytes:
        return Status.TOO_LARGE
    request = parse_request(raw)
    if isinstance(request, Status):
        return request
    if not _is_granted(host, Permission.NETWORK, request):
        return Status.NO_PERMISSION
    if outbound.left <= 0:
        return Status.TOO_LARGE
    seconds = outbound.seconds_left()
    if seconds < MIN_SECONDS:
        return Status.UNREACHABLE
    outbound.left -= 1
    outbound.total += 1
    terms = FetchTerms(
        seconds=seconds,
        max_bytes=outbound.max_bytes,
        may_be_private=_is_granted(host, Permission.NETWORK_PRIVATE, request),
    )
    started = outbound.clock()
    result = host.surroundings.fetch(request, terms)
    milliseconds = round((outbound.clock() - started) * 1000)
    return _told(host, request, result, milliseconds)


def _is_granted(host: Host, permission: Permission, request: FetchRequest) -> bool:
    return any(covers(one, request) for one in host.grants.scopes(permission))


def _told(
    host: Host,
    request: FetchRequest,
    result: FetchAnswer | FetchFailure,
    milliseconds: int,
) -> bytes | Status:
    """Log a fetch: to whom and how it ended, never what was said."""
    where = f"{request.scheme}://{request.authority}"
    if isinstance(result, FetchAnswer):
        line = f"fetched from {where}: {result.status} in {milliseconds} ms"
        host.log(LogLevel.INFO, line)
        fields = chain.from_iterable(result.headers)
        return encode_list([str(result.status).encode(), result.body, *fields])
    reason = f"{result.reason} ({milliseconds} ms)"
    host.log(LogLevel.WARN, f"could not fetch from {where}: {reason}")
    if result.is_private:
        return Status.NO_PERMISSION
    return Status.TOO_LARGE if result.is_large else Status.UNREACHABLE


def parse_request(raw: bytes) -> FetchRequest | Status:
    """A request in the ABI's list form, if it is one that may be sent."""
    items = decode_list(raw)
    if items is None or len(items) < 3 or len(items) % 2 == 0:
        return Status.BAD_ARGUMENT
    method, url, body, *fields = items
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_BYTES else None
    if found is None or not is_token(method) or method in _REFUSED_METHODS:
        return Status.BAD_ARGUMENT
    scheme, authority, rest = found.groups()
    name = scheme.decode().lower()
    try:
        host, port = parse_authority(authority, DEFAULT_PORTS[name])
    except ClientProtocolError:
        return Status.BAD_ARGUMENT
    headers = list(zip(fields[::2], fields[1::2], strict=True))
    for field, value in headers:
        if not is_token(field) or not is_field_value(value):
            return Status.BAD_ARGUMENT
        if field.lower() in PROTECTED_FIELDS:
            return Status.PROTECTED
    target = rest or b"/"
    return FetchRequest(
        method=method.decode("ascii"),
        scheme=name,
        host=host.lower().rstrip("."),
        port=port,
        target=target if target.startswith(b"/") else b"/" + target,
        headers=headers,
        body=body,
    )


NETWORKERS: Mapping[str, HostAct] = MappingProxyType({"host_http_fetch": fetch})
"""By the name that guests import them under."""
