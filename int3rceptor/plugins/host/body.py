"""Host functions about bodies on their way: chunks, events, and decoding."""

from collections.abc import Mapping
from types import MappingProxyType

from int3rceptor.errors import DecodeError
from int3rceptor.model.decoding import MAX_WHOLE_BYTES, decode
from int3rceptor.model.message import Response
from int3rceptor.model.server_events import FIELDS, MAX_FIELD_BYTES
from int3rceptor.model.websocket import is_utf8
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.streaming.chunks import MAX_GIVEN_BYTES


def get_chunk(host: Host, address: int, room: int) -> int:
    """host_get_chunk."""
    chunk = host.chunk
    return Status.WRONG_HOOK if chunk is None else host.give(chunk.data, address, room)


def set_chunk(host: Host, address: int, length: int) -> int:
    """host_set_chunk. What goes on is decided when the call is over, by its end."""
    chunk = host.chunk
    if chunk is None:
        return Status.WRONG_HOOK
    if length > MAX_GIVEN_BYTES:
        return Status.TOO_LARGE
    data = host.read(address, length)
    if data is None:
        return Status.BAD_POINTER
    if chunk.message is not None and chunk.message.is_text and not is_utf8(data):
        return Status.BAD_ARGUMENT
    chunk.given = data
    return Status.OK


def is_last_chunk(host: Host) -> int:
    """host_is_last_chunk."""
    chunk = host.chunk
    return Status.WRONG_HOOK if chunk is None else int(chunk.is_last)


def get_event_field(
    host: Host, name_at: int, name_len: int, address: int, room: int
) -> int:
    """host_get_event_field."""
    event = None if host.chunk is None else host.chunk.event
    if event is None:
        return Status.WRONG_HOOK
    name = host.read(name_at, name_len)
    if name is None:
        return Status.BAD_POINTER
    if name not in FIELDS:
        return Status.BAD_ARGUMENT
    value = event.field(name)
    return Status.NOT_FOUND if value is None else host.give(value, address, room)


def set_event_field(
    host: Host, name_at: int, name_len: int, address: int, length: int
) -> int:
    """host_set_event_field. As with a chunk, what goes on is decided by the end."""
    event = None if host.chunk is None else host.chunk.event
    if event is None:
        return Status.WRONG_HOOK
    if length > MAX_FIELD_BYTES:
        return Status.TOO_LARGE
    name, value = host.read(name_at, name_len), host.read(address, length)
    if name is None or value is None:
        return Status.BAD_POINTER
    try:
        event.set_field(name, value)
    except ValueError:
        return Status.BAD_ARGUMENT
    return Status.OK


READ_SHARE = 32
"""Of a coded body one byte in so many is spent where decoding was in vain: it may have
been read to its end, at 2 ms for a MiB, and have given nothing."""

_WHY = {
    "unknown": Status.NOT_FOUND,
    "damaged": Status.BAD_ARGUMENT,
    "refused": Status.PROTECTED,
    "too large": Status.TOO_LARGE,
}


def decode_body(host: Host) -> int:
    """host_decode_body.

    A stream is decoded on its way, a whole body here and now, if that takes no more
    than half of what is left of the budget: the other half is to read it with. A module
    that has no use for whole bodies takes a larger one as a stream.
    """
    message = host.message
    if message is None:
        return Status.WRONG_HOOK
    headers, body = message.headers, message.body
    host.save("body", body.snapshot())
    host.save_fields(headers).note(None)
    is_whole = body.is_whole
    limit = min(MAX_WHOLE_BYTES, host.bytes_left // 2)
    coded = len(body.content or b"")
    if coded and not limit:
        return Status.TOO_LARGE
    try:
        count = decode(
            headers,
            body,
            is_partial=isinstance(message, Response) and message.status == 206,
            limit_bytes=limit,
            may_stream=not host.wants_whole,
        )
    except DecodeError as error:
        if is_whole and error.why in ("damaged", "too large"):
            # So that nobody does this a thousand times.
            host.spend(min(host.bytes_left, limit + coded // READ_SHARE))
        return _WHY[error.why]
    if count and is_whole:
        host.spend(len(body.content or b""))
    return count


BODIES: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_get_chunk": get_chunk,
        "host_set_chunk": set_chunk,
        "host_is_last_chunk": is_last_chunk,
        "host_get_event_field": get_event_field,
        "host_set_event_field": set_event_field,
        "host_decode_body": decode_body,
    }
)
"""By the name that guests import them under."""
