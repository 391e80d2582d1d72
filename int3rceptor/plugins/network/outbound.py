"""What a plugin asks of the network, what it gets, and how much of it. Pure.

Who really goes out is a `Fetcher`, supplied among the surroundings: `fetching` in a
proxy, anything else where a run is repeated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

DEFAULT_FETCHES = 4
"""In one call of a hook: each may take as long as the flow is willing to wait."""

DEFAULT_FETCH_BYTES = 1024 * 1024
"""Of one request, and of one answer: both are held in memory."""

DEFAULT_FETCH_S = 3.0
"""For one fetch, all of it; shorter than a hook's wall clock, so that there is time to
do something about a server that does not answer."""

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True, frozen=True, kw_only=True)
class FetchRequest:
    """One request; what it holds has been judged and can be written as it is."""

    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def authority(self) -> str:
        """The Host field: without a port that goes without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == DEFAULT_PORTS[self.scheme]
        return host if is_default else f"{host}:{self.port}"


@dataclass(slots=True, frozen=True, kw_only=True)
class FetchTerms:
    """How long it may take, how large the answer may be, where it may lead."""

    seconds: float
    max_bytes: int
    may_be_private: bool


@dataclass(slots=True, frozen=True, kw_only=True)
class FetchAnswer:
    """One answer; its body is as it was on the wire, but for the framing."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True, frozen=True)
class FetchFailure:
    """Why there is no answer, in words for the log."""

    reason: str
    is_private: bool = False
    is_large: bool = False


Fetcher = Callable[[FetchRequest, FetchTerms], FetchAnswer | FetchFailure]
"""Sends a request and waits for the answer, within the terms; it never raises."""


def offline(_request: FetchRequest, _terms: FetchTerms) -> FetchFailure:
    """The fetcher of those that have no network."""
    return FetchFailure("there is no network here")


@dataclass(slots=True, kw_only=True)
class Outbound:
    """The fetches of one plugin: what is left of this call's, and of its time.

    An answer that did not fit stays until the call is over, under the request that
    asks for it again.
    """

    count: int = DEFAULT_FETCHES
    max_bytes: int = DEFAULT_FETCH_BYTES
    seconds: float = DEFAULT_FETCH_S
    wall_s: float = DEFAULT_FETCH_S
    clock: Callable[[], float] = time.monotonic
    left: int = 0
    deadline: float = 0.0
    total: int = 0
    answers: dict[bytes, bytes] = field(default_factory=dict)

    def begin(self) -> None:
        """A call begins."""
        self.left = self.count
        self.deadline = self.clock() + self.wall_s

    def seconds_left(self) -> float:
        """What the next fetch may take."""
        return min(self.seconds, self.deadline - self.clock())


def covers(scope: str, request: FetchRequest) -> bool:
    """Whether `HOST`, `HOST:PORT` or `HOST:*` is meant for where a request goes.

    Without a port it is the scheme's own. An IPv6 address stands in brackets.
    """
    host, colon, port = scope.rpartition(":")
    if not colon or scope.endswith("]"):
        host, port = scope, str(DEFAULT_PORTS[request.scheme])
    name = f"[{request.host}]" if ":" in request.host else request.host
    is_port = port in ("*", str(request.port))
    if host.startswith("["):  # else its brackets would be a glob's
        return is_port and host.lower() == name
    return is_port and fnmatchcase(name, host.lower().rstrip("."))


_EMBEDDING = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))
"""Addresses that a gateway turns into IPv4 (RFC 6052, RFC 8215)."""

_NEAR = tuple(
    map(ip_network, ("192.0.0.0/24", "2001:1::/32", "3fff::/20", "5f00::/16"))
)
"""What some releases of Python take for global: protocol assignments, of which the
anycast ones lead to one's own router (RFC 7723, RFC 8155); documentation (RFC 9637);
segments of a network (RFC 9602)."""


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, and nothing nearer.

    One that holds an IPv4 address (mapped, 6to4, Teredo, NAT64) is as public as that.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
    # For Python these may be global all the same; loopback and link-local never are.
    is_odd = (
        any(address in network for network in _NEAR)
        or address.is_multicast
        or address.is_reserved
        or getattr(address, "is_site_local", False)
    )
    return address.is_global and not is_odd


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address in an IPv6 address."""
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo and teredo[1])
