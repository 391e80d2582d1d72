"""`plugins new`, `test` and `bench`: for who writes a plugin."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from int3rceptor.cli.output.escaping import printable
from int3rceptor.errors import PluginError

if TYPE_CHECKING:
    from int3rceptor.plugins.authoring.expectations import Expected
    from int3rceptor.plugins.authoring.recorded import Recording
    from int3rceptor.plugins.authoring.timing import Timing
    from int3rceptor.plugins.authoring.trial import (
        FlowRun,
        HookRun,
        MessageRun,
        Trial,
    )

DEFAULT_CALLS = 10_000
"""Of each hook in a bench: a fraction of a second, and a p99 of a hundred calls."""

Module = Annotated[Path, typer.Argument(metavar="FILE", help="A .wasm or .wat file.")]
FlowFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--flow",
        metavar="FLOW.json",
        help="What `flows show ID --json` printed. Repeatable.",
    ),
]
HarFiles = Annotated[
    list[Path] | None,
    typer.Option("--har", metavar="FILE", help="An HTTP archive. Repeatable."),
]


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the plugin, and of its folder.")
    ],
    language: Annotated[
        str,
        typer.Option(
            "--lang", help="rust, c, zig, assemblyscript, go or wat.", metavar="LANG"
        ),
    ] = "rust",
) -> None:
    """Make a folder NAME with a small plugin that builds and passes its test."""
    from int3rceptor.plugins.authoring.scaffold import make_plugin

    made = make_plugin(name, language, Path.cwd())
    for path in made:
        typer.echo(printable(f"wrote {name}/{path.as_posix()}"))
    typer.echo(f"next: cd {name} && make test")


def try_on(
    file: Module,
    flow: FlowFiles = None,
    har: HarFiles = None,
    expect: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TOML file of what must hold."),
    ] = None,
) -> None:
    """Run a module over recorded flows, without network, and tell what it did.

    It is granted what its imports and its manifest ask for, but network and files.
    """
    from int3rceptor.plugins.authoring.expectations import (
        Expected,
        judge,
        read_expectations,
    )
    from int3rceptor.plugins.authoring.trial import Trial

    recordings = _recordings(flow, har)
    expected = Expected() if expect is None else read_expectations(expect)
    _require_something(recordings, expected)
    with Trial(file) as trial:
        for grant in trial.withheld:
            _echo(f"not granted in a trial: {grant}")
        for level, text in trial.first_lines:
            _echo(f"plugin_init: {level.name} {text}")
        flows, messages = _all_runs(trial, recordings, expected)
    failures = list(judge(expected.expectations, flows, messages))
    for failure in failures:
        _echo(f"FAILED {failure}")
    calls = sum(len(one.runs) for one in flows)
    calls += sum(len(one.runs) for one in messages)
    heard = f"{len(messages)} messages, " if messages else ""
    held = f", {len(expected.expectations)} expectations" if expect else ""
    _echo(f"{len(flows)} flows, {heard}{calls} calls{held}, {len(failures)} failures")
    if failures:
        raise PluginError(f"{file}: {len(failures)} failures, listed above")


def _require_something(recordings: "Sequence[Recording]", expected: "Expected") -> None:
    if not recordings and not expected.messages:
        raise PluginError(
            "nothing to run it on: give --flow, --har, or messages by --expect"
        )
    for number, one in enumerate(expected.messages, 1):
        if one.after > len(recordings):
            raise PluginError(
                f"message {number}: after flow {one.after}, but there are "
                f"{len(recordings)}"
            )


def _all_runs(
    trial: "Trial", recordings: "Sequence[Recording]", expected: "Expected"
) -> "tuple[list[FlowRun], list[MessageRun]]":
    """Flows and messages in their order, each told as it was."""
    flows: list[FlowRun] = []
    heard: dict[int, MessageRun] = {}
    for after in range(len(recordings) + 1):
        if after:
            flows.append(flow := trial.run(recordings[after - 1]))
            for line in _flow_lines(flow):
                _echo(line)
        for number, one in enumerate(expected.messages, 1):
            if one.after == after:
                heard[number] = run = trial.hear(one.message, f"message {number}")
                for line in _message_lines(run):
                    _echo(line)
    return flows, [heard[number] for number in sorted(heard)]


def bench(
    file: Module,
    calls: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Of each hook.")
    ] = DEFAULT_CALLS,
    flow: FlowFiles = None,
    har: HarFiles = None,
) -> None:
    """Time a module's hooks, each called many times about a flow."""
    from int3rceptor.plugins.authoring.timing import time_entries
    from int3rceptor.plugins.authoring.trial import Trial

    recordings = _recordings(flow, har)
    with Trial(file) as trial:
        entries = trial.info.entries
        timings = time_entries(trial, calls, recordings[0] if recordings else None)
    about = recordings[0].name if recordings else "a made-up flow"
    _echo(f"{file}: {calls} calls of each hook about {about}")
    _echo(f"{'hook':18} {'fuel: least':>12} {'median':>9} {'p99':>9}", end="")
    _echo(f"  {'us: least':>10} {'median':>9} {'p99':>9}")
    for one in timings:
        for line in _timing_lines(one):
            _echo(line)
    for name in {one.value for one in entries} - {one.entry.value for one in timings}:
        _echo(f"{name:18} not called: the plugin listens to no topic")
    _echo("Fuel is exact. Times are this machine's processor: trust the least most.")


def _recordings(
    flows: list[Path] | None, archives: list[Path] | None
) -> "list[Recording]":
    from int3rceptor.plugins.authoring.recorded_flow import read_flow_file
    from int3rceptor.plugins.authoring.recorded_har import read_har

    found = [one for path in flows or () for one in read_flow_file(path)]
    return found + [one for path in archives or () for one in read_har(path)]


def _flow_lines(flow: "FlowRun") -> Iterator[str]:
    yield f"{flow.name}: {flow.url}"
    yield from (f"  note: {note}" for note in flow.notes)
    if not flow.is_in_scope:
        yield "  not in the plugin's scope"
    for run in flow.runs:
        yield from _run_lines(run)


def _message_lines(run: "MessageRun") -> Iterator[str]:
    from int3rceptor.plugins.authoring.trial import shown

    yield f"{run.name}: {shown(run.message)}"
    if not run.runs:
        yield "  the plugin does not listen to it"
    for one in run.runs:
        yield from _run_lines(one)


def _run_lines(run: "HookRun") -> Iterator[str]:
    cost = f"{run.fuel} fuel, {run.seconds * 1e6:.1f} us"
    yield f"  {run.entry.value}: {run.said} ({cost})"
    yield from (f"    {what}" for what in run.changes)
    yield from (f"    log: {level.name} {text}" for level, text in run.lines)


NOISE = 1.25
"""Medians of two halves that differ by more than this were disturbed by something."""


def _timing_lines(one: "Timing") -> Iterator[str]:
    fuel, us = one.fuel, one.us
    yield (
        f"{one.entry.value:18} {fuel.least:>12.0f} {fuel.median:>9.0f} {fuel.p99:>9.0f}"
        f"  {us.least:>10.2f} {us.median:>9.2f} {us.p99:>9.2f}"
    )
    if one.fault:
        yield f"  calls {one.fault}"
    low, high = sorted(one.halves_us)
    if high > low * NOISE:
        yield (
            f"  noisy: the median was {one.halves_us[0]:.2f} us in the first half of"
            f" the calls and {one.halves_us[1]:.2f} us in the second"
        )


def _echo(line: str, *, end: str = "\n") -> None:
    typer.echo(printable(line), nl=end == "\n")
