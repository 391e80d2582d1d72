"""Its life: start, stop, twice, never; what it tells of itself."""

import asyncio
import gc
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from int3rceptor import (
    Config,
    ConfigError,
    Flow,
    LimitsConfig,
    Proxy,
    Statistics,
    UsageError,
)
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.queries import open_store
from tests.support.clients import connect
from tests.support.h1_peer import H1Peer, response
from tests.support.leftovers import nothing_left
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin, closed_port
from tests.support.streams import eventually
from tests.support.ways import WAYS, Way, an_origin, curl_through, httpx_through

PLAIN, TLS_H1, TLS_H2 = WAYS
NOTHING_YET = Statistics(
    flows=0, errors=0, open_connections=0, bytes_up=0, bytes_down=0
)


class Client:
    """What the raw clients need of a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.address = proxy.address
        self.ca = proxy.ca_path


async def test_an_exchange(config: Config, origin_tls: OriginTls, way: Way) -> None:
    async with (
        an_origin(way, origin_tls) as origin,
        nothing_left(),
        Proxy(config) as proxy,
        httpx_through(proxy.url, proxy.ca_path, way) as client,
    ):
        got = await client.get(f"{origin.url}/")

    assert got.text == "hello"
    assert got.http_version == ("HTTP/2" if way.is_http2 else "HTTP/1.1")


async def test_curl_gets_its_answer(
    config: Config, origin_tls: OriginTls, way: Way, tmp_path: Path
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        got = await curl_through(
            proxy.url, proxy.ca_path, way, tmp_path, f"{origin.url}/"
        )

    assert got.ok().text.endswith("\r\n\r\nhello")


async def test_it_says_where_it_is(config: Config) -> None:
    async with Proxy(config) as proxy:
        host, port = proxy.address
        assert (host, port > 0) == ("127.0.0.1", True)
        assert proxy.url == f"http://127.0.0.1:{port}"
        assert proxy.ca_path == config.data_dir / "ca.pem"
        assert proxy.ca_pem == proxy.ca_path.read_text()
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        assert context.cert_store_stats()["x509_ca"] >= 1


async def test_an_ipv6_address_has_brackets_in_the_url(config: Config) -> None:
    settings = replace(config, listen="[::1]:0")
    async with Proxy(settings) as proxy:
        assert proxy.url == f"http://[::1]:{proxy.address[1]}"


async def test_statistics(config: Config, origin_tls: OriginTls) -> None:
    proxy = Proxy(config)
    assert proxy.statistics == NOTHING_YET
    async with an_origin(TLS_H1, origin_tls) as origin, proxy:
        dead = f"http://localhost:{closed_port()}/"
        async with httpx_through(proxy.url, proxy.ca_path, TLS_H1) as client:
            for _ in range(3):
                await client.post(f"{origin.url}/", content=b"123")
            assert proxy.statistics.open_connections == 1
            assert (await client.get(dead)).status_code == 502
            assert proxy.statistics.open_connections == 2
        await eventually(lambda: proxy.statistics.open_connections == 0)

    # After the end, too. The page of the 502 is a body like any other.
    assert (proxy.statistics.flows, proxy.statistics.errors) == (4, 1)
    assert proxy.statistics.bytes_up == 9
    assert proxy.statistics.bytes_down > 15


async def test_several_in_one_loop(
    config: Config, origin_tls: OriginTls, tmp_path: Path
) -> None:
    seen: dict[str, list[str]] = {"one": [], "two": [], "three": []}
    async with an_origin(TLS_H2, origin_tls) as origin, nothing_left():

        async def use(name: str) -> None:
            settings = replace(config, data_dir=tmp_path / name)
            async with Proxy(settings) as proxy:
                proxy.on_request(lambda flow: seen[name].append(flow.request.path))
                async with httpx_through(proxy.url, proxy.ca_path, TLS_H2) as client:
                    got = await client.get(f"{origin.url}/{name}")
                assert got.text == "hello"

        await asyncio.gather(*(use(name) for name in seen))

    assert seen == {"one": ["/one"], "two": ["/two"], "three": ["/three"]}


# --- the journal ----------------------------------------------------------------------


async def test_with_a_journal_the_flows_are_kept(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with (
        an_origin(way, origin_tls) as origin,
        nothing_left(),
        Proxy(config, journal=True) as proxy,
        httpx_through(proxy.url, proxy.ca_path, way) as client,
    ):
        for path in ("/one", "/two"):
            await client.post(f"{origin.url}{path}", content=b"sent")
        await eventually(lambda: proxy.statistics.flows == 2)

    with open_store(config.data_dir / "flows") as store:
        rows = store.rows(FlowFilter(), limit=10)
        kept = store.get(rows[0].id)
    assert [row.target for row in rows] == [b"/two", b"/one"]
    assert kept is not None
    assert kept.request_body.content == b"sent"
    assert kept.response_body.content == b"hello"


async def test_what_is_kept_of_a_transformed_body_is_what_was_sent(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with (
        an_origin(way, origin_tls) as origin,
        Proxy(config, journal=True) as proxy,
        httpx_through(proxy.url, proxy.ca_path, way) as client,
    ):

        @proxy.on_response
        def shout(flow: Flow) -> None:
            assert flow.response
            flow.response.body.transform(bytes.upper)

        assert (await client.get(f"{origin.url}/")).text == "HELLO"

    with open_store(config.data_dir / "flows") as store:
        kept = store.get(store.last_id())
    assert kept is not None
    assert kept.response_body.content == b"HELLO"


async def test_two_proxies_share_a_data_directory(
    config: Config, origin_tls: OriginTls
) -> None:
    async with (
        an_origin(TLS_H1, origin_tls) as origin,
        nothing_left(),
        Proxy(config, journal=True) as one,
        Proxy(config, journal=True) as two,
    ):
        assert one.ca_pem == two.ca_pem
        for proxy in (one, two):
            async with httpx_through(proxy.url, one.ca_path, TLS_H1) as client:
                assert (await client.get(f"{origin.url}/")).text == "hello"

    with open_store(config.data_dir / "flows") as store:
        assert len({row.id for row in store.rows(FlowFilter(), limit=10)}) == 2


async def test_without_a_journal_nothing_is_written(
    config: Config, origin_tls: OriginTls
) -> None:
    async with (
        an_origin(PLAIN, origin_tls) as origin,
        Proxy(config) as proxy,
        httpx_through(proxy.url, proxy.ca_path, PLAIN) as client,
    ):
        await client.get(origin.url)

    assert not (config.data_dir / "flows").exists()


def test_a_journal_without_a_store_is_refused(config: Config) -> None:
    with pytest.raises(UsageError, match="contradict"):
        Proxy(replace(config, no_store=True), journal=True)


def test_several_workers_are_refused(config: Config) -> None:
    with pytest.raises(UsageError, match="workers is for the command line"):
        Proxy(replace(config, workers=2))


# --- the wrong way --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["address", "url", "ca_path", "ca_pem"])
async def test_outside_of_async_with_it_says_how_to_use_it(
    config: Config, name: str
) -> None:
    proxy = Proxy(config)
    with pytest.raises(UsageError, match="does not run: use it inside `async with"):
        getattr(proxy, name)
    async with proxy:
        assert getattr(proxy, name)
    with pytest.raises(UsageError, match="does not run"):
        getattr(proxy, name)


async def test_it_runs_once(config: Config) -> None:
    proxy = Proxy(config)
    async with proxy:
        with pytest.raises(UsageError, match="a Proxy runs once"):
            await proxy.__aenter__()
        assert proxy.address  # the one that runs is not hurt
    with pytest.raises(UsageError, match="a Proxy runs once"):
        await proxy.__aenter__()


# --- a start that fails, a body that raises, a stop that is cancelled -----------------


async def test_a_taken_port(config: Config) -> None:
    async with Proxy(config) as first:
        host, port = first.address
        settings = replace(config, listen=f"{host}:{port}")
        async with nothing_left():
            with pytest.raises(ConfigError, match="another program uses it"):
                async with Proxy(settings):
                    pass


@pytest.mark.parametrize("what", ["plugin", "upstream_ca"])
async def test_a_start_that_fails_half_way(
    config: Config, tmp_path: Path, what: str
) -> None:
    settings = replace(config, **{what: (tmp_path / "missing",)})
    async with nothing_left():
        proxy = Proxy(settings)
        with pytest.raises(Exception, match="missing"):
            await proxy.__aenter__()
        assert proxy.statistics == NOTHING_YET
        with pytest.raises(UsageError, match="does not run"):
            _ = proxy.url


async def use_and_raise(config: Config, url: str) -> None:
    async with (
        Proxy(config) as proxy,
        httpx_through(proxy.url, proxy.ca_path, TLS_H2) as client,
    ):
        await client.get(url)
        raise RuntimeError("mine")


async def test_a_body_that_raises(config: Config, origin_tls: OriginTls) -> None:
    async with an_origin(TLS_H2, origin_tls) as origin, nothing_left():
        with pytest.raises(RuntimeError, match="mine"):
            await use_and_raise(config, f"{origin.url}/")


async def test_a_stop_that_is_cancelled_leaves_nothing_either(config: Config) -> None:
    asked = asyncio.Event()
    settings = replace(config, limits=LimitsConfig(drain_s=60.0))

    async def never(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.read_to_end()

    async def serve(started: asyncio.Future[Client], stop: asyncio.Event) -> None:
        async with Proxy(settings) as proxy:
            started.set_result(Client(proxy))
            await stop.wait()

    async with ScriptedOrigin(never) as origin, nothing_left():
        started = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(serve(started, stop))
        async with await connect(await started) as peer:
            await peer.send(f"GET {origin.url}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await asked.wait()
            stop.set()
            done, _ = await asyncio.wait([task], timeout=0.05)
            assert not done  # it drains
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_an_exchange_that_runs_may_end(config: Config) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await go_on.wait()
        await peer.send(response(b"worth the wait"))

    async with ScriptedOrigin(slow) as origin, nothing_left():
        async with Proxy(config) as proxy:
            client = httpx_through(proxy.url, proxy.ca_path, PLAIN)
            answer = asyncio.create_task(client.get(origin.url))
            await asked.wait()
            asyncio.get_running_loop().call_soon(go_on.set)
        assert (await answer).text == "worth the wait"
        await client.aclose()


# --- what it leaves alone -------------------------------------------------------------


async def test_the_collector_is_not_the_proxys(config: Config) -> None:
    before = gc.get_freeze_count()
    async with Proxy(config):
        assert gc.get_freeze_count() == before
