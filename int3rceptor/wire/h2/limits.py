"""Every limit of an HTTP/2 connection with its reason, and the meter that counts abuse.

It knows no frames and no streams: the codec says what happened.
"""

from dataclasses import dataclass

from int3rceptor.wire.h2.faults import ConnectionFault, H2Code

MAX_FRAME_BYTES = 16_384
"""SETTINGS_MAX_FRAME_SIZE: the smallest that is allowed, and all that real peers send.
Larger frames would only make one stream hold the connection for longer."""

MAX_FRAMES_AT_ONCE = 256
"""Judged in one go: a millisecond. One read may hold 25,000 frames with a byte of data
each, and whoever sends them without end must not keep the others waiting."""

MAX_SENT_FRAME_BYTES = 16_384
"""Largest DATA frame we send, for the same reason, whatever the peer would take."""

MAX_WINDOW_BYTES = 2**31 - 1
"""What no flow-control window may exceed (RFC 9113, 6.9.1)."""

MAX_HEADER_BLOCK_BYTES = 65_536
"""Compressed size of one header block, over all its CONTINUATIONs: as much as its
fields may have uncompressed."""

MAX_DECODED_FACTOR = 2
"""A header list may decode to this many times the advertised size. Up to there only its
stream is refused (431); past it decoding stops and the compression state is lost."""

MAX_FIELDS = 512
"""Fields in one header list. Browsers send 20, the largest sites answer with 60."""

MAX_CONTINUATIONS_PER_BLOCK = 16
"""Frames of 16 KiB fill the largest block with 4; small ones are no reason for more."""

MAX_GOAWAY_BYTES = 8_192
"""GOAWAY with its debug data. Real ones carry a sentence."""

MAX_GOAWAY_DEBUG_BYTES = 256
"""How much of that sentence is kept."""

MAX_SETTINGS_PER_FRAME = 64
"""Settings in one SETTINGS frame: seven are defined, greasing adds a few."""

MAX_INFORMATIONAL = 64
"""1xx responses to one request: a few are sent for progress, never this many."""

MAX_REMEMBERED_RESETS = 1_024
"""Streams remembered as reset, so that what the peer sent before it knew is ignored."""

MAX_QUEUED_OUTPUT_BYTES = 1_048_576
"""Output waiting in the codec while the transport takes none. It holds the answers to
PING and SETTINGS of a peer that does not read; bodies wait with their producers."""

RETURN_FRACTION = 4
"""A window is given back when 1/4 of it is due: few frames, and never a stall."""

RESET_BURST = 1_000
"""Streams cancelled, by the peer or by us for the peer's faults, beyond those that time
and finished streams pay for. A browser that leaves a page cancels up to 100 at once."""

RESETS_PER_S = 30.0
"""Cancellations a second that are nobody's fault: seeking in a video, typing a search.
"""

CONTROL_BURST = 2_000
"""PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown and stray frames without work."""

CONTROL_PER_S = 100.0
"""A peer that measures its round trips pings a few times a second."""

CONTROL_PER_STREAM = 8.0
"""What one finished stream pays for: PRIORITY and WINDOW_UPDATE of a chatty client."""

CONTROL_PER_DATA_FRAME = 4.0
"""What one DATA frame of ours pays for: WINDOW_UPDATE for stream and connection, a PING
for the bandwidth estimate, and one over."""

BYTES_PER_WINDOW_UPDATE = 512
"""Sent bytes that pay for one more: peers exist that return 16 KiB in small steps."""

EMPTY_BURST = 1_000
"""DATA frames without data and without END_STREAM. Some senders flush with one."""

EMPTY_PER_S = 10.0

CONTINUATION_BURST = 1_000
"""CONTINUATION frames. A stream with 64 KiB of fields has 4, which its end pays for."""

CONTINUATION_PER_S = 10.0

CONTINUATIONS_PER_STREAM = 4.0


@dataclass(slots=True, frozen=True, kw_only=True)
class H2Limits:
    """What one end allows the other; sizes in bytes.

    `max_unread` caps what the peer may have sent and nobody has consumed yet, over all
    streams: past it the connection window stays shut. It is far above one stream's
    window, so that many stalled streams are needed to hold up the others.
    """

    max_streams: int = 100
    stream_window: int = 262_144
    connection_window: int = 4_194_304
    max_unread: int = 16_777_216
    header_list: int = 65_536


class Finished:
    """How many streams of one connection ended as they should, on both sides."""

    __slots__ = ("streams",)

    def __init__(self) -> None:
        self.streams = 0


class Budget:
    """Tokens: abuse spends them, time and useful work bring them back up to `burst`.

    Each finished stream brings `per_stream`; `earned` is what other work brought since
    something was last spent. Work only counts: it is added up when abuse is paid.
    """

    __slots__ = (
        "_at", "_burst", "_finished", "_paid", "_per_s", "_per_stream", "_tokens",
        "_what", "earned",
    )  # fmt: skip

    def __init__(
        self,
        what: str,
        burst: float,
        per_s: float,
        finished: Finished | None = None,
        per_stream: float = 1.0,
    ) -> None:
        self._what = what
        self._burst = burst
        self._per_s = per_s
        self._finished = finished or Finished()
        self._per_stream = per_stream
        self._paid = 0  # streams that have brought theirs
        self._tokens = burst
        self._at = 0.0
        self.earned = 0.0

    def spend(self, now: float, cost: float = 1.0) -> None:
        """Pay `cost`; ConnectionFault ENHANCE_YOUR_CALM when nothing is left.

        `now` is in seconds on any clock that does not go back; 0.0 for "unknown".
        """
        streams = self._finished.streams
        tokens = self._tokens + self.earned + (streams - self._paid) * self._per_stream
        self._paid = streams
        self.earned = 0.0
        if now > self._at:
            tokens += (now - self._at) * self._per_s
            self._at = now
        self._tokens = min(self._burst, tokens) - cost
        if self._tokens < 0:
            raise ConnectionFault(H2Code.ENHANCE_YOUR_CALM, f"too many {self._what}")


class AbuseMeter:
    """The budgets of one connection.

    Counts alone would condemn every long-lived connection, a clock alone would let a
    burst through or stop a fast honest client: so each budget starts with a burst that
    no honest peer spends at once, and is refilled both by time and by finished work. A
    client that finishes what it starts can therefore never run dry, at any speed.
    """

    __slots__ = ("_finished", "continuations", "control", "empty", "now", "resets")

    def __init__(self) -> None:
        self.now = 0.0
        self._finished = done = Finished()
        self.resets = Budget("cancelled streams", RESET_BURST, RESETS_PER_S, done)
        self.control = Budget(
            "control frames", CONTROL_BURST, CONTROL_PER_S, done, CONTROL_PER_STREAM
        )
        self.empty = Budget("empty frames", EMPTY_BURST, EMPTY_PER_S, done)
        self.continuations = Budget(
            "CONTINUATION frames",
            CONTINUATION_BURST,
            CONTINUATION_PER_S,
            done,
            CONTINUATIONS_PER_STREAM,
        )

    def stream_finished(self) -> None:
        """A stream ended as it should, on both sides."""
        self._finished.streams += 1

    def data_sent(self, size: int) -> None:
        """We sent DATA frames of `size` bytes together."""
        frames = 1 + size // MAX_SENT_FRAME_BYTES
        self.control.earned += (
            CONTROL_PER_DATA_FRAME * frames + size / BYTES_PER_WINDOW_UPDATE
        )
