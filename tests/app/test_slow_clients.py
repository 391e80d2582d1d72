"""Clients that send a byte now and then: each deadline is for the whole of a thing."""

import asyncio
from pathlib import Path

import pytest

from int3rceptor.config.model import Config, LimitsConfig
from tests.app.test_app import proxy
from tests.support.clients import raw
from tests.support.h1_peer import H1Peer
from tests.support.patience import PATIENT_S

HEAD_S = 0.2
PACE_S = 0.05


async def drip(peer: H1Peer, data: bytes) -> None:
    for at in range(len(data)):
        await peer.send(data[at : at + 1])
        await asyncio.sleep(PACE_S)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET http://localhost/ HTTP/1.1\r\nHost: x\r\n", id="request"),
        pytest.param(b"CONNECT localhost:1 HTTP/1.1\r\nHost: x\r\n", id="connect"),
        pytest.param(b"\r\n" * 60, id="empty lines"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01" + b"\0" * 60, id="hello"),
    ],
)
async def test_a_head_that_drips_is_refused_in_time(
    tmp_path: Path, start: bytes
) -> None:
    settings = Config(
        listen="127.0.0.1:0",
        data_dir=tmp_path / "data",
        limits=LimitsConfig(head_timeout_s=HEAD_S, drain_s=0.1),
    )
    async with proxy(settings) as there, raw(there) as peer:
        dripping = asyncio.create_task(drip(peer, start))
        try:
            async with asyncio.timeout(PATIENT_S):
                await peer.read_to_end()
        finally:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
