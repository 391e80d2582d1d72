"""The settings that choose an HTTP version, as a client and an origin see them."""

from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.clients import h2_client, secure
from tests.support.nginx import SMALL, Nginx


@pytest.mark.parametrize(
    ("setting", "expected"), [("probe", "h2"), ("always", "h2"), ("never", "http/1.1")]
)
async def test_client_http2(
    start_proxy: StartProxy, nginx: Nginx, setting: str, expected: str
) -> None:
    proxy = start_proxy(config=f'[tls]\nclient_http2 = "{setting}"\n')

    async with secure(proxy, nginx.h2, alpn=["h2", "http/1.1"]) as client:
        assert client.alpn == expected


@pytest.mark.parametrize("setting", ["probe", "always", "never"])
async def test_client_http2_for_an_origin_without_it(
    start_proxy: StartProxy, nginx: Nginx, setting: str
) -> None:
    proxy = start_proxy(config=f'[tls]\nclient_http2 = "{setting}"\n')

    async with secure(proxy, nginx.h1, alpn=["h2", "http/1.1"]) as client:
        assert client.alpn == ("h2" if setting == "always" else "http/1.1")


@pytest.mark.parametrize(
    ("setting", "near", "far"),
    [
        ("mirror", "h1", "HTTP/1.1"),
        ("mirror", "h2", "HTTP/2.0"),
        ("always", "h1", "HTTP/2.0"),
        ("never", "h2", "HTTP/1.1"),
    ],
)
async def test_upstream_http2(
    start_proxy: StartProxy,
    nginx: Nginx,
    tmp_path: Path,
    setting: str,
    near: str,
    far: str,
) -> None:
    proxy = start_proxy(
        config=f'[tls]\nclient_http2 = "always"\n[upstream]\nhttp2 = "{setting}"\n'
    )
    path = f"/small.txt?{tmp_path.name}"

    if near == "h2":
        async with h2_client(proxy, nginx.h2) as client:
            stream = await client.request("GET", nginx.h2, path)
            body = bytes(stream.body)
    else:
        async with secure(proxy, nginx.h2) as client:
            head = f"GET {path} HTTP/1.1\r\nHost: {nginx.h2}\r\n\r\n"
            await client.send(head.encode())
            body = (await client.read_response()).body

    assert body == SMALL
    (seen,) = nginx.received(path)
    assert seen["protocol"] == far
