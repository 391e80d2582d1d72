import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.app import running
from int3rceptor.config.model import Config
from tests.support.patience import PATIENT_S

DISGUISES = ["{host}:{port}", "localhost:{port}", "[::ffff:127.0.0.1]:{port}"]
EVERYWHERE = [*DISGUISES, "0.0.0.0:{port}", "127.0.0.9:{port}"]


@pytest.fixture(params=["127.0.0.1:0", "0.0.0.0:0"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    config = Config(listen=request.param, data_dir=tmp_path)
    async with running(config) as ready:
        yield ready.listen[1]


async def ask(port: int, target: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(PATIENT_S):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("disguise", DISGUISES)
async def test_the_proxy_does_not_reach_itself(port: int, disguise: str) -> None:
    target = disguise.format(host="127.0.0.1", port=port)

    assert (await ask(port, target)).startswith(b"HTTP/1.1 508 Loop Detected\r\n")


async def test_no_disguise_helps_where_it_listens_everywhere(tmp_path: Path) -> None:
    async with running(Config(listen="0.0.0.0:0", data_dir=tmp_path)) as ready:
        port = ready.listen[1]
        for disguise in EVERYWHERE:
            answer = await ask(port, disguise.format(host="127.0.0.1", port=port))
            assert answer.startswith(b"HTTP/1.1 508 "), disguise
