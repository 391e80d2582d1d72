"""SIGHUP: read again what people write, or the terminal is gone."""

import asyncio
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.clients import raw, refuses_connections
from tests.support.guests import put, stamper
from tests.support.h1_peer import H1Peer, response
from tests.support.origins import ScriptedOrigin
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess, environment, without_judgement
from tests.support.tools import require

pytestmark = pytest.mark.measured


def test_it_reads_plugins_and_rules_again_and_goes_on(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nname = "a"\nmatch = {}\ntag = "t"\n')
    proxy = start_proxy("--rules", rules, "--plugin", put(tmp_path, "p", stamper("1")))
    for count in (1, 2):
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line("plugin p reloaded", count=count)
        # One of them is the line of the start.
        proxy.wait_for_line("rules in force: 1", count=count + 1)


async def test_a_hangup_does_not_end_what_a_stop_lets_end(tmp_path: Path) -> None:
    """A terminal that goes says so twice, by the system and by the shell; systemd has
    `SendSIGHUP=`."""
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def slow(peer: H1Peer) -> None:
        await peer.read_request()
        asked.set()
        await hung_up.wait()
        await peer.send(response(b"after the hangup"))

    proxy = ProxyProcess(tmp_path)
    with without_judgement(proxy):
        async with ScriptedOrigin(slow) as origin, raw(proxy) as client:
            await client.send(
                f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
            )
            await asked.wait()
            proxy.process.send_signal(signal.SIGTERM)
            # New connections are refused once the signal was heard.
            await refuses_connections(proxy)
            for _ in range(2):
                proxy.process.send_signal(signal.SIGHUP)
            hung_up.set()
            answer = await client.read_response()
        code = await asyncio.to_thread(proxy.process.wait, PATIENT_S)

    assert (answer.text, code) == ("after the hangup", 0)


def test_when_its_terminal_goes_it_stops_in_order(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [str(require("setsid")), "--ctty", *ProxyProcess(tmp_path).command()]
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(tmp_path),
    )
    os.close(slave)
    try:
        assert process.stdout is not None
        assert re.match("listening on", process.stdout.readline())
        os.close(master)
        _, errors = process.communicate(timeout=PATIENT_S)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.wait()
