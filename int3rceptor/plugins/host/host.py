"""The host's side of one plugin: the current call, its budgets, undo and verdict.

The functions themselves are in `host/read` and `host/write`; each goes four steps:
context, bounds, act, status. None raises. One `Host` serves one call at a time.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING

from int3rceptor.hooks.changes import Before, Edited, looks, looks_before
from int3rceptor.hooks.points import CAPTURE, RESPONSE, HookPoint
from int3rceptor.hooks.verdicts import Drop, Respond, Verdict
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers
from int3rceptor.plugins.abi.codes import (
    ENTRIES,
    Entry,
    Extra,
    HookCode,
    LogLevel,
    Status,
)
from int3rceptor.plugins.abi.rows import DECIDE, HostFunction
from int3rceptor.plugins.engine.boundary import (
    NO_WINDOW,
    Fault,
    FaultKind,
    Guest,
    HostCall,
    Outcome,
)
from int3rceptor.plugins.host.names import Names
from int3rceptor.plugins.network.outbound import Fetcher, Outbound, offline
from int3rceptor.plugins.policy.masking import SECRET_FIELDS
from int3rceptor.plugins.policy.permissions import Grants, Permission
from int3rceptor.plugins.state.keyvalues import DEFAULT_STATE_BYTES, KeyValues
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Mailbox, Message
from int3rceptor.plugins.wording import printable

if TYPE_CHECKING:
    from int3rceptor.model.message import Request, Response

MAX_LOG_LINE_BYTES = 8 * 1024
"""Of one log line; the rest is cut. A terminal line is 200, a pretty-printed header
list a few thousand; the host work budget allows 128 lines of this size."""


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _to_nobody(_message: Message) -> int:
    """Where no other plugin is."""
    return 0


@dataclass(slots=True, frozen=True, kw_only=True)
class Surroundings:
    """What a plugin sees of the world besides flows; supplied, so a run can repeat.

    `name` is its own, under which it is recorded; `secret_fields` are masked in flows,
    unless it may read secrets.
    """

    name: str = ""
    config: Mapping[str, bytes] = field(default_factory=dict)
    secret_fields: frozenset[bytes] = SECRET_FIELDS
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    state: KeyValues = field(
        default_factory=lambda: KeyValues(DEFAULT_STATE_BYTES, wall_ms)
    )
    mailbox: Mailbox = field(default_factory=lambda: Mailbox("unnamed"))
    publish: Callable[[Message], int] = _to_nobody
    now_ms: Callable[[], int] = wall_ms
    monotonic_ms: Callable[[], int] = _monotonic_ms
    random: Callable[[int], bytes] = secrets.token_bytes
    fetch: Fetcher = offline


@dataclass(slots=True, frozen=True, kw_only=True)
class HostBudget:
    """What one hook may have the host do: fuel does not cover host calls."""

    calls: int
    bytes: int


# To look a member up on its class costs as much as what a host function does.
_TOO_LARGE, _BAD_POINTER = Status.TOO_LARGE, Status.BAD_POINTER
_ABOUT_RESPONSE = frozenset(
    (
        RESPONSE,
        CAPTURE,
        Extra.RESPONSE_CHUNK,
        Extra.SSE_EVENT,
        Extra.WEBSOCKET_MESSAGE,
    )
)


class Host:
    """The state that host functions act on.

    `message` is what header calls mean: the response from on_response on. `is_marked`:
    the call did something that its end must see to.
    """

    __slots__ = (
        "before",
        "budget",
        "bytes_left",
        "calls_left",
        "chunk",
        "edited",
        "endings",
        "fault",
        "flow",
        "grants",
        "guest",
        "is_marked",
        "letter",
        "lines",
        "masked",
        "message",
        "names",
        "outbound",
        "point",
        "saved",
        "size",
        "source",
        "surroundings",
        "target",
        "verdict",
        "wants_whole",
    )

    def __init__(
        self, surroundings: Surroundings, budget: HostBudget, grants: Grants
    ) -> None:
        self.surroundings = surroundings
        self.budget = budget
        self.grants = grants
        self.masked = surroundings.secret_fields
        if Permission.SECRETS_READ in grants:
            self.masked = frozenset()
        self.is_marked = False
        self.names = Names(self.masked)
        self.guest: Guest | None = None
        self.size, self.source, self.target = NO_WINDOW
        self.flow: Flow | None = None
        self.message: Request | Response | None = None
        self.letter: Message | None = None
        self.point: Entry | None = None
        self.calls_left = budget.calls
        self.bytes_left = budget.bytes
        self.fault: Fault | None = None
        self.verdict: Verdict | None = None
        self.lines: list[tuple[LogLevel, str]] = []
        self.saved: dict[str, Callable[[], None]] = {}
        self.edited: Edited | None = None
        self.before: Before = ()
        self.chunk: Chunk | None = None
        self.wants_whole = False
        self.endings: list[Callable[[], None]] = []
        self.outbound: Outbound | None = None

    def serve(self, guest: Guest | None) -> None:
        """Act for this guest from now on, and touch no memory of another."""
        self.guest = guest
        self.size, self.source, self.target = NO_WINDOW

    def begin(
        self, point: Entry | None, flow: Flow | None, chunk: Chunk | None = None
    ) -> None:
        """Open a call; no point and no flow for plugin_init and start functions."""
        self.point = point
        self.flow = flow
        if flow is None:
            self.message = None
        else:
            self.message = flow.response if point in _ABOUT_RESPONSE else flow.request
        self.chunk = chunk
        budget = self.budget
        self.calls_left = budget.calls
        self.bytes_left = budget.bytes
        self.before = ()
        if self.outbound is not None:
            self.outbound.begin()

    def finish(self, outcome: Outcome) -> Verdict | Fault | None:
        """Close the call: a verdict, None to continue, or the fault that it ended in.

        A fault takes back every change that the call made: a plugin that was cut off
        half-way must not leave half a change behind.
        """
        point = self.point
        self.point = self.flow = self.message = self.chunk = None
        self.is_marked = False
        if self.endings:
            endings, self.endings = self.endings, []
            for end in endings:
                end()
        fault, verdict, edited = self.fault, self.verdict, self.edited
        if edited is not None:
            self.edited = None
            if not self.before:
                self.before = edited  # nothing else was changed
        if outcome == 0 and fault is None and verdict is None and not self.saved:
            return None  # fields were edited, and nothing else
        saved = self.saved
        self.fault, self.verdict, self.saved = None, None, {}
        result = fault or self._judge(point, outcome, verdict)
        if isinstance(result, Fault):
            for restore in reversed(saved.values()):  # the first is what was
                restore()
            if edited is not None:
                edited.restore()
            self.before = ()
        return result

    def _judge(
        self, point: Entry | None, outcome: Outcome, verdict: Verdict | None
    ) -> Verdict | Fault | None:
        if isinstance(outcome, Fault):
            return outcome
        if outcome == HookCode.CONTINUE:
            return verdict
        if outcome == HookCode.DROP:
            # No import shows that it may: the code takes what host_drop takes.
            needed = DECIDE.in_hook(point)
            if needed in self.grants:
                return Drop()
            return Fault(kind=FaultKind.NOT_GRANTED, detail=f"DROP, {needed.value}")
        if outcome != HookCode.RESPOND:
            return Fault(kind=FaultKind.RETURNED_ERROR, detail=f"code {outcome}")
        if isinstance(verdict, Respond):
            return verdict
        return Fault(kind=FaultKind.BAD_ANSWER)

    def take_lines(self) -> Sequence[tuple[LogLevel, str]]:
        """The log lines since the last time, oldest first."""
        lines, self.lines = self.lines, []
        return lines

    def exhaust(self, what: str) -> int:
        """End the call: its budget is spent."""
        self.end(Fault(kind=FaultKind.HOST_BUDGET, detail=what))
        return Status.TOO_LARGE

    def end(self, fault: Fault) -> None:
        """End the call: the guest gets to its next check, and no host function more."""
        self.is_marked = True
        if self.fault is None:
            self.fault = fault
        self.calls_left = 0
        if self.guest is not None:
            self.guest.stop()

    def at_end(self, act: Callable[[], None]) -> None:
        """Have something done when the call is over, however it ends."""
        self.is_marked = True
        self.endings.append(act)

    def decide(self, verdict: Verdict) -> None:
        """What the call comes to, unless it ends in a fault; the last one counts."""
        self.is_marked = True
        self.verdict = verdict

    def spend(self, count: int) -> bool:
        """Take bytes from the budget; False, and the call ends, when it is spent."""
        self.bytes_left -= count
        if self.bytes_left >= 0:
            return True
        self.exhaust(f"more than {self.budget.bytes} bytes")
        return False

    def read(self, address: int, length: int) -> bytes | None:
        """The guest's bytes, or None: outside of its memory, or over the budget."""
        left, end = self.bytes_left - length, address + length
        if end < self.size and left >= 0:
            self.bytes_left = left
            return self.source[address:end]
        guest = self.guest
        if guest is None:
            return None
        if left < 0:
            if end <= guest.memory_bytes():
                self.spend(length)
            return None
        self.size, self.source, self.target = guest.window()
        self.bytes_left = left
        return guest.read(address, length)

    def give(self, data: bytes, address: int, room: int) -> int:
        """Write an out-parameter; its length, or the length it needs."""
        length = len(data)
        if length > room:
            return length
        left, end = self.bytes_left - length, address + length
        if left < 0:
            self.spend(length)
            return _TOO_LARGE
        self.bytes_left = left
        if end < self.size:
            self.target[address:end] = data
            return length
        guest = self.guest
        if guest is None or not guest.write(address, data):
            return _BAD_POINTER
        return length

    def log(self, level: LogLevel, text: str) -> None:
        """Keep a log line until the call is over. Control characters are spelled out,
        so that it cannot drive a terminal."""
        if not text.isprintable():
            text = printable(text)
        self.lines.append((level, text))

    def save(self, what: str, restore: Callable[[], None]) -> None:
        """Keep what undoes a change, before it is made; the first of a kind counts."""
        self.is_marked = True
        point, flow, edited = self.point, self.flow, self.edited
        if not self.saved and isinstance(point, HookPoint) and flow is not None:
            if edited is None:
                self.before = looks(point, flow)
            else:
                self.before = looks_before(point, flow, edited)
        self.saved.setdefault(what, restore)

    def save_fields(self, fields: Headers, kind: str = "") -> Edited:
        """The same for fields. The first that are edited are noted alone: most calls
        change nothing else, and need no look at a message."""
        edited = self.edited
        if edited is None:
            self.is_marked = True
            edited = self.edited = Edited(fields, kind)
        elif edited.fields is not fields:
            edited = Edited(fields)
            self.save(f"fields {id(fields)}", edited.restore)
        return edited


HostAct = (
    Callable[[Host], int]
    | Callable[[Host, int], int]
    | Callable[[Host, int, int], int]
    | Callable[[Host, int, int, int], int]
    | Callable[[Host, int, int, int, int], int]
    | Callable[[Host, int, int, int, int, int], int]
)
"""A host function before it is bound: Host first, then its unsigned parameters."""


def bind(host: Host, row: HostFunction, act: HostAct) -> HostCall:
    """The function as a guest calls it: budget, hook and permission come first."""
    gates = {point: _gate(host, row, point) for point in (None, *ENTRIES)}
    failures, bound = row.failures, MethodType(act, host)

    def call(values: tuple[int, ...]) -> int:
        left = host.calls_left = host.calls_left - 1
        if left < 0:
            status = host.exhaust(f"more than {host.budget.calls} host calls")
        else:
            status = gates[host.point] or bound(*values)
        return status if status >= 0 or not failures else failures[status]

    return call


def _gate(host: Host, row: HostFunction, point: Entry | None) -> Status:
    """Why a call in `point` is refused; OK, which is 0, when it is not."""
    if row.hooks and point not in row.hooks:
        return Status.WRONG_HOOK
    is_granted = row.need.in_hook(point) in host.grants
    return Status.OK if is_granted else Status.NO_PERMISSION
