"""Python clients: httpx over HTTP/2 and HTTP/1.1, aiohttp, websockets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.clients import Proxy
from tests.support.nginx import SMALL, Nginx
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import AnsweringOrigin, echo, websocket_origin
from tests.support.patience import PATIENT_S

pytestmark = pytest.mark.clients


def proxy_url(proxy: Proxy) -> str:
    return f"http://{proxy.address[0]}:{proxy.address[1]}"


def httpx_client(proxy: Proxy, *, http2: bool = True) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        proxy=proxy_url(proxy),
        verify=client_context(proxy.ca),
        http2=http2,
        trust_env=False,
        timeout=PATIENT_S,
    )


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
async def test_httpx_many_at_once(proxy: Proxy, nginx: Nginx, http2: bool) -> None:
    url = f"https://{nginx.h2}/small.txt?httpx-{http2}"

    async with httpx_client(proxy, http2=http2) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(30)))

    assert {answer.content for answer in answers} == {SMALL}
    version = "HTTP/2" if http2 else "HTTP/1.1"
    assert {answer.http_version for answer in answers} == {version}
    assert len(nginx.received(f"/small.txt?httpx-{http2}", 30)) == 30


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
async def test_httpx_streamed_upload(
    proxy: Proxy, nginx: Nginx, origin_tls: OriginTls, http2: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, 2_000_000, 50_000):
            yield nginx.large[start : start + 50_000]

    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        httpx_client(proxy, http2=http2) as client,
    ):
        answer = await client.post(f"{origin.url}/up", content=pieces())

        (request,) = origin.requests
    assert request.body == nginx.large[:2_000_000]
    assert answer.json()["body_bytes"] == 2_000_000


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
async def test_httpx_cancelled_download_leaves_the_rest_alone(
    proxy: Proxy, nginx: Nginx, http2: bool
) -> None:
    async with httpx_client(proxy, http2=http2) as client:
        async with client.stream("GET", f"https://{nginx.h2}/large.bin") as answer:
            await anext(answer.aiter_bytes(1000))
        after = await client.get(f"https://{nginx.h2}/large.bin")

    assert hashlib.sha256(after.content).hexdigest() == nginx.large_sha256


async def test_aiohttp(proxy: Proxy, nginx: Nginx) -> None:
    context = client_context(proxy.ca)
    url = f"https://{nginx.h2}"

    async with aiohttp.ClientSession(proxy=proxy_url(proxy)) as session:

        async def get(path: str) -> bytes:
            async with session.get(url + path, ssl=context) as answer:
                assert answer.status == 200
                return await answer.read()

        small = await asyncio.gather(*(get("/small.txt?aiohttp") for _ in range(20)))
        large = await get("/large.bin")
        body = nginx.large[:1_000_000]
        put = session.put(f"{url}/upload/aiohttp.bin", data=body, ssl=context)
        async with put as answer:
            assert answer.status == 201

    assert set(small) == {SMALL}
    assert large == nginx.large
    assert (nginx.www / "upload/aiohttp.bin").read_bytes() == body
    assert len(nginx.received("/small.txt?aiohttp", 20)) == 20


@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
async def test_websocket(proxy: Proxy, origin_tls: OriginTls, secure: bool) -> None:
    async with websocket_origin(origin_tls.server() if secure else None) as port:
        uri = f"{'wss' if secure else 'ws'}://localhost:{port}/socket"
        context = client_context(proxy.ca) if secure else None
        async with (
            asyncio.timeout(PATIENT_S),
            connect(uri, proxy=proxy_url(proxy), ssl=context, max_size=2**24) as socket,
        ):
            for message in ("hello", b"\0\xff" * 10, b"x" * 1_000_000):
                await socket.send(message)
                assert await socket.recv() == message
            pong = await socket.ping()
            await pong

    assert socket.close_code == 1000
