"""Inbound HTTP/2 frames judged one by one (RFC 9113, 5 and 6), and made events.

A stream error costs its stream, a connection error is a ConnectionFault. It sends
nothing but what a fault, a PING or a window calls for.
"""

from int3rceptor.wire.h2 import fields, frames
from int3rceptor.wire.h2.events import (
    H2Event,
    PeerGoAway,
    SettingsChanged,
    StreamData,
    StreamEnd,
    StreamHead,
    StreamRefused,
    StreamReset,
    WindowOpened,
)
from int3rceptor.wire.h2.faults import ConnectionFault, H2Code, StreamFault
from int3rceptor.wire.h2.hpack.decoder import Decoder
from int3rceptor.wire.h2.limits import (
    MAX_DECODED_FACTOR,
    MAX_FIELDS,
    MAX_GOAWAY_BYTES,
    MAX_GOAWAY_DEBUG_BYTES,
    MAX_QUEUED_OUTPUT_BYTES,
    MAX_SETTINGS_PER_FRAME,
    AbuseMeter,
    H2Limits,
)
from int3rceptor.wire.h2.outbound import Outbound
from int3rceptor.wire.h2.settings import Setting, known
from int3rceptor.wire.h2.streams import StreamState, StreamTable

# Read for every frame: of a module it would be looked up each time.
_END_STREAM = frames.END_STREAM
_PADDED = frames.PADDED
# RFC 9113, 8.7; who requires HTTP/1.1 has not begun, either.
_UNPROCESSED = frozenset((H2Code.REFUSED_STREAM, H2Code.HTTP_1_1_REQUIRED))
_MAX_DECODED_FIELDS = MAX_FIELDS * MAX_DECODED_FACTOR


class Inbound:
    """The receiving half of a connection."""

    def __init__(
        self,
        limits: H2Limits,
        outbound: Outbound,
        table: StreamTable,
        meter: AbuseMeter,
        *,
        is_server: bool,
    ) -> None:
        self._limits = limits
        self._outbound = outbound
        self._table = table
        self._meter = meter
        self._is_server = is_server
        self._walker = frames.FrameWalker(meter, expects_preface=is_server)
        self._decoder = Decoder(limits.header_list * MAX_DECODED_FACTOR)
        self._events: list[H2Event] = []
        self.peer_limit = frames.MAX_STREAM_ID
        """The last stream id that the peer's GOAWAY promised to process."""
        self.refuses_new = False
        """Whether our own GOAWAY has been sent."""
        handlers = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._on_rst_stream,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push_promise,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }
        self._handlers = [handlers.get(kind, self._on_unknown) for kind in range(256)]

    @property
    def is_behind(self) -> bool:
        """Whether frames may be here that are in no event yet."""
        return self._walker.is_behind

    def receive(self, data: bytes) -> list[H2Event]:
        """What `data` says; ConnectionFault when the connection cannot go on."""
        events: list[H2Event] = []
        self._events = events
        handlers = self._handlers
        for kind, flags, stream_id, payload in self._walker.feed(data):
            try:
                handlers[kind](flags, stream_id, payload)
            except StreamFault as fault:
                self._reset_for(stream_id, fault)
        outbound = self._outbound
        if increment := self._table.window.increment():
            outbound.queue(frames.window_update_frame(0, increment))
        if outbound.pending > MAX_QUEUED_OUTPUT_BYTES:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM, "the peer asks and does not read"
            )
        return events

    def _reset_for(self, stream_id: int, fault: StreamFault) -> None:
        """Reset a stream for the peer's fault. Each counts: a peer that makes us do the
        resetting cancels as rapidly as one that does it itself (CVE-2025-8671)."""
        self._outbound.queue(frames.rst_stream_frame(stream_id, fault.code))
        if stream_id in self._table.open:
            event: H2Event = StreamReset(
                stream_id=stream_id, code=fault.code, by_peer=False, reason=str(fault)
            )
        else:
            event = StreamRefused(
                stream_id=stream_id, reason=str(fault), status=fault.status
            )
        self._events.append(event)
        self._table.forget(stream_id)
        self._meter.resets.spend(self._meter.now)

    def _closed(self, stream_id: int, what: str) -> None:
        """A frame for a stream that is not open: idle is an error (RFC 9113, 5.1), gone
        is only counted."""
        is_ours = (stream_id & 1 == 1) != self._is_server
        if stream_id == 0 or self._table.is_idle(stream_id, is_ours=is_ours):
            raise ConnectionFault(
                H2Code.PROTOCOL_ERROR, f"{what} on stream {stream_id}, still idle"
            )
        self._meter.control.spend(self._meter.now)

    # --- messages ---------------------------------------------------------------------

    def _on_headers(self, flags: int, stream_id: int, block: bytes) -> None:
        # Decoded whatever the stream's state: the table is the connection's.
        decoded = self._decoder.decode(block)
        if len(decoded) > _MAX_DECODED_FIELDS:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM, f"{len(decoded)} fields in a header list"
            )
        ended = flags & _END_STREAM != 0
        table = self._table
        stream = table.open.get(stream_id)
        if stream is None:
            if self._is_server and stream_id & 1 and stream_id > table.highest_in:
                self._on_request(stream_id, decoded, ended)
            else:
                self._on_stray_headers(stream_id)
        elif stream.remote_ended:
            raise StreamFault("HEADERS after END_STREAM", code=H2Code.STREAM_CLOSED)
        elif stream.has_head:
            self._on_trailers(stream, decoded, ended)
        else:
            self._on_response(stream, decoded, ended)

    def _on_stray_headers(self, stream_id: int) -> None:
        self._closed(stream_id, "HEADERS")
        if not self._table.was_reset(stream_id):
            raise ConnectionFault(
                H2Code.STREAM_CLOSED, f"HEADERS on stream {stream_id}, closed"
            )

    def _on_request(self, stream_id: int, decoded: fields.Fields, ended: bool) -> None:
        table = self._table
        table.highest_in = stream_id
        if self.refuses_new:
            raise StreamFault(
                "a new stream after our GOAWAY", code=H2Code.REFUSED_STREAM
            )
        if len(table.open) >= self._limits.max_streams:
            raise StreamFault(
                f"more than {self._limits.max_streams} streams at once",
                code=H2Code.REFUSED_STREAM,
                status=503,
            )
        head = fields.request_head(
            decoded, ended=ended, max_bytes=self._limits.header_list
        )
        stream = table.add(stream_id, head.method, self._outbound.stream_window)
        table.last_accepted = stream_id
        stream.expect_body(head.length)
        stream.remote_ended = ended
        self._events.append(StreamHead(stream_id, head, ended))

    def _on_response(
        self, stream: StreamState, decoded: fields.Fields, ended: bool
    ) -> None:
        head = fields.response_head(
            decoded,
            method=stream.method,
            ended=ended,
            max_bytes=self._limits.header_list,
        )
        stream.response_came(head)
        self._events.append(StreamHead(stream.id, head, ended))
        if ended:
            self._table.end_remote(stream)

    def _on_trailers(
        self, stream: StreamState, decoded: fields.Fields, ended: bool
    ) -> None:
        if not ended:
            raise StreamFault("a second header block without END_STREAM")
        section = fields.trailers(decoded, max_bytes=self._limits.header_list)
        self._table.end_remote(stream)
        self._events.append(StreamEnd(stream.id, section))

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = flow_bytes = len(payload)
        # RFC 9113, 6.9: DATA counts for the connection whatever its stream's state.
        window = self._table.window
        window.take(flow_bytes)
        if flags & _PADDED:
            payload = frames.strip_padding(payload)
            size = len(payload)
        stream = self._table.open.get(stream_id)
        if stream is None:
            self._on_stray_data(stream_id)
            return
        stream.take(flow_bytes, size)
        if size:
            window.unread += size
            self._events.append(StreamData(stream_id, payload))
        elif not flags & _END_STREAM:
            self._meter.empty.spend(self._meter.now)
        if flags & _END_STREAM:
            self._table.end_remote(stream)
            self._events.append(StreamEnd(stream_id, None))
        elif increment := stream.increment(self._limits.stream_window):
            # Padding alone can use a window up.
            self._outbound.queue(frames.window_update_frame(stream_id, increment))

    def _on_stray_data(self, stream_id: int) -> None:
        self._closed(stream_id, "DATA")
        if not self._table.was_reset(stream_id):
            # RFC 9113, 5.1: sent after END_STREAM, so not in good faith.
            self._outbound.queue(
                frames.rst_stream_frame(stream_id, H2Code.STREAM_CLOSED)
            )

    # --- control ----------------------------------------------------------------------

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        code = frames.read_uint(payload)
        stream = self._table.open.get(stream_id)
        if stream is None:
            self._closed(stream_id, "RST_STREAM")
            return
        if not stream.remote_ended or self._is_server:
            # A server that has answered may drop the rest of a request at will.
            self._meter.resets.spend(self._meter.now)
        self._table.forget(stream_id)
        self._events.append(
            StreamReset(
                stream_id=stream_id,
                code=code,
                by_peer=True,
                is_unprocessed=code in _UNPROCESSED,
            )
        )

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_control("SETTINGS", stream_id)
        settings = frames.read_settings(payload)
        if flags & frames.ACK:
            if settings:
                raise ConnectionFault(
                    H2Code.FRAME_SIZE_ERROR, "a SETTINGS ACK with settings"
                )
            return
        if len(settings) > MAX_SETTINGS_PER_FRAME:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM,
                f"more than {MAX_SETTINGS_PER_FRAME} settings in a frame",
            )
        self._apply(known(settings, from_server=not self._is_server))

    def _apply(self, settings: list[tuple[Setting, int]]) -> None:
        outbound = self._outbound
        before = outbound.stream_window
        outbound.apply(settings)
        self._events.append(SettingsChanged())
        if outbound.stream_window != before:
            self._table.move_send_windows(outbound.stream_window - before)
            self._events.append(WindowOpened(0))

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_control("PING", stream_id)
        if len(payload) != 8:
            raise ConnectionFault(
                H2Code.FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes"
            )
        if not flags & frames.ACK:
            self._outbound.queue(
                frames.build_frame(frames.PING, frames.ACK, 0, payload)
            )

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._meter.control.spend(self._meter.now)
        increment = frames.read_uint(payload) & frames.MAX_STREAM_ID
        if not stream_id:
            if not increment:
                raise ConnectionFault(H2Code.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._outbound.widen(increment)
        elif stream := self._table.open.get(stream_id):
            # RFC 9113, 6.9: on a stream, a stream error.
            if not increment:
                raise StreamFault("WINDOW_UPDATE of 0")
            stream.widen(increment)
        else:
            self._closed(stream_id, "WINDOW_UPDATE")
            return
        self._events.append(WindowOpened(stream_id))

    def _on_unknown(self, flags: int, stream_id: int, payload: bytes) -> None:
        # RFC 9113, 5.5: frames of unknown types are ignored.
        self._meter.control.spend(self._meter.now)

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._meter.control.spend(self._meter.now)
        if not stream_id:
            raise ConnectionFault(H2Code.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5 and stream_id in self._table.open:
            raise StreamFault(
                f"PRIORITY of {len(payload)} bytes", code=H2Code.FRAME_SIZE_ERROR
            )

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        # RFC 9113, 8.4: a client never pushes, and a server was told not to.
        raise ConnectionFault(H2Code.PROTOCOL_ERROR, "PUSH_PROMISE is not allowed")

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_control("GOAWAY", stream_id)
        if len(payload) > MAX_GOAWAY_BYTES:
            raise ConnectionFault(
                H2Code.ENHANCE_YOUR_CALM, f"a GOAWAY of {len(payload)} bytes"
            )
        last, code, debug = frames.read_goaway(payload)
        # RFC 9113, 6.8: a later GOAWAY may lower the id, never raise it.
        self.peer_limit = last = min(last, self.peer_limit)
        if not self._is_server:
            self._give_up_above(last)
        self._events.append(
            PeerGoAway(
                last_stream_id=last, code=code, debug=debug[:MAX_GOAWAY_DEBUG_BYTES]
            )
        )

    def _give_up_above(self, last: int) -> None:
        # No RST_STREAM: for the peer these streams never began.
        for stream_id in [id_ for id_ in self._table.open if id_ > last]:
            self._table.forget(stream_id)
            self._events.append(
                StreamReset(
                    stream_id=stream_id,
                    code=H2Code.REFUSED_STREAM,
                    by_peer=True,
                    is_unprocessed=True,
                )
            )

    def _check_control(self, what: str, stream_id: int) -> None:
        self._meter.control.spend(self._meter.now)
        if stream_id:
            raise ConnectionFault(
                H2Code.PROTOCOL_ERROR, f"{what} on stream {stream_id}"
            )
