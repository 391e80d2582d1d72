"""A plugin's place on the way of server-sent events: each passes it when it is whole.

Unlike a chunk, an event means something by itself: after a failure the next ones are
shown again, unless the plugin is a guard.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from int3rceptor.errors import BodyCut, PluginError
from int3rceptor.hooks.dispatcher import Answer, tell_failure
from int3rceptor.hooks.verdicts import Drop, Fail
from int3rceptor.model.body import ChunkSource
from int3rceptor.model.codings import codings_of
from int3rceptor.model.decoding import coding_in
from int3rceptor.model.event_source import EventSource
from int3rceptor.model.flow import Flow
from int3rceptor.model.server_events import Event, is_event_stream
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.streaming.chunks import Chunk, largest_event
from int3rceptor.plugins.streaming.runner import Runner

_WHERE = Extra.SSE_EVENT.value

_MAX_TOLD = 16
"""Different things told of one stream: a plugin fails in one or two ways."""


def follow_events(runner: Runner, flow: Flow) -> Answer:
    """Have the guest see the events of a response that is a stream of them.

    Fail: a guard cannot see them, since they are coded.
    """
    response = flow.response
    if response is None or not is_event_stream(response.headers):
        return None
    if codings := codings_of(coding_in(response.headers)):
        what = f"events not seen: they are coded ({', '.join(codings)[:80]})"
        if runner.fails_closed:
            return Fail(author=runner.name, reason=what)
        flow.record(_WHERE, runner.name, what)
        return None
    limit = largest_event(runner.call_bytes)

    def stage(source: ChunkSource) -> ChunkSource:
        return EventSource(source, _Reader(runner, flow, limit), limit)

    response.body.wrap(stage, is_reader=not runner.changes_bodies)
    return None


class _Reader:
    """Shows a guest the events of one stream."""

    def __init__(self, runner: Runner, flow: Flow, limit: int) -> None:
        self._runner = runner
        self._flow = flow
        self._limit = limit
        self._show: Callable[[Chunk], Answer | Awaitable[Answer]] = self._pinned()
        self._count = 0
        self._told: set[str] = set()  # what is told once: there may be thousands

    async def see(self, event: Event) -> None:
        self._count += 1
        chunk = Chunk(data=event.data, event=event)
        try:
            answer = self._show(chunk)
            if isawaitable(answer):
                answer = await answer
        except PluginError as error:
            event.restore()
            self._fail(str(error))
            return
        if isinstance(answer, Drop):
            event.drop()
            self._tell("dropped")
            return
        chunk.settle()
        if event.is_changed:
            self._tell("changed")

    def let_pass(self) -> None:
        what = f"an event of more than {self._limit} bytes"
        if self._runner.fails_closed:
            self._fail(what)
        elif self._is_news(what):
            self._flow.record(_WHERE, self._runner.name, f"not seen: {what}")

    def _pinned(self) -> Callable[[Chunk], Answer | Awaitable[Answer]]:
        return self._runner.shows(Extra.SSE_EVENT, self._flow)

    def _tell(self, what: str) -> None:
        if self._is_news(what):
            said = f"events {what}, from event {self._count} on"
            self._flow.record(_WHERE, self._runner.name, said)

    def _is_news(self, what: str) -> bool:
        is_news = what not in self._told and len(self._told) < _MAX_TOLD
        if is_news:
            self._told.add(what)
        return is_news

    def _fail(self, reason: str) -> None:
        """This event passes as it is; BodyCut when none may pass unseen."""
        name = self._runner.name
        if self._is_news(reason):
            tell_failure(_WHERE, name, self._flow, reason)
        if self._runner.fails_closed:
            what = f"{name} failed in the middle of a stream of events: {reason}"
            raise BodyCut(what, is_wanted=False)
        self._show = self._pinned()  # the instance of before may be gone
