"""SIGHUP: read again what people write, or the terminal is gone."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.guests import put, stamper
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess, environment
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
