"""Who began TLS and cannot be served gets an alert, and the log one line."""

import logging
import ssl
from pathlib import Path

import pytest

from int3rceptor import Config, Proxy
from int3rceptor.errors import AuthorityError
from int3rceptor.proxy.refusals import TLS_REFUSAL
from int3rceptor.tls.minting import Minter
from tests.support.clients import connect_head, raw
from tests.support.h1_peer import H1Peer

OWN = "int3rceptor.local"
EMPTY_RECORD = b"\x16\x03\x01\x00\x00"
PLAIN_REQUEST = f"GET http://{OWN}/ca.pem HTTP/1.1\r\nHost: {OWN}\r\n\r\n".encode()


class Running(Proxy):
    """As the clients of tests want it."""

    @property
    def ca(self) -> Path:
        return self.ca_path


def nameless_hello() -> bytes:
    """A ClientHello without SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


async def in_a_tunnel(client: H1Peer) -> None:
    await client.send(connect_head(f"{OWN}:443"))
    assert (await client.read_head()).status == 200


async def after_a_request(client: H1Peer) -> None:
    await client.send(PLAIN_REQUEST)
    assert (await client.read_response()).status == 200
    await in_a_tunnel(client)


async def at_once(client: H1Peer) -> None:
    """Nothing comes before."""


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage().partition(": ")[2] for one in caplog.records]


@pytest.mark.parametrize("begin", [at_once, in_a_tunnel, after_a_request])
async def test_a_client_hello_that_cannot_be_read(
    config: Config, begin: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "int3rceptor")
    assert callable(begin)
    async with Running(config) as proxy, raw(proxy) as client:
        await begin(client)
        await client.send(EMPTY_RECORD)
        assert await client.read_to_end() == TLS_REFUSAL

    assert told(caplog) == [
        "the TLS handshake is refused: a TLS record of 0 bytes is not allowed"
    ]


async def test_a_name_that_no_certificate_can_have(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "int3rceptor")
    async with Running(config) as proxy, raw(proxy) as client:
        await client.send(connect_head("a..b:443"))
        assert (await client.read_head()).status == 200
        await client.send(nameless_hello())
        assert await client.read_to_end() == TLS_REFUSAL

    assert told(caplog) == [
        "the TLS handshake is refused: 'a..b' is neither a host name nor an IP address"
    ]


async def test_a_ca_that_has_expired_meanwhile(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(minter: Minter, host: str) -> None:
        raise AuthorityError("the CA expired; make a new one")

    monkeypatch.setattr(Minter, "mint", refuse)
    caplog.set_level(logging.INFO, "int3rceptor")
    async with Running(config) as proxy, raw(proxy) as client:
        await in_a_tunnel(client)
        await client.send(nameless_hello())
        assert await client.read_to_end() == TLS_REFUSAL

    assert told(caplog) == [
        "the TLS handshake is refused: the CA expired; make a new one"
    ]
