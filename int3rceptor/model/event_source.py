"""A body's way through who looks at its server-sent events, each as it comes."""

from collections.abc import Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import Protocol

from int3rceptor.errors import BodyCut, TransformError
from int3rceptor.model.body import ChunkSource
from int3rceptor.model.codings import pieces_of
from int3rceptor.model.headers import Headers
from int3rceptor.model.server_events import (
    MAX_EVENT_BYTES,
    Event,
    EventCutter,
    Kind,
    Piece,
)
from int3rceptor.model.turns import turn
from int3rceptor.model.websocket import Drop

EventFunction = Callable[[Event], Drop | Awaitable[Drop | None] | None]
"""Is shown each event, sync or async, and may set what it will; Drop: it goes no
further."""

STEP_BYTES = 4 * 1024
"""Cut up at a time: of empty lines alone, the worst case, that holds the loop for up to
10 ms."""


class EventReader(Protocol):
    """Looks at the events of one stream. What it raises ends the stream."""

    async def see(self, event: Event) -> None:
        """One event, before it goes on as `written`."""
        ...

    def let_pass(self) -> None:
        """A part of one that is too large to be looked at goes on."""
        ...


class EventSource:
    """A source whose events a reader sees. Each leaves as soon as it was seen."""

    def __init__(
        self, source: ChunkSource, reader: EventReader, limit_bytes: int
    ) -> None:
        self._source = source
        self._reader = reader
        self._cutter = EventCutter(limit_bytes)
        self._steps = pieces_of(b"", 1)
        self._pieces: Iterator[Piece] = iter(())
        self._has_ended = False
        self._broken: Exception | None = None

    async def next_chunk(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        while (piece := await self._next_piece()) is not None:
            if given := await self._pass(piece):
                return given
        return b""

    def trailers(self) -> Headers | None:
        return self._source.trailers()

    async def _next_piece(self) -> Piece | None:
        piece = next(self._pieces, None)
        if piece is not None:
            await turn()  # one chunk may hold thousands of them
        while piece is None and not self._has_ended:
            self._pieces = await self._next_pieces()
            piece = next(self._pieces, None)
        return piece

    async def _next_pieces(self) -> Iterator[Piece]:
        if step := next(self._steps, b""):
            await turn()
            return self._cutter.feed(step)
        self._steps = pieces_of(await self._source.next_chunk(), STEP_BYTES)
        if step := next(self._steps, b""):
            return self._cutter.feed(step)
        self._has_ended = True
        rest = self._cutter.rest()
        return iter([Piece(rest, Kind.OTHER)] if rest else [])

    async def _pass(self, piece: Piece) -> bytes:
        """What goes on in its place."""
        if piece.kind is Kind.OTHER:
            return piece.raw
        # Until it has returned: what a call that is cancelled took is lost.
        self._broken = BodyCut("a look at an event did not end", is_wanted=False)
        given = piece.raw
        try:
            if piece.kind is Kind.LARGE:
                self._reader.let_pass()
            else:
                event = Event(piece.raw)
                await self._reader.see(event)
                given = event.written()
        except Exception as error:
            self._broken = error
            raise
        self._broken = None
        return given


class FunctionReader:
    """Shows the events of one stream to a function; its name goes into `unseen`, once,
    when it was not shown one."""

    def __init__(self, function: EventFunction, unseen: list[tuple[str, str]]) -> None:
        self._function = function
        self._name = getattr(function, "__name__", type(function).__name__)
        self._unseen = unseen
        self._has_told = False

    async def see(self, event: Event) -> None:
        """TransformError when the function fails."""
        try:
            answer: object = self._function(event)
            if isawaitable(answer):
                answer = await answer
            if isinstance(answer, Drop):
                event.drop()
            elif answer is not None:
                raise TypeError(f"it gave {type(answer).__name__}, not Drop() or None")
        except Exception as error:
            what = f"{self._name} failed at an event: {type(error).__name__}: {error}"
            raise TransformError(what) from error

    def let_pass(self) -> None:
        """It is not the function's doing, and is noted."""
        if not self._has_told:
            self._has_told = True
            why = f"an event of more than {MAX_EVENT_BYTES} bytes"
            self._unseen.append((self._name, why))
