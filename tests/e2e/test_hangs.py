"""Processes that live and do nothing, as SIGSTOP makes them: they are noticed."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_planes import gone
from tests.support.h1_peer import response
from tests.support.impatient import SILENT_S
from tests.support.load import assert_kept_once, loaded, unnoticed
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import BOTH_PLANES, STORE_ALONE, ProxyProcess
from tests.support.workers import CrewProcess, ask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HUNG = f"gave no sign of life for {SILENT_S:g} s and was killed; it is started again"


def impatient(command: list[str]) -> list[str]:
    return [
        "tests.support.impatient" if one == "int3rceptor" else one for one in command
    ]


class Impatient(ProxyProcess):
    def command(self) -> list[str]:
        return impatient(super().command())


class ImpatientCrew(CrewProcess):
    """In a group of its own, as a shell starts it."""

    def command(self) -> list[str]:
        return ["setsid", *impatient(super().command())]


async def until_told(proxy: ProxyProcess, wanted: set[str]) -> None:
    """Until these are among its metrics, which are told each second."""
    headers = {"Authorization": f"Bearer {proxy.token}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=PATIENT_S) as client,
        asyncio.timeout(PATIENT_S),
    ):
        url = f"{proxy.control}/metrics"
        while not wanted <= {*(await client.get(url)).text.splitlines()}:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_hub_that_hangs_is_replaced_and_no_client_notices(
    tmp_path: Path,
) -> None:
    with Impatient(tmp_path, planes=BOTH_PLANES) as proxy:
        assert proxy.control
        async with unnoticed(proxy) as load:
            first = proxy.wait_for_hub()
            first.suspend()
            await asyncio.to_thread(proxy.wait_for_line, f"the hub {HUNG}")
            await asyncio.to_thread(proxy.wait_for_line, "the hub serves again")
        assert gone(first)
        await until_told(proxy, {"int3rceptor_hub_hangs_total 1"})

    assert [line for line in proxy.stderr if "does not end" in line] == []
    assert_kept_once(load, proxy.data_dir)


async def test_a_worker_that_hangs_costs_its_own_connections(tmp_path: Path) -> None:
    with ImpatientCrew(tmp_path, planes=BOTH_PLANES) as proxy:
        first, second = proxy.workers()
        async with AnsweringOrigin(fixed(response(b"kept"))) as origin:
            async with proxy.client_of(second) as other, proxy.client_of(first) as own:
                assert (await ask(own, origin.netloc)).status == 200
                first.suspend()
                await asyncio.to_thread(proxy.wait_for_line, f"worker 1 {HUNG}")
                assert await own.read_to_end() == b""
                assert (await ask(other, origin.netloc)).status == 200
            await asyncio.to_thread(proxy.wait_for_line, "worker 1 serves again")
            (third,) = [one for one in proxy.workers() if one != second]
            async with proxy.client_of(third) as new:
                assert (await ask(new, origin.netloc)).status == 200
        wanted = {
            'int3rceptor_worker_hangs_total{worker="1"} 1',
            'int3rceptor_worker_hangs_total{worker="2"} 0',
            "int3rceptor_hub_hangs_total 0",
        }
        await until_told(proxy, wanted)

    assert gone(first)


async def test_all_of_it_may_be_stopped_for_as_long_as_one_likes(
    tmp_path: Path,
) -> None:
    """Ctrl-Z and `fg`, or a laptop that slept."""
    with ImpatientCrew(tmp_path, planes=STORE_ALONE) as proxy:
        proxy.wait_for_hub()
        everyone = proxy.everyone()
        group = proxy.process.pid
        assert {os.getpgid(one.pid) for one in everyone} == {group}
        os.killpg(group, signal.SIGSTOP)
        await asyncio.sleep(SILENT_S + 2)
        os.killpg(group, signal.SIGCONT)
        async with (
            AnsweringOrigin(fixed(response(b"kept"))) as origin,
            loaded(proxy, origin) as load,
        ):
            await load.more(20)
            await asyncio.sleep(2)
        assert proxy.everyone() == everyone

    assert [line for line in proxy.stderr if "sign of life" in line] == []
