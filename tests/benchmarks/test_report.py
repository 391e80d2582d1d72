import pytest

from benchmarks.clients import Result
from benchmarks.report import rows, table, targets
from benchmarks.scenarios import SCENARIOS, Sample, Scenario

MIB = 1024**2


def scenario(name: str) -> Scenario:
    return next(each for each in SCENARIOS if each.name == name)


def sample(
    system: str, cpu_s: float, rss_mib: tuple[int, ...] = (50, 50), growth_mib: int = 0
) -> Sample:
    return Sample(
        system=system,
        scenario="any",
        result=Result(requests=100, errors=0, elapsed_s=2.0, p50_ms=1.0, p99_ms=3.0),
        units=100,
        cpu_s=cpu_s,
        rss_bytes=tuple(each * MIB for each in rss_mib),
        peak_growth_bytes=growth_mib * MIB,
    )


def test_a_row_is_the_median_of_its_system_and_a_share_of_mitmdump() -> None:
    samples = [
        sample("mitmdump", 6.0),
        sample("int3rceptor", 1.0),
        sample("mitmdump", 60.0),
        sample("int3rceptor", 0.5),
        sample("mitmdump", 8.0),
        sample("int3rceptor", 2.0),
    ]
    mitmdump, ours = rows(samples)
    assert (mitmdump.system, ours.system) == ("mitmdump", "int3rceptor")
    assert mitmdump.cpu_per_unit_s == pytest.approx(0.08)
    assert (ours.cpu_lowest_s, ours.cpu_highest_s) == pytest.approx((0.005, 0.02))
    assert ours.cpu_share_of_mitmdump == pytest.approx(1 / 8)
    assert ours.units_per_s == 50
    assert ours.requests == 300


@pytest.mark.parametrize(
    ("name", "ours", "is_met"),
    [
        ("h1", sample("int3rceptor", 0.99), True),
        ("h1", sample("int3rceptor", 1.01), False),
        ("h2", sample("int3rceptor", 1.49), True),
        ("h2", sample("int3rceptor", 1.51), False),
        # The first step is warm-up, and shrinking is as odd as growing.
        ("memory-h1", sample("int3rceptor", 1.0, (50, 100, 103, 104)), True),
        ("memory-h1", sample("int3rceptor", 1.0, (50, 100, 103, 106)), False),
        ("memory-h2", sample("int3rceptor", 1.0, (50, 100, 90)), False),
        ("upload-h1", sample("int3rceptor", 1.0, growth_mib=31), True),
        ("download-h2", sample("int3rceptor", 1.0, growth_mib=32), False),
    ],
)
def test_targets_are_judged(name: str, ours: Sample, is_met: bool) -> None:
    measured = rows([sample("mitmdump", 6.0), ours])
    (target,) = targets(scenario(name), measured)
    assert target.is_met is is_met


def test_without_a_peer_or_without_us_nothing_is_claimed() -> None:
    assert targets(scenario("h1"), rows([sample("int3rceptor", 1.0)])) == []
    assert targets(scenario("upload-h2"), rows([sample("mitmdump", 1.0)])) == []


def test_the_table_lines_up_and_leaves_out_what_direct_has_not() -> None:
    direct = sample("direct", 0.0, (0, 0))
    shown = table(scenario("h1"), rows([direct, sample("int3rceptor", 1.0)]))
    lines = shown.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert " ".join(lines[1].split()) == "direct 100 0 - - 50 - 1.00 3.00 - -"
