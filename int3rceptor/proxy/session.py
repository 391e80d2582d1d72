"""What the exchanges of one client connection share."""

from dataclasses import dataclass, field

from int3rceptor.model.flow import ClientInfo, Upstream
from int3rceptor.proxy.limits import MAX_CONNECTED_HOSTS


@dataclass(slots=True, kw_only=True)
class Session:
    """One client connection, or one tunnel inside it.

    `scheme` is what requests in origin-form mean here. `target` is where they go when
    the connection is a tunnel or was intercepted: the host and port of CONNECT. It is
    None where the client speaks to us as to a proxy. `sni` is the name to ask the
    origin for. `knows_http2`: the client began in HTTP/2 in the clear inside a tunnel,
    so it knows that its origin speaks it (RFC 9113, 3.3).
    """

    client: ClientInfo
    scheme: str = "http"
    target: tuple[str, int] | None = None
    sni: str | None = None
    is_http2: bool = False
    knows_http2: bool = False
    _admitted: dict[tuple[str, int], Upstream | None] = field(default_factory=dict)

    def is_admitted(self, host: str, port: int) -> bool:
        """Whether on_connect was asked for this origin here, and let it pass."""
        return (host, port) in self._admitted

    def upstream(self, host: str, port: int) -> Upstream | None:
        """Where on_connect said to dial in place of this origin, if it did."""
        return self._admitted.get((host, port)) if self._admitted else None

    def admit(self, host: str, port: int, upstream: Upstream | None = None) -> None:
        """Do not ask on_connect again for this origin. Only a pass is remembered: a
        response belongs to one exchange, and who refused may think better of it."""
        if len(self._admitted) >= MAX_CONNECTED_HOSTS:
            del self._admitted[next(iter(self._admitted))]
        self._admitted[(host, port)] = upstream
