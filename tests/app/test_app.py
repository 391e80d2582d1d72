"""Whole proxies in the test's own loop: several at once, and nothing left of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from int3rceptor.app import running
from int3rceptor.config.model import Config, LimitsConfig, UpstreamConfig
from int3rceptor.errors import ConfigError, PluginError
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Response
from tests.support.clients import connect, h2_client, raw, secure, tunnel
from tests.support.h1_peer import H1Peer, response
from tests.support.h2_origin import H2Origin, answer
from tests.support.h2_peer import H2Stream
from tests.support.leftovers import nothing_left
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, echo, fixed
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually, turns

SOON = LimitsConfig(drain_s=0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A proxy as clients know it."""

    address: tuple[str, int]
    ca: Path


@pytest.fixture(scope="session")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origins"))


@pytest.fixture(autouse=True)
def no_system_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own roots play no part, and take 50 ms a time to load."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def config(
    tmp_path: Path,
    tls: OriginTls,
    name: str = "proxy",
    *,
    limits: LimitsConfig | None = None,
    upstream: UpstreamConfig | None = None,
    listen: str = "127.0.0.1:0",
    plugin: tuple[Path, ...] = (),
) -> Config:
    return Config(
        listen=listen,
        data_dir=tmp_path / name,
        upstream_ca=(tls.ca,),
        limits=limits or LimitsConfig(),
        upstream=upstream or UpstreamConfig(),
        plugin=plugin,
    )


@contextlib.asynccontextmanager
async def proxy(
    settings: Config, listeners: Iterable[Listener] = ()
) -> AsyncIterator[Running]:
    async with running(settings, listeners) as ready:
        yield Running(address=ready.listen, ca=ready.ca_path)


async def begin(
    settings: Config, listeners: Iterable[Listener] = ()
) -> tuple[contextlib.AsyncExitStack, Running]:
    """A proxy that the test stops when it wants to: `aclose` of the stack."""
    stack = contextlib.AsyncExitStack()
    return stack, await stack.enter_async_context(proxy(settings, listeners))


def noting(seen: list[str]) -> Listener:
    return Listener(
        name="note",
        point=HookPoint.CAPTURE,
        call=lambda flow: seen.append(flow.request.url),
    )


def get(port: int) -> bytes:
    return (
        f"GET http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    ).encode()


async def test_two_proxies_in_one_loop_know_nothing_of_each_other(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    one_saw: list[str] = []
    two_saw: list[str] = []
    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        nothing_left(),
        proxy(config(tmp_path, origin_tls, "one"), [noting(one_saw)]) as one,
        proxy(config(tmp_path, origin_tls, "two"), [noting(two_saw)]) as two,
    ):
        assert one.address != two.address
        assert one.ca.read_bytes() != two.ca.read_bytes()
        for where, path in ((one, "/one"), (two, "/two"), (one, "/again")):
            # Each leaf is verified against the CA of that very proxy.
            async with secure(where, origin.netloc) as peer:
                line = f"GET {path} HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n"
                await peer.send(line.encode())
                assert (await peer.read_response()).status == 200
        await eventually(lambda: len(one_saw) == 2)

    url = f"https://{origin.netloc}"
    assert one_saw == [f"{url}/one", f"{url}/again"]
    assert two_saw == [f"{url}/two"]


async def test_a_proxy_that_served_nobody_leaves_nothing(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with nothing_left():
        async with proxy(config(tmp_path, origin_tls)):
            pass
        async with proxy(config(tmp_path, origin_tls)):
            pass


async def test_clients_that_stay_are_let_go(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    async def wait(peer: H1Peer) -> None:
        await peer.send(b"SSH-2.0-x\r\n")
        await peer.read_to_end()

    settings = config(tmp_path, origin_tls, limits=SOON)
    async with (
        AnsweringOrigin(echo) as plain,
        ScriptedOrigin(wait) as blind,
        H2Origin(answer, tls=origin_tls.server(("h2",))) as h2,
        nothing_left(),
        contextlib.AsyncExitStack() as clients,
    ):
        stack, there = await begin(settings)
        idle = await clients.enter_async_context(raw(there))
        await idle.send(get(plain.port))
        await idle.read_response()
        silent = await clients.enter_async_context(raw(there))
        half = await clients.enter_async_context(raw(there))
        await half.send(b"GET http://loc")
        relayed = await clients.enter_async_context(tunnel(there, blind.netloc))
        assert await relayed.read(4) == b"SSH-"
        stream = await clients.enter_async_context(h2_client(there, h2.netloc))
        got = await stream.request("GET", h2.netloc, "/")
        assert got.status == 200

        async with asyncio.timeout(PATIENT_S):
            await stack.aclose()
        for peer in (idle, silent, half, relayed):
            await peer.read_to_end()
        await eventually(lambda: stream.is_closed)


async def test_an_exchange_that_runs_may_end(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await go_on.wait()
        await peer.send(response(b"worth the wait"))

    async with ScriptedOrigin(slow) as origin, nothing_left():
        stack, there = await begin(config(tmp_path, origin_tls))
        async with raw(there) as peer:
            await peer.send(get(origin.port))
            await asked.wait()
            stopping = asyncio.create_task(stack.aclose())
            await turns()
            with pytest.raises(OSError, match=r"."):
                await connect(there)
            assert not stopping.done()
            go_on.set()
            got = await peer.read_response()
            await stopping

    assert got.body == b"worth the wait"
    assert (got.value("connection") or b"").lower() == b"close"


async def test_an_exchange_that_runs_too_long_is_cut(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    asked = asyncio.Event()
    flows: list[Flow] = []
    noted = Listener(name="note", point=HookPoint.CAPTURE, call=flows.append)

    async def silent(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.read_to_end()

    async with ScriptedOrigin(silent) as origin, nothing_left():
        stack, there = await begin(config(tmp_path, origin_tls, limits=SOON), [noted])
        async with raw(there) as peer:
            await peer.send(get(origin.port))
            await asked.wait()
            async with asyncio.timeout(PATIENT_S):
                await stack.aclose()
            assert await peer.read_to_end() == b""

    assert [bool(flow.error) for flow in flows] == [True]


async def test_a_port_that_is_taken_is_told_and_leaves_nothing(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with proxy(config(tmp_path, origin_tls)) as first:
        taken = f"{first.address[0]}:{first.address[1]}"
        async with nothing_left():
            with pytest.raises(ConfigError, match="another program uses it"):
                async with proxy(config(tmp_path, origin_tls, "b", listen=taken)):
                    pass


async def test_a_plugin_that_is_not_there_is_told_and_leaves_nothing(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    missing = (tmp_path / "missing.wasm",)
    async with nothing_left():
        with pytest.raises(PluginError, match=r"missing\.wasm"):
            async with proxy(config(tmp_path, origin_tls, plugin=missing)):
                pass


async def test_a_failure_inside_is_passed_on_and_leaves_nothing(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with nothing_left():
        with pytest.raises(RuntimeError, match="mine"):
            async with proxy(config(tmp_path, origin_tls)):
                raise RuntimeError("mine")


def replace_response(flow: Flow) -> None:
    flow.response = Response(status=418, body=Body(b"teapot", length=6))


def replace_body(flow: Flow) -> None:
    assert flow.response is not None
    flow.response.body.replace(b"teapot")


@pytest.mark.parametrize("change", [replace_response, replace_body])
@pytest.mark.parametrize("size", [10, 1_000_000])
async def test_an_answer_replaced_unread_gives_its_connection_back(
    tmp_path: Path, origin_tls: OriginTls, change: object, size: int
) -> None:
    assert callable(change)
    replacing = Listener(name="r", point=HookPoint.RESPONSE, call=change)
    upstream = UpstreamConfig(max_connections_per_origin=1, first_byte_timeout_s=2.0)
    settings = config(tmp_path, origin_tls, upstream=upstream)
    async with (
        AnsweringOrigin(fixed(response(bytes(size)))) as origin,
        nothing_left(),
        proxy(settings, [replacing]) as there,
        raw(there) as peer,
    ):
        for _ in range(3):
            await peer.send(get(origin.port))
            assert (await peer.read_response()).body == b"teapot"


@pytest.mark.parametrize("change", [replace_response, replace_body])
async def test_an_http2_answer_replaced_unread_gives_its_place_back(
    tmp_path: Path, origin_tls: OriginTls, change: object
) -> None:
    assert callable(change)
    replacing = Listener(name="r", point=HookPoint.RESPONSE, call=change)

    over: list[H2Stream] = []

    async def much(stream: H2Stream) -> None:
        await stream.respond(200, bytes(4_000_000))
        over.append(stream)

    settings = config(tmp_path, origin_tls)
    async with (
        H2Origin(much, tls=origin_tls.server(("h2",))) as origin,
        nothing_left(),
        proxy(settings, [replacing]) as there,
        h2_client(there, origin.netloc) as client,
    ):
        for _ in range(3):
            got = await client.request("GET", origin.netloc, "/")
            assert got.text == "teapot"
        await eventually(lambda: len(over) == 3, 2.0)
