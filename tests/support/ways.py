"""The ways in which an exchange can run: plain, TLS with HTTP/1.1, TLS with HTTP/2.

For tests that must hold on all of them, with an origin and with real clients for each.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.clients import Outcome, run
from tests.support.h1_peer import Message, response
from tests.support.h2_origin import H2Origin
from tests.support.h2_peer import H2Stream
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import AnsweringOrigin
from tests.support.patience import PATIENT_S
from tests.support.tools import require


@dataclass(frozen=True, slots=True)
class Way:
    """How clients and origin speak."""

    name: str
    is_tls: bool
    is_http2: bool

    def __str__(self) -> str:
        return self.name


WAYS = (
    Way("plain", is_tls=False, is_http2=False),
    Way("tls-h1", is_tls=True, is_http2=False),
    Way("tls-h2", is_tls=True, is_http2=True),
)


@dataclass(slots=True, kw_only=True)
class Received:
    """One request as the origin saw it; names in lower case."""

    method: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Origin:
    """An origin that answers every request with the same content."""

    way: Way
    port: int
    received: list[Received] = field(default_factory=list)

    @property
    def netloc(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.way.is_tls else 'http'}://{self.netloc}"


def _shown(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in fields}


@contextlib.asynccontextmanager
async def an_origin(
    way: Way,
    tls: OriginTls,
    content: bytes = b"hello",
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Origin]:
    """Answers with `content`, its length declared, as text/plain, and `more` fields."""
    origin = Origin(way=way, port=0)
    kind = {"content-type": "text/plain", **(more or {})}

    def answer(request: Message) -> bytes:
        method = request.method.decode()
        origin.received.append(
            Received(method=method, headers=_shown(request.headers), body=request.body)
        )
        if method == "HEAD":
            length = {"content-length": str(len(content))}
            return response(headers={**kind, **length}, body=b"")
        return response(content, headers=kind)

    async def answer_h2(stream: H2Stream) -> None:
        await stream.wait_over()
        if stream.reset_code is not None:
            return
        head = _shown(stream.headers)
        method = head[":method"]
        origin.received.append(
            Received(method=method, headers=head, body=bytes(stream.body))
        )
        fields = [(name.encode(), value.encode()) for name, value in kind.items()]
        fields.append((b"content-length", b"%d" % len(content)))
        await stream.respond(200, b"" if method == "HEAD" else content, fields)

    if way.is_http2:
        async with H2Origin(answer_h2, tls=tls.server(("h2",))) as h2:
            origin.port = h2.port
            yield origin
    else:
        context = tls.server() if way.is_tls else None
        async with AnsweringOrigin(answer, tls=context) as h1:
            origin.port = h1.port
            yield origin


def httpx_through(proxy_url: str, ca: Path, way: Way) -> httpx.AsyncClient:
    """httpx with the proxy set, which trusts its CA and nothing else."""
    return httpx.AsyncClient(
        proxy=proxy_url,
        verify=client_context(ca),
        http2=way.is_http2,
        trust_env=False,
        timeout=PATIENT_S,
    )


async def curl_through(
    proxy_url: str, ca: Path, way: Way, home: Path, *arguments: str
) -> Outcome:
    """curl with the proxy set; what it prints is the answer's head and body."""
    version = "--http2" if way.is_http2 else "--http1.1"
    return await run(
        require("curl"),
        "--silent",
        "--show-error",
        "--include",
        "--suppress-connect-headers",
        "--max-time",
        "10",
        version,
        "--proxy",
        proxy_url,
        "--cacert",
        ca,
        *arguments,
        home=home,
    )
