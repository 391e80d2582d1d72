"""Runs a module over recorded flows, hook by hook, as the proxy would: without network.

It tells what each call changed, decided, logged and cost. One instance lives through
all flows, so that a plugin may count. Delays are told and not waited for.
"""

import dataclasses
import re
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop, Respond, Verdict, describe
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Response
from int3rceptor.model.server_events import Event, Kind
from int3rceptor.plugins.abi.codes import Entry, Extra, LogLevel
from int3rceptor.plugins.authoring.moments import (
    MessageState,
    changes,
    events_of,
    looks,
    state_of,
    whole,
)
from int3rceptor.plugins.authoring.recorded import Recording
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.callers import maker_factory
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.engine import shared_ticker
from int3rceptor.plugins.engine.inspection import (
    inspect_module,
    limited_to,
    require_loadable,
)
from int3rceptor.plugins.host.host import Surroundings, wall_ms
from int3rceptor.plugins.managing.loading import asked_for, read_module
from int3rceptor.plugins.policy.manifest import read_manifest
from int3rceptor.plugins.policy.scope import scope_test
from int3rceptor.plugins.running.instance import PluginCode, PluginInstance
from int3rceptor.plugins.state.keyvalues import KeyValues
from int3rceptor.plugins.streaming.bodies import CHUNKS_OF, FOLLOWERS
from int3rceptor.plugins.streaming.chunks import (
    MAX_CHUNK_BYTES,
    Chunk,
    largest_event,
    message_chunk,
)
from int3rceptor.plugins.topics.messages import Mailbox, Message

NEVER_GRANTED = frozenset({"network", "files"})
"""What a trial grants nobody: it is run on a module before it is trusted."""

MAX_SHOWN_BYTES = 60
"""Of a message, in a line about it."""

Line = tuple[LogLevel, str]


@dataclass(slots=True, frozen=True, kw_only=True)
class HookRun:
    """One call. `decision` is a word, `said` the same with its details; `seconds` is
    what the processor worked, not what passed by while others had it. `sent` are
    messages to other plugins; in on_message there is no request."""

    entry: Entry
    decision: str
    said: str
    is_fault: bool
    changes: tuple[str, ...]
    lines: tuple[Line, ...]
    fuel: int
    seconds: float
    sent: tuple[Message, ...] = ()
    tags: tuple[str, ...] = ()
    request: MessageState | None = None
    response: MessageState | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class FlowRun:
    """All calls about one flow; none when it is not in the plugin's scope."""

    name: str
    url: str
    notes: tuple[str, ...]
    is_in_scope: bool
    runs: tuple[HookRun, ...]


@dataclass(slots=True, frozen=True, kw_only=True)
class MessageRun:
    """The call about one message; none when the plugin does not listen to its topic."""

    name: str
    message: Message
    runs: tuple[HookRun, ...]


class Trial(AbstractContextManager["Trial"]):
    """One module on trial. PluginError when it cannot be loaded or started."""

    def __init__(self, path: Path) -> None:
        data = read_module(path)
        manifest = self.manifest = read_manifest(path, {}, data)
        module = compiled(data, str(path))
        info = inspect_module(module)
        require_loadable(info, str(path))
        self.info = limited_to(info, manifest.hooks, str(path))
        self.withheld = sorted(
            one
            for one in asked_for(self.info, manifest)
            if one.permission.value in NEVER_GRANTED
        )
        granted = asked_for(self.info, manifest).difference(self.withheld)
        self._sent: list[Message] = []
        self._surroundings = self._made_up()
        self._instance = PluginInstance(
            PluginCode(module=module, info=self.info, granted=granted),
            manifest.limits,
            self._surroundings,
            maker_factory(),
        )
        is_guard = manifest.on_error == "block"
        self._scopes = {
            point: scope_test(manifest.scope, point, is_guard=is_guard)
            for point in HookPoint
        }
        self.first_lines: tuple[Line, ...] = ()

    def _made_up(self) -> Surroundings:
        """All around it is its own, and nobody is beside it."""
        manifest = self.manifest
        return Surroundings(
            name=manifest.name,
            config=manifest.guest_config(),
            secret_fields=manifest.secret_fields,
            args=(manifest.name, *manifest.wasi.args),
            env=manifest.wasi.env,
            state=KeyValues(manifest.state.quota_bytes, wall_ms),
            mailbox=Mailbox(
                manifest.name,
                message_bytes=manifest.limits.message_bytes,
                messages=manifest.limits.messages,
            ),
            publish=self._send,
        )

    def _send(self, message: Message) -> int:
        self._sent.append(message)
        return 0  # nobody else is here

    def __enter__(self) -> Self:
        shared_ticker().acquire()
        started = self._instance.start()
        self.first_lines = tuple(self._instance.take_lines())
        if isinstance(started, Fault):
            self._close()
            said = "".join(f"\n  {text}" for _, text in self.first_lines)
            raise PluginError(f"plugin {self.manifest.name}: {started}{said}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._instance.close()
        shared_ticker().release()

    def run(self, recording: Recording) -> FlowRun:
        """Ask the module about one flow, hook by hook."""
        flow = recording.make()
        url = flow.request.url
        points = [*self._points()]  # none: it only hears messages
        is_in_scope = not points or any(self._fits(one, flow) for one in points)
        return FlowRun(
            name=recording.name,
            url=f"{flow.request.method} {url}",
            notes=recording.notes,
            is_in_scope=is_in_scope,
            runs=tuple(self._hooks(flow, recording)) if is_in_scope else (),
        )

    @property
    def topics(self) -> list[str]:
        """What it listens to by now."""
        return sorted(self._surroundings.mailbox.topics)

    def hear(self, message: Message, name: str = "a message") -> MessageRun:
        """Give it a message, if it listens to the topic."""
        if Extra.MESSAGE not in self.info.entries or message.topic not in self.topics:
            return MessageRun(name=name, message=message, runs=())
        started = time.thread_time()
        result = self._instance.read_message(message)
        run = self._told(Extra.MESSAGE, result, time.thread_time() - started)
        return MessageRun(name=name, message=message, runs=(run,))

    def _points(self) -> Iterable[HookPoint]:
        """The hooks of the dispatcher that it is asked at, or that it follows."""
        asked = self.info.entries
        return (one for one in HookPoint if {one, *FOLLOWERS.get(one, ())} & {*asked})

    def _fits(self, point: HookPoint, flow: Flow) -> bool:
        test = self._scopes[point]
        return test is None or test(flow)

    def _hooks(self, flow: Flow, recording: Recording) -> Iterable[HookRun]:
        """The hooks in the order of an exchange, as far as the verdicts let it go."""
        answer, flow.response = flow.response, None
        for point in (HookPoint.CONNECT, HookPoint.RULE_MATCH, HookPoint.REQUEST):
            if point is HookPoint.RULE_MATCH and not flow.rule:
                continue
            run, verdict = self.ask(point, flow)
            if run is not None:
                yield run
            if ends(verdict):
                answer = verdict.response if isinstance(verdict, Respond) else None
                break
        else:
            yield from self._chunks(Extra.REQUEST_CHUNK, flow, flow.request.body)
        flow.response = answer
        if flow.response is not None:
            run, verdict = self.ask(HookPoint.RESPONSE, flow)
            if run is not None:
                yield run
            if isinstance(verdict, Respond):
                flow.response = verdict.response
            elif not ends(verdict):
                body = flow.response.body
                yield from self._chunks(Extra.RESPONSE_CHUNK, flow, body)
                yield from self._events(flow, flow.response)
                yield from self._messages(flow, recording)
        run, _ = self.ask(HookPoint.CAPTURE, flow)
        if run is not None:
            yield run

    def _chunks(self, entry: Entry, flow: Flow, body: Body) -> Iterable[HookRun]:
        """A body on its way, until a call fails: then the rest passes as it is."""
        content = whole(body)
        point = next(one for one, chunks in CHUNKS_OF.items() if chunks is entry)
        if entry not in self.info.entries or not content or not self._fits(point, flow):
            return
        rest, gone = content, b""
        while True:
            data, rest = rest[:MAX_CHUNK_BYTES], rest[MAX_CHUNK_BYTES:]
            chunk = Chunk(data=data, is_last=not data)
            run, _ = self.ask(entry, flow, chunk)
            assert run is not None
            given = data if run.is_fault or chunk.given is None else chunk.given
            gone += given
            if run.is_fault or chunk.is_last:
                body.replace(gone + rest)
            what = f"chunk of {len(data)} bytes: {len(given)} bytes go on"
            changed = (what,) if given != data else ()
            yield dataclasses.replace(
                run,
                changes=(*run.changes, *changed),
                request=state_of(flow.request),
                response=None if flow.response is None else state_of(flow.response),
            )
            if run.is_fault or chunk.is_last:
                return

    def _events(self, flow: Flow, response: Response) -> Iterable[HookRun]:
        """A stream of events on its way: one that fails passes as it is."""
        asked = Extra.SSE_EVENT in self.info.entries
        if not asked or not self._fits(HookPoint.RESPONSE, flow):
            return
        limit = largest_event(self.manifest.limits.host_bytes)
        runs: list[HookRun] = []
        gone: list[bytes] = []
        for piece in events_of(response, limit):
            gone.append(piece.raw)
            if piece.kind is Kind.EVENT:
                run, gone[-1] = self._event(piece.raw, flow)
                runs.append(run)
        if runs:
            response.body.replace(b"".join(gone))
        for run in runs:
            yield dataclasses.replace(run, response=state_of(response))

    def _event(self, raw: bytes, flow: Flow) -> tuple[HookRun, bytes]:
        event = Event(raw)
        chunk = Chunk(data=event.data, event=event)
        run, verdict = self.ask(Extra.SSE_EVENT, flow, chunk)
        assert run is not None
        if run.is_fault:
            event.restore()
        elif isinstance(verdict, Drop):
            event.drop()
        else:
            chunk.settle()
        given = event.written()
        if given == raw or event.is_dropped:
            return run, given
        what = f"event of {len(raw)} bytes: {len(given)} bytes go on"
        return dataclasses.replace(run, changes=(*run.changes, what)), given

    def _messages(self, flow: Flow, recording: Recording) -> Iterable[HookRun]:
        """The messages of a WebSocket; after a call that fails the next are shown."""
        if not self._fits(HookPoint.RESPONSE, flow):
            return
        for message in recording.messages:
            chunk = message_chunk(message)
            run, verdict = self.ask(Extra.WEBSOCKET_MESSAGE, flow, chunk)
            if run is None:
                return
            if chunk.given is not None and not (run.is_fault or verdict):
                sizes = f"{len(message.data)} bytes: {len(chunk.given)} bytes go on"
                changes = (*run.changes, f"message of {sizes}")
                run = dataclasses.replace(run, changes=changes)
            yield run

    def ask(
        self, entry: Entry, flow: Flow, chunk: Chunk | None = None
    ) -> tuple[HookRun | None, Verdict | None]:
        """Call one entry; None when the module does not have it."""
        if entry not in self.info.entries:
            return None, None
        if isinstance(entry, HookPoint) and not self._fits(entry, flow):
            return None, None
        before, tags = looks(flow), len(flow.tags)
        started = time.thread_time()
        result = self._instance.run(entry, flow, chunk)
        seconds = time.thread_time() - started
        self._instance.take_before()
        verdict = None if isinstance(result, Fault) else result
        answered = verdict.response if isinstance(verdict, Respond) else flow.response
        run = self._told(entry, result, seconds)
        run = dataclasses.replace(
            run,
            changes=(*changes(before, flow, tags), *run.changes),
            tags=tuple(flow.tags),
            request=state_of(flow.request),
            response=None if answered is None else state_of(answered),
        )
        return run, verdict

    def _told(
        self, entry: Entry, result: Verdict | Fault | None, seconds: float
    ) -> HookRun:
        """What is known of a call whatever it was about."""
        sent = tuple(self._sent)
        self._sent.clear()
        return HookRun(
            entry=entry,
            decision=_decision(result),
            said=_said(result),
            is_fault=isinstance(result, Fault),
            changes=tuple(f"sent {shown(one)}" for one in sent),
            lines=tuple(self._instance.take_lines()),
            sent=sent,
            fuel=self._instance.fuel_used(),
            seconds=seconds,
        )


def shown(message: Message) -> str:
    """A message in a line: its topic, its length, and how it begins."""
    text = message.data[:MAX_SHOWN_BYTES].decode("utf-8", "replace")
    dots = "…" * (len(message.data) > MAX_SHOWN_BYTES)
    return f"{message.topic}, {len(message.data)} bytes: {text}{dots}"


def ends(verdict: Verdict | None) -> bool:
    """Whether the exchange does not reach its origin."""
    return isinstance(verdict, Respond | Drop)


def decision_of(kind: type) -> str:
    """A verdict's class in a word: PassThrough is pass_through."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _decision(result: Verdict | Fault | None) -> str:
    return "continue" if result is None else decision_of(type(result))


def _said(result: Verdict | Fault | None) -> str:
    if result is None:
        return "continued"
    return f"failed: {result}" if isinstance(result, Fault) else describe(result)
