"""The proxy's own site is answered by itself, however it is asked for."""

from pathlib import Path

import pytest

from int3rceptor import Config, Proxy
from int3rceptor.net.connecting import SocketAddress
from int3rceptor.proxy.onboarding import OWN_HOST
from int3rceptor.proxy.upstream import dial
from tests.support.clients import h2_client, tunnel


class Running(Proxy):
    """As the clients of tests want it."""

    @property
    def ca(self) -> Path:
        return self.ca_path


@pytest.mark.parametrize("host", [OWN_HOST, f"{OWN_HOST}."])
async def test_nobody_looks_for_it_in_dns(
    config: Config, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine could answer to that name."""
    looked_for: list[str] = []

    def resolve(name: str, port: int, flags: int = 0) -> list[SocketAddress]:
        looked_for.append(name)
        raise UnicodeError("no such name")

    monkeypatch.setattr(dial, "_getaddrinfo", resolve)
    async with Running(config) as proxy:
        netloc = f"{host}:443"
        async with h2_client(proxy, netloc, server_name=OWN_HOST) as client:
            answer = await client.request("GET", netloc, "/ca.pem")
        pem = proxy.ca_path.read_bytes()

    assert (answer.status, bytes(answer.body)) == (200, pem)
    assert looked_for == []


async def test_nothing_but_http_leads_elsewhere(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []
    monkeypatch.setattr(dial, "_getaddrinfo", lambda name, *_: looked_for.append(name))
    async with Running(config) as proxy, tunnel(proxy, f"{OWN_HOST}:443") as client:
        await client.send(b"\0\0\0\0\0\0\0\0")
        assert await client.read_to_end() == b""

    assert looked_for == []
