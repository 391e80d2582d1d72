"""INT3RCEPTOR as a library: the data plane in the caller's own event loop.

Owns `Proxy`. Starts no other process and touches no signal; knows nothing of the hub.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from int3rceptor.app.keeping import Watched, journal_of, keeper_of
from int3rceptor.app.proxy_plane import Ready, dispatcher_for, running
from int3rceptor.config.model import Config
from int3rceptor.config.values import host_pattern
from int3rceptor.errors import UsageError
from int3rceptor.hooks.dispatcher import Answer, Call, Listener
from int3rceptor.hooks.keeper import Ended, Keeper
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import format_authority
from int3rceptor.net.tasks import CANCELLED_WITHIN, is_cancelled
from int3rceptor.proxy.passthrough import is_passed_through as is_among

log = logging.getLogger("int3rceptor.library")

Hook = Literal["on_connect", "on_request", "on_response", "on_capture", "on_rule_match"]
"""Where a function can listen; docs/library.md says what it may do there."""

Function = TypeVar("Function", bound=Call)

DEFAULT_PRIORITY = 1_000
"""After the rules and after every plugin that does not ask to come last."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Statistics:
    """What a proxy has done so far.

    `flows` are those that have ended, `errors` the ones among them that failed. The
    bytes are those of bodies and tunnels: up to the origins, down to the clients.
    """

    flows: int
    errors: int
    open_connections: int
    bytes_up: int
    bytes_down: int


class Listening:
    """One function at one hook, until it is removed."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove = remove

    def remove(self) -> None:
        """Listen no more. Exchanges that began before may still call it, to their end;
        a second call does nothing."""
        self._remove()


class Proxy:
    """A proxy that runs inside `async with`, once.

        async with Proxy(Config(listen="127.0.0.1:0")) as proxy:
            ...

    Entering it raises ConfigError, AuthorityError or PluginError when it cannot start;
    leaving it lets running exchanges end for `limits.drain_s` seconds. Functions listen
    from before the start or from any later moment on, and are called with the flow in
    the event loop; they change it in place, or return a Respond, Drop, Delay or
    PassThrough. What a function raises is logged, and the flow goes on.

    With `journal`, flows are kept in `data_dir`, where `int3rceptor flows` shows them.
    """

    def __init__(self, config: Config, *, journal: bool = False) -> None:
        given: object = config
        if not isinstance(given, Config):
            raise UsageError(f"a Proxy takes a Config, not {given!r}: Proxy(Config())")
        if journal and config.no_store:
            raise UsageError("journal=True and no_store=True contradict each other")
        if config.workers != 1:
            raise UsageError("a Proxy is one process: workers is for the command line")
        self._config = config
        self._keeps = journal
        self._hooks = dispatcher_for(config)
        self._named: set[Hook] = set()
        self._counter = _Counter(None)
        self._stack: contextlib.AsyncExitStack | None = None
        self._ready: Ready | None = None

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise UsageError("a Proxy runs once; make another one: Proxy(config)")
        self._stack = contextlib.AsyncExitStack()
        async with contextlib.AsyncExitStack() as stack:
            if self._keeps:
                journal = stack.enter_context(journal_of(self._config))
                self._counter = _Counter(keeper_of(journal, self._config))
            self._ready = await stack.enter_async_context(
                running(self._config, hooks=self._hooks, keeper=self._counter)
            )
            self._stack = stack.pop_all()
        for note in self._ready.notes:
            log.info("%s", note)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._stack is not None
        try:
            await self._stack.__aexit__(kind, error, trace)
        finally:
            self._ready = None

    # Where it is

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that clients connect to; UsageError unless it runs."""
        return self._running().listen

    @property
    def url(self) -> str:
        """The address as clients' proxy settings want it: http://127.0.0.1:8080."""
        return f"http://{format_authority(*self.address, 'proxy')}"

    @property
    def ca_path(self) -> Path:
        """The file of the CA certificate that clients trust, in PEM."""
        return self._running().ca_path

    @property
    def ca_pem(self) -> str:
        """The CA certificate, for `ssl.create_default_context(cadata=...)`."""
        return self._running().ca_files.pem.decode("ascii")

    @property
    def statistics(self) -> Statistics:
        """The counts of this moment; after the end, the last ones."""
        counted = self._counter
        return Statistics(
            flows=counted.ended,
            errors=counted.failed,
            open_connections=self._ready.open_connections() if self._ready else 0,
            bytes_up=counted.bytes_up,
            bytes_down=counted.bytes_down,
        )

    def _running(self) -> Ready:
        if self._ready is None:
            raise UsageError(
                "this Proxy does not run: use it inside `async with Proxy(...)`"
            )
        return self._ready

    # Who listens

    def on_connect(self, function: Function) -> Function:
        """Call `function` when a client names an origin, before anything is dialled."""
        return self._only("on_connect", function)

    def on_request(self, function: Function) -> Function:
        """Call `function` with each request, before an origin is chosen."""
        return self._only("on_request", function)

    def on_response(self, function: Function) -> Function:
        """Call `function` with each response, before the client sees it."""
        return self._only("on_response", function)

    def on_capture(self, function: Function) -> Function:
        """Call `function` with each exchange that is over."""
        return self._only("on_capture", function)

    def on_rule_match(self, function: Function) -> Function:
        """Call `function` when a rule matches; `flow.rule` names it."""
        return self._only("on_rule_match", function)

    def listen(
        self,
        hook: Hook,
        function: Call,
        *,
        priority: int = DEFAULT_PRIORITY,
        hosts: Sequence[str] = (),
        needs_body: bool = False,
    ) -> Listening:
        """Call `function` at `hook`: any number of them, until `remove` of the result.

        A lower `priority` is asked first, ties by the function's name. `hosts` are
        globs with an optional port: a flow is shown when any name that it goes by
        matches one; all are, when there is none. `needs_body` makes the message's body
        whole before the call, up to `limits.max_buffered_body_bytes`; past them
        `body.content` is None.
        """
        point = _point(hook)
        if not callable(function):
            raise UsageError(f"{hook} takes a function of the flow, not {function!r}")
        listener = Listener(
            name=getattr(function, "__name__", type(function).__name__),
            point=point,
            # Equal to no other: the same function may listen twice.
            call=functools.partial(_call, function),
            priority=priority,
            needs_body=needs_body,
            applies=_host_test(hosts),
        )
        self._hooks.add(listener)
        return Listening(functools.partial(self._hooks.remove, listener))

    def _only(self, hook: Hook, function: Function) -> Function:
        if hook in self._named:
            raise UsageError(
                f"{hook} has its function already; "
                f'for more than one, use listen("{hook}", function)'
            )
        self.listen(hook, function)
        self._named.add(hook)
        return function


class _Counter(Watched):
    """Counts the flows, and the bytes of those that have ended."""

    def __init__(self, keeper: Keeper | None) -> None:
        super().__init__(keeper)
        self.bytes_up = 0
        self.bytes_down = 0

    def finish(self, ended: Sequence[Ended]) -> None:
        for flow, _ in ended:
            self.bytes_up += flow.bytes_up
            self.bytes_down += flow.bytes_down
        super().finish(ended)


def _call(function: Call, flow: Flow) -> Answer | Awaitable[Answer]:
    try:
        answer = function(flow)
    except asyncio.CancelledError as error:  # of a future whose result it asked for
        raise RuntimeError(CANCELLED_WITHIN) from error
    return _waited_for(answer) if inspect.isawaitable(answer) else answer


async def _waited_for(answer: Awaitable[Answer]) -> Answer:
    """What it gives. What cancels something else that it waits for, a task of its own,
    has it fail; it is not this exchange that ends."""
    try:
        return await answer
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise RuntimeError(CANCELLED_WITHIN) from error


def _point(hook: str) -> HookPoint:
    try:
        return HookPoint(hook)
    except ValueError:
        known = ", ".join(one.value for one in HookPoint)
        raise UsageError(f"no hook is called {hook!r}; there are {known}") from None


def _host_test(hosts: Sequence[str]) -> Callable[[Flow], bool] | None:
    """Whether a flow goes by a name that matches; None: every flow does."""
    if not hosts:
        return None
    if isinstance(hosts, str):
        raise UsageError(f"hosts is a list of patterns: write hosts=[{hosts!r}]")
    try:
        patterns = tuple(host_pattern(one) for one in hosts)
    except ValueError as error:
        raise UsageError(f"hosts={list(hosts)!r}: {error}") from None

    def applies(flow: Flow) -> bool:
        return is_among(patterns, flow.hosts(), flow.request.port)

    return applies
