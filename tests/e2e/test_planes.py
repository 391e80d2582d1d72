"""Both planes as real processes: either may be killed at any instant."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import stat
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect

from int3rceptor.app.hub import NICENESS
from int3rceptor.app.ingesting import NICENESS as INGESTING_NICENESS
from tests.support.clients import raw
from tests.support.h1_peer import H1Peer, response
from tests.support.kept import journal_files, kept_targets
from tests.support.load import assert_kept_once, loaded, unnoticed, until
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import (
    BOTH_PLANES,
    STORE_ALONE,
    ProxyProcess,
    run_once,
    without_judgement,
)

pytestmark = pytest.mark.measured


KILLS = 50

SLACK_BYTES = 1e6
"""By which two starts of the same process differ."""


def gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


async def test_the_hub_dies_and_no_client_notices(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, planes=BOTH_PLANES) as proxy:
        assert proxy.control
        async with unnoticed(proxy) as load:
            first = proxy.wait_for_hub()
            first.kill()
            await until(lambda: gone(first))
            await load.more(20)
            second = await asyncio.to_thread(proxy.wait_for_hub, first.pid)
            await asyncio.to_thread(proxy.wait_for_line, "the hub serves again")
        proxy.wait_for_line(
            "the hub was ended by SIGKILL; it is started again in 0.5 s"
        )

    assert gone(second)
    assert journal_files(proxy.data_dir) == []
    assert_kept_once(load, proxy.data_dir)


async def test_the_hub_gives_way_once_it_serves(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, planes=STORE_ALONE) as proxy:
        hub = proxy.wait_for_hub()
        level = psutil.Process(proxy.process.pid).nice()
        assert hub.nice() - level in (0, NICENESS)  # it may have been quick
        await until(lambda: hub.nice() - level == NICENESS)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all threads have one")
async def test_the_thread_that_ingests_gives_way_most(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, planes=STORE_ALONE) as proxy:
        hub = proxy.wait_for_hub()
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(1)
        tasks = Path(f"/proc/{hub.pid}/task")

        def levels() -> list[int]:
            threads = (int(task.name) for task in tasks.iterdir())
            return sorted(os.getpriority(os.PRIO_PROCESS, each) for each in threads)

        await until(lambda: levels()[-1] == INGESTING_NICENESS)
        assert levels()[0] < INGESTING_NICENESS  # and it alone


async def test_a_data_directory_that_is_emptied_under_it_is_filled_again(
    tmp_path: Path,
) -> None:
    with ProxyProcess(tmp_path, "--quiet", planes=STORE_ALONE) as proxy:
        flows = proxy.data_dir / "flows"
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await until(lambda: (flows / "store.sqlite-wal").exists())
            shutil.rmtree(flows, ignore_errors=True)
            await asyncio.to_thread(proxy.wait_for_line, "flows/journal was removed")
            await asyncio.to_thread(proxy.wait_for_line, "store.sqlite was removed")
            begun = len(load.whole)
            await load.more(20)

    kept = kept_targets(proxy.data_dir)
    assert [target for target in load.whole[begun:] if kept[target] != 1] == []


async def test_the_proxy_dies_and_the_hub_finishes_its_work(tmp_path: Path) -> None:
    with without_judgement(ProxyProcess(tmp_path, planes=BOTH_PLANES)) as proxy:
        assert proxy.control
        hub = proxy.wait_for_hub()
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(50)
            proxy.process.kill()
            await until(lambda: gone(hub))

    assert journal_files(proxy.data_dir) == []
    kept = kept_targets(proxy.data_dir)
    assert set(load.whole) <= set(kept)
    assert set(kept.values()) == {1}


async def test_a_killed_proxys_place_can_be_taken_at_once(tmp_path: Path) -> None:
    with without_judgement(ProxyProcess(tmp_path, planes=BOTH_PLANES)) as first:
        same = ("--control", first.control.removeprefix("http://"))
        first.process.kill()
        with ProxyProcess(tmp_path, planes=same) as second:
            assert second.control == first.control
            async with (
                AnsweringOrigin(fixed(response(b"kept"))) as origin,
                loaded(second, origin) as load,
            ):
                await load.more(5)

    assert set(load.whole) <= set(kept_targets(tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_lost_or_doubled_whoever_is_killed_when(
    tmp_path: Path,
) -> None:
    chance = random.Random(3)
    whole: Counter[bytes] = Counter()
    kills = lives = 0
    async with AnsweringOrigin(fixed(response(b"kept" * 100))) as origin:
        while kills < KILLS:
            hubs = chance.choice((0, 1, 2, 2))
            whole.update(await one_life(tmp_path, origin, lives, hubs, chance))
            kills += hubs + 1
            lives += 1
    with ProxyProcess(tmp_path, planes=STORE_ALONE):
        pass

    kept = kept_targets(tmp_path / "data")
    assert len(whole) > 10 * kills
    assert [target for target in whole if kept[target] != 1] == []
    assert set(kept.values()) == {1}


async def one_life(
    folder: Path, origin: AnsweringOrigin, number: int, hubs: int, chance: random.Random
) -> list[bytes]:
    """A proxy under load, so many of its hubs killed and then itself, each at some
    instant; what was received whole."""
    proxy = ProxyProcess(folder, "--quiet", planes=STORE_ALONE)
    with without_judgement(proxy):
        async with loaded(proxy, origin, f"{number}") as load:
            last = 0
            for _ in range(hubs):
                hub = await asyncio.to_thread(proxy.wait_for_hub, last)
                await asyncio.sleep(chance.uniform(0.0, 0.6))
                hub.kill()
                last = hub.pid
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            assert load.errors == []
            proxy.process.kill()
    return load.whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_group_ends_both(
    tmp_path: Path, number: signal.Signals
) -> None:
    with without_judgement(InOwnGroup(tmp_path, planes=BOTH_PLANES)) as proxy:
        assert proxy.control
        hub = proxy.wait_for_hub()
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(20)
            os.killpg(proxy.process.pid, number)
            code = await asyncio.to_thread(proxy.process.wait, PATIENT_S)

    assert code == 0
    assert gone(hub)
    assert [line for line in proxy.stderr if "hub" in line] == []
    assert journal_files(proxy.data_dir) == []
    assert set(load.whole) <= set(kept_targets(proxy.data_dir))


class InOwnGroup(ProxyProcess):
    """As a shell starts it: signals of the terminal go to it and its hub alone."""

    def command(self) -> list[str]:
        return ["setsid", *super().command()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_to_the_hub_alone_do_not_end_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    with ProxyProcess(tmp_path, planes=STORE_ALONE) as proxy:
        hub = proxy.wait_for_hub()  # also when it has only just been started
        hub.send_signal(number)
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(5)
        hub.send_signal(number)
        assert proxy.hub() == hub

    assert set(load.whole) <= set(kept_targets(proxy.data_dir))


async def test_a_stop_lets_an_exchange_end_and_keeps_it(tmp_path: Path) -> None:
    asked, stopping = asyncio.Event(), asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await stopping.wait()
        await peer.send(response(b"late"))

    with without_judgement(ProxyProcess(tmp_path, planes=STORE_ALONE)) as proxy:
        async with ScriptedOrigin(slow) as origin, raw(proxy) as client:
            head = f"GET {origin.url}/late HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n"
            await client.send(head.encode())
            await asked.wait()
            proxy.process.send_signal(signal.SIGTERM)
            await until(lambda: not accepts(proxy))
            stopping.set()
            assert (await client.read_response()).text == "late"
        assert await asyncio.to_thread(proxy.process.wait, PATIENT_S) == 0

    assert kept_targets(proxy.data_dir) == {b"/late": 1}


def accepts(proxy: ProxyProcess) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(proxy.address, 1).close()
        return True
    return False


def refused(folder: Path, *arguments: str) -> str:
    ended = run_once(
        folder, ["--listen", "127.0.0.1:0", "--data-dir", folder / "data", *arguments]
    )
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_a_control_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refused(tmp_path, "--control", address)

    assert "another program uses it" in line
    assert "--control" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])  # noqa: S104
def test_a_control_port_that_others_could_reach_is_refused(
    tmp_path: Path, host: str
) -> None:
    line = refused(tmp_path, "--control", f"{host}:0")

    assert "control_port.allow_remote" in line


def test_a_control_host_that_does_not_resolve_is_refused(tmp_path: Path) -> None:
    assert "no.invalid" in refused(tmp_path, "--control", "no.invalid:0")


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    token = tmp_path / "data" / "control-token"
    token.write_text("A" * 43)
    token.chmod(0o644)

    assert "control-token" in refused(tmp_path, "--control", "127.0.0.1:0")


def test_the_control_port_may_be_open_to_others_if_that_is_said(
    tmp_path: Path,
) -> None:
    arguments = ("--control", "0.0.0.0:0")
    config = "[control_port]\nallow_remote = true\n"
    with ProxyProcess(tmp_path, planes=arguments, config=config) as proxy:
        assert proxy.control.startswith("http://127.0.0.1:")


def test_the_control_line_names_the_tokens_file_and_not_the_token(
    tmp_path: Path,
) -> None:
    with ProxyProcess(tmp_path, planes=BOTH_PLANES) as proxy:
        assert proxy.control
        proxy.wait_for_line(f"token in {proxy.data_dir / 'control-token'}")
        token = proxy.token
        mode = (proxy.data_dir / "control-token").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600
    assert not [line for line in proxy.lines if token in line]


def test_no_hub_where_there_is_nothing_for_it_to_do(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path) as proxy:
        assert proxy.hub() is None

    assert not (proxy.data_dir / "flows").exists()


def test_memory_of_both_processes(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path / "alone") as alone:
        before = psutil.Process(alone.process.pid).memory_info().rss
    with ProxyProcess(tmp_path / "both", planes=BOTH_PLANES) as both:
        assert both.control
        hub = both.wait_for_hub().memory_info().rss
        supervised = psutil.Process(both.process.pid).memory_info().rss

    assert hub <= 120e6
    assert supervised - before <= 1e6 + SLACK_BYTES


async def test_a_viewer_sees_flows_begin_and_end(tmp_path: Path) -> None:
    with ProxyProcess(tmp_path, planes=BOTH_PLANES) as proxy:
        url = proxy.control.replace("http://", "ws://") + "/api/events"
        headers = {"Authorization": f"Bearer {proxy.token}"}
        async with (
            AnsweringOrigin(fixed(response(b"seen"))) as origin,
            connect(url, additional_headers=headers) as viewer,
        ):
            assert json.loads(await viewer.recv())["type"] == "hello"
            events: list[dict[str, object]] = []
            async with loaded(proxy, origin, "seen"), asyncio.timeout(PATIENT_S):
                while len(events) < 40:
                    events.append(json.loads(await viewer.recv()))

    kinds = Counter(str(event["type"]) for event in events)
    assert set(kinds) == {"flow.began", "flow.ended"}
    for event in events:
        flow = event["flow"]
        assert isinstance(flow, dict)
        assert flow["status"] == (200 if event["type"] == "flow.ended" else None)
        assert str(flow["target"]).startswith("/seen/")


async def test_the_proxy_loads_neither_the_web_server_nor_the_database(
    tmp_path: Path,
) -> None:
    # Coverage keeps its data in SQLite: here it must not look on.
    unmeasured = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
    timed = {"PYTHONPROFILEIMPORTTIME": "1", **unmeasured}
    proxy = ProxyProcess(tmp_path, planes=BOTH_PLANES, variables=timed)
    with proxy:
        assert proxy.control
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(5)

    # What the hub imports goes elsewhere: this is the proxy's own list.
    imported = {line.rpartition("|")[2].strip() for line in proxy.stderr}
    assert "int3rceptor.app.supervisor" in imported
    forbidden = {"fastapi", "starlette", "uvicorn", "sqlite3", "zstandard"}
    assert imported & forbidden == set()
