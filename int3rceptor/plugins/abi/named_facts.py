"""The table of named facts that `host_get_fact` reads. Pure.

Every fact is text: numbers in decimal, truths as `true` or `false`, several things one
to a line. None: the flow does not have it, or not yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from int3rceptor.model.flow import Flow, OriginInfo, RuleFacts, TlsInfo, Upstream
from int3rceptor.model.websocket import WebSocketMessage

Value = str | int | float | bool | tuple[str, ...] | None


@dataclass(slots=True, frozen=True)
class Fact:
    """One fact: its name, what it is, and where it stands in a flow, or in a message of
    its WebSocket."""

    name: str
    means: str
    find: Callable[[Flow], Value] | None = None
    find_in: Callable[[WebSocketMessage], Value] | None = None

    def read(self, flow: Flow, message: WebSocketMessage | None = None) -> str | None:
        """The fact as a guest reads it, which is shown this message, if any."""
        value = None if self.find is None else self.find(flow)
        if self.find_in is not None and message is not None:
            value = self.find_in(message)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        return "\n".join(value) if isinstance(value, tuple) else str(int(value))


def _client_tls(flow: Flow) -> TlsInfo | None:
    return flow.client.tls


def _origin_tls(flow: Flow) -> TlsInfo | None:
    return None if flow.origin is None else flow.origin.tls


def _tls_facts(
    side: str, whose: str, tls: Callable[[Flow], TlsInfo | None]
) -> tuple[Fact, ...]:
    def part(name: str, means: str, find: Callable[[TlsInfo], Value]) -> Fact:
        def find_in(flow: Flow) -> Value:
            info = tls(flow)
            return None if info is None else find(info)

        return Fact(f"{side}.tls.{name}", f"{whose} TLS: {means}", find_in)

    return (
        part("version", "version", lambda info: info.version),
        part("cipher", "cipher", lambda info: info.cipher),
        part("alpn", "what ALPN chose, empty for nothing", lambda one: one.alpn),
        part("sni", "server name in its hello", lambda info: info.sni),
        part("resumed", "whether a session was resumed", lambda one: one.is_resumed),
    )


def _origin(find: Callable[[OriginInfo], Value]) -> Callable[[Flow], Value]:
    return lambda flow: None if flow.origin is None else find(flow.origin)


def _upstream(find: Callable[[Upstream], Value]) -> Callable[[Flow], Value]:
    return lambda flow: None if flow.upstream is None else find(flow.upstream)


def _rule(find: Callable[[RuleFacts], Value]) -> Callable[[Flow], Value]:
    return lambda flow: None if flow.rule_facts is None else find(flow.rule_facts)


def _since_start(seconds: Callable[[Flow], float]) -> Callable[[Flow], Value]:
    def find(flow: Flow) -> Value:
        moment = seconds(flow)
        return (moment - flow.times.started) * 1000 if moment else None

    return find


def _bytes_up(flow: Flow) -> int:
    passed = 0 if flow.times.ended else flow.request.body.passed
    return flow.bytes_up + passed


def _bytes_down(flow: Flow) -> int:
    if flow.times.ended or flow.response is None:
        return flow.bytes_down
    return flow.bytes_down + flow.response.body.passed


_TABLE = (
    Fact("flow.id", "the flow's number", lambda flow: flow.id),
    Fact("flow.kind", "`http`, or `tunnel`: relayed unread", lambda f: f.kind.value),
    Fact(
        "flow.created_ms",
        "when it began, in milliseconds since 1970-01-01 UTC",
        lambda flow: flow.created * 1000,
    ),
    Fact(
        "flow.head_ms",
        "milliseconds from then to the head of the origin's response",
        _since_start(lambda flow: flow.times.response_head),
    ),
    Fact(
        "flow.total_ms",
        "milliseconds that it took, in `on_capture`",
        _since_start(lambda flow: flow.times.ended),
    ),
    Fact("flow.error", "why it failed", lambda flow: flow.error or None),
    Fact("flow.bytes_up", "bytes of bodies and tunnels, so far, up", _bytes_up),
    Fact("flow.bytes_down", "the same down", _bytes_down),
    Fact("request.version", "HTTP version", lambda flow: flow.request.version),
    Fact("request.authority", "Host or `:authority`", lambda f: f.request.authority),
    Fact("client.address", "the client's address", lambda f: f.client.address[0]),
    Fact("client.port", "the client's port", lambda flow: flow.client.address[1]),
    Fact(
        "client.connect_host",
        "the host that CONNECT named",
        lambda flow: flow.client.connect_host,
    ),
    Fact(
        "client.connect_port",
        "the port that CONNECT named",
        lambda flow: flow.client.connect_port,
    ),
    *_tls_facts("client", "the client's", _client_tls),
    Fact(
        "dialled.host",
        "host dialled in place of the origin",
        _upstream(lambda u: u.host),
    ),
    Fact(
        "dialled.port",
        "port dialled in place of the origin's",
        _upstream(lambda u: u.port),
    ),
    Fact("origin.address", "address of the origin", _origin(lambda o: o.address[0])),
    Fact("origin.port", "port of the origin", _origin(lambda one: one.address[1])),
    Fact("origin.version", "HTTP version spoken with it", _origin(lambda o: o.version)),
    Fact(
        "origin.reused",
        "whether the connection had carried exchanges before",
        _origin(lambda one: one.is_reused),
    ),
    *_tls_facts("origin", "the origin's", _origin_tls),
    Fact("rule.name", "the rule that matched last", lambda flow: flow.rule or None),
    Fact(
        "rule.phase",
        "when it is asked: `connect`, `request` or `response`",
        _rule(lambda rule: rule.phase),
    ),
    Fact("rule.place", "where it is written, FILE:LINE", _rule(lambda r: r.place)),
    Fact(
        "rule.does",
        "what it will do, by the keys of rule files, without values of headers",
        _rule(lambda rule: rule.does),
    ),
    Fact(
        "message.sender",
        "who sent a WebSocket's message, in its hook: `client` or `origin`",
        find_in=lambda message: "client" if message.is_from_client else "origin",
    ),
    Fact(
        "message.kind",
        "what it is there: `text` or `binary`",
        find_in=lambda message: "text" if message.is_text else "binary",
    ),
)

FACTS: Mapping[str, Fact] = MappingProxyType({fact.name: fact for fact in _TABLE})
"""By name."""
