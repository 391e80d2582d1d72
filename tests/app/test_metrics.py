"""What the hub calls the numbers that the proxy sends."""

from int3rceptor.app.metrics import families
from int3rceptor.control.exposition import render
from int3rceptor.link.messages import Stats, WorkerStats

USE = {"cpu_s": 1.0, "resident_bytes": 2.0}


def shown(stats: Stats) -> list[str]:
    lines = render(families(stats, stored=3)).splitlines()
    return [line for line in lines if not line.startswith("#")]


def processes(lines: list[str]) -> list[str]:
    name = "int3rceptor_process_cpu_seconds_total{process="
    return [line.split('"')[1] for line in lines if line.startswith(name)]


def test_of_one_process_nothing_is_said_of_workers() -> None:
    lines = shown(Stats({"begun": 4.0, **USE}))

    assert "int3rceptor_flows_begun_total 4" in lines
    assert "int3rceptor_flows_stored_total 3" in lines
    assert processes(lines) == ["proxy", "hub"]
    assert not [line for line in lines if "worker" in line]


def test_of_several_each_is_shown() -> None:
    first = WorkerStats(1, True, 0, {"connections": 5.0, **USE})
    second = WorkerStats(2, False, 3, {"connections": 0.0}, hangs=2)
    lines = shown(Stats({"connections": 5.0, **USE}, "", [first, second]))

    assert processes(lines) == ["proxy", "worker-1", "worker-2", "hub"]
    assert "int3rceptor_client_connections 5" in lines
    assert 'int3rceptor_worker_client_connections{worker="1"} 5' in lines
    assert 'int3rceptor_worker_serving{worker="1"} 1' in lines
    assert 'int3rceptor_worker_serving{worker="2"} 0' in lines
    assert 'int3rceptor_worker_restarts_total{worker="2"} 3' in lines
    assert 'int3rceptor_worker_hangs_total{worker="2"} 2' in lines
