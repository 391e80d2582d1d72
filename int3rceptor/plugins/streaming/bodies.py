"""A plugin's place on the way of one body: each chunk passes it, nothing is gathered.

One chunk is read, shown, and goes on before the next is read: order and back-pressure
are those of the body. A plugin that fails sees no more of a body; where it had changed
something already, the rest would not fit what has left, and the message is cut off.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from inspect import isawaitable

from int3rceptor.errors import BodyCut, PluginError
from int3rceptor.hooks.dispatcher import Answer, tell_failure
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.body import Body, ChunkSource
from int3rceptor.model.codings import pieces_of
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.turns import turn
from int3rceptor.plugins.abi.codes import Entry, Extra
from int3rceptor.plugins.streaming.chunks import BUDGET_SHARE, MAX_CHUNK_BYTES, Chunk
from int3rceptor.plugins.streaming.events import follow_events
from int3rceptor.plugins.streaming.messages import follow_messages
from int3rceptor.plugins.streaming.runner import Runner
from int3rceptor.wire.h1.framing import may_have_body

CHUNKS_OF = {
    HookPoint.REQUEST: Extra.REQUEST_CHUNK,
    HookPoint.RESPONSE: Extra.RESPONSE_CHUNK,
}
"""The entry that is called with the chunks of the message of a hook."""

FOLLOWERS: Mapping[HookPoint, tuple[Entry, ...]] = {
    HookPoint.REQUEST: (Extra.REQUEST_CHUNK,),
    HookPoint.RESPONSE: (
        Extra.RESPONSE_CHUNK,
        Extra.SSE_EVENT,
        Extra.WEBSOCKET_MESSAGE,
    ),
}
"""The entries that are called for what passes of that message, or after it."""


def followed(entries: Iterable[Entry], point: HookPoint, flow: Flow) -> Entry | None:
    """The first of these entries that the message at `point` is for, if any is."""
    is_open = point is HookPoint.RESPONSE and flow.websocket is not None
    for one in entries:
        if (one is Extra.WEBSOCKET_MESSAGE) is is_open:
            return one
    return None


def follow(
    runner: Runner, entries: Collection[Entry], point: HookPoint, flow: Flow
) -> Answer:
    """Have the guest see what passes of the message at `point`: what its `entries` are
    for. Fail: a guard would not see what it is for."""
    if followed(entries, point, flow) is Extra.WEBSOCKET_MESSAGE:
        follow_messages(runner, flow)
        return None
    body = flow.request.body
    if point is HookPoint.RESPONSE:
        response = flow.response
        assert response is not None
        body = response.body
        if response.status == 101 or not may_have_body(
            flow.request.method, response.status
        ):
            return None
    elif not flow.request.has_body:
        return None
    entry = CHUNKS_OF[point]

    def stage(source: ChunkSource) -> ChunkSource:
        return _Stage(source, body, runner, entry, flow)

    if entry in entries:
        body.wrap(stage, is_reader=not runner.changes_chunks)
    if point is HookPoint.RESPONSE and Extra.SSE_EVENT in entries:
        return follow_events(runner, flow)
    return None


class _Stage:
    """A source whose chunks pass a guest."""

    def __init__(
        self,
        source: ChunkSource,
        body: Body,
        runner: Runner,
        entry: Entry,
        flow: Flow,
    ) -> None:
        self._source = source
        self._body = body
        self._runner = runner
        self._entry = entry
        self._show = runner.shows(entry, flow)
        self._flow = flow
        share = max(1, runner.call_bytes // BUDGET_SHARE)
        self._piece_bytes = min(MAX_CHUNK_BYTES, share)
        self._length = None if runner.changes_chunks else body.length
        self._pieces: Iterator[bytes] = pieces_of(b"", 1)
        self._trailers: Headers | None = None
        self._shown = 0
        self._has_changed = False
        self._has_ended = False
        self._is_out = False
        self._is_called = False
        self._broken: BodyCut | None = None

    async def next_chunk(self) -> bytes:
        if self._is_called:
            # Cut off, or cancelled in the middle of a call: what that took is lost.
            raise self._broken or self._cut("an earlier call did not end")
        while not self._has_ended:
            data = await self._next_piece()
            given = await self._pass(data)
            if data and self._shown == self._length and not self._has_ended:
                # Its record is made before these bytes leave, and no later.
                await self._show_end_now()
            if given:
                return given
        return next(self._pieces, b"")

    def trailers(self) -> Headers | None:
        return self._trailers

    async def _next_piece(self) -> bytes:
        if piece := next(self._pieces, b""):
            await turn()  # a body that was whole may hold hundreds of them
            return piece
        self._pieces = pieces_of(await self._source.next_chunk(), self._piece_bytes)
        return next(self._pieces, b"")

    async def _show_end_now(self) -> None:
        """All of the declared length was shown: the end itself must follow."""
        data = await self._source.next_chunk()
        self._pieces = pieces_of(data, self._piece_bytes)
        if not data:
            await self._pass(b"")

    async def _pass(self, data: bytes) -> bytes:
        """What goes on in the place of `data`; b"" is the end of the body."""
        if not data:
            self._has_ended = True
            self._body.trailers = self._source.trailers()
        given = data if self._is_out else await self._ask(data)
        if not data:
            self._trailers = self._body.trailers
        self._shown += len(data)
        return given

    async def _ask(self, data: bytes) -> bytes:
        chunk = Chunk(data=data, is_last=not data)
        self._is_called = True
        try:
            answer = self._show(chunk)
            if isawaitable(answer):
                answer = await answer
        except PluginError as error:
            answer = None
            chunk.given = None
            self._fail(str(error))
        if isinstance(answer, Drop):
            name = self._runner.name
            self._flow.record(self._entry.value, name, "cut the body off")
            self._broken = BodyCut(f"{name} cut the body off", is_wanted=True)
            raise self._broken
        self._is_called = False
        given = chunk.given
        if given is None or given == data:
            return data
        if not self._has_changed:
            self._has_changed = True
            what = f"body replaced by a stream, from byte {self._shown} on"
            self._flow.record(self._entry.value, self._runner.name, what)
        return given

    def _fail(self, reason: str) -> None:
        """The guest sees no more of this body; BodyCut when it may not pass unseen."""
        self._is_out = True
        tell_failure(self._entry.value, self._runner.name, self._flow, reason)
        if self._has_changed or self._runner.fails_closed:
            raise self._cut(reason)

    def _cut(self, reason: str) -> BodyCut:
        what = f"{self._runner.name} failed in the middle of a body: {reason}"
        self._broken = BodyCut(what, is_wanted=False)
        return self._broken
