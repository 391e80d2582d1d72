"""What a client's first bytes are, looked at and left where they are."""

import time
from typing import NamedTuple

from int3rceptor.config.model import LimitsConfig
from int3rceptor.errors import ClientProtocolError, StreamLost, StreamTimeout
from int3rceptor.net.inbound import Inbound
from int3rceptor.proxy.limits import MAX_CONNECT_HEAD_BYTES
from int3rceptor.tls.client_hello import ClientHello, NeedMore, parse_client_hello
from int3rceptor.wire.events import RequestHead
from int3rceptor.wire.h1.framing import judge_request
from int3rceptor.wire.sniff import Speech, sniff


class Seen(NamedTuple):
    """What comes first, and the bytes that said so, which are still there."""

    speech: Speech
    data: bytes


async def recognise(
    inbound: Inbound, limits: LimitsConfig, first_byte_s: float
) -> Seen:
    """Look at the first bytes; UNDECIDED when it ends, or stops, before that is clear.

    StreamTimeout when no byte comes within `first_byte_s` seconds.
    """
    data = await inbound.peek(1, first_byte_s)
    deadline = time.monotonic() + limits.head_timeout_s
    while (speech := sniff(data)) is Speech.UNDECIDED and data:
        try:
            more = await inbound.peek(len(data) + 1, _left_s(deadline))
        except StreamTimeout:
            break
        if len(more) <= len(data):
            break
        data = more
    return Seen(speech, data)


async def take_connect_head(
    inbound: Inbound, limits: LimitsConfig, data: bytes
) -> RequestHead:
    """Take the head of a CONNECT, and not a byte more: what is behind it is the first
    of its tunnel. `data` was seen of it.

    ClientProtocolError when it is malformed, too long, or does not come in time.
    """
    deadline = time.monotonic() + limits.head_timeout_s
    while (end := data.find(b"\r\n\r\n", _first_line(data))) < 0:
        if len(data) > MAX_CONNECT_HEAD_BYTES:
            raise ClientProtocolError("the head of CONNECT is too long", status=431)
        try:
            more = await inbound.peek(len(data) + 1, _left_s(deadline))
        except StreamTimeout:
            raise ClientProtocolError(
                f"the rest of CONNECT did not come within {limits.head_timeout_s:g} s",
                status=408,
            ) from None
        if len(more) <= len(data):
            raise StreamLost("the client left in the middle of CONNECT")
        data = more
    head, _ = judge_request(data[_first_line(data) : end + 4], "http")
    await inbound.consume(end + 4)
    return head


async def peek_client_hello(
    inbound: Inbound, limits: LimitsConfig, data: bytes
) -> ClientHello:
    """The whole ClientHello, still there for the TLS that answers it; `data` was seen
    of it.

    ClientProtocolError when it is none, StreamLost or StreamTimeout when it breaks off.
    """
    deadline = time.monotonic() + limits.head_timeout_s
    while isinstance(hello := parse_client_hello(data), NeedMore):
        data = await inbound.peek(hello.at_least, _left_s(deadline))
        if len(data) < hello.at_least:
            raise StreamLost("the client left in the middle of its ClientHello")
    return hello


def _first_line(data: bytes) -> int:
    """Where the request line begins (RFC 9112, 2.2: empty lines may come before)."""
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    return start


def _left_s(deadline: float) -> float:
    """One deadline for the whole head: a byte now and then does not extend it."""
    return max(0.0, deadline - time.monotonic())
