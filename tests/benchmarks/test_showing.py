import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.curve import Line
from benchmarks.curve import svg as curve_svg
from benchmarks.docs import BEGIN, END, filled
from benchmarks.measure import BenchmarkError
from benchmarks.plot import svg
from benchmarks.promises import targets
from benchmarks.report import Absence, Report, Row, rows
from benchmarks.tables import COLUMNS, markdown_table, text_table
from tests.support.benchmark_samples import sample

SVG = "{http://www.w3.org/2000/svg}"


def three() -> list[Row]:
    return rows(
        [
            sample("direct", 0.0, own_rss_mib=(0, 0)),
            sample("mitmdump", 6.0),
            sample("int3rceptor", 1.0, own_cpu_s=0.5),
        ]
    )


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_table_lines_up(kind: str) -> None:
    columns = {str(name): name for name in COLUMNS}
    lines = text_table(columns[kind], three()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4


def test_the_way_without_a_proxy_and_a_peers_first_process_say_nothing() -> None:
    _, _, direct, mitmdump, ours = markdown_table("requests", three()).splitlines()
    assert direct.startswith("| direct | 100 | 0 | - | - | - | - | 50 | 1.0 |")
    assert mitmdump.startswith("| mitmdump | 100 | 0 | 60000 | 1/1.0 | - | - | 50 |")
    assert ours.startswith("| int3rceptor | 100 | 0 | 10000 | 1/6.0 | 5000 | 1/12.0 |")


def report() -> Report:
    return Report(
        facts={"cpu": "a fast one"},
        commands={"mitmdump": "mitmdump -q"},
        tables={"h1": three()},
        absences=[Absence(system="squid", scenario="h1", reason="not installed")],
        targets=targets("h1", three()),
    )


def test_figures_replace_what_stood_between_the_marks_and_nothing_else() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nlast words\n"
    once = filled(page, [report()])
    assert once.startswith(f"# Title\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nlast words\n")
    assert "old" not in once
    assert "| int3rceptor | 100 |" in once
    assert "- squid, h1: not installed" in once
    wanted = "CPU of the proxy process <= 1/"
    assert f"| h1 | floor | {wanted}6 of mitmdump's | 1/12.0 | met |" in once
    assert f"| h1 | goal | {wanted}20 of mitmdump's | 1/12.0 | missed |" in once
    assert filled(once, [report()]) == once
    assert "From run" not in once


def test_of_several_reports_the_last_that_measured_a_scenario_counts() -> None:
    first, second = report(), report()
    first.tables["plain"] = rows([sample("int3rceptor", 3.0)])
    second.tables["h1"] = rows([sample("int3rceptor", 2.0)])
    second.tables["h2-1x100"] = []  # begun, and nothing came of it
    second.facts["cpu"] = "another"
    second.absences[0] = Absence(system="goproxy", scenario="h1", reason="busy")
    page = filled(f"{BEGIN}\n{END}\n", [first, second])
    h1, plain = page.index("### HTTP/1.1 in TLS, 32"), page.index("### Plain HTTP/1.1")
    of_h1, of_plain = page[h1:plain], page[plain : page.index("### Not measured")]
    assert "| int3rceptor | 100 | 0 | 20000 |" in of_h1
    assert "From run 2." in of_h1
    assert "| mitmdump |" not in of_h1
    assert "| int3rceptor | 100 | 0 | 30000 |" in of_plain
    assert "From run 1." in of_plain
    assert "### HTTP/2" not in page
    assert "- goproxy, h1: busy" in page
    assert "squid" not in page
    assert page.count("| h1 | floor | ") == len(
        [each for each in second.targets if each.level == "floor"]
    )
    assert "Run 1:\n\n- cpu: a fast one\n\nRun 2:\n\n- cpu: another" in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="lacks the marks"):
        filled("# Title\n", [report()])


def test_bars_are_as_long_as_the_figures() -> None:
    picture = ElementTree.fromstring(svg({"h1": three()}))  # noqa: S314 (made here)
    bars = [
        (float(bar.get("width", "0")), bar.get("fill"))
        for bar in picture.iter(f"{SVG}rect")
    ][1:]  # the first is the ground
    (mitmdump, _), (tree, tree_colour), (own, own_colour) = bars
    assert tree == pytest.approx(mitmdump / 6, abs=0.1)
    assert own == pytest.approx(mitmdump / 12, abs=0.1)
    assert tree_colour != own_colour
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "10,000  (1/6.0)" in texts
    assert "direct" not in texts


def test_a_latency_is_drawn_as_what_it_is() -> None:
    slow, fast = sample("mitmdump", p99_ms=40.0), sample("int3rceptor", p99_ms=4.0)
    picture = ElementTree.fromstring(svg({"latency": rows([slow, fast])}))  # noqa: S314
    bars = [float(bar.get("width", "0")) for bar in picture.iter(f"{SVG}rect")][1:]
    assert bars[1:] == pytest.approx([bars[0] / 10] * 2, abs=0.1)
    assert "4.0  (1/10.0)" in [text.text for text in picture.iter(f"{SVG}text")]


def test_a_curve_begins_at_nought_and_goes_through_its_points() -> None:
    flat, steep = (
        Line("flat", [0, 50, 100], [10, 10, 10]),
        Line("steep", [0, 100], [0, 20]),
    )
    picture = ElementTree.fromstring(curve_svg("memory", [flat, steep]))  # noqa: S314
    paths = [
        [
            tuple(map(float, point.split(",")))
            for point in line.get("points", "").split()
        ]
        for line in picture.iter(f"{SVG}polyline")
    ]
    (left, level), (middle, _), (right, last) = paths[0]
    assert level == last
    assert middle == pytest.approx((left + right) / 2)
    (_, bottom), (_, top) = paths[1]
    assert (bottom - level) / (bottom - top) == pytest.approx(0.5, abs=0.01)
