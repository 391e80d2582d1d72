"""Who is let in, as plain ASGI, outermost first; what comes in is `reading`'s business.

`Answers` (nothing escapes; headers; counting), `Doors` (whose request it is), `Paced`
(how many), `Locked` (the token). They know no route but by its path.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from int3rceptor.control.failures import CutShort, answer
from int3rceptor.control.metrics import Counts
from int3rceptor.control.origins import Head, Names, foreign_origin, single
from int3rceptor.control.token import is_token

log = logging.getLogger("int3rceptor.control")

MAX_CLIENTS = 1_024
"""Client addresses whose pace is remembered, the latest ones."""

_IPV6_NETWORK_BITS = 64
"""One customer has a whole /64: its addresses count as one client."""

VERSIONS = ("1.1", "1.0")
CLOSE = {"Connection": "close"}
OPEN_PATHS = frozenset({"/", "/api/health"})
"""What is answered without the token: both say nothing about anyone's traffic."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer that does not say otherwise: nothing here is for another site, and
nothing that passed through the proxy is for a browser to run."""


class Answers:
    """Every request is answered in our shape, whatever happens below."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def guarded(message: Message) -> None:
            nonlocal has_started
            if message["type"].endswith("response.start"):
                has_started = True
                self._counts.count(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"].startswith("websocket."):
                has_started = True
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except CutShort as error:
            log.warning("control port: an answer was cut short: %s", error)
            raise
        except Exception:
            log.exception("internal error in the control port")
            if has_started:
                raise  # the server ends the connection: half an answer is no answer
            sorry = answer(500, "an internal error; the log of the proxy says more")
            await sorry(scope, receive, guarded)
        except asyncio.CancelledError:
            # The server's last resort with what does not end while it stops.
            if not has_started:
                await answer(503, "the hub is stopping")(scope, receive, guarded)
            raise


class Doors:
    """Only requests for our own names, from our own pages or from no page at all."""

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        head, method = scope["headers"], scope.get("method", "GET")
        if scope.get("http_version") not in VERSIONS:
            return answer(505, "only HTTP/1.1 is spoken here", headers=CLOSE)
        if not _is_path(scope):
            return answer(
                400,
                "this is the control port, not the proxy: it takes requests for a path",
                code="not_a_proxy",
                headers=CLOSE,
            )
        host = (single(head, b"host") or b"").decode("latin-1")
        local = scope["server"][0].lower() if scope.get("server") else ""
        if not self._names.is_ours(host, local):
            return answer(
                421,
                "the Host field is not a name of this control port; if it should be,"
                " add it to control_port.allowed_hosts",
            )
        if why := foreign_origin(head, host, method):
            return answer(403, f"refused: {why}", code="foreign_origin")
        return None


class Paced:
    """So many requests a second from each client address; more are told to wait."""

    def __init__(
        self,
        app: ASGIApp,
        per_s: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._per_s = per_s
        self._clock = clock
        # What each client has left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_s = self._take(_client(scope))
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        refusal = answer(
            429,
            f"more than {self._per_s} requests a second"
            " (control_port.max_requests_per_s)",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )
        await refusal(scope, receive, send)

    def _take(self, client: str) -> float:
        """Count one request; the seconds until the next is welcome, 0 for this one."""
        now = self._clock()
        left, since = self._left.pop(client, (float(self._per_s), now))
        left = min(float(self._per_s), left + (now - since) * self._per_s)
        is_welcome = left >= 1
        self._left[client] = (left - 1 if is_welcome else left, now)
        if len(self._left) > MAX_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if is_welcome else (1 - left) / self._per_s


class Locked:
    """Only with the token, but for OPEN_PATHS. A WebSocket shows it by its own ways."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] != "http" or scope["path"] in OPEN_PATHS
        if is_open or has_token(scope["headers"], self._token):
            await self._app(scope, receive, send)
            return
        refusal = answer(
            401,
            "send the token of DATA_DIR/control-token: `Authorization: Bearer TOKEN`"
            " (never in the URL)",
            headers={"WWW-Authenticate": 'Bearer realm="int3rceptor"'},
        )
        await refusal(scope, receive, send)


def has_token(head: Head, token: str) -> bool:
    """Whether the Authorization field, if there is just one, bears the token."""
    value = (single(head, b"authorization") or b"").decode("latin-1")
    scheme, _, given = value.partition(" ")
    # The scheme's case does not matter (RFC 9110, 11.1), the token's does.
    return scheme.lower() == "bearer" and is_token(given.strip(" "), token)


def _is_path(scope: Scope) -> bool:
    """Whether the target is a path of ours, not a URL or an authority for a proxy."""
    path: str = scope["path"]
    return path.startswith("/") or (path == "*" and scope.get("method") == "OPTIONS")


def _client(scope: Scope) -> str:
    host: str = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(int(address) >> (address.max_prefixlen - _IPV6_NETWORK_BITS))
    return host
