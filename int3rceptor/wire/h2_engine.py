"""The h2 library, kept to what it does well: stream states, settings, outbound windows,
serialising. It is fed a digest of judged frames, so that it has nothing left to refuse.
"""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RemoteSettingsChanged, StreamReset, WindowUpdated
from h2.exceptions import NoAvailableStreamIDError
from h2.exceptions import ProtocolError as EngineError
from h2.settings import SettingCodes, Settings

from int3rceptor.model.headers import RawHeaders
from int3rceptor.wire import h2_frames as frames
from int3rceptor.wire.h2_events import H2Event, SettingsChanged, WindowOpened
from int3rceptor.wire.h2_events import StreamReset as StreamResetEvent
from int3rceptor.wire.h2_faults import ConnectionFault
from int3rceptor.wire.h2_limits import (
    MAX_ENCODER_TABLE_BYTES,
    MAX_FEED_BYTES,
    MAX_FRAME_BYTES,
    MAX_SENT_FRAME_BYTES,
    H2Limits,
)
from int3rceptor.wire.sniff import H2_PREFACE

DEFAULT_WINDOW_BYTES = 65_535
"""Each window before anything is said (RFC 9113, 6.9.2)."""

_KNOWN_SETTINGS = frozenset(int(code) for code in SettingCodes)


class Engine:
    """One h2 connection with its input digest and its output."""

    __slots__ = ("_built", "_conn", "_digest", "_has_settings", "_limits", "_queued")

    def __init__(self, limits: H2Limits, *, is_server: bool) -> None:
        self._limits = limits
        self._conn = H2Connection(
            H2Configuration(
                client_side=not is_server,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        self._digest = bytearray()
        # Frames of ours that h2 need not know of. None of them belongs to a stream that
        # h2 knows, except WINDOW_UPDATE, so they may follow what h2 has queued.
        self._built = bytearray()
        self._queued = bytearray()
        self._has_settings = False

    def start(self, *, is_server: bool) -> None:
        """Queue the preface, and open the connection's window."""
        limits = self._limits
        settings = {
            SettingCodes.HEADER_TABLE_SIZE: 4096,
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.max_streams,
            SettingCodes.INITIAL_WINDOW_SIZE: limits.stream_window,
            SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_list,
            SettingCodes.ENABLE_PUSH: 0,
        }
        self._conn.local_settings = Settings(not is_server, settings)
        self._conn.initiate_connection()
        if is_server:
            # The walker judges the client's preface; h2 waits for one too.
            self._conn.receive_data(H2_PREFACE)
        opened = limits.connection_window - DEFAULT_WINDOW_BYTES
        self._built += frames.window_update_frame(0, opened)

    # --- output -----------------------------------------------------------------------

    def build(self, frame: bytes) -> None:
        """Queue a frame that h2 need not know of."""
        self._built += frame

    def take_output(self) -> bytes:
        """All that is queued."""
        if not self._queued:
            # The usual case, without a copy more.
            data = self._conn.data_to_send()
            if not self._built:
                return data
            data += bytes(self._built)
            self._built.clear()
            return data
        self._pull()
        data = bytes(self._queued)
        self._queued.clear()
        return data

    @property
    def pending_output(self) -> int:
        """How many bytes are queued."""
        self._pull()
        return len(self._queued)

    def _pull(self) -> None:
        self._queued += self._conn.data_to_send()
        self._queued += self._built
        self._built.clear()

    @property
    def max_streams(self) -> int:
        """What the peer allows; our own limit until it has said so."""
        if not self._has_settings:
            return self._limits.max_streams
        return self._conn.remote_settings.max_concurrent_streams

    def next_stream_id(self) -> int | None:
        """The id of the next stream of ours; None when they are used up."""
        try:
            return self._conn.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            return None

    def send_headers(self, stream_id: int, block: RawHeaders, *, end: bool) -> None:
        """Queue a header block, cut into HEADERS and CONTINUATION."""
        self._conn.send_headers(stream_id, block, end)

    def window(self, stream_id: int) -> int:
        """What may be sent; negative after the peer took window back."""
        return self._conn.local_flow_control_window(stream_id)

    def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Queue DATA, cut into frames."""
        most = min(self._conn.max_outbound_frame_size, MAX_SENT_FRAME_BYTES)
        size = len(data)
        if size <= most:
            self._conn.send_data(stream_id, data, end)
            return
        view = memoryview(data)
        for start in range(0, size, most):
            stop = start + most
            self._conn.send_data(stream_id, view[start:stop], end and stop >= size)

    def end_stream(self, stream_id: int) -> None:
        """Queue END_STREAM."""
        self._conn.end_stream(stream_id)

    def reset_stream(self, stream_id: int, code: int) -> None:
        """Queue RST_STREAM for a stream that h2 knows."""
        self._conn.reset_stream(stream_id, code)

    # --- input ------------------------------------------------------------------------

    def feed(self, frame: bytes) -> None:
        """Add a frame to the digest."""
        self._digest += frame

    def feed_head(self, stream_id: int, *, ended: bool) -> None:
        """A judged head came. What was in it is not h2's business."""
        flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
        self._digest += frames.build_frame(frames.HEADERS, flags, stream_id)

    def feed_end(self, stream_id: int) -> None:
        """The peer's message is whole."""
        self._digest += frames.build_frame(frames.DATA, frames.END_STREAM, stream_id)

    def feed_settings(self, settings: list[tuple[int, int]]) -> None:
        """SETTINGS came.

        h2 would keep each unknown one, and grow its encoder's table to whatever the
        peer allows: neither reaches it.
        """
        known = []
        for code, value in settings:
            if code == SettingCodes.HEADER_TABLE_SIZE:
                value = min(value, MAX_ENCODER_TABLE_BYTES)
            if code in _KNOWN_SETTINGS:
                known.append((code, value))
        self._digest += frames.settings_frame(known)

    @property
    def is_digest_large(self) -> bool:
        """Whether it is time to flush."""
        return len(self._digest) > MAX_FEED_BYTES

    def flush(self, events: list[H2Event]) -> None:
        """Give h2 the digest; what it alone knows is appended to `events`."""
        if not self._digest:
            return
        digest, self._digest = self._digest, bytearray()
        try:
            produced = self._conn.receive_data(digest)
        except EngineError as error:
            raise ConnectionFault(int(error.error_code), str(error)) from None
        for event in produced:
            match event:
                case WindowUpdated():
                    events.append(WindowOpened(event.stream_id))
                case RemoteSettingsChanged():
                    self._has_settings = True
                    events.append(SettingsChanged())
                    if SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
                        events.append(WindowOpened(0))
                case StreamReset(remote_reset=False):
                    # The one stream error h2 finds by itself: a window past 2**31-1.
                    events.append(
                        StreamResetEvent(
                            stream_id=event.stream_id,
                            code=int(event.error_code or ErrorCodes.FLOW_CONTROL_ERROR),
                            by_peer=False,
                            reason="WINDOW_UPDATE past the largest window",
                        )
                    )
                case _:
                    pass
