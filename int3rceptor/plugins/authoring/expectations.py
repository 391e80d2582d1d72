"""What an author expects of a plugin: a TOML file, judged against a trial.

The file also holds the messages that the plugin is given, as if others had sent them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

from int3rceptor.config.tables import JsonValue, Table, made, setting
from int3rceptor.config.toml_lines import toml
from int3rceptor.errors import PluginError, SettingError
from int3rceptor.hooks.verdicts import Fail, Hold, Verdict
from int3rceptor.plugins.abi.codes import ENTRIES, Extra
from int3rceptor.plugins.authoring.moments import MessageState
from int3rceptor.plugins.authoring.trial import (
    FlowRun,
    HookRun,
    MessageRun,
    decision_of,
)
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.topics.messages import (
    MAX_MESSAGE_BYTES,
    MAX_TOPIC_BYTES,
    Message,
)

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


def _topic(name: str) -> str:
    if not name or len(name.encode()) > MAX_TOPIC_BYTES or not name.isprintable():
        raise ValueError(f"a topic has 1 to {MAX_TOPIC_BYTES} bytes, all printable")
    return name


def _hex(text: str) -> str:
    bytes.fromhex(text)  # ValueError says where
    return text


@dataclass(slots=True, frozen=True, kw_only=True)
class GivenMessage(Table):
    """One [[message]]: `text`, or bytes in `hex`, given after so many flows."""

    topic: str = setting("", check=_topic)
    text: str = ""
    hex: str = setting("", check=_hex)
    sender: str = "test"
    after: int = setting(0, least=0)

    @property
    def message(self) -> Message:
        """As the plugin gets it."""
        data = bytes.fromhex(self.hex) if self.hex else self.text.encode()
        return Message(self.topic, data, (self.sender,))

    def problem(self) -> str:
        """What is wrong with it as a whole; "" if nothing."""
        if self.text and self.hex:
            return "hex: there is text already: give one of the two"
        if len(self.message.data) > MAX_MESSAGE_BYTES:
            return f"larger than {MAX_MESSAGE_BYTES} bytes"
        return ""


_OF_FLOWS = ("flow", "status", "method", "path", "request", "response", "tags")
"""Keys that say nothing about a message."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Expectation(Table):
    """One [[expect]]: judged after `hook`, or after the last; of one flow or of all, or
    of one message or of all.

    What is "" or 0 was not given. `sends` is what a message on a topic contains.
    """

    flow: int = setting(0, least=0)
    message: int = setting(0, least=0)
    hook: str = setting("", check=_hook)
    verdict: str = setting("", check=_verdict)
    status: int = setting(0, least=0)
    method: str = ""
    path: str = ""
    request: MessageExpectation = made(MessageExpectation)
    response: MessageExpectation = made(MessageExpectation)
    tags: Sequence[str] = ()
    log: Sequence[str] = ()
    sends: Mapping[str, str] = made(dict)
    fuel_below: int = setting(0, least=0)

    @property
    def is_about_messages(self) -> bool:
        """Whether it is judged of messages and not of flows."""
        return self.message > 0 or self.hook == Extra.MESSAGE.value

    def problem(self) -> str:
        """What is wrong with it as a whole; "" if nothing."""
        if not self.is_about_messages:
            return ""
        if self.hook not in ("", Extra.MESSAGE.value):
            return f"message: {self.hook} is not about one"
        usual = Expectation()
        for key in _OF_FLOWS:
            if getattr(self, key) != getattr(usual, key):
                return f"{key}: a message has none"
        return ""

    def chosen(
        self, flows: Sequence[FlowRun], messages: Sequence[MessageRun]
    ) -> "Sequence[Judged]":
        """Those that it is judged of."""
        among: Sequence[Judged] = messages if self.is_about_messages else flows
        place = self.message or self.flow
        return among[place - 1 : place] if place else among

    def failures(self, judged: "Judged") -> Iterator[str]:
        """What does not hold of this flow or message, a line each."""
        runs = [one for one in judged.runs if self.hook in ("", one.entry.value)]
        if not runs:
            yield f"{self.hook or 'no hook'} was {'not ' * bool(self.hook)}called"
            return
        yield from self._of_calls(runs)
        last = runs[-1]
        if last.request is not None:
            yield from self._of_state(last, last.request)
            yield from self.request.failures("request", last.request)
            yield from self.response.failures("response", last.response)

    def _of_calls(self, runs: Sequence[HookRun]) -> Iterator[str]:
        decided = [one.decision for one in runs]
        if self.verdict and self.verdict not in decided:
            yield f"the verdict is {', '.join(decided)}, not {self.verdict}"
        for part in self.log:
            if not any(part in text for one in runs for _, text in one.lines):
                yield f"no log line contains {part!r}"
        sent = [one for run in runs for one in run.sent]
        for topic, part in self.sends.items():
            found = [one for one in sent if one.topic == topic]
            if not any(part.encode() in one.data for one in found):
                what = f"contains {part!r}" if found else "was sent"
                yield f"no message on {topic} {what}"
        most = self.fuel_below
        for one in runs:
            if 0 < most <= one.fuel:
                yield f"{one.entry.value} took {one.fuel} fuel, not below {most}"

    def _of_state(self, last: HookRun, request: MessageState) -> Iterator[str]:
        method, path = request.start
        status = "none" if last.response is None else last.response.start[0]
        wanted = {"method": self.method, "path": self.path, "status": self.status}
        found = {"method": method, "path": path, "status": status}
        for name, one in wanted.items():
            if one and str(one) != found[name]:
                yield f"the {name} is {found[name]}, not {one}"
        for tag in self.tags:
            if tag not in last.tags:
                yield f"the flow is not tagged {tag!r}"


Judged = FlowRun | MessageRun


@dataclass(slots=True, frozen=True)
class Expected:
    """What a file holds."""

    expectations: tuple[Expectation, ...] = ()
    messages: tuple[GivenMessage, ...] = ()


def read_expectations(path: Path) -> Expected:
    """What a file holds; a PluginError names the file and the key."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_EXPECTATIONS_BYTES + 1)
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_EXPECTATIONS_BYTES:
        raise PluginError(f"{path}: larger than {MAX_EXPECTATIONS_BYTES} bytes")
    try:
        table = toml(data.decode("utf-8"))
    except ValueError as error:
        raise PluginError(f"{path}: not valid TOML: {error}") from None
    lists = {key: one for key, one in table.items() if isinstance(one, list)}
    if not table or len(lists) < len(table) or table.keys() - {"expect", "message"}:
        raise PluginError(
            f"{path}: must hold [[expect]] and [[message]] tables, and nothing else"
        )
    return Expected(
        tuple(_read(path, "expect", lists.get("expect", []), Expectation)),
        tuple(_read(path, "message", lists.get("message", []), GivenMessage)),
    )


_Kind = TypeVar("_Kind", Expectation, GivenMessage)


def _read(
    path: Path, key: str, tables: list[JsonValue], kind: type[_Kind]
) -> Iterator[_Kind]:
    for number, table in enumerate(tables, 1):
        where = f"{path}: {key} {number}"
        if not isinstance(table, dict):
            raise PluginError(f"{where}: must be a table")
        try:
            one = kind.of(table)
        except SettingError as error:
            raise PluginError(f"{where}: {error.key}: {error.reason}") from None
        if problem := one.problem():
            raise PluginError(f"{where}: {problem}")
        yield one


def judge(
    expectations: Sequence[Expectation],
    flows: Sequence[FlowRun],
    messages: Sequence[MessageRun] = (),
) -> Iterable[str]:
    """Every failure, a line each: what does not hold, and calls that failed unasked."""
    for number, one in enumerate(expectations, 1):
        chosen = one.chosen(flows, messages)
        if not chosen:
            what = "message" if one.is_about_messages else "flow"
            place = f" {one.message or one.flow}" if one.message or one.flow else ""
            yield f"expect {number}: there is no {what}{place}"
        for judged in chosen:
            for said in one.failures(judged):
                after = f", after {one.hook}" if one.hook else ""
                yield f"expect {number}, {judged.name}{after}: {said}"
    faults = [one for one in expectations if one.verdict == "fault"]
    everything: Sequence[Judged] = [*flows, *messages]
    for judged in everything:
        foreseen = [one for one in faults if judged in one.chosen(flows, messages)]
        hooks = {one.hook for one in foreseen}
        for run in judged.runs:
            if run.is_fault and hooks.isdisjoint(("", run.entry.value)):
                yield f"{judged.name}, {run.entry.value}: {run.said}"
