"""What an author expects of a plugin: a TOML file, judged against a trial."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

from int3rceptor.config.tables import Table, made, setting
from int3rceptor.errors import PluginError, SettingError
from int3rceptor.hooks.verdicts import Fail, Hold, Verdict
from int3rceptor.plugins.authoring.trial import (
    FlowRun,
    HookRun,
    MessageState,
    decision_of,
)
from int3rceptor.plugins.boundary import Fault
from int3rceptor.plugins.codes import ENTRIES

MAX_EXPECTATIONS_BYTES = 1024 * 1024
"""Of the file: hundreds of expectations are a few dozen KiB."""

_KINDS = {*get_args(Verdict), Fault} - {Hold, Fail}  # a plugin gives neither
DECISIONS = ("continue", *sorted(map(decision_of, _KINDS)))
"""What `verdict` may be."""


@dataclass(slots=True, frozen=True, kw_only=True)
class MessageExpectation(Table):
    """[expect.request] or [expect.response]."""

    headers: Mapping[str, str] = made(dict)
    absent: Sequence[str] = ()
    body_contains: Sequence[str] = ()
    body_lacks: Sequence[str] = ()

    def failures(self, side: str, state: MessageState | None) -> Iterator[str]:
        """What does not hold, a line each."""
        if state is None:
            if self != type(self)():
                yield f"there is no {side}"
            return
        for name, wanted in self.headers.items():
            values = state.values(name)
            if values != [wanted]:
                found = ", ".join(map(repr, values)) or "absent"
                yield f"{side} header {name} is {found}, not {wanted!r}"
        for name in self.absent:
            if state.values(name):
                yield f"{side} header {name} is there"
        text = state.content.decode("utf-8", "replace")
        missing = (part for part in self.body_contains if part not in text)
        yield from (f"the {side}'s body does not contain {part!r}" for part in missing)
        present = (part for part in self.body_lacks if part in text)
        yield from (f"the {side}'s body contains {part!r}" for part in present)


def _hook(name: str) -> str:
    names = [one.value for one in ENTRIES]
    if name and name not in names:
        raise ValueError(f"no such hook; there are {', '.join(names)}")
    return name


def _verdict(name: str) -> str:
    if name and name not in DECISIONS:
        raise ValueError(f"no such verdict; there are {', '.join(DECISIONS)}")
    return name


@dataclass(slots=True, frozen=True, kw_only=True)
class Expectation(Table):
    """One [[expect]]: judged after `hook`, or after the last; of one flow or of all.

    What is "" or 0 was not given.
    """

    flow: int = setting(0, least=0)
    hook: str = setting("", check=_hook)
    verdict: str = setting("", check=_verdict)
    status: int = setting(0, least=0)
    method: str = ""
    path: str = ""
    request: MessageExpectation = made(MessageExpectation)
    response: MessageExpectation = made(MessageExpectation)
    tags: Sequence[str] = ()
    log: Sequence[str] = ()
    fuel_below: int = setting(0, least=0)

    def failures(self, flow: FlowRun) -> Iterator[str]:
        """What does not hold of this flow, a line each."""
        runs = [one for one in flow.runs if self.hook in ("", one.entry.value)]
        if not runs:
            yield f"{self.hook or 'no hook'} was {'not ' * bool(self.hook)}called"
            return
        yield from self._of_calls(runs)
        last = runs[-1]
        yield from self._of_state(last)
        yield from self.request.failures("request", last.request)
        yield from self.response.failures("response", last.response)

    def _of_calls(self, runs: Sequence[HookRun]) -> Iterator[str]:
        decided = [one.decision for one in runs]
        if self.verdict and self.verdict not in decided:
            yield f"the verdict is {', '.join(decided)}, not {self.verdict}"
        for part in self.log:
            if not any(part in text for one in runs for _, text in one.lines):
                yield f"no log line contains {part!r}"
        most = self.fuel_below
        for one in runs:
            if 0 < most <= one.fuel:
                yield f"{one.entry.value} took {one.fuel} fuel, not below {most}"

    def _of_state(self, last: HookRun) -> Iterator[str]:
        method, path = last.request.start
        status = "none" if last.response is None else last.response.start[0]
        wanted = {"method": self.method, "path": self.path, "status": self.status}
        found = {"method": method, "path": path, "status": status}
        for name, one in wanted.items():
            if one and str(one) != found[name]:
                yield f"the {name} is {found[name]}, not {one}"
        for tag in self.tags:
            if tag not in last.tags:
                yield f"the flow is not tagged {tag!r}"


def read_expectations(path: Path) -> tuple[Expectation, ...]:
    """The expectations of a file; a PluginError names the file and the key."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_EXPECTATIONS_BYTES + 1)
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_EXPECTATIONS_BYTES:
        raise PluginError(f"{path}: larger than {MAX_EXPECTATIONS_BYTES} bytes")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{path}: not valid TOML: {error}") from None
    found = table.get("expect")
    if list(table) != ["expect"] or not isinstance(found, list):
        raise PluginError(f"{path}: must hold [[expect]] tables, and nothing else")
    return tuple(_read(path, number, one) for number, one in enumerate(found, 1))


def _read(path: Path, number: int, table: object) -> Expectation:
    if not isinstance(table, dict):
        raise PluginError(f"{path}: expect {number}: must be a table")
    try:
        return Expectation.of(table)
    except SettingError as error:
        reason = f"expect {number}: {error.key}: {error.reason}"
        raise PluginError(f"{path}: {reason}") from None


def judge(
    expectations: Sequence[Expectation], flows: Sequence[FlowRun]
) -> Iterable[str]:
    """Every failure, a line each: what does not hold, and calls that failed unasked."""
    for number, one in enumerate(expectations, 1):
        chosen = flows[one.flow - 1 : one.flow] if one.flow else flows
        if not chosen:
            yield f"expect {number}: there is no flow {one.flow}"
        for flow in chosen:
            for what in one.failures(flow):
                after = f", after {one.hook}" if one.hook else ""
                yield f"expect {number}, {flow.name}{after}: {what}"
    wanted = {(one.flow, one.hook) for one in expectations if one.verdict == "fault"}
    for place, flow in enumerate(flows, 1):
        for run in flow.runs:
            asked = product((0, place), ("", run.entry.value))
            if run.is_fault and wanted.isdisjoint(asked):
                yield f"{flow.name}, {run.entry.value}: {run.said}"
