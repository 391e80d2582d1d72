from pathlib import Path

import pytest

from benchmarks.measure import BenchmarkError
from benchmarks.proxies import System
from benchmarks.validate import prove_kept, prove_plugin_ran

LINES = """\
listening on 127.0.0.1:1
plugin example_logger: INFO on_request
plugin example_logger: INFO on_response
plugin example_logger: INFO on_request
"""


def system(folder: Path, shown: str) -> System:
    (folder / "output.log").write_text(shown)
    return System(
        name="int3rceptor",
        via=("127.0.0.1", 1),
        ca_pem=folder / "ca.pem",
        pid=1,
        folder=folder,
    )


def test_a_line_for_each_request_is_enough(tmp_path: Path) -> None:
    prove_plugin_ran(system(tmp_path, LINES), 2)


def test_lines_that_the_proxy_left_out_count(tmp_path: Path) -> None:
    prove_plugin_ran(system(tmp_path, LINES + "… 3 lines not shown\n"), 5)


def test_a_plugin_that_stopped_half_way_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="saw 2 of 3 requests"):
        prove_plugin_ran(system(tmp_path, LINES), 3)


def test_flows_that_are_missing_in_the_store_fail_the_run(tmp_path: Path) -> None:
    prove_kept(system(tmp_path, LINES), 0)
    with pytest.raises(BenchmarkError, match="0 flows were kept of 2 requests"):
        prove_kept(system(tmp_path, LINES), 2)
