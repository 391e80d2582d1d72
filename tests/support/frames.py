"""HTTP/2 frames built by hand, the broken ones too, and a codec's peer made of them."""

import struct
from collections.abc import Iterable, Sequence
from typing import TypeVar

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from int3rceptor.wire.h2.connection import H2Codec, Role
from int3rceptor.wire.h2.events import H2Event
from int3rceptor.wire.h2.limits import H2Limits
from int3rceptor.wire.h2.sending import Head
from int3rceptor.wire.sniff import H2_PREFACE

Fields = Sequence[tuple[bytes, bytes]]
Kind = TypeVar("Kind", bound=Frame)

GET: Fields = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"a.test"),
    (b":path", b"/"),
)
POST: Fields = ((b":method", b"POST"), *GET[1:])
OK: Fields = ((b":status", b"200"),)


def all_fields(head: Head) -> list[tuple[bytes, bytes]]:
    """The field list of a head that is to be sent."""
    path = [] if head.path is None else [(b":path", head.path)]
    return [*head.start.fields, *path, *head.rest.fields]


def raw_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame of any type, flags, id and content."""
    length = struct.pack(">I", len(payload))[1:]
    return length + struct.pack(">BBI", kind, flags, stream_id) + payload


def data(stream_id: int, content: bytes = b"", *, end: bool = False) -> bytes:
    """DATA."""
    frame = DataFrame(stream_id, content)
    return _with_end(frame, end=end)


def padded_data(stream_id: int, content: bytes, padding: int) -> bytes:
    """DATA with padding."""
    frame = DataFrame(stream_id, content, pad_length=padding, flags=["PADDED"])
    return frame.serialize()


def header_block(
    stream_id: int, block: bytes, *, end: bool = False, piece: int = 16_384
) -> bytes:
    """HEADERS and as many CONTINUATIONs as pieces of this size need."""
    pieces = [block[i : i + piece] for i in range(0, len(block), piece)] or [b""]
    frames: list[Frame] = [HeadersFrame(stream_id, pieces[0])]
    frames += [ContinuationFrame(stream_id, rest) for rest in pieces[1:]]
    frames[-1].flags.add("END_HEADERS")
    if end:
        frames[0].flags.add("END_STREAM")
    return b"".join(frame.serialize() for frame in frames)


def rst(stream_id: int, code: int = 8) -> bytes:
    """RST_STREAM."""
    return RstStreamFrame(stream_id, error_code=code).serialize()


def ping(content: bytes = b"12345678", *, ack: bool = False) -> bytes:
    """PING."""
    return PingFrame(0, content, flags=["ACK"] if ack else ()).serialize()


def settings(values: dict[int, int] | None = None, *, ack: bool = False) -> bytes:
    """SETTINGS."""
    return SettingsFrame(0, values or {}, flags=["ACK"] if ack else ()).serialize()


def window_update(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE, an increment of 0 too."""
    if not increment:
        return raw_frame(8, 0, stream_id, bytes(4))
    return WindowUpdateFrame(stream_id, increment).serialize()


def priority(stream_id: int, depends_on: int = 0) -> bytes:
    """PRIORITY."""
    return PriorityFrame(stream_id, depends_on=depends_on).serialize()


def goaway(last_stream_id: int, code: int = 0, debug: bytes = b"") -> bytes:
    """GOAWAY."""
    return GoAwayFrame(
        0, last_stream_id=last_stream_id, error_code=code, additional_data=debug
    ).serialize()


def push_promise(stream_id: int, promised: int, block: bytes) -> bytes:
    """PUSH_PROMISE."""
    frame = PushPromiseFrame(stream_id, promised, block, flags=["END_HEADERS"])
    return frame.serialize()


def _with_end(frame: Frame, *, end: bool) -> bytes:
    if end:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def all_of(codec: H2Codec, data: bytes, now: float = 0.0) -> list[H2Event]:
    """All that a codec makes of these bytes, however many parts that takes."""
    events = codec.receive(data, now)
    while codec.is_behind:
        events += codec.receive(b"", now)
    return events


class Crafted:
    """A codec and, on its other side, frames that we write ourselves."""

    def __init__(self, role: Role, limits: H2Limits | None = None) -> None:
        self.codec = H2Codec(role, limits)
        self.encoder = Encoder()
        self.codec.start()
        self.sent = read_frames(self.codec.take_output(), is_client=role == "client")
        preface = H2_PREFACE if role == "server" else b""
        self.codec.receive(preface + settings() + settings(ack=True))
        self.codec.take_output()

    def receive(self, *pieces: bytes, now: float = 0.0) -> list[H2Event]:
        """What the codec says to these frames."""
        return all_of(self.codec, b"".join(pieces), now)

    def receive_each(self, pieces: Iterable[bytes]) -> None:
        """Give it one piece after the other, and take what it answers."""
        for piece in pieces:
            all_of(self.codec, piece)
            self.codec.take_output()

    def head(self, stream_id: int, fields: Fields = GET, *, end: bool = True) -> bytes:
        """HEADERS; the compression state lasts, so use it in the order you send it."""
        return header_block(stream_id, self.encoder.encode(fields), end=end)

    def output(self) -> list[Frame]:
        """The frames that the codec wants sent."""
        return read_frames(self.codec.take_output())


def read_frames(output: bytes, *, is_client: bool = False) -> list[Frame]:
    """Parse what a codec sent."""
    if is_client:
        assert output.startswith(H2_PREFACE)
        output = output[len(H2_PREFACE) :]
    found = []
    while output:
        frame, length = Frame.parse_frame_header(memoryview(output)[:9])
        frame.parse_body(memoryview(output)[9 : 9 + length])
        found.append(frame)
        output = output[9 + length :]
    return found


def of_kind(frames: Sequence[Frame], kind: type[Kind]) -> list[Kind]:
    """Those of one type."""
    return [frame for frame in frames if isinstance(frame, kind)]


def error_codes(frames: Sequence[Frame]) -> list[int]:
    """The codes of all RST_STREAM and GOAWAY frames, in order."""
    return [
        frame.error_code
        for frame in frames
        if isinstance(frame, (RstStreamFrame, GoAwayFrame))
    ]
