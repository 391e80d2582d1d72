"""Host functions that say where a request or a connection goes."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.errors import ClientProtocolError
from int3rceptor.hooks.verdicts import PassThrough
from int3rceptor.model.flow import Upstream
from int3rceptor.model.headers import to_text
from int3rceptor.model.message import DEFAULT_PORTS
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.fields import changing_request
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.host.write import is_target
from int3rceptor.wire.authority import MAX_PORT, parse_authority, parse_host

_URL = re.compile(rb"(https?)://([^/?]*)(/[^?]*)?(\?.*)?", re.DOTALL)

_Place = tuple[str, str, int, bytes]


def set_url(host: Host, address: int, length: int) -> int:
    """host_set_url."""
    url, request = host.read(address, length), changing_request(host)
    if url is None:
        return Status.BAD_POINTER
    if request is None:
        return Status.WRONG_HOOK
    place = None if request.method == "CONNECT" else _place(url)
    if place is None:
        return Status.BAD_ARGUMENT
    old = request.scheme, request.host, request.port, request.target
    old_authority = request.authority

    def restore() -> None:
        request.scheme, request.host, request.port, request.target = old
        request.authority = old_authority

    host.save_fields(request.headers).note(None)
    host.save("url", restore)
    scheme, name, port, request.target = place
    request.send_to(scheme, name, port)
    return Status.OK


def _place(url: bytes) -> _Place | None:
    """Scheme, host, port, and path with query; None when it is no http(s) URL."""
    found = _URL.fullmatch(url)
    if found is None or not url.isascii():
        return None
    scheme, path, query = to_text(found[1]), found[3] or b"/", found[4] or b""
    if not is_target(path + query):
        return None
    try:
        host, port = parse_authority(found[2], DEFAULT_PORTS[scheme])
    except ClientProtocolError:
        return None
    return scheme, host.lower(), port, path + query


def set_upstream(host: Host, address: int, length: int, port: int) -> int:
    """host_set_upstream."""
    name = host.read(address, length)
    if name is None:
        return Status.BAD_POINTER
    if not 0 < port <= MAX_PORT:
        return Status.BAD_ARGUMENT
    try:
        host.decide(Upstream(parse_host(to_text(name)), port))
    except ClientProtocolError:
        return Status.BAD_ARGUMENT
    return Status.OK


def pass_through(host: Host) -> int:
    """host_pass_through."""
    host.decide(PassThrough())
    return Status.OK


ROUTERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_set_url": set_url,
        "host_set_upstream": set_upstream,
        "host_pass_through": pass_through,
    }
)
"""By the name that guests import them under."""
