"""What H1Server and H1Client share: the buffer, bodies both ways, and h11's upkeep.

A plain exchange, both of whose messages end by count, is followed here. Any other gets
an h11 engine as soon as that is known. It never sees received bytes that the judge has
not accepted; its heads and framing are canonical.
"""

from abc import ABC, abstractmethod
from enum import Enum

import h11

from int3rceptor.errors import OriginError, ProtocolError
from int3rceptor.model.headers import Headers
from int3rceptor.wire.events import Data, End, Event, RequestHead, ResponseHead
from int3rceptor.wire.h1.block import Framing
from int3rceptor.wire.h1.chunks import ChunkGuard
from int3rceptor.wire.h1.framing import MAX_HEAD_BYTES, judge_partial_head
from int3rceptor.wire.h1.plain import BODY, DONE, FAILED, IDLE, Counted
from int3rceptor.wire.h1.serialise import NOTHING, last_chunk
from int3rceptor.wire.peers import Peer, refusal

MAX_CUT_BYTES = 16 * 1024
"""What may follow a head in one read and is copied when that is cut off: a small body.
More of it may be many requests, and each would copy all that are behind it."""


class Signal(Enum):
    """What `next_event` answers when there is no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"
    """The message is whole, or the protocol was switched: look at `leftover`."""
    CLOSED = "closed"
    """The peer closed between messages; nothing was lost."""


NEED_DATA, PAUSED, CLOSED = Signal


class _Reading(Enum):
    HEAD = "head"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"
    PAUSED = "paused"


_HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _PAUSED = _Reading
READ = _PAUSED
"""How a message that was taken whole leaves the reading."""


_BOTH_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}


class H1Connection(ABC):
    """Bytes in and events out, and back. `peer` is who sends to us; `author` is whose
    message we send, so who is to blame when it cannot be sent."""

    peer: Peer
    author: Peer

    def __init__(self, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self._role = role
        self._engine: h11.Connection | None = None  # None while the exchange is plain
        self._ours = Counted()
        self._theirs = Counted()
        # What has come and is in no event: one read as it came, or several joined. Most
        # heads and most of a body's bytes need no joining.
        self._piece = b""
        self._buffer = bytearray()
        self._is_eof = False
        self._reading = _HEAD
        self._judged = 0
        self._guard: ChunkGuard | None = None
        self._failure: ProtocolError | OriginError | None = None
        self._must_close = False
        self._method = ""  # of the exchange's request, "" while there is none
        self._tolerated = 0
        self._sending = NOTHING
        self._sends_body = False

    def receive(self, data: bytes) -> None:
        """Take received bytes; b"" says that the peer will send no more.

        Called when `next_event` needs data, what waits here stays below one read of
        the stream beyond the limits of a head.
        """
        if not data:
            self._is_eof = True
        elif self._piece or self._buffer:
            self._joined().extend(data)
        else:
            self._piece = data

    def _joined(self) -> bytearray:
        """All that has come, in the one buffer."""
        if self._piece:
            self._buffer += self._piece
            self._piece = b""
        return self._buffer

    @property
    def is_behind(self) -> bool:
        """Whether the last event is of a part of what is here, and there may be much
        more of it: let others run before the next."""
        return self._guard is not None and self._guard.is_behind

    @property
    def _has_bytes(self) -> bool:
        return bool(self._piece or self._buffer)

    def leftover(self) -> bytes:
        """Received bytes in no event yet: a tunnel's, or the next message's."""
        return self._piece + self._buffer

    def next_event(self) -> Event | Signal:
        """The next event; a refused peer is refused again with the same error."""
        if self._failure is not None:
            raise self._failure
        try:
            if self._reading is _HEAD:
                if self._piece or self._buffer or self._is_eof:
                    return self._read_head()
                return NEED_DATA
            if self._reading is _PAUSED:
                return PAUSED
            return self._read_body()
        except (ProtocolError, OriginError) as error:
            self._fail(error)
            raise
        except h11.RemoteProtocolError as error:
            # h11 refuses what the judge let pass: no input is known, none may escape.
            failure = refusal(self.peer, f"HTTP/1.1 state: {error}")
            self._fail(failure)
            raise failure from None

    def _fail(self, error: ProtocolError | OriginError) -> None:
        self._failure = error
        self._must_close = True

    def _pause_for_ever(self) -> None:
        """The bytes that follow are not HTTP: `leftover` has those that came."""
        self._reading = _PAUSED
        self._must_close = True

    # --- heads ------------------------------------------------------------------------

    def _take_head(self) -> bytes | None:
        """The next whole head, or None while it is not there."""
        piece = self._piece
        if piece:
            end = piece.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) + 4
            if end > 3 and len(piece) - end <= MAX_CUT_BYTES:
                self._piece = piece[end:]
                return piece[:end]
        elif not self._buffer:
            return None
        buffer = self._joined()
        end = buffer.find(b"\r\n\r\n", max(self._judged - 3, 0), MAX_HEAD_BYTES) + 4
        if end == 3:
            judge_partial_head(buffer, self._judged, self.peer)
            self._judged = len(buffer)
            return None
        head = bytes(memoryview(buffer)[:end])
        del buffer[:end]
        self._judged = 0
        return head

    @abstractmethod
    def _read_head(self) -> Event | Signal: ...

    @abstractmethod
    def _cut_short(self, where: str) -> ProtocolError | OriginError:
        """The error for an end of input inside a message."""

    @abstractmethod
    def _retell(self, engine: h11.Connection) -> None:
        """Tell a new engine how far the first message of this exchange has come."""

    def _engaged(self) -> h11.Connection:
        """The engine of this exchange, made now when it was plain so far.

        Only the exchange's first message can have begun by then: whoever would begin
        the second one twice is refused before.
        """
        if self._engine is None:
            engine = h11.Connection(self._role)
            self._retell(engine)
            self._engine = engine
        return self._engine

    def _tell_engine(self, head: bytes) -> h11.Connection:
        engine = self._engaged()
        engine.receive_data(head)
        engine.next_event()
        return engine

    def _expect_body(self, head: RequestHead | ResponseHead, framing: Framing) -> None:
        self._guard = None
        length = framing.length if head.has_body else 0
        if length is not None:
            self._reading = _LENGTH
            theirs = self._theirs
            theirs.stage, theirs.rest = BODY, length
        elif framing.is_chunked:
            self._reading = _CHUNKED
            self._guard = ChunkGuard(self.peer)
        else:
            self._reading = _UNTIL_CLOSE

    # --- bodies -----------------------------------------------------------------------

    def _read_body(self) -> Event | Signal:
        if self._engine is None:
            return self._read_counted()
        while True:
            event = self._engine.next_event()
            if isinstance(event, h11.Data):
                return Data(bytes(event.data))
            if isinstance(event, h11.EndOfMessage):
                self._reading = _PAUSED
                return End(self._trailers())
            if not self._feed_body(self._engine):
                if self._is_eof:
                    raise self._cut_short("in the middle of a body")
                return NEED_DATA

    def take_body(self, limit: int) -> bytes | None:
        """The whole body, if it ends by count, is here and not above `limit` bytes:
        then the message is at its end. Else None, and `next_event` tells of it."""
        theirs = self._theirs
        rest = theirs.rest
        if self._engine is not None or self._reading is not _LENGTH:
            return None
        if not rest:
            body = b""
        elif rest > limit or len(self._piece or self._buffer) < rest:
            return None
        else:
            body = self._take_counted()
        theirs.stage = DONE
        self._reading = _PAUSED
        return body

    def _read_counted(self) -> Event | Signal:
        if not self._theirs.rest:
            self._theirs.stage = DONE
            self._reading = _PAUSED
            return End(None)
        if data := self._take_counted():
            return Data(data)
        if self._is_eof:
            raise self._cut_short("in the middle of a body")
        return NEED_DATA

    def _take_counted(self) -> bytes:
        """What has come of a body that ends by count."""
        theirs, data = self._theirs, self._piece
        rest = theirs.rest
        if not data:
            data = bytes(memoryview(self._buffer)[:rest])
            del self._buffer[:rest]
        elif len(data) <= rest:
            self._piece = b""
        else:
            data, self._piece = data[:rest], data[rest:]
        theirs.rest = rest - len(data)
        return data

    def _trailers(self) -> Headers | None:
        return None if self._guard is None else self._guard.trailers

    def _feed_body(self, engine: h11.Connection) -> bool:
        """Give h11 what has come of the body; False when nothing has."""
        if self._guard is not None:
            return self._feed_chunks(engine, self._guard)
        if self._reading is _LENGTH:
            data = self._take_counted()
        else:
            data = self.leftover()
            self._piece = b""
            self._buffer.clear()
            if not data and self._is_eof:
                engine.receive_data(b"")
                return True
        if data:
            engine.receive_data(data)
        return bool(data)

    def _feed_chunks(self, engine: h11.Connection, guard: ChunkGuard) -> bool:
        content = guard.walk(self._joined())
        if content:
            engine.receive_data(b"%x\r\n%b\r\n" % (len(content), content))
        if guard.is_done:
            engine.receive_data(b"0\r\n\r\n")
        return guard.is_done or bool(content)

    # --- sending ----------------------------------------------------------------------

    def data(self, chunk: bytes) -> list[bytes]:
        """The bytes of a piece of body, `chunk` itself among them uncopied.

        Empty when the message cannot have a body (HEAD, 204, 304, a tunnel).
        """
        if not chunk or not self._sends_body:
            return []
        if self._engine is not None:
            return self._tell(h11.Data(data=chunk))
        if wrong := self._ours.take(len(chunk)):
            raise self._unsendable(wrong)
        return [chunk]

    def whole(self, content: bytes, trailers: Headers | None = None) -> bytes:
        """The bytes of a body that is here to its end, and that end."""
        ours = self._ours
        sent = content if self._sends_body else b""
        is_expected = ours.stage is BODY and ours.rest == len(sent)
        if is_expected and self._engine is None:
            ours.stage, ours.rest = DONE, 0
            return sent
        return b"".join([*self.data(content), self.end(trailers)])

    def end(self, trailers: Headers | None = None) -> bytes:
        """The bytes that end the message; trailers are sent if it is chunked."""
        if self._engine is None:
            if wrong := self._ours.finish():
                raise self._unsendable(wrong)
            return b""
        if self._engine.our_state is h11.SWITCHED_PROTOCOL:
            return b""
        self._tell(h11.EndOfMessage())
        is_chunked = self._sends_body and self._sending.is_chunked
        return last_chunk(trailers, self.author) if is_chunked else b""

    def next_cycle(self) -> None:
        """Make ready for the next exchange; ProtocolError when there can be none."""
        ours, theirs = self._ours, self._theirs
        is_counted = ours.stage is DONE and theirs.stage is DONE
        is_plain = is_counted and self._engine is None and not self._must_close
        if not (is_plain or self._is_whole()):
            raise ProtocolError("this HTTP/1 connection cannot carry another exchange")
        self._reading = _HEAD
        self._sends_body = False
        self._method = ""
        self._tolerated = 0
        self._engine = None
        ours.stage = theirs.stage = IDLE

    @property
    def sends_body(self) -> bool:
        """Whether content can follow the head that was sent."""
        return self._sends_body

    @property
    def ends_by_close(self) -> bool:
        """Whether the end of the connection alone tells where that body ends."""
        return self._sends_body and self._sending is NOTHING

    def _is_fresh(self) -> bool:
        """Whether the next byte that comes is the first of a head, in an exchange that
        is plain so far."""
        is_read = self._piece or self._buffer or self._is_eof or self._must_close
        return not is_read and self._engine is None and self._theirs.stage is IDLE

    def _is_whole(self) -> bool:
        """Both messages are at their end, and nothing forbids another exchange."""
        if self._must_close:
            return False
        if self._engine is None:
            return self._ours.stage is DONE and self._theirs.stage is DONE
        return self._engine.states == _BOTH_DONE

    def _begin(self, length: int) -> None:
        """Our message has a plain head, in an exchange that is plain so far."""
        ours = self._ours
        if ours.stage is not IDLE:
            raise self._unsendable(f"the message is {ours.stage.value} already")
        ours.stage, ours.rest = BODY, length

    def _tell(self, event: h11.Event) -> list[bytes]:
        """Let h11 follow what we send; its bytes are used for data only."""
        if self._engine is None and self._ours.stage is not IDLE:
            raise self._unsendable(f"the message is {self._ours.stage.value} already")
        try:
            return self._engaged().send_with_data_passthrough(event) or []
        except h11.LocalProtocolError as error:
            raise self._unsendable(str(error)) from None

    def _unsendable(self, why: str) -> ProtocolError:
        self._must_close = True
        self._ours.stage = FAILED
        return refusal(self.author, f"cannot be sent by HTTP/1: {why}")
