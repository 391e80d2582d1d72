"""A loop that cannot watch sockets: every way in goes over streams then."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from int3rceptor.app import running
from int3rceptor.config.model import Config
from tests.support.bio_tls import BioTls
from tests.support.clients import connect_head, h2_client, raw, secure
from tests.support.h1_peer import response
from tests.support.h2_origin import H2Origin
from tests.support.h2_origin import answer as answer_h2
from tests.support.leftovers import nothing_left
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import UNEXPECTED

ANSWER = fixed(response(b"from the origin"))


class BlindLoop(asyncio.SelectorEventLoop):
    """Cannot watch sockets for others, like the proactor of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Here:
    """A proxy in the test's own loop, and how its origins show who they are."""

    address: tuple[str, int]
    ca: Path
    origin_tls: OriginTls


@contextlib.asynccontextmanager
async def proxy_here(folder: Path) -> AsyncIterator[Here]:
    tls = OriginTls(folder)
    config = Config(
        listen="127.0.0.1:0", data_dir=folder / "data", upstream_ca=(tls.ca,)
    )
    async with nothing_left(), running(config) as ready:
        yield Here(ready.listen, ready.ca_path, tls)


Scenario = Callable[[Here], Awaitable[None]]


@pytest.fixture
def blindly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Callable[[Scenario], None]:
    """Run a scenario beside a proxy, in a loop that cannot watch sockets."""

    async def beside_a_proxy(scenario: Scenario) -> None:
        async with asyncio.timeout(PATIENT_S), proxy_here(tmp_path) as here:
            await scenario(here)

    def run(scenario: Scenario) -> None:
        with asyncio.Runner(loop_factory=BlindLoop) as runner:
            runner.run(beside_a_proxy(scenario))
        assert not any(sign in caplog.text for sign in UNEXPECTED)

    return run


def get(netloc: str, path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode()


def test_a_plain_request(blindly: Callable[[Scenario], None]) -> None:
    async def scenario(here: Here) -> None:
        async with raw(here) as client:
            await client.send(
                get("int3rceptor.local", "http://int3rceptor.local/ca.pem")
            )
            answer = await client.read_response()

        assert answer.status == 200
        assert b"BEGIN CERTIFICATE" in answer.body

    blindly(scenario)


def test_connect_and_tls(blindly: Callable[[Scenario], None]) -> None:
    async def scenario(here: Here) -> None:
        tls = here.origin_tls.server()
        async with (
            AnsweringOrigin(ANSWER, tls=tls) as origin,
            secure(here, origin.netloc) as client,
        ):
            for _ in range(2):
                await client.send(get(origin.netloc))
                assert (await client.read_response()).text == "from the origin"
            assert [one.target for one in origin.requests] == [b"/", b"/"]

    blindly(scenario)


def test_connect_with_the_client_hello_in_the_same_packet(
    blindly: Callable[[Scenario], None],
) -> None:
    async def scenario(here: Here) -> None:
        tls = here.origin_tls.server()
        async with AnsweringOrigin(ANSWER, tls=tls) as origin, raw(here) as client:
            inner = BioTls(client, here.ca, "localhost")
            await client.send(connect_head(origin.netloc) + inner.hello())
            assert (await client.read_head()).status == 200
            await inner.handshake()
            await inner.send(get(origin.netloc))

            assert (await inner.read_response()).text == "from the origin"

    blindly(scenario)


def test_connect_and_the_client_hello_byte_by_byte(
    blindly: Callable[[Scenario], None],
) -> None:
    async def scenario(here: Here) -> None:
        tls = here.origin_tls.server()
        async with AnsweringOrigin(ANSWER, tls=tls) as origin, raw(here) as client:
            inner = BioTls(client, here.ca, "localhost")
            sent = connect_head(origin.netloc)
            for i in range(len(sent)):
                await client.send(sent[i : i + 1])
            assert (await client.read_head()).status == 200
            hello = inner.hello()
            for i in range(len(hello)):
                await client.send(hello[i : i + 1])
            await inner.handshake()
            await inner.send(get(origin.netloc))

            assert (await inner.read_response()).text == "from the origin"

    blindly(scenario)


def test_an_http2_client(blindly: Callable[[Scenario], None]) -> None:
    async def scenario(here: Here) -> None:
        tls = here.origin_tls.server(["h2"])
        body = bytes(300_000)
        async with (
            H2Origin(answer_h2, tls=tls) as origin,
            h2_client(here, origin.netloc) as client,
        ):
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(
                        client.request("POST", origin.netloc, f"/{i}", body=body)
                    )
                    for i in range(5)
                ]
            texts = [one.result().text for one in asked]

            assert texts == [f"/{i} 300000 bytes" for i in range(5)]
            assert len(origin.peers) == 1

    blindly(scenario)


def test_a_tunnel_that_is_no_tls(blindly: Callable[[Scenario], None]) -> None:
    async def scenario(here: Here) -> None:
        async with AnsweringOrigin(ANSWER) as origin, raw(here) as client:
            await client.send(connect_head(origin.netloc) + get(origin.netloc))
            assert (await client.read_head()).status == 200

            assert (await client.read_response()).text == "from the origin"

    blindly(scenario)
