from pathlib import Path

import pytest

from benchmarks import tail
from benchmarks.tail import (
    Traced,
    Turn,
    chosen,
    shares,
    stolen_s,
    table,
    turns_of,
)

RECORD = """\
    python   100/100   [001] 10.000100: PERF_RECORD_SWITCH_CPU_WIDE OUT          next pid/tid:     0/0
   swapper     0/0     [001] 10.000100: PERF_RECORD_SWITCH_CPU_WIDE IN           prev pid/tid:   100/100
   swapper     0/0     [001] 10.000300: PERF_RECORD_SWITCH_CPU_WIDE OUT          next pid/tid:   200/201
rcu gp one   200/201   [001] 10.000300: PERF_RECORD_SWITCH_CPU_WIDE IN           prev pid/tid:     0/0
     nginx    50/50    [000] 10.000350: PERF_RECORD_SWITCH_CPU_WIDE IN           prev pid/tid:     0/0
rcu gp one   200/201   [001] 10.000700: PERF_RECORD_SWITCH_CPU_WIDE OUT preempt  next pid/tid:   100/100
    python   100/100   [001] 10.000700: PERF_RECORD_SWITCH_CPU_WIDE IN           prev pid/tid:   200/201
    python   100/100   [001] 10.001000: PERF_RECORD_SWITCH_CPU_WIDE OUT          next pid/tid:     0/0
     nginx    50/50    [000] 10.001000: PERF_RECORD_SWITCH_CPU_WIDE OUT          next pid/tid:     0/0
"""  # noqa: E501 (as perf prints it)
TURNS = [
    Turn(0.0, 1.0, "proxy"),
    Turn(1.0, 1.5, "nobody"),
    Turn(1.5, 3.0, "hub"),
    Turn(3.0, 4.0, "proxy"),
]


def test_the_record_is_read_core_by_core() -> None:
    turns = turns_of(RECORD, {100: "proxy", 50: "origin"})
    assert turns == {
        0: [Turn(10.00035, 10.001, "origin")],
        1: [
            Turn(10.0001, 10.0003, "nobody"),
            Turn(10.0003, 10.0007, "others"),
            Turn(10.0007, 10.001, "proxy"),
        ],
    }


@pytest.mark.parametrize(
    ("span", "had"),
    [
        ((0.5, 3.5), {"proxy": 1.0, "nobody": 0.5, "hub": 1.5}),
        ((1.6, 1.7), {"hub": 0.1}),
        ((3.5, 9.0), {"proxy": 0.5}),
        ((-2.0, 0.5), {"proxy": 0.5}),
        ((5.0, 6.0), {}),
    ],
)
def test_a_request_is_told_by_who_had_the_core_meanwhile(
    span: tuple[float, float], had: dict[str, float]
) -> None:
    found = {who: had_s for who, had_s in shares([span], TURNS).items() if had_s}
    assert found == pytest.approx(had)


def test_of_two_requests_both_count() -> None:
    assert shares([(0.0, 1.0), (0.5, 1.0)], TURNS)["proxy"] == pytest.approx(1.5)


def test_the_slowest_and_those_in_the_middle_are_shown() -> None:
    spans = [(0.0, (number + 1) / 1000) for number in range(200)]
    found = chosen(spans)
    assert found["the slowest"] == spans[-2:]
    assert found["in the middle"] == spans[98:102]


def test_the_table_has_a_line_for_each_core() -> None:
    found = Traced(rate=50.0, stolen_s=0.02, spans=[(0.0, 2.0)], turns={1: TURNS})
    assert table(found, {"proxy's core": 1, "load's core": 0}).splitlines() == [
        "1 requests at 50/s, p50 2000.00 ms, p99 2000.00 ms",
        "the host kept the proxy's core for 20 ms",
        "1 requests in the middle, 2000.00 ms each:",
        "  proxy's core: proxy 1000.00, nobody 500.00, hub 500.00",
        "  load's core: no record",
        "1 requests the slowest, 2000.00 ms each:",
        "  proxy's core: proxy 1000.00, nobody 500.00, hub 500.00",
        "  load's core: no record",
    ]


def test_what_the_host_kept_is_the_eighth_number_of_the_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = (
        "cpu  1 2 3 4 5 6 7 88 9 10\ncpu1 0 0 0 0 0 0 0 3 0 0\ncpu10 1 1 1 1 1 1 1 1\n"
    )
    (tmp_path / "stat").write_text(stat)
    monkeypatch.setattr(tail, "PROC", tmp_path)
    monkeypatch.setattr(tail, "TICKS_PER_S", 100)
    assert stolen_s(1) == 0.03
