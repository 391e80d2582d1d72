"""How a request is read, as plain ASGI: its body, bounded, and the methods of its path.

They know no route but by its path and methods.
"""

import asyncio
from collections.abc import Callable, Sequence
from re import Pattern
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from int3rceptor.control.failures import answer
from int3rceptor.control.origins import Head, single

MAX_BODY_BYTES = 64 * 1024
"""Largest request body: the largest that any route reads is a line of JSON."""

MAX_UPLOAD_BYTES = 8 * 1024 * 1024
"""Largest body of an upload: the largest module that a plugin may be."""

MAX_DISCARDED_BYTES = 16 * 1024 * 1024
"""How much of a body that is too large is read all the same: a client that is still
sending when the connection closes may never see why."""

BODY_S = 10.0
"""Longest wait for a request's whole body."""

CLOSE = {"Connection": "close"}


class Sized:
    """Reads a request's body before its route, up to MAX_BODY_BYTES and BODY_S.

    A PUT of a path that `uploads` matches may bring MAX_UPLOAD_BYTES.
    """

    def __init__(self, app: ASGIApp, uploads: Pattern[str]) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        is_upload = scope["method"] == "PUT" and self._uploads.fullmatch(scope["path"])
        limit = MAX_UPLOAD_BYTES if is_upload else MAX_BODY_BYTES
        body = await _body(scope["headers"], receive, limit)
        match body:
            case bytes():
                await self._app(scope, _replay(body, receive), send)
            case Response():
                await body(scope, receive, send)
            case None:  # the client left: there is nobody to answer
                pass


async def _body(head: Head, receive: Receive, limit: int) -> bytes | Response | None:
    """The whole body, or the answer to one that is too large or too slow."""
    refusal = answer(413, f"the body is larger than {limit} bytes", headers=CLOSE)
    names = {name for name, _ in head}
    if names >= {b"content-length", b"transfer-encoding"}:
        # RFC 9112, 6.3: what two readers could end differently is not to be trusted.
        return answer(400, "two fields say how long the body is", headers=CLOSE)
    length = single(head, b"content-length") or b"0"
    if single(head, b"expect") and int(length) > limit:
        return refusal  # it asked before it sent (RFC 9110, 10.1.1)
    try:
        async with asyncio.timeout(BODY_S):
            return await _read(receive, refusal, limit)
    except TimeoutError:
        return answer(408, "the body did not come in time", headers=CLOSE)


async def _read(
    receive: Receive, refusal: Response, limit: int
) -> bytes | Response | None:
    body = bytearray()
    size = 0
    while size <= MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            body += chunk
        if not message.get("more_body", False):
            return bytes(body) if size <= limit else refusal
    return refusal


def _has_body(head: Head) -> bool:
    names = {name for name, value in head if value != b"0"}
    return b"content-length" in names or b"transfer-encoding" in names


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body once; after it, what really comes."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


class Path(NamedTuple):
    """A route's path and the methods that it takes."""

    pattern: Pattern[str]
    methods: frozenset[str]


class Methods:
    """HEAD is GET without the content; OPTIONS and 405 say what a path takes.

    `paths` is asked for them at every request: routes are added after the guards.
    `websocket` is the one path that takes those.
    """

    def __init__(
        self, app: ASGIApp, paths: Callable[[], Sequence[Path]], websocket: str
    ) -> None:
        self._app = app
        self._paths = paths
        self._websocket = websocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] != self._websocket:
            refusal = answer(404, f"WebSockets are at {self._websocket}")
            await refusal(scope, receive, send)
            return
        takes = self._takes(scope["path"]) if scope["type"] == "http" else frozenset()
        method = scope.get("method")
        if not takes or method in takes:
            await self._app(scope, receive, send)
        elif method == "HEAD" and "GET" in takes:
            # RFC 9110, 14.2: a range means something for GET alone.
            head = [field for field in scope["headers"] if field[0] != b"range"]
            scope = {**scope, "method": "GET", "headers": head}
            await self._app(scope, receive, _without_content(send))
        else:
            implied = {"HEAD", "OPTIONS"} if "GET" in takes else {"OPTIONS"}
            allow = {"Allow": ", ".join(sorted(takes | implied))}
            response = (
                Response(status_code=204, headers=allow)
                if method == "OPTIONS"
                else answer(405, f"this path takes {allow['Allow']}", headers=allow)
            )
            await response(scope, receive, send)

    def _takes(self, path: str) -> frozenset[str]:
        """What a path takes; "*" stands for all of them (RFC 9110, 9.3.7)."""
        found = [
            one.methods
            for one in self._paths()
            if path == "*" or one.pattern.fullmatch(path)
        ]
        return frozenset().union(*found)


def _without_content(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sent
