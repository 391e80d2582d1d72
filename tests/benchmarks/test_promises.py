import pytest

from benchmarks.promises import FLOORS, GOALS, targets
from benchmarks.report import Target, rows
from benchmarks.sampling import Sample
from benchmarks.scenarios import SCENARIOS
from tests.support.benchmark_samples import sample


def of(level: str, name: str, *samples: Sample) -> list[bool]:
    return [each.is_met for each in judged(name, *samples) if each.level == level]


def judged(name: str, *samples: Sample) -> list[Target]:
    return targets(name, rows(list(samples)))


@pytest.mark.parametrize(
    ("name", "ours", "met"),
    [
        ("h1", sample("int3rceptor", 1.4, own_cpu_s=0.99), [True, True]),
        ("h1", sample("int3rceptor", 1.6, own_cpu_s=0.99), [True, False]),
        ("h1", sample("int3rceptor", 1.4, own_cpu_s=1.01), [False, True]),
        ("h2-10x10", sample("int3rceptor", 1.9, own_cpu_s=1.49), [True, True]),
        ("h2-1x100", sample("int3rceptor", 2.1, own_cpu_s=1.51), [False, False]),
        ("new", sample("int3rceptor", 2.1, own_cpu_s=0.1), [False]),
        ("download", sample("int3rceptor", elapsed_s=0.7, growth_mib=31), [True, True]),
        (
            "download",
            sample("int3rceptor", elapsed_s=0.9, growth_mib=33),
            [False, False],
        ),
        # The first step is warm-up, and shrinking is as odd as growing.
        (
            "memory-h1",
            sample("int3rceptor", own_rss_mib=(50, 100, 103, 104)),
            [True, True, True],
        ),
        (
            "memory-h2",
            sample("int3rceptor", own_rss_mib=(58, 50, 47), hub_mib=115),
            [False, False, False],
        ),
        ("plain", sample("int3rceptor"), []),
    ],
)
def test_floors_are_judged(name: str, ours: Sample, met: list[bool]) -> None:
    assert of("floor", name, sample("mitmdump", 6.0), ours) == met


@pytest.mark.parametrize(
    ("name", "ours", "met"),
    [
        ("h1", sample("int3rceptor", 0.49, own_cpu_s=0.29), [True, True]),
        ("h1-256", sample("int3rceptor", 0.51, own_cpu_s=0.29), [True, False]),
        ("plain-256", sample("int3rceptor", 0.51, own_cpu_s=0.31), [False]),
        ("h2-10x10", sample("int3rceptor", 2.0, own_cpu_s=0.49), [True]),
        ("h1-h2", sample("int3rceptor", 2.0, own_cpu_s=0.61), [False]),
        ("new", sample("int3rceptor", 2.0, own_cpu_s=0.74), [True]),
        ("first", sample("int3rceptor", 2.0, own_cpu_s=1.51), [False]),
        ("upload", sample("int3rceptor", elapsed_s=0.49, growth_mib=16), [True, True]),
        ("upload", sample("int3rceptor", elapsed_s=0.51, growth_mib=17), [False] * 2),
        ("idle", sample("int3rceptor", own_rss_mib=(50, 53)), [True]),
        ("idle-many", sample("int3rceptor", own_rss_mib=(50, 54)), [False]),
        ("websocket", sample("int3rceptor", 2.0, own_cpu_s=0.59), [True]),
        ("websocket", sample("int3rceptor", 0.1, own_cpu_s=0.61), [False]),
        ("latency", sample("int3rceptor", p99_ms=0.3), [True]),
        ("latency", sample("int3rceptor", p99_ms=0.31), [False]),
    ],
)
def test_goals_are_judged(name: str, ours: Sample, met: list[bool]) -> None:
    assert of("goal", name, sample("mitmdump", 6.0), ours) == met


@pytest.mark.parametrize(("own_cpu_s", "met"), [(0.9, True), (1.1, False)])
def test_a_native_peer_is_compared_with_the_process_that_carries_the_traffic(
    own_cpu_s: float, met: bool
) -> None:
    ours = sample("int3rceptor", 9.0, own_cpu_s=own_cpu_s)
    assert of("goal", "h1", sample("squid", 1.0), ours) == [met]
    assert of("goal", "h1", sample("goproxy", 1.0), ours) == [met]


@pytest.mark.parametrize(("elapsed_s", "met"), [(2.4, True), (2.6, False)])
def test_a_large_body_is_compared_with_the_relay(elapsed_s: float, met: bool) -> None:
    relay, ours = sample("relay"), sample("int3rceptor", elapsed_s=elapsed_s)
    measured = judged("download", relay, ours)
    assert [each.is_met for each in measured if "relay" in each.wanted] == [met]


@pytest.mark.parametrize(("elapsed_s", "met"), [(1.9, True), (2.1, False)])
def test_new_connections_are_as_many_as_sslsplit_has(
    elapsed_s: float, met: bool
) -> None:
    ours = sample("int3rceptor", elapsed_s=elapsed_s)
    assert of("goal", "new", sample("sslsplit"), ours) == [met]


def test_a_plugin_is_what_it_costs_on_top_of_none() -> None:
    (target,) = judged(
        "plugin",
        sample("int3rceptor-no-plugin", 9.0, own_cpu_s=0.0100),
        sample("int3rceptor-no-plugin", 9.0, own_cpu_s=0.0200),
        sample("int3rceptor-stamp", 9.0, own_cpu_s=0.0111),
        sample("int3rceptor-stamp", 9.0, own_cpu_s=0.0300),
    )
    assert (target.measured, target.is_met) == ("11.0 µs", True)


@pytest.mark.parametrize(("cpu_s", "met"), [(1.17, True), (1.18, False)])
def test_two_workers_are_worth_what_the_cpu_of_a_request_leaves(
    cpu_s: float, met: bool
) -> None:
    (target,) = judged(
        "workers", sample("int3rceptor", 1.0), sample("int3rceptor-2-workers", cpu_s)
    )
    assert target.is_met == met


def test_without_a_peer_or_without_us_nothing_is_claimed() -> None:
    assert judged("h1", sample("int3rceptor", 1.0)) == []
    assert judged("memory-h1", sample("mitmdump", 1.0)) == []
    assert judged("plugin", sample("int3rceptor-stamp", 1.0)) == []
    assert judged("workers", sample("int3rceptor", 1.0)) == []


def test_every_promise_is_of_a_scenario_that_exists() -> None:
    known = {scenario.name for scenario in SCENARIOS}
    promised = {name for each in (*FLOORS, *GOALS) for name in each.scenarios}
    assert promised == known
