"""A proxy that may open no file more, and then may again."""

import contextlib
import resource
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.clients import raw
from tests.support.h1_peer import response
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess, environment
from tests.support.streams import eventually

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a limit of another process is set on Linux only"
)

CLIENTS = 60
ROOM = 20
RULE = (
    '[[rules]]\nname = "late"\nmatch = { path = "/late" }\nanswer = { body = "rule" }\n'
)


def test_too_few_files_to_start_are_one_clear_line(tmp_path: Path) -> None:
    command = [*ProxyProcess(tmp_path).command(), "--verbose"]

    ended = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 12; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        timeout=PATIENT_S,
        env=environment(tmp_path),
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "int3rceptor: error: the system allows 12 open files, too few to start: raise"
        " the limit (ulimit -n 1024)\n"
    )


def allow_more_files(proxy: ProxyProcess, count: int) -> int:
    """`count` more than it has open now; how many it has."""
    process = psutil.Process(proxy.process.pid)
    process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + count, 1024))
    return process.num_fds()


def answered(proxy: ProxyProcess) -> int:
    """How many requests are over, one way or the other."""
    return sum("/late " in line for line in proxy.stdout)


async def test_who_takes_all_files_costs_nothing_that_lasts(tmp_path: Path) -> None:
    async with AnsweringOrigin(fixed(response())) as origin:
        # By its address: to look a name up takes files.
        place = f"127.0.0.1:{origin.port}"
        ask = f"GET http://{place}/late HTTP/1.1\r\nHost: {place}\r\n\r\n"
        with ProxyProcess(tmp_path) as proxy:
            open_before = allow_more_files(proxy, ROOM)
            with contextlib.ExitStack() as clients:
                for _ in range(CLIENTS):
                    greedy = socket.create_connection(proxy.address)
                    clients.enter_context(greedy).sendall(ask.encode())
                proxy.wait_for_line("cannot accept: Too many open files")
                proxy.wait_for_line("cannot connect to .*: too many open files")

            # The origin is of this loop: it must not be made to wait for a line yet.
            await eventually(lambda: answered(proxy) == CLIENTS)
            process = psutil.Process(proxy.process.pid)
            # Idle connections to the origin may be left, one for each client that was
            # served: of two files one.
            most = open_before + ROOM // 2 + 1
            await eventually(lambda: process.num_fds() <= most)
            async with raw(proxy) as client:
                await client.send(ask.encode())
                answer = await client.read_response()
            (proxy.data_dir / "rules").mkdir()
            (proxy.data_dir / "rules" / "late.toml").write_text(RULE)
            proxy.wait_for_line("rules in force: 1")
            lines = proxy.lines

    assert answer.text == "ok"
    assert not [line for line in lines if "internal error" in line]
