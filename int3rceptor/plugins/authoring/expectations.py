"""What an author expects of a plugin: a TOML file, judged against a trial."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from int3rceptor.errors import PluginError
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


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageExpectation(_Table):
    """[expect.request] or [expect.response]."""

    headers: dict[str, str] = {}
    absent: tuple[str, ...] = ()
    body_contains: tuple[str, ...] = ()
    body_lacks: tuple[str, ...] = ()

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


class Expectation(_Table):
    """One [[expect]]: judged after `hook`, or after the last; of one flow or of all."""

    flow: Annotated[int, Field(ge=1)] | None = None
    hook: str | None = None
    verdict: str | None = None
    status: int | None = None
    method: str | None = None
    path: str | None = None
    request: MessageExpectation = MessageExpectation()
    response: MessageExpectation = MessageExpectation()
    tags: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    fuel_below: Annotated[int, Field(ge=1)] | None = None

    @field_validator("hook")
    @classmethod
    def _is_hook(cls, name: str | None) -> str | None:
        names = [one.value for one in ENTRIES]
        if name is not None and name not in names:
            raise ValueError(f"no hook {name!r}; there are {', '.join(names)}")
        return name

    @field_validator("verdict")
    @classmethod
    def _is_verdict(cls, name: str | None) -> str | None:
        if name is not None and name not in DECISIONS:
            raise ValueError(f"no verdict {name!r}; there are {', '.join(DECISIONS)}")
        return name

    def failures(self, flow: FlowRun) -> Iterator[str]:
        """What does not hold of this flow, a line each."""
        runs = [one for one in flow.runs if self.hook in (None, one.entry.value)]
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
        if self.verdict is not None and self.verdict not in decided:
            yield f"the verdict is {', '.join(decided)}, not {self.verdict}"
        for part in self.log:
            if not any(part in text for one in runs for _, text in one.lines):
                yield f"no log line contains {part!r}"
        most = self.fuel_below
        for one in runs:
            if most is not None and one.fuel >= most:
                yield f"{one.entry.value} took {one.fuel} fuel, not below {most}"

    def _of_state(self, last: HookRun) -> Iterator[str]:
        method, path = last.request.start
        status = "none" if last.response is None else last.response.start[0]
        wanted = {"method": self.method, "path": self.path, "status": self.status}
        found = {"method": method, "path": path, "status": status}
        for name, one in wanted.items():
            if one is not None and str(one) != found[name]:
                yield f"the {name} is {found[name]}, not {one}"
        for tag in self.tags:
            if tag not in last.tags:
                yield f"the flow is not tagged {tag!r}"


class _File(_Table):
    expect: tuple[Expectation, ...]


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
        return _File.model_validate(tomllib.loads(data.decode("utf-8"))).expect
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "no such key"
        raise PluginError(f"{path}: {key}: {message}") from None


def judge(
    expectations: Sequence[Expectation], flows: Sequence[FlowRun]
) -> Iterable[str]:
    """Every failure, a line each: what does not hold, and calls that failed unasked."""
    for number, one in enumerate(expectations, 1):
        chosen = flows if one.flow is None else flows[one.flow - 1 : one.flow]
        if not chosen:
            yield f"expect {number}: there is no flow {one.flow}"
        for flow in chosen:
            for what in one.failures(flow):
                after = "" if one.hook is None else f", after {one.hook}"
                yield f"expect {number}, {flow.name}{after}: {what}"
    wanted = {(one.flow, one.hook) for one in expectations if one.verdict == "fault"}
    for place, flow in enumerate(flows, 1):
        for run in flow.runs:
            asked = {(flow, hook) for flow in (None, place) for hook in
                     (None, run.entry.value)}  # fmt: skip
            if run.is_fault and wanted.isdisjoint(asked):
                yield f"{flow.name}, {run.entry.value}: {run.said}"
