"""What `plugins show` prints; the commands against a proxy are in e2e."""

import msgspec
import pytest

from int3rceptor.cli.plugins.running import _print_details
from int3rceptor.link.plugin_reports import Counters
from tests.support.control import plugin_details


def test_what_a_plugin_sent_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    counters = Counters(calls=5, fetches=3, lines=2, lines_left_out=1)
    details = msgspec.structs.replace(plugin_details("one"), counters=counters)
    _print_details(msgspec.json.encode(details))
    shown = capsys.readouterr().out.splitlines()
    assert "Calls: 5 in 0.000 s, 0 faults" in shown
    assert "HTTP requests sent: 3" in shown
    assert "Log lines: 2, 1 more left out" in shown
