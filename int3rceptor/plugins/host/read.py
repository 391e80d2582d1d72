"""Host functions that read: the log, the flow, its messages, configuration, clock.

Each takes the Host and the guest's unsigned parameters, and returns a status or a
length. None raises.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.abi.codes import PAGE_BYTES, LogLevel, Status
from int3rceptor.plugins.host.host import MAX_LOG_LINE_BYTES, Host, HostAct
from int3rceptor.plugins.policy.masking import MASK, shown_items, shown_values

# To look a member up on its class costs as much as what a host function does.
_OK, _NOT_FOUND = Status.OK, Status.NOT_FOUND
_BAD_POINTER, _BAD_ARGUMENT = Status.BAD_POINTER, Status.BAD_ARGUMENT


def encode_list(items: Iterable[bytes]) -> bytes:
    """The ABI's list: for each item its length (u32, little-endian) and its bytes."""
    parts: list[bytes] = []
    for item in items:
        parts.append(len(item).to_bytes(4, "little"))
        parts.append(item)
    return b"".join(parts)


def give_list(host: Host, items: Iterable[bytes], address: int, room: int) -> int:
    """`Host.give`, of a list. To make it is work, so it costs its bytes even where it
    does not fit: else who asks a thousand times for a length has it made for nothing.
    """
    data = encode_list(items)
    if len(data) > room and not host.spend(len(data)):
        return Status.TOO_LARGE
    return host.give(data, address, room)


def log(host: Host, level: int, address: int, length: int) -> int:
    """host_log."""
    data = host.read(address, length)
    if data is None:
        return _BAD_ARGUMENT
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _BAD_ARGUMENT
    if length > MAX_LOG_LINE_BYTES:
        kept = data[:MAX_LOG_LINE_BYTES].decode("utf-8", "ignore")
        text = f"{kept}… ({length} bytes)"
    host.log(_LEVELS.get(level, _INFO), text)
    return _OK


_LEVELS, _INFO = dict(enumerate(LogLevel)), LogLevel.INFO


def abort(host: Host, address: int, length: int) -> int:
    """host_abort: a line that says so."""
    status = log(host, LogLevel.ERROR, address, length)
    if status == _OK:
        level, text = host.lines[-1]
        host.lines[-1] = level, f"ABORT: {text}"
    return status


def memory_size(host: Host) -> int:
    """host_get_memory_size."""
    return 0 if host.guest is None else host.guest.memory_bytes() // PAGE_BYTES


def _text(source: Callable[[Flow], str | bytes | None]) -> HostAct:
    """A function that copies one fact of the flow; None is NOT_FOUND."""

    def act(host: Host, address: int, room: int) -> int:
        flow = host.flow
        value = None if flow is None else source(flow)
        if value is None:
            return Status.NOT_FOUND
        return host.give(to_bytes(value), address, room)

    return act


def _sni(flow: Flow) -> str | None:
    return None if flow.client.tls is None else flow.client.tls.sni


def _client_address(flow: Flow) -> str:
    host, port = flow.client.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port(host: Host) -> int:
    """host_get_port."""
    return Status.NOT_FOUND if host.flow is None else host.flow.request.port


def version(host: Host, address: int, room: int) -> int:
    """host_get_version."""
    message = host.message
    if message is None:
        return Status.NOT_FOUND
    return host.give(message.version.encode(), address, room)


def status(host: Host) -> int:
    """host_get_status."""
    flow = host.flow
    if flow is None or flow.response is None:
        return Status.NOT_FOUND
    return flow.response.status


def _message_headers(host: Host) -> Headers | None:
    message = host.message
    return None if message is None else message.headers


def _request_headers(host: Host) -> Headers | None:
    request = _request(host)
    return None if request is None else request.headers


def _trailers(host: Host) -> Headers | None:
    message = host.message
    return None if message is None else message.body.trailers or _NO_FIELDS


def _request_trailers(host: Host) -> Headers | None:
    request = _request(host)
    return None if request is None else request.body.trailers or _NO_FIELDS


_NO_FIELDS = Headers()


def _message(host: Host) -> Request | Response | None:
    return host.message


def _request(host: Host) -> Request | None:
    return None if host.flow is None else host.flow.request


_Fields = Callable[[Host], Headers | None]


def _first(fields: _Fields, *, body: "_Message | None" = None) -> HostAct:
    """A function that copies the first value of a name; `body`: whose they end."""

    def act(host: Host, name_at: int, name_len: int, address: int, room: int) -> int:
        name = host.read(name_at, name_len)
        if name is None:
            return _BAD_POINTER
        if body is not None and not _has_trailers(host, body(host)):
            return Status.TOO_LARGE
        headers, known = fields(host), host.names[name]
        value = None if headers is None else headers.get_bytes(known.key)
        if value is None:
            return _NOT_FOUND
        return host.give(MASK if known.is_masked else value, address, room)

    return act


def _listed(fields: _Fields, *, body: "_Message | None" = None) -> HostAct:
    """A function that copies all fields as a list; `body`: whose they end."""

    def act(host: Host, address: int, room: int) -> int:
        if body is not None and not _has_trailers(host, body(host)):
            return Status.TOO_LARGE
        headers = fields(host)
        if headers is None:
            return Status.NOT_FOUND
        items = shown_items(host.masked, headers)
        return give_list(host, items, address, room)

    return act


def header_values(
    host: Host, name_at: int, name_len: int, address: int, room: int
) -> int:
    """host_get_header_values."""
    name = host.read(name_at, name_len)
    if name is None:
        return Status.BAD_POINTER
    headers = _message_headers(host)
    if headers is None:
        return Status.NOT_FOUND
    values = shown_values(host.masked, name.lower(), headers)
    if not values:
        return Status.NOT_FOUND
    return give_list(host, values, address, room)


_Message = Callable[[Host], Request | Response | None]


def _has_trailers(host: Host, message: Request | Response | None) -> bool:
    """Whether they can be known: the body is whole or has passed, or this is its end.
    Without a message there are none."""
    if host.chunk is not None:
        return host.chunk.is_last
    return message is None or message.body.has_ended


def _body(message: _Message) -> HostAct:
    """A function that copies a body.

    One over what is left of the budget is refused, not a fault: its size is not the
    guest's doing.
    """

    def act(host: Host, address: int, room: int) -> int:
        found = message(host)
        if found is None:
            return Status.NOT_FOUND
        content = found.body.kept
        if content is None or (room >= len(content) > host.bytes_left):
            return Status.TOO_LARGE
        return host.give(content, address, room)

    return act


def config(host: Host, key_at: int, key_len: int, address: int, room: int) -> int:
    """host_get_config."""
    key = host.read(key_at, key_len)
    if key is None:
        return Status.BAD_POINTER
    value = host.surroundings.config.get(key.decode("utf-8", "replace"))
    if value is None:
        return Status.NOT_FOUND
    return host.give(value, address, room)


def now_ms(host: Host) -> int:
    """host_now_ms."""
    return host.surroundings.now_ms()


def random(host: Host, address: int, length: int) -> int:
    """host_random."""
    guest = host.guest
    if guest is None or address + length > guest.memory_bytes():
        return Status.BAD_POINTER
    if not host.spend(length):
        return Status.TOO_LARGE
    guest.write(address, host.surroundings.random(length))
    return Status.OK


READERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_log": log,
        "host_get_memory_size": memory_size,
        "host_abort": abort,
        "host_get_header": _first(_message_headers),
        "host_get_method": _text(lambda flow: flow.request.method),
        "host_get_url": _text(lambda flow: flow.request.url),
        "host_get_scheme": _text(lambda flow: flow.request.scheme),
        "host_get_host": _text(lambda flow: flow.request.host),
        "host_get_port": port,
        "host_get_path": _text(lambda flow: flow.request.target),
        "host_get_version": version,
        "host_get_client_addr": _text(_client_address),
        "host_get_sni": _text(_sni),
        "host_get_connect_host": _text(lambda flow: flow.client.connect_host),
        "host_get_rule": _text(lambda flow: flow.rule or None),
        "host_get_request_header": _first(_request_headers),
        "host_get_header_values": header_values,
        "host_list_headers": _listed(_message_headers),
        "host_list_request_headers": _listed(_request_headers),
        "host_get_status": status,
        "host_get_body": _body(_message),
        "host_get_request_body": _body(_request),
        "host_get_trailer": _first(_trailers, body=_message),
        "host_list_trailers": _listed(_trailers, body=_message),
        "host_list_request_trailers": _listed(_request_trailers, body=_request),
        "host_get_config": config,
        "host_now_ms": now_ms,
        "host_random": random,
    }
)
"""By the name that guests import them under."""
