"""Who accepts a client when several processes listen on one socket."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from int3rceptor.app.proxy_plane import Shared, running
from int3rceptor.config.model import Config, LimitsConfig
from int3rceptor.net.listening import bind, own_address
from int3rceptor.net.loads import ABSENT, Loads, new_loads
from int3rceptor.proxy import listener
from tests.support.clients import raw
from tests.support.streams import eventually

SOON = LimitsConfig(drain_s=0.1)
REQUEST = b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """A proxy that is the first of two, as clients know it."""

    address: tuple[str, int]
    ca: Path


@contextlib.asynccontextmanager
async def first_of_two(folder: Path, loads: Loads) -> AsyncIterator[There]:
    sock = bind("127.0.0.1", 0)
    address = own_address(sock)
    shared = Shared(sock=sock, place=loads.place_of(1), number=1, workers=2)
    config = Config(listen="127.0.0.1:1", data_dir=folder, limits=SOON)
    async with running(config, shared=shared) as ready:
        yield There(address=address, ca=ready.ca_path)


def clients_of(loads: Loads, number: int = 1) -> int:
    return struct.unpack_from("=I", os.pread(loads.descriptor, 4, 4 * (number - 1)))[0]


async def test_clients_are_counted_while_they_stay(tmp_path: Path) -> None:
    with new_loads(2) as loads:
        assert clients_of(loads) == ABSENT
        async with first_of_two(tmp_path, loads) as there:
            assert clients_of(loads) == 0
            async with raw(there), raw(there):
                await eventually(lambda: clients_of(loads) == 2)
            await eventually(lambda: clients_of(loads) == 0)
            async with raw(there):
                await eventually(lambda: clients_of(loads) == 1)
        assert clients_of(loads) == ABSENT


async def test_who_has_more_leaves_the_next_one_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "YIELD_S", 3600.0)
    with new_loads(2) as loads:
        loads.place_of(2).set(0)
        async with first_of_two(tmp_path, loads) as there, raw(there) as own:
            await eventually(lambda: clients_of(loads) == 1)
            async with raw(there) as left:
                await left.send(REQUEST)
                await own.send(REQUEST)
                assert (await own.read_response()).status == 502
                assert not left.received
                assert clients_of(loads) == 1


async def test_one_that_nobody_takes_is_served_after_a_moment(tmp_path: Path) -> None:
    with new_loads(2) as loads:
        loads.place_of(2).set(0)  # and it never takes any
        async with (
            first_of_two(tmp_path, loads) as there,
            raw(there) as one,
            raw(there) as two,
            raw(there) as three,
        ):
            for client in (one, two, three):
                await client.send(REQUEST)
                assert (await client.read_response()).status == 502
            assert clients_of(loads) == 3


async def test_a_stop_while_one_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "YIELD_S", 0.2)
    with new_loads(2) as loads:
        loads.place_of(2).set(0)
        async with first_of_two(tmp_path, loads) as there, raw(there):
            await eventually(lambda: clients_of(loads) == 1)
            async with raw(there):
                pass
        await asyncio.sleep(0.3)  # what was put off finds nothing to do
        assert clients_of(loads) == ABSENT
