"""What a row of the table of host functions says, and the words that rows are made of.

The rows themselves are in the files beside it; `table` has them all. Pure data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import IMPORT_MODULE, Entry, Extra, Status
from int3rceptor.plugins.policy.permissions import Permission


@dataclass(slots=True, frozen=True)
class Need:
    """Which permission a function needs, by the hook that it is called in.

    The same function may change a request, a response, or what is kept of both.
    """

    always: Permission
    at: Mapping[Entry, Permission] = field(default_factory=dict)

    def in_hook(self, point: Entry | None) -> Permission:
        """The permission for a call in `point`; None: in plugin_init."""
        return self.always if point is None else self.at.get(point, self.always)


@dataclass(slots=True, frozen=True, kw_only=True)
class HostFunction:
    """One row. `params` are i32 each, but for those named in `wide`: they are i64.

    A function of our own may also be declared without its result. `hooks` are the
    points where it has a meaning (elsewhere it answers WRONG_HOOK); empty: everywhere,
    in plugin_init too. `failures` says what to answer in place of a status: of the
    original ABI, where every failure is -1 (`legacy`), and of WASI. `blocks`: it may
    wait, so that who imports it never runs on the event loop. `streams` marks what is
    about a body and needs none to be whole.
    """

    name: str
    params: tuple[str, ...]
    need: Need
    hooks: tuple[Entry, ...]
    does: str
    returns: str
    errors: tuple[Status, ...]
    cost: str
    result: str = "i32"
    legacy: bool = False
    streams: bool = False
    wide: frozenset[str] = frozenset()
    failures: Mapping[int, int] = field(default_factory=dict)
    module: str = IMPORT_MODULE
    blocks: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the parameters."""
        return tuple("i64" if name in self.wide else "i32" for name in self.params)

    @property
    def results(self) -> tuple[str, ...]:
        """The results that it may be declared with; "" is none."""
        if self.module == IMPORT_MODULE:
            return (self.result, "")
        return (self.result,)

    @property
    def signature(self) -> str:
        """The signature as the documentation writes it."""
        pairs = zip(self.params, self.types, strict=True)
        params = ", ".join(f"{name}: {kind}" for name, kind in pairs)
        return f"{self.name}({params}) -> {self.result}"

    def permissions(self, exported: Iterable[Entry]) -> frozenset[Permission]:
        """What a module asks for that imports it and exports these hooks."""
        if not self.hooks:
            return frozenset({self.need.always})
        at = (point for point in exported if point in self.hooks)
        return frozenset(self.need.in_hook(point) for point in at)

    @property
    def needs_memory(self) -> bool:
        """Whether it reads or writes the guest's memory."""
        return any(name.endswith(("ptr", "_at")) for name in self.params)


CHUNK_HOOKS = (Extra.REQUEST_CHUNK, Extra.RESPONSE_CHUNK)
EVENT_HOOKS = (Extra.SSE_EVENT,)
PIECE_HOOKS = (*CHUNK_HOOKS, *EVENT_HOOKS, Extra.WEBSOCKET_MESSAGE)
ALL_HOOKS = (*HookPoint, *PIECE_HOOKS)
REQUEST_HOOKS = (HookPoint.REQUEST, HookPoint.RULE_MATCH)
RESPONSE_HOOKS = (HookPoint.RESPONSE,)
BODY_HOOKS = (HookPoint.REQUEST, HookPoint.RESPONSE)
CHANGE_HOOKS = (*REQUEST_HOOKS, *RESPONSE_HOOKS)
KEPT_HOOKS = (*CHANGE_HOOKS, HookPoint.CAPTURE)
KEPT_REQUEST_HOOKS = (*REQUEST_HOOKS, HookPoint.CAPTURE)
KEPT_BODY_HOOKS = (*BODY_HOOKS, HookPoint.CAPTURE)
ANSWERED_HOOKS = (
    *RESPONSE_HOOKS,
    *(HookPoint.CAPTURE, Extra.RESPONSE_CHUNK),
    *(Extra.SSE_EVENT, Extra.WEBSOCKET_MESSAGE),
)
DECIDE_HOOKS = (HookPoint.CONNECT, *CHANGE_HOOKS)
BUF = "buf_ptr buf_len"
LENGTH = "the length; more than buf_len means that nothing was written: ask again"
PTR, ARG, HOOK = Status.BAD_POINTER, Status.BAD_ARGUMENT, Status.WRONG_HOOK
NONE, KEPT, LARGE = Status.NOT_FOUND, Status.PROTECTED, Status.TOO_LARGE
_MOVED = "1 call, the bytes moved"
_ALWAYS_MINUS_ONE: Mapping[int, int] = dict.fromkeys(Status, Status.NOT_FOUND)


def row(
    name: str,
    params: str,
    need: Need,
    hooks: tuple[Entry, ...],
    does: str,
    returns: str = "OK",
    *errors: Status,
    result: str = "i32",
    legacy: bool = False,
    streams: bool = False,
    blocks: bool = False,
) -> HostFunction:
    names = tuple(params.split())
    moves = any(one.endswith("ptr") for one in names)
    refused = () if need is BASE else (Status.NO_PERMISSION,)
    return HostFunction(
        name=name,
        params=names,
        need=need,
        hooks=hooks,
        does=does,
        returns=returns,
        errors=(NONE,) if legacy else (*errors, *refused),
        cost=_MOVED if moves else "1 call",
        blocks=blocks,
        result=result,
        legacy=legacy,
        streams=streams,
        failures=_ALWAYS_MINUS_ONE if legacy else {},
    )


def text_row(name: str, does: str, *errors: Status) -> HostFunction:
    """A row that copies one text about the flow into the guest's buffer."""
    return row(name, BUF, READ, ALL_HOOKS, does, LENGTH, PTR, HOOK, *errors)


BASE, AMBIENT = Need(Permission.BASE), Need(Permission.AMBIENT)
READ = Need(Permission.REQUEST_READ)
READ_MESSAGE = Need(
    Permission.REQUEST_READ,
    {
        HookPoint.RESPONSE: Permission.RESPONSE_READ,
        HookPoint.CAPTURE: Permission.RESPONSE_READ,
        Extra.RESPONSE_CHUNK: Permission.RESPONSE_READ,
        Extra.SSE_EVENT: Permission.RESPONSE_READ,
        Extra.WEBSOCKET_MESSAGE: Permission.RESPONSE_READ,
    },
)
READ_ANSWER = Need(Permission.RESPONSE_READ)
READ_BODY = Need(Permission.BODY_READ)
EDIT = Need(
    Permission.REQUEST_MODIFY,
    {
        HookPoint.RESPONSE: Permission.RESPONSE_MODIFY,
        HookPoint.CAPTURE: Permission.RECORD,
    },
)
EDIT_BODY = Need(Permission.BODY_MODIFY, {HookPoint.CAPTURE: Permission.RECORD})
RECORD = Need(Permission.RECORD)
DECIDE = Need(
    Permission.RESPOND,
    {
        HookPoint.CONNECT: Permission.CONNECT,
        HookPoint.CAPTURE: Permission.RECORD,
        # One event, or message, of a connection that goes on.
        Extra.SSE_EVENT: Permission.BODY_MODIFY,
        Extra.WEBSOCKET_MESSAGE: Permission.BODY_MODIFY,
    },
)

NAME = "name_ptr name_len"
LISTED = f"a list; {LENGTH}"
FIELD_ERRORS = (PTR, ARG, HOOK, KEPT, LARGE)
