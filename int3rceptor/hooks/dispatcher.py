"""Asks the listeners of a hook point in order, applies verdicts, records changes.

It knows neither HTTP versions nor what a listener is made of: a plugin, a rule, a
Python function. A point without listeners costs one attribute test.
"""

import inspect
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, final

from int3rceptor.errors import LimitExceeded
from int3rceptor.hooks.changes import Look, looks, record
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import (
    MAX_DELAY_S,
    Delay,
    Drop,
    Fail,
    Hold,
    PassThrough,
    Respond,
    Verdict,
    check,
    describe,
)
from int3rceptor.model.flow import Flow, Upstream

log = logging.getLogger("int3rceptor.hooks")

Answer = Verdict | None
Call = Callable[[Flow], Answer | Awaitable[Answer]]

MAX_BUFFERED_BODY_BYTES = 8 * 1024 * 1024
"""Largest body that is made whole for a listener. 8 MiB holds nearly every page, script
and API answer; at 100 exchanges at once it bounds RAM to 800 MiB in the worst case."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Listener:
    """One function at one point. A lower `priority` is asked first, ties by name.

    `needs_body` makes the message's body whole before the call, up to a limit; past it
    the flow is marked and the listener sees a streamed body (`content` is None).
    `applies` narrows it to some flows. `on_error` says what its failure means.
    `records_itself`: its changes and verdicts are in the flow's record already, under
    names of their own. `only_looks`: it cannot change a flow.
    """

    name: str
    point: HookPoint
    call: Call
    priority: int = 100
    needs_body: bool = False
    applies: Callable[[Flow], bool] | None = None
    on_error: Literal["skip", "block"] = "skip"
    records_itself: bool = False
    only_looks: bool = False


_AT_A_MESSAGE = (Respond, Drop, Delay, Fail)
_ALLOWED: dict[HookPoint, tuple[type[Verdict], ...]] = {
    HookPoint.CONNECT: (*_AT_A_MESSAGE, PassThrough, Upstream),
    HookPoint.REQUEST: _AT_A_MESSAGE,
    HookPoint.RESPONSE: _AT_A_MESSAGE,
    HookPoint.CAPTURE: (Drop, Fail),
    HookPoint.RULE_MATCH: _AT_A_MESSAGE,
}


@final
class Roster:
    """The listeners of one moment, by point, in the order of asking. Never changed."""

    __slots__ = ("at",)

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        ordered = sorted(listeners, key=lambda one: (one.priority, one.name))
        self.at: dict[HookPoint, tuple[Listener, ...]] = {
            point: tuple(one for one in ordered if one.point is point)
            for point in HookPoint
        }

    def __iter__(self) -> Iterator[Listener]:
        return itertools.chain.from_iterable(self.at.values())


class Dispatcher:
    """The listeners of one proxy, by point.

    A flow takes the roster of the moment when it is first asked about, and keeps it to
    its end: who heard its request hears its response, whatever was added, removed or
    replaced meanwhile. `sleep` is how a Delay waits: this room owns no clock.
    """

    def __init__(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]],
        max_body_bytes: int = MAX_BUFFERED_BODY_BYTES,
    ) -> None:
        self._sleep = sleep
        self._max_body_bytes = max_body_bytes
        self._roster = Roster()

    def add(self, *listeners: Listener) -> None:
        """Register, for the flows that begin from now on."""
        self.replace((), listeners)

    def remove(self, *listeners: Listener) -> None:
        """Unregister; a listener that is not there is no error."""
        self.replace(listeners, ())

    def replace(self, old: Iterable[Listener], new: Iterable[Listener]) -> None:
        """Put `new` in the place of `old`, in one step: no flow finds both, or none."""
        gone = tuple(old)
        kept = [one for one in self._roster if one not in gone]
        self._roster = Roster((*kept, *new))

    def is_heard(self, point: HookPoint, flow: Flow) -> bool:
        """Whether anyone listens at this point of the flow."""
        roster = flow.roster
        if type(roster) is not Roster:
            roster = flow.roster = self._roster
        return bool(roster.at[point])

    def may_change(self, point: HookPoint, flow: Flow) -> bool:
        """Whether anyone who could change the flow listens at this point of it."""
        if not self.is_heard(point, flow):
            return False
        assert isinstance(flow.roster, Roster)
        return not all(one.only_looks for one in flow.roster.at[point])

    def needs_body(self, point: HookPoint, flow: Flow) -> bool:
        """Whether a listener that applies to this flow declared that it needs it."""
        if not self.is_heard(point, flow):
            return False
        assert isinstance(flow.roster, Roster)
        listeners = flow.roster.at[point]
        return any(one.needs_body and _applies(one, flow) for one in listeners)

    def ask(self, point: HookPoint, flow: Flow) -> Awaitable[Answer] | None:
        """Ask each listener in turn. None at once when nobody ended the asking and
        there was nothing to wait for, as it is nearly always; else what gives the
        first verdict that ends it, or None.

        Delays and holds are waited for there. Every change and every ending verdict is
        recorded in the flow with its author.
        """
        roster = flow.roster
        if type(roster) is not Roster:
            roster = flow.roster = self._roster
        listeners = roster.at[point]
        if not listeners:
            return None
        rest = iter(listeners)
        for listener in rest:
            asked = self._ask(listener, flow)
            if asked is not None:
                return self._go_on(asked, listener, flow, rest)
        return None

    async def dispatch(self, point: HookPoint, flow: Flow) -> Answer:
        """`ask`, for those who wait in any case."""
        asked = self.ask(point, flow)
        return None if asked is None else await asked

    async def _go_on(
        self,
        asked: Awaitable[Answer] | None,
        listener: Listener,
        flow: Flow,
        rest: Iterator[Listener],
    ) -> Answer:
        """From a listener that is waited for, or that answered, on to the rest."""
        while True:
            verdict = None if asked is None else await asked
            if isinstance(verdict, Delay):
                await self._delay(verdict, listener, flow)
            elif isinstance(verdict, Upstream):
                flow.upstream = replace(verdict, author=listener.name)
                flow.record(listener.point.value, listener.name, describe(verdict))
            elif verdict is not None:
                if not listener.records_itself:
                    flow.record(listener.point.value, listener.name, describe(verdict))
                return verdict
            following = next(rest, None)
            if following is None:
                return None
            listener = following
            asked = self._ask(listener, flow)

    async def _delay(self, verdict: Delay, listener: Listener, flow: Flow) -> None:
        # Not min(max()): that lets NaN through, and a sleep of NaN never ends.
        wanted = verdict.seconds
        seconds = min(wanted, MAX_DELAY_S) if wanted > 0 else 0.0
        flow.record(listener.point.value, listener.name, f"delayed by {seconds:g} s")
        await self._sleep(seconds)

    def _ask(
        self, listener: Listener, flow: Flow, *, is_body_read: bool = False
    ) -> Awaitable[Answer] | None:
        """Ask one; None when it said and did nothing (most listeners, most of the
        time), else what gives its verdict."""
        point = listener.point
        before: tuple[Look, ...] = ()
        try:
            if listener.applies is not None and not listener.applies(flow):
                return None
            if listener.needs_body and not is_body_read:
                return self._ask_with_body(listener, flow)
            if not listener.records_itself:
                before = looks(point, flow)
            called = listener.call(flow)
        except Exception as error:  # noqa: BLE001  # a listener may raise anything
            return self._conclude(listener, flow, before, error)
        if called is None and (not before or looks(point, flow) == before):
            return None
        return self._conclude(listener, flow, before, called)

    async def _ask_with_body(self, listener: Listener, flow: Flow) -> Answer:
        await self._make_whole(listener, flow)
        asked = self._ask(listener, flow, is_body_read=True)
        return None if asked is None else await asked

    async def _conclude(
        self,
        listener: Listener,
        flow: Flow,
        before: tuple[Look, ...],
        called: Answer | Awaitable[Answer] | Exception,
    ) -> Answer:
        answer: Answer = None
        try:
            if isinstance(called, Exception):
                # Not raised again: this frame, which holds it, would be among its own,
                # and keep the flow and all its plugins until the collector came.
                answer = self._failed(listener, flow, called)
            elif called is not None:
                answer = await self._verdict(listener, flow, called)
        except Exception as error:  # noqa: BLE001  # a listener may raise anything
            answer = self._failed(listener, flow, error)
        # After a failure too: what it had changed by then stays changed.
        record(listener.point, listener.name, flow, before)
        return answer

    async def _verdict(
        self, listener: Listener, flow: Flow, called: Answer | Awaitable[Answer]
    ) -> Answer:
        answer = await called if inspect.isawaitable(called) else called
        while isinstance(answer, Hold):
            flow.record(listener.point.value, listener.name, "held")
            answer = await answer.release
        if answer is not None and not isinstance(answer, _ALLOWED[listener.point]):
            raise TypeError(f"{answer!r} is no answer to {listener.point.value}")
        if answer is not None:
            check(answer)
        return answer

    async def _make_whole(self, listener: Listener, flow: Flow) -> None:
        is_answer = listener.point is HookPoint.RESPONSE and flow.response is not None
        message = flow.response if is_answer else flow.request
        assert message is not None
        try:
            await message.body.read(self._max_body_bytes)
        except LimitExceeded as error:
            flow.record(listener.point.value, listener.name, f"not buffered: {error}")

    def _failed(self, listener: Listener, flow: Flow, error: Exception) -> Answer:
        reason = f"{type(error).__name__}: {error}"
        tell_failure(listener.point.value, listener.name, flow, reason)
        if listener.on_error == "block":
            return Fail(author=listener.name, reason=reason)
        return None


def tell_failure(where: str, who: str, flow: Flow, reason: str) -> None:
    """Record and log that `who` failed at a hook."""
    flow.record(where, who, f"failed: {reason}")
    log.warning(
        "%s of %s failed on flow %d (%s): %s",
        where,
        who,
        flow.id,
        flow.request.logged_url,
        reason,
    )


def _applies(listener: Listener, flow: Flow) -> bool:
    try:
        return listener.applies is None or listener.applies(flow)
    except Exception:  # noqa: BLE001  # it fails again, and is told of, when asked
        return True
