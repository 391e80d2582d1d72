"""`python -m benchmarks.docs [REPORT]`: writes a report's figures into the docs.

Figures are never typed: they stand between two marks of docs/performance.md, and the
picture beside it. Without REPORT the newest in benchmarks/results/ is taken.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.plot import svg
from benchmarks.proxies import REPOSITORY
from benchmarks.report import Report, from_json
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import RESULTS
from benchmarks.tables import markdown_table

PAGE = REPOSITORY / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def figures(report: Report) -> str:
    """What stands between the marks."""
    parts = ["![CPU per request](performance.svg)"]
    for scenario in SCENARIOS:
        measured = report.tables.get(scenario.name)
        if measured:
            title = f"### {scenario.title[0].upper()}{scenario.title[1:]}"
            parts += [title, markdown_table(scenario.kind, measured)]
    if report.absences:
        lines = (
            f"- {each.system}, {each.scenario}: {each.reason}"
            for each in report.absences
        )
        parts += ["### Not measured", "\n".join(lines)]
    if report.targets:
        parts += ["### What was promised", _promises(report)]
    facts = "\n".join(f"- {name}: {fact}" for name, fact in report.facts.items())
    parts += ["### Machine and versions", facts]
    commands = "\n".join(
        f"{name}:\n    {text}" for name, text in report.commands.items()
    )
    parts += ["### Commands", f"```text\n{commands}\n```"]
    return "\n\n".join(parts)


def _promises(report: Report) -> str:
    lines = ["| scenario | | wanted | measured | |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {each.scenario} | {each.level} | {each.wanted} | {each.measured} |"
        f" {'met' if each.is_met else 'missed'} |"
        for each in report.targets
    ]
    return "\n".join(lines)


def filled(page: str, report: Report) -> str:
    """`page` with what is between its marks replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures(report)}\n\n{END}{after}"


def newest() -> Path:
    """The report that was written last."""
    reports = sorted(RESULTS.glob("*.json"))
    if not reports:
        raise BenchmarkError(f"no report in {RESULTS}: run `make bench` first")
    return reports[-1]


def _read(source: Path) -> Report:
    try:
        return from_json(source.read_text())
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f"{source} is no report of this version ({error!r}): run `make bench` again"
        ) from error


def main() -> int:
    """The command line; exit code 1 when there is nothing to fill in."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.docs")
    parser.add_argument("report", type=Path, nargs="?")
    options = parser.parse_args()
    try:
        source = options.report or newest()
        report = _read(source)
        PAGE.write_text(filled(PAGE.read_text(), report))
    except (BenchmarkError, OSError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    PAGE.with_suffix(".svg").write_text(svg(report.tables))
    print(f"{PAGE.relative_to(REPOSITORY)} and its picture hold {source.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
