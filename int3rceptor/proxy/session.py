"""What the exchanges of one client connection share."""

from dataclasses import dataclass, field

from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.flow import ClientInfo
from int3rceptor.proxy.limits import MAX_CONNECTED_HOSTS


@dataclass(slots=True, kw_only=True)
class Session:
    """One client connection, or one tunnel inside it.

    `scheme` is what requests in origin-form mean here. `target` is where they go when
    the connection is a tunnel or was intercepted: the host and port of CONNECT. It is
    None where the client speaks to us as to a proxy. `sni` is the name to ask the
    origin for.
    """

    client: ClientInfo
    scheme: str = "http"
    target: tuple[str, int] | None = None
    sni: str | None = None
    is_http2: bool = False
    _connected: dict[tuple[str, int], Verdict | None] = field(default_factory=dict)

    def connect_verdict(self, host: str, port: int) -> tuple[bool, Verdict | None]:
        """Whether on_connect was asked for this origin here, and what it said."""
        key = (host, port)
        return key in self._connected, self._connected.get(key)

    def remember_connect(self, host: str, port: int, verdict: Verdict | None) -> None:
        """Keep on_connect's answer for the next request to the same origin."""
        if len(self._connected) >= MAX_CONNECTED_HOSTS:
            del self._connected[next(iter(self._connected))]
        self._connected[(host, port)] = verdict
