"""`python -m benchmarks.docs [REPORT ...]`: writes a report's figures into the docs.

Figures are never typed: they stand between two marks of docs/performance.md, and the
picture beside it. Without REPORT the newest in benchmarks/results/ is taken. Of several
each scenario is taken from the last that measured it.
"""

import argparse
import sys
from collections.abc import Sequence
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


def figures(reports: Sequence[Report]) -> str:
    """What stands between the marks; of several runs, each table says its own."""
    whole, parts = merged(reports), ["![CPU per request](performance.svg)"]
    for scenario in SCENARIOS:
        measured = whole.tables.get(scenario.name)
        if measured:
            title = f"### {scenario.title[0].upper()}{scenario.title[1:]}"
            parts += [title, markdown_table(scenario.kind, measured)]
            if len(reports) > 1:
                parts.append(f"From run {_source(scenario.name, reports) + 1}.")
    if whole.absences:
        lines = (
            f"- {each.system}, {each.scenario}: {each.reason}"
            for each in whole.absences
        )
        parts += ["### Not measured", "\n".join(lines)]
    if whole.targets:
        parts += ["### What was promised", _promises(whole)]
    parts.append("### Machine and versions")
    for number, report in enumerate(reports, 1):
        if len(reports) > 1:
            parts.append(f"Run {number}:")
        facts = report.facts.items()
        parts.append("\n".join(f"- {name}: {fact}" for name, fact in facts))
    commands = "\n".join(
        f"{name}:\n    {text}" for name, text in whole.commands.items()
    )
    parts += ["### Commands", f"```text\n{commands}\n```"]
    return "\n\n".join(parts)


def _source(scenario: str, reports: Sequence[Report]) -> int:
    """Which report a scenario is taken from: the last that measured it, or -1."""
    having = (n for n, each in enumerate(reports) if each.tables.get(scenario))
    return max(having, default=-1)


def merged(reports: Sequence[Report]) -> Report:
    """Each scenario as the last report that measured it has it, and nothing of others.

    Ratios are of one table, so they stay those of one run.
    """
    sources = {each.name: _source(each.name, reports) for each in SCENARIOS}
    numbered = list(enumerate(reports))
    return Report(
        facts={},
        commands={
            name: text for each in reports for name, text in each.commands.items()
        },
        tables={
            name: reports[number].tables[name]
            for name, number in sources.items()
            if number >= 0
        },
        absences=[
            absence
            for number, report in numbered
            for absence in report.absences
            if sources[absence.scenario] == number
        ],
        targets=[
            target
            for number, report in numbered
            for target in report.targets
            if sources[target.scenario] == number
        ],
    )


def _promises(report: Report) -> str:
    lines = ["| scenario | | wanted | measured | |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {each.scenario} | {each.level} | {each.wanted} | {each.measured} |"
        f" {'met' if each.is_met else 'missed'} |"
        for each in report.targets
    ]
    return "\n".join(lines)


def filled(page: str, reports: Sequence[Report]) -> str:
    """`page` with what is between its marks replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{figures(reports)}\n\n{END}{after}"


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
    parser.add_argument("report", type=Path, nargs="*")
    options = parser.parse_args()
    try:
        sources = options.report or [newest()]
        reports = [_read(source) for source in sources]
        PAGE.write_text(filled(PAGE.read_text(), reports))
    except (BenchmarkError, OSError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    PAGE.with_suffix(".svg").write_text(svg(merged(reports).tables))
    names = ", ".join(source.name for source in sources)
    print(f"{PAGE.relative_to(REPOSITORY)} and its picture hold {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
