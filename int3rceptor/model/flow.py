"""The record of one exchange: who, where, what, when, and who changed it.

A Flow is the record; the running coroutine is `proxy.exchange`.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from int3rceptor.model.message import Informational, Request, Response
from int3rceptor.model.websocket import WebSocket

_serial = itertools.count(1)

MAX_CHANGES = 256
"""Changes kept per flow: far above what plugins do; a loop cannot fill RAM."""

MAX_PARTICIPANTS = 64
"""Plugins told of per flow, each once for a hook: twelve that act at every hook."""

MAX_TAGS = 64
"""Tags kept per flow, for the same reason."""

MAX_CONTEXT_KEYS = 64
"""Values that plugins leave on a flow for each other: a handful each."""

MAX_CONTEXT_BYTES = 64 * 1024
"""All of them together; they live as long as the exchange."""

MAX_INFORMATIONAL = 16
"""1xx responses kept per flow: servers send one or two."""


class FlowKind(Enum):
    """What passed: an HTTP exchange, or bytes that were relayed unread."""

    HTTP = "http"
    TUNNEL = "tunnel"


@dataclass(slots=True, frozen=True, kw_only=True)
class TlsInfo:
    """What a TLS handshake agreed on; `alpn` is "" when nothing was negotiated."""

    version: str
    cipher: str
    alpn: str
    sni: str | None
    is_resumed: bool = False


@dataclass(slots=True, kw_only=True)
class ClientInfo:
    """The client's connection. `connect_host` is what CONNECT named, if any did."""

    address: tuple[str, int]
    connect_host: str | None = None
    connect_port: int | None = None
    tls: TlsInfo | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class OriginInfo:
    """The origin connection that carried the exchange."""

    address: tuple[str, int]
    tls: TlsInfo | None
    version: str
    is_reused: bool


@dataclass(slots=True, frozen=True)
class Upstream:
    """Where to dial in place of the origin that was named, and who says so.

    Only the connection goes elsewhere: the origin's name stays what the request, the
    server name in TLS and the verification of the certificate are about.
    """

    host: str
    port: int
    author: str = ""

    def __post_init__(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise ValueError(f"not a host to dial: {self.host!r}")
        if self.port not in range(1, 65_536):
            raise ValueError(f"not a port to dial: {self.port!r}")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


@dataclass(slots=True, frozen=True, kw_only=True)
class RuleFacts:
    """A rule that matched: its phase, its FILE:LINE, and what it will do, in words."""

    name: str
    phase: str
    place: str
    does: tuple[str, ...]


@dataclass(slots=True)
class Times:
    """Seconds on the monotonic clock; 0.0 where the phase was not reached."""

    started: float = 0.0
    response_head: float = 0.0
    ended: float = 0.0


# What a named tuple's own constructor comes to, without its frame.
_new_change = tuple.__new__


class Change(NamedTuple):
    """One step in a flow's life: who did what at which hook point."""

    point: str
    author: str
    what: str


@dataclass(slots=True)
class Participant:
    """A version of a plugin that changed or decided something at one hook of a flow.

    `digest` is of its module, short; `fuel` (0: not known) and `micros` are what those
    calls took.
    """

    name: str
    version: str
    digest: str
    hook: str
    calls: int = 0
    fuel: int = 0
    micros: int = 0


@dataclass(slots=True)  # by name alone its making would take twice as long
class Flow:
    """One exchange from accept to the last byte.

    `is_announced` says that who keeps flows knows of it, and gave it its number; a
    tunnel that turns out to hold requests is never announced. `is_redacted` says that a
    listener of on_capture changed a message: what is kept is the changed one, and
    nothing that shows the original. `context` is what plugins and functions leave for
    later ones; it is not kept. `roster` is for who dispatches the flow: whom it asks,
    from the first hook to the last. `upstream` is what a listener of on_connect decided
    for the connection that the flow came on; `rule_facts` are of the last rule that
    listeners were asked about. `websocket` is there from on_response on when the answer
    opens one.
    """

    client: ClientInfo
    request: Request
    kind: FlowKind = FlowKind.HTTP
    id: int = field(default_factory=_serial.__next__)
    response: Response | None = None
    origin: OriginInfo | None = None
    upstream: Upstream | None = None
    times: Times = field(default_factory=Times)
    created: float = 0.0
    error: str = ""
    changes: list[Change] = field(default_factory=list)
    plugins: list[Participant] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rule: str = ""
    rule_facts: RuleFacts | None = None
    context: dict[str, bytes] = field(default_factory=dict)
    informational: list[Informational] = field(default_factory=list)
    is_redacted: bool = False
    is_announced: bool = False
    roster: object = field(default=None, repr=False, compare=False)
    bytes_up: int = 0
    bytes_down: int = 0
    websocket: WebSocket | None = None

    def hosts(self) -> tuple[str, ...]:
        """Every name this flow goes by; scopes and grants match the strictest.

        The dialled host, the host that CONNECT named, the SNI and Host/:authority.
        """
        names = {self.request.host: None}
        if self.client.connect_host:
            names[self.client.connect_host] = None
        if self.client.tls is not None and self.client.tls.sni:
            names[self.client.tls.sni] = None
        if self.request.authority:
            names[host_of(self.request.authority)] = None
        return tuple(names)

    def record(self, point: str, author: str, what: str) -> None:
        """Note a change; past MAX_CHANGES the oldest stay and the rest is not kept."""
        self.record_all(point, author, (what,))

    def record_all(self, point: str, author: str, what: Iterable[str]) -> None:
        """The same for several changes by one author."""
        changes = self.changes
        for one in what:
            if len(changes) < MAX_CHANGES:
                changes.append(_new_change(Change, (point, author, one)))

    def leave(self, key: str, value: bytes) -> bool:
        """Put a value into the context; False when the flow holds too much already."""
        after = {**self.context, key: value}
        size = sum(len(name) + len(one) for name, one in after.items())
        if len(after) > MAX_CONTEXT_KEYS or size > MAX_CONTEXT_BYTES:
            return False
        self.context[key] = value
        return True

    def took_part(self, who: Participant) -> None:
        """Count a call of a plugin that did something; past MAX_PARTICIPANTS the first
        ones stay."""
        for one in self.plugins:
            is_same_hook = one.hook == who.hook
            if is_same_hook and (one.name, one.digest) == (who.name, who.digest):
                one.calls += who.calls
                one.fuel += who.fuel
                one.micros += who.micros
                return
        if len(self.plugins) < MAX_PARTICIPANTS:
            self.plugins.append(who)

    def tag(self, name: str) -> bool:
        """Add a tag; False when the flow holds MAX_TAGS already."""
        if name in self.tags:
            return True
        if len(self.tags) >= MAX_TAGS:
            return False
        self.tags.append(name)
        return True


def host_of(authority: str) -> str:
    """The host of an authority: lower case, no port, no brackets, no trailing dot."""
    host = authority.rsplit("@", 1)[-1]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    return host.lower().rstrip(".")
