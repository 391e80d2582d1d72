"""Several proxy processes on one port: one proxy to whoever uses it."""

import asyncio
import contextlib
import json
import random
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from int3rceptor.tls.authority import Authority
from tests.e2e.test_planes import gone
from tests.support.clients import connect_head
from tests.support.guests import counter, put, sayer, stamper
from tests.support.h1_peer import H1Peer, response
from tests.support.kept import journal_files, kept_flows, kept_targets
from tests.support.load import loaded, until
from tests.support.origin_tls import client_context
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, echo, fixed
from tests.support.process import (
    BOTH_PLANES,
    DATA_PLANE_ALONE,
    STORE_ALONE,
    run_once,
    without_judgement,
)
from tests.support.ruling import block_rule, rules_file
from tests.support.workers import CrewProcess, ask

GONE_S = 20.0


@contextlib.asynccontextmanager
async def clients_of_each(proxy: CrewProcess) -> AsyncIterator[list[H1Peer]]:
    """A client of each worker, in their order."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(proxy.client_of(one))
            for one in proxy.workers()
        ]


def api(proxy: CrewProcess) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {proxy.token}"}
    return httpx.AsyncClient(base_url=proxy.control, headers=headers, timeout=GONE_S)


async def test_flows_events_and_counters_of_all_come_together(tmp_path: Path) -> None:
    with CrewProcess(tmp_path, planes=BOTH_PLANES) as proxy:
        events = proxy.control.replace("http://", "ws://") + "/api/events"
        headers = {"Authorization": f"Bearer {proxy.token}"}
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            clients_of_each(proxy) as clients,
            connect(events, additional_headers=headers) as viewer,
            api(proxy) as control,
        ):
            assert json.loads(await viewer.recv())["type"] == "hello"
            for number in range(10):
                for which, client in enumerate(clients):
                    path = f"/{which}/{number}"
                    assert (await ask(client, origin.netloc, path)).text == "kept"
            ended = set()
            async with asyncio.timeout(GONE_S):
                while len(ended) < 20:
                    event = json.loads(await viewer.recv())
                    if event["type"] == "flow.ended":
                        ended.add(event["flow"]["target"])

            async def told() -> list[str]:
                return (await control.get("/metrics")).text.splitlines()

            async with asyncio.timeout(GONE_S):
                # They are told each second.
                while "int3rceptor_flows_ended_total 20" not in await told():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            metrics = await told()
            health = (await control.get("/api/health")).json()
            flows = (await control.get("/api/flows?limit=50")).json()["flows"]
            everyone = proxy.everyone()

    targets = [f"/{which}/{number}" for number in range(10) for which in (0, 1)]
    assert ended == set(targets)
    assert 'int3rceptor_worker_client_connections{worker="1"} 1' in metrics
    assert 'int3rceptor_worker_client_connections{worker="2"} 1' in metrics
    assert "int3rceptor_client_connections 2" in metrics
    used = {
        line.split('"')[1] for line in metrics if "process_cpu" in line and '"' in line
    }
    assert used == {"proxy", "worker-1", "worker-2", "hub"}
    assert health["workers"] == {"wanted": 2, "serving": 2}
    assert health["status"] == "ok"
    assert {flow["target"] for flow in flows} == set(targets)
    assert kept_targets(proxy.data_dir) == {one.encode(): 1 for one in targets}
    assert len([line for line in proxy.stdout if "/0/" in line or "/1/" in line]) == 20
    assert len(everyone) == 3
    assert all(gone(one) for one in everyone)
    assert journal_files(proxy.data_dir) == []


async def test_numbers_of_flows_rise_over_all_workers(tmp_path: Path) -> None:
    with CrewProcess(tmp_path, planes=STORE_ALONE) as proxy:
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            clients_of_each(proxy) as clients,
        ):
            for number in range(4):
                for which, client in enumerate(clients):
                    await ask(client, origin.netloc, f"/{which}/{number}")
                    await asyncio.sleep(0.2)  # by then unused numbers are given back

    flows = kept_flows(proxy.data_dir)
    assert [flow.id for flow in flows] == list(range(1, 9))
    assert flows == sorted(flows, key=lambda flow: flow.created)


async def test_a_worker_dies_and_only_its_own_connections_do(tmp_path: Path) -> None:
    with CrewProcess(tmp_path, planes=STORE_ALONE) as proxy:
        first, second = proxy.workers()
        async with AnsweringOrigin(fixed(response(b"kept"))) as origin:
            async with (
                proxy.client_of(second) as other,
                proxy.client_of(first) as own,
            ):
                whole = [b"/own/1", b"/other/1", b"/other/2"]
                assert (await ask(own, origin.netloc, "/own/1")).status == 200
                assert (await ask(other, origin.netloc, "/other/1")).status == 200
                first.kill()
                assert await own.read_to_end() == b""
                assert (await ask(other, origin.netloc, "/other/2")).status == 200
                async with loaded(proxy, origin) as load:
                    # The other one takes whoever comes, long before there are two.
                    await load.more(20)
                    line = "worker 1 was ended by SIGKILL; it is started again in 0.5 s"
                    await asyncio.to_thread(proxy.wait_for_line, line, GONE_S)
                    line = "worker 1 serves again"
                    await asyncio.to_thread(proxy.wait_for_line, line, GONE_S)
                    await load.more(20)
                assert load.errors == []
            (third,) = [one for one in proxy.workers() if one != second]
            async with proxy.client_of(third) as new:
                assert (await ask(new, origin.netloc, "/new")).status == 200
            whole += [*load.whole, b"/new"]

    kept = kept_targets(proxy.data_dir)
    assert [target for target in whole if kept[target] != 1] == []
    assert set(kept.values()) == {1}


async def test_a_worker_that_comes_later_shows_the_ca_of_the_others(
    tmp_path: Path,
) -> None:
    own = "int3rceptor.local:443"
    with CrewProcess(tmp_path, planes=DATA_PLANE_ALONE) as proxy:
        shutil.copy(proxy.ca, tmp_path / "trusted.pem")
        Authority.regenerate(proxy.data_dir)
        for number, worker in enumerate(proxy.workers(), 1):
            worker.kill()
            line = f"worker {number} serves again"
            await asyncio.to_thread(proxy.wait_for_line, line, GONE_S)
        async with clients_of_each(proxy) as clients:
            trusting = client_context(tmp_path / "trusted.pem")
            for client in clients:
                await client.send(connect_head(own))
                assert (await client.read_head()).status == 200
                await client.start_tls(trusting, "int3rceptor.local")

    assert proxy.ca.read_bytes() != (tmp_path / "trusted.pem").read_bytes()


async def test_the_first_process_dies_and_leaves_no_other(tmp_path: Path) -> None:
    proxy = CrewProcess(tmp_path, planes=STORE_ALONE)
    with without_judgement(proxy):
        everyone = [*proxy.workers(), await asyncio.to_thread(proxy.wait_for_hub)]
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(20)
            proxy.process.kill()
            await until(lambda: all(gone(one) for one in everyone), GONE_S)

    same = ("--listen", f"127.0.0.1:{proxy.port}")
    with CrewProcess(tmp_path, *same, planes=STORE_ALONE):
        pass
    kept = kept_targets(proxy.data_dir)
    assert set(load.whole) <= set(kept)
    assert set(kept.values()) == {1}


async def test_files_and_a_hangup_reach_all_and_are_told_once(tmp_path: Path) -> None:
    rules = rules_file(tmp_path, block_rule("b", "elsewhere.test"))
    planes = DATA_PLANE_ALONE
    with CrewProcess(tmp_path, "--rules", rules, planes=planes) as proxy:
        async with (
            AnsweringOrigin(fixed(response(b"passed"))) as origin,
            clients_of_each(proxy) as clients,
        ):
            rules.write_text(rules.read_text().replace("elsewhere.test", "localhost"))
            proxy.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(GONE_S):
                for client in clients:
                    while (await ask(client, origin.netloc)).status != 403:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            rules.write_text("")
            put(proxy.data_dir / "plugins", "talker", sayer("heard"))
            for count, client in enumerate(clients, 1):
                async with asyncio.timeout(GONE_S):
                    while sum("INFO heard" in one for one in proxy.stderr) < count:
                        await ask(client, origin.netloc)

    told = [line for line in proxy.stderr if "talker loaded" in line]
    assert len(told) == 1


async def test_what_is_done_with_plugins_reaches_all(tmp_path: Path) -> None:
    module = put(tmp_path, "stamp", stamper("1")).read_bytes()
    planes = (*BOTH_PLANES, "--no-store")
    with CrewProcess(tmp_path, planes=planes) as proxy:
        async with (
            AnsweringOrigin(echo) as origin,
            api(proxy) as control,
            clients_of_each(proxy) as clients,
        ):

            async def stamps() -> list[bytes | None]:
                answers = [await ask(one, origin.netloc) for one in clients]
                return [one.value("x-version") for one in answers]

            one = "/api/plugins/stamp"
            told = await control.put(one, content=module)
            assert told.status_code == 201, told.text
            assert await stamps() == [None, None]
            await control.put(f"{one}/enabled", json={"is_enabled": True})
            told = await control.post(
                f"{one}/grants", json={"grant": "response.modify"}
            )
            assert told.status_code == 200, told.text
            assert await stamps() == [b"1", b"1"]
            told = await control.get(one)
            assert told.json()["summary"]["calls"] == 4
            await control.post(f"{one}/reload")
            await control.put(f"{one}/config", json={"config": {"a": 1}})
            assert (await control.get(f"{one}/config")).json() == {"config": {"a": 1}}
            assert await stamps() == [b"1", b"1"]
            await control.put(f"{one}/enabled", json={"is_enabled": False})
            assert await stamps() == [None, None]
            assert (await control.delete(one)).status_code == 204
            assert (await control.get("/api/plugins")).json() == {"plugins": []}
            assert (await control.get(one)).status_code == 404
            again = await control.delete(one)
            assert again.status_code == 404
            assert await stamps() == [None, None]
    assert [line for line in proxy.stderr if "error" in line] == []


async def counts(clients: Sequence[H1Peer], netloc: str) -> list[int]:
    """What `counter` counted at an answer to each, one after the other."""
    answers = [await ask(client, netloc) for client in clients]
    return [int(one.value("x-count") or b"") for one in answers]


async def test_keys_that_a_plugin_shares_are_those_of_all_workers(
    tmp_path: Path,
) -> None:
    shared = "[state]\nshared = true\nkeep = 'disk'\n"
    guest = put(tmp_path, "together", counter(), shared)
    planes = DATA_PLANE_ALONE
    with CrewProcess(tmp_path, "--plugin", guest, planes=planes) as proxy:
        first, second = proxy.workers()
        async with AnsweringOrigin(echo) as origin:
            async with clients_of_each(proxy) as clients:
                assert await counts(clients * 2, origin.netloc) == [1, 2, 3, 4]
                second.kill()
                assert await clients[1].read_to_end() == b""
                assert await counts(clients[:1], origin.netloc) == [5]
            line = "worker 2 serves again"
            await asyncio.to_thread(proxy.wait_for_line, line, GONE_S)
            (third,) = [one for one in proxy.workers() if one != first]
            async with proxy.client_of(third) as client:
                assert await counts([client], origin.netloc) == [6]
    with CrewProcess(tmp_path, "--plugin", guest, planes=planes) as proxy:
        async with AnsweringOrigin(echo) as origin, clients_of_each(proxy) as clients:
            assert await counts(clients, origin.netloc) == [7, 8]


async def test_keys_that_a_plugin_does_not_share_are_those_of_one_worker(
    tmp_path: Path,
) -> None:
    guest = put(tmp_path, "apart", counter())
    planes = DATA_PLANE_ALONE
    with CrewProcess(tmp_path, "--plugin", guest, planes=planes) as proxy:
        async with AnsweringOrigin(echo) as origin, clients_of_each(proxy) as clients:
            assert await counts(clients * 2, origin.netloc) == [1, 1, 2, 2]


async def test_a_stop_drains_all_and_a_second_signal_does_not_wait(
    tmp_path: Path,
) -> None:
    asked = asyncio.Semaphore(0)
    stopping = asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        target = (await peer.read_request()).target
        asked.release()
        if target.endswith(b"late"):
            await stopping.wait()
            await peer.send(response(b"late"))
        await peer.read_to_end()

    config = "[limits]\ndrain_s = 60\n"
    proxy = CrewProcess(tmp_path, planes=STORE_ALONE, config=config)
    with without_judgement(proxy):
        async with ScriptedOrigin(slow) as origin, clients_of_each(proxy) as clients:
            for client, path in zip(clients, ("/late", "/never"), strict=True):
                head = f"GET {origin.url}{path} HTTP/1.1\r\nHost: {origin.netloc}"
                await client.send(f"{head}\r\n\r\n".encode())
                await asked.acquire()
            proxy.process.send_signal(signal.SIGTERM)
            everyone = proxy.everyone()
            await until(lambda: not accepts(proxy), GONE_S)
            stopping.set()
            assert (await clients[0].read_response()).text == "late"
            proxy.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(proxy.process.wait, GONE_S) == 0

    assert all(gone(one) for one in everyone)
    assert kept_targets(proxy.data_dir)[b"/late"] == 1
    assert journal_files(proxy.data_dir) == []


def accepts(proxy: CrewProcess) -> bool:
    """Whether any of its processes still listens."""
    found: list[psutil.Process] = [psutil.Process(proxy.process.pid), *proxy.workers()]
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr.port == proxy.port
        for process in found
        for one in process.net_connections("tcp")
    )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("--rules", "wrong.toml"), "wrong.toml:1: blok: no such table"),
        (("--plugin", "wrong.wat"), "wrong.wat"),
    ],
)
def test_what_cannot_be_used_is_refused_once(
    tmp_path: Path, files: tuple[str, str], said: str
) -> None:
    flag, name = files
    (tmp_path / name).write_text("blok = true\n")
    arguments = ["--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data"]
    ended = run_once(
        tmp_path, [*arguments, "--workers", "2", "--no-store", flag, tmp_path / name]
    )

    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert said in ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_lost_or_doubled_whoever_is_killed_when(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    whole: list[bytes] = []
    async with AnsweringOrigin(fixed(response(b"kept" * 100))) as origin:
        for life in range(3):
            proxy = CrewProcess(tmp_path, "--quiet", planes=STORE_ALONE)
            with without_judgement(proxy):
                for turn in range(4):
                    await asyncio.sleep(chance.uniform(0.0, 0.5))
                    victims = [*proxy.workers(), proxy.wait_for_hub()]
                    async with loaded(proxy, origin, f"{life}/{turn}") as load:
                        await load.more(20)
                        chance.choice(victims).kill()
                        await asyncio.sleep(chance.uniform(0.0, 0.3))
                    whole += load.whole
                everyone = proxy.everyone()
                proxy.process.kill()
                await until(lambda: all(gone(one) for one in everyone), GONE_S)  # noqa: B023
    with CrewProcess(tmp_path, planes=STORE_ALONE):
        pass

    kept = kept_targets(tmp_path / "data")
    assert [target for target in whole if kept[target] != 1] == []
    assert set(kept.values()) == {1}
