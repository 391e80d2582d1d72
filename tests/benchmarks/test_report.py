import dataclasses

import pytest

from benchmarks.promises import targets
from benchmarks.report import Absence, Report, from_json, rows
from benchmarks.sizes import SMOKE
from tests.support.benchmark_samples import sample


def test_a_row_is_the_median_of_its_system_and_a_share_of_mitmdump() -> None:
    samples = [
        sample("mitmdump", 6.0),
        sample("int3rceptor", 1.0, own_cpu_s=0.5, elapsed_s=1.0),
        sample("mitmdump", 60.0),
        sample("int3rceptor", 0.5, own_cpu_s=0.4, elapsed_s=0.5),
        sample("mitmdump", 8.0),
        sample("int3rceptor", 2.0, own_cpu_s=0.1, elapsed_s=1.0),
    ]
    mitmdump, ours = rows(samples)
    assert (mitmdump.system, ours.system) == ("mitmdump", "int3rceptor")
    assert mitmdump.cpu_per_unit_s == pytest.approx(0.08)
    assert (ours.cpu_lowest_s, ours.cpu_highest_s) == pytest.approx((0.005, 0.02))
    assert ours.cpu_share == pytest.approx(1 / 8)
    # Of the whole tree of the peer: a peer that splits itself gains nothing.
    assert ours.own_cpu_share == pytest.approx(1 / 20)
    assert (ours.units_per_s, ours.rate_ratio) == (100, 2)
    assert ours.requests == 300


def test_shares_of_a_core_say_where_the_bottleneck_is() -> None:
    (row,) = rows([sample("squid")])
    assert (row.busy, row.load_busy, row.origin_busy) == (0.5, 0.25, 0.125)


def test_a_report_survives_its_file() -> None:
    samples = [sample("mitmdump", 6.0), sample("int3rceptor", 1.0)]
    table = rows(samples)
    report = Report(
        facts={"cpu": "a fast one"},
        commands={"mitmdump": "mitmdump -q"},
        tables={"h1": table},
        absences=[Absence(system="squid", scenario="h1", reason="not installed")],
        targets=targets("h1", table),
    )
    again = from_json(report.to_json(SMOKE, samples))
    assert again == dataclasses.replace(report)
    assert again.targets
